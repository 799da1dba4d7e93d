from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.board import find_board, load_board
from lsi.errors import BoardConfigError
from tests.lsi.test_sensor import BOARD

TEXT = BOARD.read_text("utf-8")


def test_the_shipped_board_is_read_with_its_units() -> None:
    board = find_board("sim-mcp3208")
    assert board.simulated
    assert board.provides == {"two-arm"}
    assert board.plan.exposure_ns == 1_500_000
    assert board.plan.settle_ns == 200_000
    assert board.sensor.power_nw == 100
    assert board.simulation is not None
    assert board.simulation.spi_overhead_ns == 25_000


def test_all_conversions_fit_into_the_exposure_of_the_shipped_board() -> None:
    board = find_board("sim-mcp3208")
    assert board.simulation is not None
    conversion_ns = board.simulation.spi_overhead_ns + 24 * 1_000_000_000 // board.converter.spi_hz
    needed_ns = board.plan.settle_ns + 4 * board.plan.blocks_per_pattern * conversion_ns
    assert needed_ns < board.plan.exposure_ns


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(BoardConfigError, match="one of sim-mcp3208"):
        find_board("sim")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("settle_us = 200", "setle_us = 200", "did you mean 'settle_us'"),
        ("adc_bits = 12", "adc_bits = 64", "sensor.adc_bits"),
        ("simulated = true", "simulated = false", "exactly when"),
        ("settle_us = 200", "settle_us = 1500", "settle_us below exposure_us"),
        ("arm_minus_channel = 1", "arm_minus_channel = 0", "both arms are on one channel"),
        ('waiting = "dark"', 'waiting = "blink"', "simulation.waiting"),
        ("[scan]", "[scan", "is not TOML"),
    ],
)
def test_a_wrong_board_file_is_refused_with_the_key(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(before, after, 1), "utf-8")
    with pytest.raises(BoardConfigError, match=said):
        find_board(str(path))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BoardConfigError, match=r"gone\.toml cannot be read"):
        load_board(tmp_path / "gone.toml")
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BoardConfigError, match="not UTF-8"):
        load_board(binary)


@given(st.text(max_size=120))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(BoardConfigError):
        load_board(path)
