"""``lsi train attributes``: arguments, errors and the checkpoint it writes."""

import argparse
import builtins
import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsi.errors import ConfigError, DataError
from tests.training.conftest import Files
from training.attributes.checkpoint import load_checkpoint
from training.cli_commands import attributes_command
from training.data_sets.data import open_data


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    attributes_command.add_arguments(parser)
    return parser.parse_args(words)


def test_it_writes_a_checkpoint_with_its_record(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    output = tmp_path / "tiny.npz"
    assert (
        attributes_command.run(
            _parsed(files.arguments(output, "--epochs", "1", "--seed", "7", "--threads", "1"))
        )
        == 0
    )
    checkpoint = load_checkpoint(output)
    assert checkpoint.patterns.shape == (8, 64, 64)
    assert checkpoint.attributes.names == attributes_command.ATTRIBUTES
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
    assert not list(tmp_path.glob("*.unfinished"))
    assert "majority" in shown


def test_help_ends_with_an_example() -> None:
    parser = argparse.ArgumentParser()
    attributes_command.add_arguments(parser)
    assert parser.format_help().rstrip().endswith("checkpoints/lite16.npz")


def test_help_needs_no_pytorch() -> None:
    program = (
        "import argparse, sys; from training.cli_commands import attributes_command as c; "
        "c.add_arguments(argparse.ArgumentParser()); "
        "raise SystemExit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
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
        attributes_command.run(_parsed(files.arguments(tmp_path / "tiny.npz")))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--d", "0"),
        ("--d", "513"),
        ("--epochs", "0"),
        ("--threads", "0"),
        ("--soft", "1.5"),
        ("--coverage", "0"),
    ],
)
def test_numbers_out_of_range_are_refused(files: Files, tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(ConfigError, match=option):
        attributes_command.run(_parsed(files.arguments(tmp_path / "tiny.npz", option, value)))


@pytest.mark.parametrize("start", ["dither", "noise", "pca", "lda"])
def test_more_masks_than_features_are_refused_and_nothing_is_left(
    files: Files, tmp_path: Path, start: str
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    words = files.arguments(tmp_path / "tiny.npz", "--d", "65", "--feature-px", "8", "--start", start)
    with pytest.raises((ConfigError, DataError), match=r"65 masks|directions"):
        attributes_command.run(_parsed(words))
    assert list(tmp_path.iterdir()) == []


def test_data_without_the_attributes_is_refused(files: Files, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    words = files.arguments(tmp_path / "tiny.npz")
    words[words.index(str(files.data))] = str(files.nonfaces)
    with pytest.raises((ConfigError, DataError), match="Smiling"):
        attributes_command.run(_parsed(words))


def test_several_banks_are_written_side_by_side(files: Files, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    words = files.arguments(
        tmp_path / "bank.npz", "--epochs", "1", "--seed", "1,2", "--attributes", "Smiling,Extra"
    )
    assert attributes_command.run(_parsed(words)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank-d8-seed1.npz", "bank-d8-seed2.npz"]
    checkpoint = load_checkpoint(tmp_path / "bank-d8-seed2.npz")
    assert checkpoint.attributes.names == ("Smiling", "Extra")
    assert checkpoint.record["settings"]["seed"] == 2


def test_an_interrupted_run_goes_on(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")
    monkeypatch.setattr(attributes_command, "SAVE_EVERY_S", 0.0)
    words = _parsed(files.arguments(tmp_path / "tiny.npz", "--epochs", "2"))

    def interrupted(line: str) -> None:
        if line.startswith("epoch 2/2"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(attributes_command, "print_line", interrupted)
        with pytest.raises(KeyboardInterrupt):
            attributes_command.run(words)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz.unfinished"]
    assert attributes_command.run(words) == 0
    assert "going on after epoch 1" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz"]


def test_a_full_disk_while_the_checkpoint_is_written_leaves_nothing_half(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises((DataError, OSError), match="No space left"):
        attributes_command.run(_parsed(files.arguments(tmp_path / "tiny.npz", "--epochs", "1")))
    assert list(tmp_path.iterdir()) == []


def test_now_and_then_saves_when_it_is_time() -> None:
    saved: list[dict[str, Any]] = []
    times_s = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    save = attributes_command.now_and_then(saved.append, 30.0, lambda: next(times_s))
    for epoch in range(3):
        save({"epoch": epoch})
    assert saved == [{"epoch": 1}]


@pytest.mark.parametrize("text", ["Smiling,Smiling", "all"])
def test_attributes_that_cannot_be_chosen_are_refused(files: Files, text: str) -> None:
    data = open_data(files.nonfaces if text == "all" else files.data)
    with pytest.raises(ConfigError, match="--attributes"):
        attributes_command.chosen_attributes(text, data)
