"""``lsi train finetune``: arguments, errors, table and the checkpoint it writes."""

import argparse
import json
from pathlib import Path

import pytest

from lsi.errors import ConfigError, DataError
from tests.training.bench_vectors import measured, start
from training.attributes.checkpoint import load_checkpoint, save_checkpoint
from training.cli_commands import finetune_command
from training.data_sets.measured_vectors import save_vectors


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command line for a bench with uneven arms."""
    save_checkpoint(start(), tmp_path / "start.npz")
    save_vectors(measured(start(), 300, common=0.06), tmp_path / "vectors.npz")
    return [
        str(tmp_path / "start.npz"),
        "--measurements",
        str(tmp_path / "vectors.npz"),
        "-o",
        str(tmp_path / "out.npz"),
    ]


def run(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    finetune_command.add_arguments(parser)
    return finetune_command.run(parser.parse_args(words))


def test_it_writes_a_checkpoint_and_a_table_with_the_trivial_predictor(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--shots", "64"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("majority", "chance 0.5", "gain", "chosen: common offset"))
    assert "64 shots of" in shown
    record = load_checkpoint(tmp_path / "out.npz").record
    assert record["finetune"]["command"] == (
        "lsi train finetune start.npz --measurements vectors.npz -o out.npz --seed 0 --shots 64"
    )
    assert str(tmp_path) not in json.dumps(dict(record))


def test_a_start_that_is_kept_is_said_to_be(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_vectors(measured(start(), 300), tmp_path / "vectors.npz")
    assert run(words) == 0
    assert "the start is kept" in capsys.readouterr().out


def test_json_is_one_object(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["chosen"] == "common offset"
    assert document["figures"]["macro_auc_gain"] > 0


@pytest.mark.parametrize(("option", "value"), [("--shots", "2"), ("--shots", "5000"), ("--seed", "-1")])
def test_numbers_out_of_range_are_refused(words: list[str], option: str, value: str) -> None:
    with pytest.raises(ConfigError, match=option):
        run([*words, option, value])


def test_an_input_is_never_overwritten(words: list[str], tmp_path: Path) -> None:
    content = (tmp_path / "start.npz").read_bytes()
    with pytest.raises(ConfigError, match="one of the inputs"):
        run([*words[:-1], words[0]])
    assert (tmp_path / "start.npz").read_bytes() == content


def test_an_output_that_cannot_be_written_is_named(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        run([*words[:-1], str(tmp_path / "file" / "out.npz")])


def test_a_file_that_others_may_read_is_warned_of(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vectors.npz").chmod(0o644)
    assert run(words) == 0
    assert "chmod 600" in capsys.readouterr().err


def test_vectors_that_are_none_are_refused(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "vectors.npz").write_text("none")
    with pytest.raises(DataError, match="lsi lab record"):
        run(words)
    assert not (tmp_path / "out.npz").exists()
