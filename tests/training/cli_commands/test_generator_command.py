"""``lsi train generator`` from the command line."""

import re
from pathlib import Path

import pytest

import training.cli_commands.generator_command
from host.cli import main
from host.decoder.generator_file import load_generator
from lab.digits import write_digits
from training.cli_commands.course_command import device_line
from training.generator.picture_losses import PICTURE_LOSSES

SMALL = ["--size", "8", "--widths", "8,8", "--latent-width", "8", "--no-mirror", "--threads", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), 64, 20)["train"]


def _words(data: Path, output: Path, *more: str) -> list[str]:
    return ["train", "generator", "--data", str(data), "-o", str(output), *SMALL, *more]


def test_a_run_is_stopped_by_its_minutes_and_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "digits.npz"
    assert main(_words(data, output, "--epochs", "3", "--minutes", "0")) == 0
    first = capsys.readouterr().out
    assert "CPU thread" in first
    assert "time is up after step 5 of 12" in first
    assert load_generator(output).record["steps"] == 5
    assert main(_words(data, output, "--epochs", "3")) == 0
    assert "going on after step 5" in capsys.readouterr().out
    record = load_generator(output).record
    assert record["steps"] == record["of_steps"] == 12
    assert list(tmp_path.iterdir()) == [output]
    assert record["command"].startswith("lsi train generator --data digits_train.npz -o digits.npz")
    assert str(tmp_path) not in str(record)


def test_a_loss_that_is_no_number_leaves_the_last_good_state(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, calls = tmp_path / "digits.npz", []

    def fails_late(made: object, wanted: object) -> object:
        calls.append(1)
        value = PICTURE_LOSSES["pixel"](made, wanted)  # type: ignore[arg-type]  # what training gives it
        return value * float("nan") if len(calls) > 8 else value

    monkeypatch.setattr("training.generator.generator.PICTURE_LOSSES", {"pixel": fails_late})
    assert main(_words(data, output, "--epochs", "6")) == 34
    told = capsys.readouterr()
    assert re.search(r"The loss \(pixel.*\) is no longer a number.*--rate below 0.002", told.err)
    assert load_generator(output).record["steps"] == 5
    monkeypatch.undo()
    assert main(_words(data, output, "--epochs", "6", "--rate", "0.0005")) == 0
    assert "going on after step 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--epochs", "0"], "--epochs"),
        (["--rate", "0"], "--rate"),
        (["--loss", "pixel"], "--loss"),
        (["--loss", "pretty=1"], "--loss"),
        (["--widths", "8,x"], "--widths"),
        (["--widths", "8,8,8"], "Widths"),
        (["--widths", "9,9"], "multiples of 8"),
        (["--name", "Not A Name"], "name"),
        (["--features", "nothing.npz"], "nothing.npz"),
        (["--data", "nothing.npz"], "nothing.npz"),
    ],
)
def test_what_cannot_be_is_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    output = tmp_path / "g.npz"
    assert main(_words(data, output, *more)) in {3, 20}
    assert told in capsys.readouterr().err
    assert not output.exists()


def test_other_data_do_not_continue_a_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "digits.npz"
    assert main(_words(data, output, "--minutes", "0")) == 0
    assert main(_words(data, output, "--seed", "1")) == 20
    assert "other data or settings" in capsys.readouterr().err
    assert main(_words(data, output, "--seed", "1", "--minutes", "0", "--fresh")) == 0


def test_a_machine_without_a_gpu_is_told_so() -> None:
    assert "no GPU" in device_line("cpu", 2)
    assert "CUDA" in device_line("cuda", 2)
    assert "example: lsi train generator" in training.cli_commands.generator_command.EXAMPLE
