"""``lsi train latent`` from the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training.latent.latent_losses
from host.cli import main
from host.decoder.generator_file import save_generator
from lsi.errors import DataError
from tests.digits_domain import DigitsDomain
from tests.host.decoder.small_generator import small_generator
from tests.training.conftest import BOARD
from tests.training.generator.test_identity_network import means_network
from training.cli_commands.command_parts import digests
from training.latent.latent_checkpoint import is_latent_checkpoint, load_latent_checkpoint


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


def test_a_bank_is_a_start_only_for_its_own_generator(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "l.npz"
    assert main(_words(digits, output, "--epochs", "1", "--from", str(digits.banks[0]))) == 0
    assert "--from latent-d4.npz" in load_latent_checkpoint(output).record["command"]
    save_generator(small_generator(), tmp_path / "other.npz")
    words = _words(digits, output, "--epochs", "1", "--from", str(digits.banks[0]))
    words[words.index("--generator") + 1] = str(tmp_path / "other.npz")
    assert main([*words, "--fresh"]) == 3
    assert "belongs to" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_an_owners_network_teaches_identity_and_is_on_record(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = means_network(tmp_path / "owners.ts")
    more = ["--epochs", "1", "--identity", str(network), "--loss", "identity=0.5"]
    assert main(_words(digits, tmp_path / "l.npz", *more)) == 0
    assert "identity " in capsys.readouterr().out
    record = load_latent_checkpoint(tmp_path / "l.npz").record
    assert record["data"]["owners.ts"] == digests([network])["owners.ts"]


def test_a_loss_that_is_no_number_leaves_the_last_good_bank_and_the_run_goes_on(
    digits: DigitsDomain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, calls = tmp_path / "l.npz", []
    sound = training.latent.latent_losses.LatentLosses.of

    def fails_late(losses: Any, *parts: Any) -> Any:  # noqa: ANN401 - whatever the losses take and give
        calls.append(1)
        found = sound(losses, *parts)
        return {name: value * float("nan") for name, value in found.items()} if len(calls) > 7 else found

    monkeypatch.setattr("training.latent.latent_losses.LatentLosses.of", fails_late)
    assert main(_words(digits, output, "--epochs", "2")) == 34
    assert "no longer a number" in capsys.readouterr().err
    assert load_latent_checkpoint(output).record["steps"] == 5
    monkeypatch.undo()
    assert main(_words(digits, output, "--epochs", "2", "--rate", "0.0005")) == 0
    assert "going on after step 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--d", "0"], "--d"),
        (["--loss", "features=1"], "--features FILE"),
        (["--loss", "identity=1"], "--identity FILE"),
        (["--loss", "beauty=1"], "--loss"),
        (["--soft", "2"], "--soft"),
        (["--teacher", "nothing.npz"], "nothing.npz"),
        (["--from", "nothing.npz"], "nothing.npz"),
        (["--identity", "nothing.ts"], "nothing.ts"),
        (["--trunk", "-1"], "trunk"),
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
