"""``lsi evaluate-latent --baselines`` on digits."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pylops", reason="the baselines need pylops (lsi-host[bench])")
pytest.importorskip("pywt", reason="the baselines need PyWavelets (lsi-host[bench])")

from host.cli import main
from tests.digits_domain import DigitsDomain
from tests.training.conftest import BOARD
from training.latent.latent_checkpoint import load_latent_checkpoint, save_latent_checkpoint


def _words(digits: DigitsDomain, output: Path, *more: str) -> list[str]:
    words = ["evaluate-latent", str(digits.banks[1]), "--generator", str(digits.generator)]
    words += ["--data", str(digits.files["train"]), "--val", str(digits.files["val"]), "--board", str(BOARD)]
    return [*words, "-o", str(output), "--threads", "1", "--limit", "40", *more]


def _fixed(digits: DigitsDomain, path: Path) -> Path:
    """The same bank, said to have kept its random masks."""
    bank = load_latent_checkpoint(digits.banks[1])
    settings = {"fixed_masks": True, "start": "noise"}
    save_latent_checkpoint(replace(bank, record={**bank.record, "settings": settings}), path)
    return path


def test_baselines_stand_beside_learned_masks(
    digits: DigitsDomain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.baselines.sparse.CHOSEN_ON", 4)
    monkeypatch.setattr("lab.baselines.sparse.WAVELET_STEPS", 8)
    words = _words(digits, tmp_path / "report", "--baselines", "hadamard-wavelet,fourier-unet")
    words.insert(1, str(_fixed(digits, tmp_path / "fixed.npz")))
    assert main([*words, "--train-rows", "110", "--baseline-steps", "10", "--baseline-rows", "90"]) == 0
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(document["rows"]) == 4  # the fixed bank is no row of ours
    found = document["baselines"]
    values = {(row["method"], row["reading"], row["metric"], row["d"]): row["value"] for row in found["rows"]}
    for method in ("learned masks", "random masks, our encoder"):
        assert values[method, "own heads", "attribute_auc", 8] > 0.9
    for method in ("learned masks", "random masks, our encoder", "hadamard-wavelet", "fourier-unet"):
        assert values[method, "grey picture", "attribute_auc", 8] > 0.6
        assert values[method, "grey picture", "psnr", 8] > 5
    assert values["learned masks", "grey picture", "psnr", 8] > values["mean face", "grey picture", "psnr", 0]
    # A bank does not beat itself: a draw is told.
    draws = [each for each in found["losses"] if each["baseline"] == "random masks, our encoder"]
    assert len(draws) == 4
    assert found["learned_from"] == 80
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Where learned masks do not beat a baseline" in page
    assert "SAUNet" in page
    assert "--baselines hadamard-wavelet,fourier-unet" in document["command"]


def test_banks_alone(digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(digits, tmp_path / "report", "--baselines", "none")) == 0
    assert "in 0 of 0 pairs" in capsys.readouterr().out
    words = _words(digits, tmp_path / "report", "--baselines", "none")
    words[1] = str(_fixed(digits, tmp_path / "fixed.npz"))
    assert main(words) == 3
    assert "nothing to compare baselines with" in capsys.readouterr().err


def test_a_missing_library_and_a_wrong_name_are_said_at_once(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(_words(digits, tmp_path / "report", "--baselines", "tv")) == 3
    assert "hadamard-tv" in capsys.readouterr().err
    assert main(_words(digits, tmp_path / "report", "--baselines", "all", "--baseline-steps", "3")) == 3
    assert "--baseline-steps" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pywt", None)
    assert main(_words(digits, tmp_path / "report", "--baselines", "all")) == 3
    assert "pip install 'lsi-host[bench]'" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
