"""What the report is counted on: halves that share nobody, constant answers, presence."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the report needs PyTorch (lsi-host[train])")

from lab.report_baselines import read_pictures
from lab.report_material import (
    commoner_yes,
    presence,
    read_long_runs,
    report_grouping,
    report_half,
    split_val,
    teacher_predictor,
)
from lsi.errors import DataError
from tests.lab.report_scene import bench, model, save_teacher
from tests.training.scenes import write_faces, write_textures
from training.data_sets.data import open_data, tune_rows

NAMES = ("Wearing_Hat", "Smiling")


def nothing(_line: str) -> None:
    """Progress that nobody reads."""


def test_the_halves_share_nobody_and_keep_rows_and_answers_together(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "val.npz", 40, 1))
    val = split_val(data, read_pictures(data, NAMES, nothing), NAMES)
    on = val.bench()
    assert set(on.split.people.tolist()).isdisjoint(data.identity[val.at_tune].tolist())
    assert len(on.tune) + len(on.report) == 40
    row = int(np.flatnonzero(~val.at_tune)[3])
    assert np.array_equal(on.report[3], data.field(row))
    expected = [data.attributes[row, data.attribute_names.index(name)] for name in NAMES]
    assert on.split.report[3].tolist() == expected


def test_everybody_in_one_half_is_refused(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "val.npz", 2, 1))
    with pytest.raises(DataError, match=r"nobody in its (report|tune) half"):
        split_val(data, read_pictures(data, NAMES, nothing), NAMES)


def test_the_commoner_answer_is_counted_among_the_known() -> None:
    answers = np.array([[1, -1, 0], [1, -1, 0], [-1, 1, 1]], np.int8)
    assert commoner_yes(answers).tolist() == [True, False, True]


def test_the_teachers_rows_go_the_way_of_the_pictures(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "val.npz", 40, 1))
    logits = data.attributes.astype(np.float32)
    save_teacher(tmp_path / "t.npz", logits, data.attribute_names)
    val = split_val(data, read_pictures(data, NAMES, nothing), NAMES)
    found = teacher_predictor(tmp_path / "t.npz", val)
    assert np.array_equal(found.tune, val.tune.attributes)
    assert np.array_equal(found.report, val.report.attributes)


def test_groups_exist_only_where_both_labels_do(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "val.npz", 40, 1))
    val = split_val(data, read_pictures(data, NAMES, nothing), NAMES)
    assert report_grouping(data, val) is None
    renamed = dataclasses.replace(data, attribute_names=("Male", "Young", *data.attribute_names[2:]))
    grouping = report_grouping(renamed, val)
    assert grouping is not None
    assert np.array_equal(grouping.answers, data.attributes[~val.at_tune][:, :2])


def test_scenes_without_a_face_come_from_the_report_half(tmp_path: Path) -> None:
    data = open_data(write_textures(tmp_path / "none.npz", 24, 2))
    found = report_half(data, nothing)
    assert len(found) == int((~tune_rows(data.identity)).sum())
    alone = open_data(write_textures(tmp_path / "one.npz", 1, 2))
    if tune_rows(alone.identity).all():
        with pytest.raises(DataError, match="no rows in its report half"):
            report_half(alone, nothing)


def test_presence_is_judged_at_the_models_own_threshold() -> None:
    faces = bench(rows=31).report
    found = presence(model(), faces, faces[:7])
    assert len({each["against"] for each in found["kinds"]}) == len(found["kinds"])
    rows = {each["against"]: each["rows"] for each in found["kinds"]}
    assert rows.pop("pictures without a face") == 7
    assert set(rows.values()) == {31}
    assert 0 <= found["false_rejects"] <= 1


def test_rows_of_long_runs_become_figures_with_the_trivial_predictor_beside(tmp_path: Path) -> None:
    row = {"d": 16, "seeds": 3, "accuracy": 87.5, "accuracy_spread": 0.1, "majority": 79.3, "auc": 0.873}
    document = {"rows": [{**row, "auc_spread": 0.002}], "ceiling": {}}
    (tmp_path / "runs.json").write_text(json.dumps(document))
    accuracy, area = read_long_runs(tmp_path / "runs.json")
    assert (accuracy["name"], accuracy["value"], accuracy["unit"]) == ("d16_accuracy", 87.5, "%")
    assert accuracy["beside"] == {"majority": 79.3, "seeds": 3, "spread": 0.1}
    assert (area["name"], area["value"], area["beside"]["chance"]) == ("d16_auc", 0.873, 0.5)


def test_results_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No readable results at .*absent\.json"):
        read_long_runs(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match="holds no results"):
        read_long_runs(tmp_path / "bad.json")
