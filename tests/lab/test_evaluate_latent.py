"""The table of the latent path on digits: from the command line, beside its trivial predictors."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.cli import main
from host.decoder.generator_file import load_generator, save_generator
from lab.evaluate_latent_command import lines_of
from lab.latent_evaluation import CEILING, LatentRow, over_seeds
from lab.latent_page import latent_page
from lab.segmentation_labels import Classes, save_classes
from tests.digits_domain import DigitsDomain
from tests.lab.test_face_networks import small_network
from tests.training.conftest import BOARD
from training.cli_commands.command_parts import digests
from training.data_sets.data import open_data
from training.latent.latent_checkpoint import load_latent_checkpoint, save_latent_checkpoint


@pytest.fixture
def checkpoint(digits: DigitsDomain) -> Path:
    return digits.banks[1]


def _words(digits: DigitsDomain, checkpoint: Path, output: Path, *more: str) -> list[str]:
    files = digits.files
    words = ["evaluate-latent", str(checkpoint), "--generator", str(digits.generator), "-o", str(output)]
    words += ["--data", str(files["train"]), "--val", str(files["val"]), "--board", str(BOARD)]
    return [*words, "--threads", "1", *more]


def test_the_report_holds_every_figure_beside_what_is_trivial(
    digits: DigitsDomain, checkpoint: Path, tmp_path: Path
) -> None:
    assert main(_words(digits, checkpoint, tmp_path / "report")) == 0
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    rows: Mapping[str, Any] = {row["metric"]: row for row in document["rows"]}
    assert set(rows) == {"attribute_auc", "attribute_accuracy", "psnr", "ssim"}
    for metric, trivial in (("attribute_auc", "chance"), ("psnr", "mean face"), ("ssim", "mean face")):
        beside = rows[metric]["beside"]
        assert beside[trivial] < rows[metric]["value"] < beside[CEILING]
    assert rows["attribute_accuracy"]["beside"]["majority"] == pytest.approx(0.9, abs=0.02)
    assert document["memorisation"] is None
    assert str(tmp_path) not in json.dumps(document)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "nearest training face" in page
    assert "<img" not in page
    assert len(lines_of(document)) == 1 + len(document["rows"])


def test_a_bank_of_another_generator_is_refused(
    digits: DigitsDomain, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = load_generator(digits.generator)
    moved = type(generator.space)("digits", generator.space.mean + np.float32(0.5))
    save_generator(
        type(generator)(
            moved, generator.shape, generator.synthesis, generator.encoder, generator.encoder_widths, {}
        ),
        tmp_path / "other.npz",
    )
    words = _words(digits, checkpoint, tmp_path / "report")
    words[words.index("--generator") + 1] = str(tmp_path / "other.npz")
    assert main(words) == 20
    assert "another latent space" in capsys.readouterr().err
    assert main(_words(digits, tmp_path / "none.npz", tmp_path / "report")) == 20


def test_segmentation_is_measured_where_there_are_labels_and_no_bank_is_touched(
    digits: DigitsDomain, checkpoint: Path, tmp_path: Path
) -> None:
    files, names = digits.files, ("paper", "stroke")
    for part in ("train", "val"):
        fields = open_data(files[part]).faces().luminance
        rows = np.arange(0, len(fields), 2)
        labels = (fields[rows] > 0.2).astype(np.uint8)
        save_classes(Classes(rows, labels, names), tmp_path / f"{part}.npz")
    before = checkpoint.read_bytes()
    more = ["--segmentation", str(tmp_path / "val.npz"), "--segmentation-train", str(tmp_path / "train.npz")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.latent_heads.SEGMENTATION_STEPS", 60)
        assert main(_words(digits, checkpoint, tmp_path / "report", *more)) == 0
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    row = next(each for each in document["rows"] if each["metric"] == "segmentation_f1")
    assert row["beside"]["modal map"] < row["value"] < row["beside"][CEILING] + 0.05
    assert checkpoint.read_bytes() == before  # one bank for every head


def _with_landmarks(source: Path, path: Path) -> Path:
    with np.load(source) as archive:
        parts = {name: archive[name] for name in archive.files}
    count = len(parts["identity"])
    points = np.random.default_rng(0).integers(80, 400, (1, 68, 2)).repeat(count, axis=0).astype(np.int16)
    np.savez(path, **parts, landmarks68_x4=points, landmark_noise=np.zeros(count))
    return path


def test_faces_are_measured_and_the_generator_gets_its_card(
    digits: DigitsDomain, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = small_network(tmp_path / "net.onnx")
    words = _words(digits, checkpoint, tmp_path / "report", "--recognition", str(network), "--faces", "60")
    for option, part in (("--data", "train"), ("--val", "val")):
        words[words.index(option) + 1] = str(_with_landmarks(digits.files[part], tmp_path / f"{part}.npz"))
    assert main([*words, "--card", str(tmp_path / "carded.npz")]) == 0
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    rows = {row["metric"]: row for row in document["rows"]}
    assert {"verification_auc", "recognition_rate", "frechet", "landmark_nme"} <= set(rows)
    for metric in ("verification_auc", "landmark_nme", "psnr", "ssim", "attribute_auc"):
        low, high = rows[metric]["interval"]
        assert low <= rows[metric]["value"] <= high
    found = document["memorisation"]
    assert {"val to train", "samples to train", "samples nearer than 99 % of val"} <= set(found)
    carded = load_generator(tmp_path / "carded.npz")
    assert carded.record["memorisation"]["figures"] == found
    assert carded.space.form == load_generator(digits.generator).space.form
    capsys.readouterr()
    assert main([*_words(digits, checkpoint, tmp_path / "r2"), "--card", str(tmp_path / "c2.npz")]) == 3
    assert "--recognition" in capsys.readouterr().err
    assert not (tmp_path / "c2.npz").exists()


def test_a_network_that_trained_does_not_measure(
    digits: DigitsDomain, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = small_network(tmp_path / "net.onnx")
    bank = load_latent_checkpoint(checkpoint)
    data = {"owners.ts": digests([network])["net.onnx"]}
    save_latent_checkpoint(replace(bank, record={**bank.record, "data": data}), tmp_path / "bank.npz")
    words = _words(digits, tmp_path / "bank.npz", tmp_path / "report", "--recognition", str(network))
    assert main(words) == 3
    assert "took part in the training" in capsys.readouterr().err


def test_banks_of_several_seeds_share_a_row() -> None:
    one = LatentRow("psnr", 4, 15.0, "dB", {"mean face": 10.0}, (14.0, 16.0))
    other = replace(one, value=16.0, interval=(15.0, 18.0))
    deeper = replace(one, d=8)
    merged, alone = over_seeds([one, other, deeper])
    assert (merged.value, merged.seeds, merged.spread) == (15.5, 2, 1.0)
    assert merged.interval == (14.5, 17.0)
    assert alone is deeper
    document = {"rows": [asdict(merged)]}
    assert "2 seeds" in lines_of(document)[1]


def test_the_share_of_the_way_to_the_ceiling() -> None:
    row = LatentRow("psnr", 4, 15.0, "dB", {"mean face": 10.0, CEILING: 20.0})
    assert row.share_of_ceiling("mean face") == pytest.approx(0.5)
    assert row.share_of_ceiling("nobody") is None
    assert (
        LatentRow("psnr", 4, 15.0, "dB", {"mean face": 10.0, CEILING: 10.0}).share_of_ceiling("mean face")
        is None
    )


def test_memorisation_is_told_on_the_page() -> None:
    document = {
        "rows": [], "memorisation": {"val to train": 0.5}, "command": "c", "split": "s", "rows_of_val": 1,
        "rows_of_train": 2, "light": "l", "generator": "g", "steps": "t",
    }  # fmt: skip
    assert "val to train" in latent_page(document)
    assert "Not measured" in latent_page({**document, "memorisation": None})
