"""``lsi lab heads`` on digits, and ``lsi decode --heads`` with what it wrote."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from host.decoder.generator_file import load_generator
from host.decoder.heads_file import load_heads, save_heads
from host.decoder.latent_file import LatentBatch, save_latents
from lab.renders import under_shared_names
from lab.segmentation_labels import Classes, save_classes
from tests.digits_domain import DigitsDomain
from tests.training.conftest import BOARD
from training.data_sets.data import open_data
from training.generator.segmentation_head import IGNORED, mean_f1, modal_map
from training.latent.latent_checkpoint import load_latent_checkpoint
from training.latent.latent_exam import answers, encoder_from


def _with_landmarks(source: Path, path: Path) -> Path:
    """The digits with 68 points each: the brightest place and its neighbours on a ring."""
    fields = open_data(source).faces().luminance
    centres = np.array([_centre(field) for field in fields])
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = 20 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points = 2 * centres[:, None] + ring
    with np.load(source) as archive:
        parts = {name: archive[name] for name in archive.files}
    noise = np.zeros(len(fields))
    noise[0] = -1
    np.savez(path, **parts, landmarks68_x4=np.rint(4 * points).astype(np.int16), landmark_noise=noise)
    return path


def _centre(field: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[float, float]:
    y, x = np.mgrid[: field.shape[0], : field.shape[1]]
    light = np.square(field)
    return float((x * light).sum() / light.sum()), float((y * light).sum() / light.sum())


def _labels(data: Path, path: Path) -> Path:
    fields = open_data(data).faces().luminance
    rows = np.arange(0, len(fields), 2)
    save_classes(Classes(rows, (fields[rows] > 0.2).astype(np.uint8), ("paper", "stroke")), path)
    return path


def _words(digits: DigitsDomain, data: Path, output: Path, *more: str) -> list[str]:
    words = ["lab", "heads", str(digits.banks[1]), "--generator", str(digits.generator), "--data", str(data)]
    return [*words, "--board", str(BOARD), "--threads", "1", "-o", str(output), *more]


def test_heads_are_trained_kept_and_run_while_the_bank_stays(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.latent_heads.SEGMENTATION_STEPS", 80)
    data = _with_landmarks(digits.files["train"], tmp_path / "train.npz")
    labels = _labels(data, tmp_path / "labels.npz")
    before, output = digits.banks[1].read_bytes(), tmp_path / "heads.npz"
    assert main(_words(digits, data, output, "--segmentation", str(labels))) == 0
    assert "68 landmarks and 2 classes" in capsys.readouterr().out
    assert digits.banks[1].read_bytes() == before  # masks and encoder do not move
    heads, bank = load_heads(output), load_latent_checkpoint(digits.banks[1])
    assert heads.patterns == bank.patterns.digest
    assert str(tmp_path) not in str(heads.record)
    fields = open_data(digits.files["val"]).faces().luminance
    offsets = answers(encoder_from(bank, "bank"), np.array(bank.patterns.masks), fields, digits.detector)[0]
    space = load_generator(digits.generator).space.form
    save_latents(LatentBatch(offsets, space.digest), tmp_path / "latents.npz")
    words = ["decode", str(tmp_path / "latents.npz"), "--generator", str(digits.generator), "--sheet"]
    words += ["--heads", str(output), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    with np.load(tmp_path / "out" / "heads.npz") as found:
        classes, points = found["classes"], found["landmarks"]
        assert (str(found["class_names"][1]), int(found["frame_px"])) == ("stroke", 128)
    _are_good(classes, points, fields, data)
    _judge_on_renders(digits, output, tmp_path, capsys)
    assert main(words) == 3  # nothing is overwritten


def _judge_on_renders(
    digits: DigitsDomain, heads: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digits of val as renders: exact labels under other names, and better than the mean latent."""
    data = _with_landmarks(digits.files["val"], folder / "renders.npz")
    with np.load(data) as archive:
        parts = {name: archive[name] for name in archive.files}
    fields = open_data(data).faces().luminance
    parts["segmentation"] = (fields > 0.2).astype(np.uint8)
    parts["segmentation_names"] = np.array(["background", "beard"])
    np.savez(data, allow_pickle=False, **parts)
    kept = load_heads(heads)
    save_heads(replace(kept, classes=("background", "skin")), folder / "renamed.npz")
    words = ["lab", "renders", str(digits.banks[1]), "--generator", str(digits.generator), "--threads", "1"]
    words += ["--data", str(data), "--board", str(BOARD), "--heads"]
    capsys.readouterr()
    assert main([*words, str(folder / "renamed.npz")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == len(fields)
    assert found["f1"] > found["f1_of_mean"] + 0.05
    assert found["nme"] < found["nme_of_mean"]
    words[words.index("--data") + 1] = str(digits.files["val"])
    assert main([*words, str(heads)]) == 20
    assert "no labels" in capsys.readouterr().err


def test_what_means_the_same_gets_one_name_and_the_rest_does_not_count() -> None:
    labels = np.array([[[0, 1, 2, 3]]], np.uint8)
    ours = under_shared_names(labels, ("l_eye", "r_eye", "skin", "hat"))
    theirs = under_shared_names(labels, ("right_eye", "left_eye", "beard", "facewear"))
    assert ours[0, 0, 0] == ours[0, 0, 1] == theirs[0, 0, 0]
    assert np.array_equal(ours[..., :3], theirs[..., :3])
    assert theirs[0, 0, 3] == IGNORED


def _are_good(
    classes: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    points: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    fields: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    data: Path,
) -> None:
    """Nearer than what needs no measurement: the modal map and the mean shape."""
    true = (fields > 0.2).astype(np.uint8)[:, 4::8, 4::8]
    modal = np.broadcast_to(modal_map(true, 2), true.shape)
    assert mean_f1(classes, true, 2) > mean_f1(modal, true, 2) + 0.05
    centres = 2 * np.array([_centre(field) for field in fields])
    trivial = 2 * np.mean([_centre(field) for field in open_data(data).faces().luminance], axis=0)
    error = np.linalg.norm(points.mean(axis=1) - centres, axis=1).mean()
    assert error < 0.8 * np.linalg.norm(trivial - centres, axis=1).mean()


def test_labels_of_nothing_and_another_generator_are_refused(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "heads.npz"
    assert main(_words(digits, digits.files["train"], output)) == 20
    assert "no landmarks" in capsys.readouterr().err
    few = Classes(np.arange(3), np.zeros((3, 8, 8), np.uint8), ("paper", "stroke"))
    save_classes(few, tmp_path / "few.npz")
    more = ["--segmentation", str(tmp_path / "few.npz")]
    assert main(_words(digits, digits.files["train"], output, *more)) == 20
    assert "8 or more" in capsys.readouterr().err
    assert not output.exists()
