"""``lsi train latent`` from the command line."""

from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from lsi.errors import DataError
from tests.digits_domain import DigitsDomain
from tests.training.conftest import BOARD
from training.latent_checkpoint import is_latent_checkpoint, load_latent_checkpoint


def _words(digits: DigitsDomain, output: Path, *more: str) -> list[str]:
    files = digits.files
    words = ["train", "latent", "--generator", str(digits.generator), "--data", str(files["train"])]
    words += ["--nonfaces", str(files["nonfaces"]), "--val", str(files["val"]), "--board", str(BOARD)]
    words += ["--nonfaces-val", str(files["nonfaces-val"]), "-o", str(output), "--no-mirror"]
    return [*words, "--d", "4", "--batch", "64", "--threads", "1", *more]


def test_a_run_goes_on_and_leaves_one_checkpoint(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "l4.npz"
    assert main(_words(digits, output, "--epochs", "2", "--minutes", "0")) == 0
    assert "time is up after step 5 of 10" in capsys.readouterr().out
    assert main(_words(digits, output, "--epochs", "2", "--rate", "0.0005")) == 0
    told = capsys.readouterr().out
    assert "going on after step 5" in told
    assert "macro AUC" in told
    assert list(tmp_path.iterdir()) == [output]
    assert is_latent_checkpoint(output)
    record = load_latent_checkpoint(output).record
    assert record["steps"] == 10
    assert str(tmp_path) not in str(record)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--d", "0"], "--d"),
        (["--loss", "features=1"], "--features FILE"),
        (["--loss", "identity=1"], "--loss"),
        (["--generator", "nothing.npz"], "nothing.npz"),
        (["--attributes", "Smiling"], "Smiling"),
        (["--epochs", "0"], "--epochs"),
    ],
)
def test_what_cannot_be_is_told(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert main(_words(digits, tmp_path / "l.npz", *more)) in {3, 20}
    assert told in capsys.readouterr().err
    assert not (tmp_path / "l.npz").exists()


@pytest.mark.parametrize("content", [b"", b"nothing", bytes(64)])
def test_a_file_that_is_no_checkpoint_is_refused(
    digits: DigitsDomain, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "c.npz"
    path.write_bytes(content)
    assert not is_latent_checkpoint(path)
    with pytest.raises(DataError, match=r"c\.npz"):
        load_latent_checkpoint(path)
    with pytest.raises(DataError, match=r"generator\.npz"):
        load_latent_checkpoint(digits.generator)
    np.savez(path, allow_pickle=False, meta=np.array("[1]"))
    with pytest.raises(DataError, match=r"c\.npz"):
        load_latent_checkpoint(path)
