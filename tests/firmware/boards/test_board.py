import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.boards.board import ScanMode, find_board, load_board, parse_board, shipped_boards
from firmware.boards.board_parts import CONVERTERS
from lsi.errors import BoardConfigError
from lsi.measurement import ArmLayout
from tests.lsi.test_sensor import BOARD

TEXT = BOARD.read_text("utf-8")
BOARDS = BOARD.parent
STEPPED, STREAM, COPROC = "pi-dlpc900-mcp3208", "pi-dlpc900-ad7383-4", "pi-coproc"


def document(name: str) -> dict[str, Any]:
    return tomllib.loads((BOARDS / f"{name}.toml").read_text("utf-8"))


def changed(name: str, **changes: object) -> dict[str, Any]:
    """A shipped file with ``section__key`` or ``section`` set, or removed with ``None``."""
    changes_of = copy.deepcopy(document(name))
    for path, value in changes.items():
        section, _, key = path.partition("__")
        place, last = (changes_of[section], key) if key else (changes_of, section)
        if value is None:
            del place[last]
        else:
            place[last] = value
    return changes_of


def test_the_shipped_board_is_read_with_its_units() -> None:
    board = find_board("sim-mcp3208")
    assert board.simulated
    assert board.provides == {"two-arm"}
    assert board.plan.exposure_ns == 1_500_000
    assert board.plan.settle_ns == 200_000
    assert board.sensor.power_nw == 100
    assert board.mode is ScanMode.STEPPED
    assert board.layout is ArmLayout.TWO
    assert board.trimmed_count == 0
    assert board.limits.arm_imbalance_max == 0.2
    assert board.simulation is not None
    assert board.simulation.spi_overhead_ns == 25_000


def test_a_stepped_board_names_its_bus_and_its_trigger_lines() -> None:
    board = find_board(STEPPED)
    assert not board.simulated
    assert board.converter is not None
    assert (board.converter.device, board.converter.spi_mode) == ("/dev/spidev0.0", 0)
    assert board.trigger is not None
    assert board.trigger.chip_labels == ("pinctrl-bcm2711", "pinctrl-rp1", "pinctrl-bcm2835")
    assert (board.trigger.advance_line, board.trigger.exposure_line) == (17, 27)


def test_an_oversampled_board_says_where_trigger_and_lamp_are() -> None:
    board = find_board(STREAM)
    assert board.mode is ScanMode.OVERSAMPLED
    assert board.converter is not None
    assert board.arm_channels == (0, 1)
    assert (board.converter.trigger_channel, board.converter.lamp_channel) == (2, 3)
    assert board.trimmed_count == 1
    assert board.trigger is None


def test_a_coproc_board_runs_at_full_rate_and_holds_no_converter() -> None:
    board = find_board(COPROC)
    assert board.mode is ScanMode.COPROC
    assert board.converter is None
    assert board.plan.exposure_ns == 105_000
    assert board.coprocessor is not None
    assert board.coprocessor.spi_hz == 3_125_000
    assert board.arm_channels == (0, 1)


@pytest.mark.parametrize("name", shipped_boards())
def test_every_shipped_board_is_called_as_its_file_and_gets_no_defaults_wrong(name: str) -> None:
    board = find_board(name)
    assert board.name == name
    assert board.simulated == name.startswith("sim-")
    assert board.limits.full_on_min_counts < board.sensor.full_scale_counts
    dark_v = board.sensor.offset_v + board.sensor.stray_nw * 1e-9 * (
        board.sensor.responsivity_a_per_w * board.sensor.transimpedance_ohm * board.sensor.voltage_gain
    )
    assert dark_v * board.sensor.counts_per_v < board.limits.dark_max_counts
    white_counts = board.sensor.power_nw * board.sensor.counts_per_nw
    assert board.limits.full_on_min_counts < white_counts
    assert white_counts + dark_v * board.sensor.counts_per_v < board.sensor.full_scale_counts


def test_all_conversions_fit_into_the_exposure_of_the_shipped_board() -> None:
    board = find_board("sim-mcp3208")
    assert board.simulation is not None
    assert board.converter is not None
    conversion_ns = 3_000 + 24 * 1_000_000_000 // board.converter.spi_hz
    needed_ns = board.simulation.spi_overhead_ns + 2 * board.plan.samples_per_pattern * conversion_ns
    assert board.plan.settle_ns + needed_ns < board.plan.exposure_ns


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(BoardConfigError, match=r"one of pi-coproc, .*sim-mcp3208"):
        find_board("sim")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("spi_hz = 1_000_000", "spi_mhz = 1", "spi_mhz"),
        ("adc_bits = 12", "adc_bits = 64", "sensor.adc_bits"),
        ("simulated = true", "simulated = false", "exactly when"),
        ("settle_us = 200", "settle_us = 1500", "settle_us below exposure_us"),
        ("arm_minus_channel = 1", "arm_minus_channel = 0", "both arms are on one channel"),
        ('waiting = "dark"', 'waiting = "blink"', "simulation.waiting"),
        ('mode = "stepped"', 'mode = "fast"', "scan.mode"),
        ("offset_v = 0.1", "offset_v = nan", "sensor.offset_v is nan"),
        ("arm_plus_channel = 0", "arm_plus_channel = 0.0", "converter.arm_plus_channel is 0.0"),
        ("[selftest]", "[selftests]", "selftest"),
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


COPROCESSOR = document(COPROC)["coprocessor"]
TRIGGER = document(STEPPED)["trigger"]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (STEPPED, {"trigger": None}, "the host advances each mask over GPIO"),
        (STEPPED, {"converter": None}, "without a converter"),
        (STEPPED, {"converter__device": None}, "converter.device is missing"),
        (STEPPED, {"trigger__exposure_line": 17}, "are one line"),
        (STEPPED, {"converter__arm_minus_channel": None}, '"two" without arm_minus_channel'),
        (STEPPED, {"scan__arms": "complementary"}, "would not read arm_minus_channel"),
        (STEPPED, {"scan__mode": "oversampled"}, "mcp3208 cannot"),
        (STEPPED, {"converter__trigger_channel": 5}, "not read in scan.mode"),
        (STEPPED, {"converter__spi_hz": 5_000_000}, "too fast for mcp3208"),
        (STEPPED, {"converter__kind": "ads8681", "sensor__adc_bits": 16}, "channel 1, but ads8681 has 1"),
        (STEPPED, {"converter__oversampling": 4}, "mcp3208 averages nothing"),
        (STEPPED, {"converter__oversampling": 3}, "converter.oversampling"),
        (STEPPED, {"converter__kind": "ad7383"}, "adc_bits 12, but ad7383 has 16"),
        (STEPPED, {"scan__samples_per_pattern": 40}, "samples take at least 1920000 ns of 1300000 ns"),
        (STEPPED, {"scan__trimmed_samples": 4}, "trimmed_samples 4 of 8"),
        (STEPPED, {"coprocessor": COPROCESSOR}, "has no part in scan.mode"),
        (STREAM, {"converter__trigger_channel": None}, "digitised trigger"),
        (STREAM, {"converter__lamp_channel": 2}, "two signals on one channel"),
        (STREAM, {"converter__lamp_channel": 4}, "channel 4, but ad7383-4 has 4"),
        (STREAM, {"scan__mode": "coproc"}, "without a co-processor"),
        (COPROC, {"coprocessor": None}, "without a co-processor"),
        (COPROC, {"coprocessor__device": None}, "coprocessor.device is missing"),
        (COPROC, {"coprocessor__spi_hz": 2_000_000}, "99750 ns of 65000 ns"),
        (COPROC, {"coprocessor__arm_minus_channel": 2}, "channel 2, but ad7383 has 2"),
        (COPROC, {"converter": document(STREAM)["converter"]}, "one of two converters"),
        ("sim-mcp3208", {"trigger": TRIGGER}, "which has no GPIO"),
        ("sim-mcp3208", {"converter__device": "/dev/spidev0.0"}, "which opens none"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused_with_the_reason(
    name: str, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(BoardConfigError, match=said):
        parse_board(changed(name, **changes), "mine.toml")


def test_one_detector_is_wired_by_leaving_the_other_channel_out() -> None:
    changes: dict[str, object] = {"converter__arm_minus_channel": None, "scan__arms": "complementary"}
    board = parse_board(changed(STEPPED, **changes), "mine.toml")
    assert board.arm_channels == (0,)
    assert board.layout is ArmLayout.COMPLEMENTARY


def test_a_converter_that_can_average_may_be_told_to() -> None:
    stream = parse_board(changed(STREAM, converter__oversampling=4), "mine.toml").converter
    assert stream is not None
    assert stream.oversampling == 4
    usual = find_board(STREAM).converter
    assert usual is not None
    assert usual.oversampling == 1


def test_the_mode_of_the_bus_comes_from_the_converter_unless_the_file_says_so() -> None:
    stream = find_board(STREAM)
    assert stream.converter is not None
    assert stream.converter.spi_mode == CONVERTERS["ad7383-4"].spi_mode == 2
    other = parse_board(changed(STREAM, converter__spi_mode=1), "mine.toml")
    assert other.converter is not None
    assert other.converter.spi_mode == 1


@pytest.mark.parametrize("device", ["/dev/sda", "/dev/spidev0.0\n", "../dev/spidev0.0", "/dev/spidev0"])
def test_only_spidev_nodes_are_devices_of_a_converter(device: str) -> None:
    with pytest.raises(BoardConfigError, match=r"converter\.device"):
        parse_board(changed(STEPPED, converter__device=device), "mine.toml")


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


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([*CONVERTERS, "two", "stepped", "oversampled", "coproc", "complementary", 0, 1, 2, 105]),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@given(st.sampled_from(shipped_boards()), st.data())
def test_any_value_anywhere_gives_a_board_or_a_reason(name: str, data: st.DataObject) -> None:
    mine = copy.deepcopy(document(name))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([mine, *(v for v in mine.values() if isinstance(v, dict))]))
        key = data.draw(st.sampled_from(sorted(place)) | st.text(max_size=8)) if place else "a"
        place[key] = data.draw(VALUES)
    try:
        board = parse_board(mine, "mine.toml")
    except BoardConfigError:
        pass
    else:
        assert 2 * board.trimmed_count < board.plan.samples_per_pattern
        assert (board.coprocessor is None) != (board.converter is None)
        assert len(board.arm_channels) == (2 if board.layout is ArmLayout.TWO else 1)
        assert all(isinstance(channel, int) for channel in board.arm_channels)
