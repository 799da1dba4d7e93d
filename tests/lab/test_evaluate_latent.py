"""The table of the latent path on digits: from the command line, beside its trivial predictors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.cli import main
from host.decoder.generator_file import load_generator, save_generator
from lab.evaluate_latent_command import lines_of
from lab.latent_evaluation import CEILING, LatentRow
from lab.latent_page import latent_page
from lab.segmentation_labels import Classes, save_classes
from tests.digits_domain import DigitsDomain
from tests.training.conftest import BOARD
from training.data import open_data


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
