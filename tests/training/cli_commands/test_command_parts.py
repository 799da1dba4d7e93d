"""What the commands of ``lsi train`` share."""

import argparse
from pathlib import Path

import pytest

from lsi.errors import BoardConfigError, ConfigError
from tests.training.conftest import BOARD
from training.cli_commands.command_parts import (
    check_limits,
    command_line,
    digests,
    read_sensor,
    whole_numbers,
)


def test_the_sensor_is_that_of_the_board_file() -> None:
    sensor, samples = read_sensor(BOARD)
    assert (sensor.adc_bits, sensor.power_nw, samples) == (12, 100.0, 8)


def test_a_missing_board_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardConfigError, match=r"absent\.toml"):
        read_sensor(tmp_path / "absent.toml")


def test_a_board_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text(BOARD.read_text().replace("power_nw", "power_mw"))
    with pytest.raises(BoardConfigError, match="power_mw"):
        read_sensor(board)


def test_a_board_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text("[sensor")
    with pytest.raises(BoardConfigError, match="not TOML"):
        read_sensor(board)


def test_a_list_of_whole_numbers_is_read() -> None:
    assert whole_numbers("--d", "4,16,64", 1, 512) == [4, 16, 64]


@pytest.mark.parametrize("text", ["", "4,", "four", "4;16", "0", "513", "4,4", "1e3"])
def test_another_list_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--d is .*1\.\.512"):
        whole_numbers("--d", text, 1, 512)


def test_a_number_outside_its_limits_is_refused_by_its_option() -> None:
    with pytest.raises(ConfigError, match=r"--soft-weight is 2\. .*0\.\.1"):
        check_limits(argparse.Namespace(soft_weight=2.0), {"soft_weight": (0, 1)})


def test_a_command_names_no_folder() -> None:
    words = [("--data", Path("/somewhere/train.npz")), ("--d", 16), ("--noise-free", True)]
    assert command_line("attributes", words) == "lsi train attributes --data train.npz --d 16 --noise-free"


def test_files_are_digested_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digests([tmp_path / "a"])["a"].startswith("ba7816bf8f01cfea")
