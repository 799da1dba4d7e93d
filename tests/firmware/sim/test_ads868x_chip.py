"""The simulated ADS868x at the edges of its pins, and its filter against the formula."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sim.ads868x_chip import FILTER_HZ, Ads868xChip, InputFilter
from firmware.sim.spi import VoltsAt

MS = 1_000_000
UNIPOLAR_5V12 = "D0 14 00 0B"


def shift(chip: Ads868xChip, sent: str, now_ns: int, bit_ns: int = 100) -> str:
    data = bytes.fromhex(sent)
    chip.select(now_ns)
    bits = [byte >> (7 - k) & 1 for byte in data for k in range(8)]
    answer = [chip.clock_edge(bit, now_ns + k * bit_ns) for k, bit in enumerate(bits)]
    chip.deselect(now_ns + len(bits) * bit_ns)
    return int("".join(map(str, answer)), 2).to_bytes(len(data), "big").hex(" ").upper()


def chip_at(volts_at: VoltsAt | float, name: str = "ads8681") -> Ads868xChip:
    """On 0 to 5.12 V."""
    source: VoltsAt = volts_at if callable(volts_at) else lambda _, __: float(volts_at)
    chip = Ads868xChip(source, name)
    shift(chip, UNIPOLAR_5V12, 0)
    return chip


def test_a_result_is_that_of_the_conversion_begun_when_select_rose_before() -> None:
    chip = chip_at(1.28)
    shift(chip, "00 00 00 00", 10_000)
    # A quarter of 5.12 V.
    assert shift(chip, "00 00 00 00", 20_000) == "40 00 00 00"


def test_the_range_in_force_when_select_rises_counts() -> None:
    chip = chip_at(1.28)
    shift(chip, "D0 14 00 04", 10_000)
    # +-2.56 V: half of the upper half.
    assert shift(chip, "00 00 00 00", 20_000) == "C0 00 00 00"


def test_a_bipolar_range_has_its_zero_in_the_middle_and_clips() -> None:
    level = {"volts": 0.0}
    for volts, expected in [(0.0, "80 00 00 00"), (-20.0, "00 00 00 00"), (20.0, "FF FF 00 00")]:
        level["volts"] = volts
        chip = Ads868xChip(lambda _, __: level["volts"], "ads8681")
        shift(chip, "00 00 00 00", 0)
        assert shift(chip, "00 00 00 00", 10_000) == expected


@pytest.mark.parametrize(
    ("frame", "value"),
    [("D0 10 12 34", "12 34"), ("D2 10 12 34", "12 0F"), ("D4 10 12 34", "F0 34"), ("D8 10 0F F0", "FF FF"),
     ("C0 10 00 0F", "F0 00")],
)  # fmt: skip
def test_a_write_changes_what_its_opcode_says(frame: str, value: str) -> None:
    chip = chip_at(0.0)
    shift(chip, "D0 10 F0 0F", 10_000)
    shift(chip, frame, 20_000)
    shift(chip, "C8 10 00 00", 30_000)
    assert shift(chip, "00 00 00 00", 40_000)[:5] == value


def test_a_byte_can_be_read_and_unknown_addresses_are_silent() -> None:
    chip = chip_at(0.0)
    shift(chip, "D0 10 12 34", 10_000)
    shift(chip, "48 11 00 00", 20_000)
    assert shift(chip, "48 10 00 00", 30_000)[:2] == "12"
    assert shift(chip, "C8 30 00 00", 40_000)[:2] == "34"
    shift(chip, "D0 30 FF FF", 50_000)
    assert shift(chip, "00 00 00 00", 60_000)[:2] != "12"


@pytest.mark.parametrize(
    ("control", "expected"),
    [("00 04", "00 00 00 00"), ("00 05", "FF FF 00 00"), ("00 06", "55 55 00 00"), ("00 07", "33 33 00 00"),
     ("00 08", "40 01 00 00"), ("41 00", "40 01 AB 00"), ("7D 08", "40 01 A0 B4")],
)  # fmt: skip
def test_what_is_added_to_a_result_stands_in_this_order(control: str, expected: str) -> None:
    # 0x4001 has an even number of ones: parity 0. Address 1010, no alarms 0000, range 1011: with them it
    # is odd, 1.
    chip = chip_at(1.28 + 1.5 * 5.12 / 65536)
    shift(chip, "D0 02 00 0A", 10_000)
    shift(chip, f"D0 10 {control}", 20_000)
    shift(chip, "00 00 00 00", 30_000)
    answer = shift(chip, "00 00 00 00", 40_000)
    assert answer == expected


def test_a_frame_that_is_cut_short_commands_nothing_but_converts() -> None:
    chip = chip_at(2.56)
    shift(chip, "D0 14 00", 10_000)
    assert shift(chip, "00 00 00 00", 20_000) == "80 00 00 00"


def test_a_result_that_is_not_ready_is_the_one_before() -> None:
    level = {"volts": 1.28}
    chip = chip_at(lambda _, __: level["volts"], "ads8689")
    shift(chip, "00 00 00 00", 1 * MS)
    level["volts"] = 2.56
    # CS rises at 2 003 200 ns; 5 us later the result is there.
    shift(chip, "00 00 00 00", 2 * MS)
    assert shift(chip, "00 00 00 00", 2_008_199) == "40 00 00 00"
    shift(chip, "00 00 00 00", 3 * MS)
    assert shift(chip, "00 00 00 00", 3_008_200) == "80 00 00 00"


def test_a_chip_without_supply_does_not_answer_and_forgets() -> None:
    chip = chip_at(1.28)
    chip.reset(10_000)
    assert shift(chip, UNIPOLAR_5V12, 20_000) == "FF FF FF FF"
    shift(chip, "C8 14 00 00", 30 * MS)
    assert shift(chip, "00 00 00 00", 31 * MS) == "00 00 00 00"


@pytest.mark.parametrize(("level", "expected"), [(0, "00 00 00 00"), (1, "FF FF FF FF")])
def test_a_stuck_line_reads_the_same_whatever_the_chip_does(level: int, expected: str) -> None:
    chip = chip_at(1.28)
    chip.line.stuck_at = level
    assert shift(chip, "C8 14 00 00", 10_000) == expected
    assert shift(chip, "00 00 00 00", 20_000) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["D014000B", "D0100008", "D0107D0F", "C8140000", "48110000", "D010"]),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_frame_at_once_is_the_same_as_its_edges(frames: list[tuple[str, int]]) -> None:
    chips = [Ads868xChip(lambda _, t: t * 1e-6, "ads8689") for _ in range(2)]
    for number, (word, extra) in enumerate(frames):
        sent, now_ns = bytes.fromhex(word) + bytes(extra), 8_000 * number
        by_edges = shift(chips[0], sent.hex(), now_ns)
        assert chips[1].frame(sent, now_ns, now_ns + 800 * len(sent)) == bytes.fromhex(by_edges)


@pytest.mark.parametrize("after_us", [0, 1, 7, 20, 50, 109, 143, 250])
@pytest.mark.parametrize("asked_every_ns", [1_000, 7_300, 400_000])
def test_a_step_passes_the_filter_as_a_butterworth_of_second_order_lets_it(
    after_us: int, asked_every_ns: int
) -> None:
    rate = 2 * math.pi * FILTER_HZ / math.sqrt(2)
    low_pass = InputFilter(lambda _, now_ns: 2.0 if now_ns >= 0 else 1.0)
    low_pass.volts(-1)
    for now_ns in range(0, after_us * 1_000, asked_every_ns):
        low_pass.volts(now_ns)
    angle = rate * after_us * 1e-6
    expected = 2.0 - math.exp(-angle) * (math.cos(angle) + math.sin(angle))
    assert low_pass.volts(after_us * 1_000) == pytest.approx(expected, abs=1e-4)


def test_the_filter_halves_the_power_at_its_corner() -> None:
    period_ns = 1e9 / FILTER_HZ
    low_pass = InputFilter(lambda _, now_ns: math.sin(2 * math.pi * now_ns / period_ns))
    passed = [low_pass.volts(now_ns) for now_ns in range(MS, MS + int(period_ns), 500)]
    assert max(passed) == pytest.approx(1 / math.sqrt(2), rel=0.01)
