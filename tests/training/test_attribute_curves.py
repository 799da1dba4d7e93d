"""The runs behind the curves of what limits the attributes."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

from benchmarks import attribute_curves
from benchmarks.attribute_curves import NO_NOISE, jobs, noise_free_logits, part_of, rows_of, scores
from tests.training.conftest import Files
from training.attributes.soft_labels import SoftLabels, digest_of_faces, save_soft_labels
from training.attributes.train import Lesson, Trained
from training.cli_commands.attributes_command import ATTRIBUTES
from training.data_sets.data import FaceData, open_data
from training.read_outs.read_out import Dense, ReadOutWeights

PASSES = 2
EYE = Dense(np.eye(5, dtype=np.float32), np.zeros(5, np.float32))


@pytest.fixture(scope="module")
def lesson(files: Files) -> Lesson:
    faces = open_data(files.data).faces(ATTRIBUTES)
    soft = (faces.attributes > 0).astype(np.float32)
    return Lesson(faces, open_data(files.nonfaces).faces(), NO_NOISE, soft)


@pytest.fixture(scope="module")
def val(files: Files) -> FaceData:
    return open_data(files.val).faces(ATTRIBUTES)


def test_every_point_differs_from_the_base_in_one_thing(lesson: Lesson) -> None:
    found = jobs(lesson, 8, PASSES)
    base = found[0].banks["base", 0.0]
    for job in found:
        for (curve, x), bank in job.banks.items():
            undone = {
                "base": bank,
                "faces": bank,
                "passes": bank,
                "teacher": replace(bank, soft_weight=base.soft_weight),
                "width": replace(bank, width=base.width),
                "mask_px": replace(bank, feature_px=base.feature_px),
            }
            same_run = (job.passes, len(job.lesson.faces)) == (PASSES, len(lesson.faces))
            assert undone[curve] == base
            assert (bank != base) == (curve in {"teacher", "width", "mask_px"})
            assert same_run == (curve not in {"faces", "passes"})
            assert curve != "mask_px" or x == 64 / bank.feature_px
            assert curve != "width" or x == bank.width


def test_runs_with_fewer_faces_take_as_many_steps(lesson: Lesson) -> None:
    fewer = [each for each in jobs(lesson, 8, PASSES) if ("faces", len(each.lesson.faces)) in each.banks]
    assert [len(each.lesson.faces) for each in fewer] == [320, 160, 80]
    assert {each.passes * len(each.lesson.faces) for each in fewer} == {PASSES * len(lesson.faces)}


def test_a_part_keeps_the_teachers_answers_with_their_faces(lesson: Lesson) -> None:
    part = part_of(lesson, 100)
    assert part.soft is not None
    assert len(part.faces) == 100
    assert np.array_equal(part.soft > 0, part.faces.attributes > 0)


def test_each_bank_of_a_run_gets_its_row(lesson: Lesson, val: FaceData) -> None:
    first, *_, last = jobs(lesson, 4, PASSES)
    job, chosen = first, {("base", 0.0): first.banks["base", 0.0], ("width", 64.0): last.banks["width", 64.0]}
    rows = rows_of(replace(job, passes=1, banks=chosen), val)
    assert [(row["curve"], row["x"], row["passes"]) for row in rows] == [("base", 0, 1), ("width", 64, 1)]
    assert rows[0]["report_auc"] != rows[1]["report_auc"]


def test_scores_are_those_of_each_part_of_the_faces(lesson: Lesson, val: FaceData) -> None:
    # One mask, and a read-out that answers by its sign: on the mask of a label AUC is 1 for those faces.
    half = np.zeros((1, 64, 64), np.bool_)
    half[:, :, :32] = True
    layers = (Dense(np.ones((5, 1), np.float32), np.zeros(5, np.float32)),)
    read_out = ReadOutWeights(np.zeros(1, np.float32), np.ones(1, np.float32), layers)
    limits = np.zeros((2, 1), np.float32)
    trained = Trained(half, read_out, limits, limits, limits)
    left = val.luminance[:, :, :32].mean(axis=(1, 2)) > val.luminance[:, :, 32:].mean(axis=(1, 2))
    answers = np.where(left, 1, -1).astype(np.int8)[:, None].repeat(4, axis=1)
    told = FaceData(val.luminance, answers, val.names, val.identity)
    found = scores(trained, lesson.faces, told)
    assert found["tune_auc"] == found["report_auc"] == 1.0
    assert found["report_accuracy"] > 90
    assert found["train_auc"] < 1.0


def test_points_are_written_after_every_run(
    files: Files, lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = tmp_path / "teacher.npz"
    soft = np.full(lesson.faces.attributes.shape, 0.5, np.float32)
    faces = open_data(files.data).faces(open_data(files.data).attribute_names)
    soft = np.full(faces.attributes.shape, 0.5, np.float32)
    save_soft_labels(SoftLabels(faces.names, soft, digest_of_faces(faces), soft, {}), taught)

    def jobs_of_two(*_: object) -> list[attribute_curves.Job]:
        one = jobs(lesson, 4, 1)[0]
        base = {("base", 0.0): one.banks["base", 0.0]}
        return [replace(one, banks=base), replace(one, banks={})]

    def rows_once(job: attribute_curves.Job, _: FaceData) -> list[dict[str, object]]:
        if not job.banks:
            raise KeyboardInterrupt
        return [{"curve": "base"}]

    monkeypatch.setattr(attribute_curves, "jobs", jobs_of_two)
    monkeypatch.setattr(attribute_curves, "rows_of", rows_once)
    output = tmp_path / "curves.json"
    words = ["--data", str(files.data), "--nonfaces", str(files.nonfaces), "--val", str(files.val)]
    words += ["--teacher", str(taught), "-o", str(output)]
    monkeypatch.setattr(sys, "argv", ["attribute_curves", *words])
    with pytest.raises(KeyboardInterrupt):
        attribute_curves.main()
    assert json.loads(output.read_text("utf-8"))["rows"] == [{"curve": "base"}]


def test_logits_do_not_depend_on_how_dark_a_face_is(val: FaceData) -> None:
    masks = np.random.default_rng(0).random((5, 64, 64)) < 0.5
    read_out = ReadOutWeights(np.zeros(5, np.float32), np.ones(5, np.float32), (EYE,))
    dark = FaceData(val.luminance * np.float32(0.02), val.attributes, val.names, val.identity)
    expected = noise_free_logits(masks, read_out, val)
    assert np.allclose(noise_free_logits(masks, read_out, dark), expected, atol=1e-4)
    assert expected.std() > 0.01
