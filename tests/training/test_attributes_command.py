"""``lsi train``: arguments, errors and the checkpoint it writes."""

import argparse
import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lsi.errors import BoardConfigError, ConfigError, DataError
from tests.training.conftest import BOARD, Files
from training import train_command
from training.checkpoint import load_checkpoint


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    return parser.parse_args(words)


def test_it_writes_a_checkpoint_with_its_record(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    output = tmp_path / "tiny.npz"
    assert (
        train_command.run(_parsed(files.arguments(output, "--epochs", "1", "--seed", "7", "--threads", "1")))
        == 0
    )
    checkpoint = load_checkpoint(output)
    assert checkpoint.patterns.shape == (8, 64, 64)
    assert checkpoint.attributes.names == train_command.ATTRIBUTES
    record = checkpoint.record
    assert record["settings"]["seed"] == 7
    assert record["samples"] == 8
    assert record["sensor"]["power_nw"] == 100.0
    assert sorted(record["data"]) == sorted(
        ["train.npz", "textures.npz", "val.npz", "textures_val.npz", "sim-mcp3208.toml"]
    )
    assert record["command"].startswith("lsi train attributes --data train.npz --nonfaces textures.npz")
    assert "majority" in record["figures"]["attributes"][0]
    assert str(tmp_path) not in json.dumps(dict(record))
    shown = capsys.readouterr().out
    assert "epoch 1/1: loss" in shown
    assert "majority" in shown


def test_help_ends_with_an_example() -> None:
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    assert parser.format_help().rstrip().endswith("checkpoints/lite16.npz")


def test_help_needs_no_pytorch() -> None:
    program = (
        "import argparse, sys; from training import train_command as c; "
        "c.add_arguments(argparse.ArgumentParser()); "
        "raise SystemExit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_missing_pytorch_is_said_with_what_to_install(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_torch(name: str, *rest: object) -> object:
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]  # passed through unchanged

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(ConfigError, match=r"lsi-host\[train\]"):
        train_command.run(_parsed(files.arguments(tmp_path / "tiny.npz")))


@pytest.mark.parametrize(
    ("option", "value"), [("--d", "3"), ("--d", "65"), ("--epochs", "0"), ("--threads", "0")]
)
def test_numbers_out_of_range_are_refused(files: Files, tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(ConfigError, match=option):
        train_command.run(_parsed(files.arguments(tmp_path / "tiny.npz", option, value)))


def test_the_sensor_is_that_of_the_board_file() -> None:
    sensor, samples = train_command.read_sensor(BOARD)
    assert (sensor.adc_bits, sensor.power_nw, samples) == (12, 100.0, 8)


def test_a_missing_board_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardConfigError, match=r"absent\.toml"):
        train_command.read_sensor(tmp_path / "absent.toml")


def test_a_board_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text(BOARD.read_text().replace("power_nw", "power_mw"))
    with pytest.raises(BoardConfigError, match="power_mw"):
        train_command.read_sensor(board)


def test_a_board_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text("[sensor")
    with pytest.raises(BoardConfigError, match="not TOML"):
        train_command.read_sensor(board)


def test_data_without_the_attributes_is_refused(files: Files, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    words = files.arguments(tmp_path / "tiny.npz")
    words[words.index(str(files.data))] = str(files.nonfaces)
    with pytest.raises((ConfigError, DataError), match="Smiling"):
        train_command.run(_parsed(words))
