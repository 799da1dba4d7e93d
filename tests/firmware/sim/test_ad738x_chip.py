"""The simulated AD738x at the edges of its pins, sent words by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.clock import SimClock
from firmware.sim.spi import SimSpi

MS = 1_000_000
HARD, ONE_LINE, SOFT = "A0 FF", "A1 00", "A1 3C"


def shift(chip: Ad738xChip, sent: str, now_ns: int = 0) -> str:
    """One frame, a nanosecond per clock."""
    data = bytes.fromhex(sent)
    chip.select(now_ns)
    bits = [byte >> (7 - k) & 1 for byte in data for k in range(8)]
    answer = [chip.clock_edge(bit, now_ns + k) for k, bit in enumerate(bits)]
    chip.deselect(now_ns + len(bits))
    return int("".join(map(str, answer)), 2).to_bytes(len(data), "big").hex(" ").upper()


def chip_at(*volts: float, name: str = "ad7383") -> Ad738xChip:
    """Reference 2.5 V; on one line."""
    chip = Ad738xChip(lambda channel, _: volts[channel], name, 2.5)
    shift(chip, ONE_LINE)
    return chip


def test_a_frame_brings_what_was_on_the_inputs_when_the_frame_before_began() -> None:
    asked: list[tuple[int, int]] = []

    def volts_at(channel: int, now_ns: int) -> float:
        asked.append((channel, now_ns))
        return now_ns * 1e-6

    chip = Ad738xChip(volts_at, "ad7383", 2.5)
    shift(chip, ONE_LINE, 0)
    asked.clear()
    shift(chip, "00 00 00 00", 500_000)
    assert asked == [(0, 500_000), (1, 500_000)]
    # 0.5 V of 2.5 V is 13107.2 counts: 0x3333, less the middle 0x8000: 0xB333.
    assert shift(chip, "00 00 00 00", 600_000) == "B3 33 B3 33"
    # 0.6 V: 15728.6 counts, 0x3D70 - 0x8000 = 0xBD70.
    assert shift(chip, "00 00 00 00", 700_000) == "BD 70 BD 70"


def test_four_channels_leave_one_after_another_on_one_line() -> None:
    chip = chip_at(0.0, 1.25, 2.499999, 0.625, name="ad7383-4")
    shift(chip, "00 00", 1000)
    assert shift(chip, "00 00 00 00 00 00 00 00", 2000) == "80 00 00 00 7F FF C0 00"


def test_after_a_hard_reset_one_line_carries_half_of_the_channels() -> None:
    chip = chip_at(1.875, 1.875)
    shift(chip, HARD, 1000)
    shift(chip, "00 00", 2000)
    assert shift(chip, "00 00 00 00", 3000) == "40 00 00 00"


def test_the_first_frame_after_a_reset_is_not_a_conversion() -> None:
    chip = chip_at(1.875, 1.875)
    shift(chip, "00 00", 1000)
    shift(chip, SOFT, 2000)
    assert shift(chip, "00 00 00 00", 3000) == "00 00 00 00"
    assert shift(chip, "00 00 00 00", 4000) == "40 00 40 00"


@pytest.mark.parametrize(("address", "data"), [(1, 0x0C0), (2, 0x100), (3, 0x001), (4, 0xA5A), (5, 0x5A5)])
def test_a_register_that_was_written_is_read_in_the_next_frame(address: int, data: int) -> None:
    chip = chip_at(0.0, 0.0)
    shift(chip, f"{0x8000 | address << 12 | data:04X}", 1000)
    shift(chip, f"{address << 12:04X}", 2000)
    assert shift(chip, "00 00", 3000) == f"{data:04X}"[:2] + " " + f"{data:04X}"[2:]


def test_resets_differ_in_what_they_forget() -> None:
    chip = chip_at(0.0, 0.0)
    shift(chip, "90 C0", 1000)
    shift(chip, SOFT, 2000)
    shift(chip, "10 00", 3000)
    assert shift(chip, "20 00", 4000) == "00 C0"
    assert shift(chip, "00 00", 5000) == "01 00"
    shift(chip, HARD, 6000)
    shift(chip, "10 00", 7000)
    assert shift(chip, "20 00", 8000) == "00 00"
    assert shift(chip, "00 00", 9000) == "00 00"


def test_half_a_command_is_not_obeyed_and_more_clocks_add_nothing_to_one() -> None:
    chip = chip_at(0.0, 0.0)
    shift(chip, "A0", 1000)
    shift(chip, "90 40 00 00", 2000)
    shift(chip, "10 00", 3000)
    assert shift(chip, "20 00", 4000) == "00 40"
    assert shift(chip, "00 00", 5000) == "01 00"


def test_an_average_is_that_of_conversions_500_ns_apart() -> None:
    asked: list[int] = []

    def volts_at(channel: int, now_ns: int) -> float:
        if channel == 0:
            asked.append(now_ns)
        return (now_ns - 10_000) * 1e-3

    chip = Ad738xChip(volts_at, "ad7383", 2.5)
    shift(chip, ONE_LINE, 0)
    shift(chip, "90 80", 1000)
    asked.clear()
    shift(chip, "00 00 00 00", 10_000)
    assert asked == [10_000, 10_500, 11_000, 11_500]
    # 0, 0.5, 1.0 and 1.5 V are 0, 13107, 26214 and 39321 counts; the mean 19660 - 0x8000 is 0xCCCC.
    assert shift(chip, "00 00 00 00", 20_000) == "CC CC CC CC"


def test_the_noise_of_an_average_falls_with_its_root() -> None:
    noise = np.random.default_rng(5)
    spreads = []
    for config in ("90 00", "91 00"):
        chip = Ad738xChip(lambda _, __: 1.25 + 2e-3 * noise.standard_normal(), "ad7383", 2.5)
        shift(chip, ONE_LINE, 0)
        shift(chip, config, 1000)
        words = [shift(chip, "00 00", 100_000 * (k + 1)) for k in range(600)][1:]
        codes = np.array([int(word.replace(" ", ""), 16) for word in words], np.uint16).astype(np.int16)
        spreads.append(codes.std())
    # 2 mV are 52 counts; sixteen are averaged.
    assert spreads[0] == pytest.approx(52.4, rel=0.1)
    assert spreads[0] / spreads[1] == pytest.approx(4, rel=0.15)


def test_an_average_that_is_not_done_is_not_disturbed_and_the_one_before_is_sent() -> None:
    level = {"volts": 0.625}
    chip = Ad738xChip(lambda _, __: level["volts"], "ad7383", 2.5)
    shift(chip, ONE_LINE, 0)
    shift(chip, "91 40", 1000)
    shift(chip, "00 00", 20_000)
    level["volts"] = 1.875
    assert shift(chip, "00 00", 40_000) == "C0 00"
    # 32 conversions take 15 510 ns.
    assert shift(chip, "00 00", 55_509) == "C0 00"
    assert shift(chip, "00 00", 55_510) == "40 00"


def test_a_widened_result_has_two_bits_more() -> None:
    chip = chip_at(1.875, 1.25)
    shift(chip, "90 44", 1000)
    shift(chip, "00 00", 10_000)
    # 18 bits each: 0x10000, then 0x00000.
    assert shift(chip, "00 00 00 00 00", 20_000) == "40 00 00 00 00"


def test_a_chip_that_is_powered_down_converts_nothing_and_wakes_by_its_register() -> None:
    chip = chip_at(1.875, 1.875)
    shift(chip, "90 01", 1000)
    shift(chip, "00 00", 2000)
    assert shift(chip, "00 00 00 00", 3000) == "00 00 00 00"
    shift(chip, "90 00", 4000)
    shift(chip, "00 00", 5000)
    assert shift(chip, "00 00 00 00", 6000) == "40 00 40 00"


def test_while_the_supply_comes_up_nobody_drives_the_line_and_words_are_lost() -> None:
    chip = Ad738xChip(lambda _, __: 0.0, "ad7383", 2.5, powered_at_ns=0)
    assert shift(chip, "90 40", 5 * MS - 1) == "FF FF"
    shift(chip, "10 00", 5 * MS)
    assert shift(chip, "00 00", 5 * MS + 1000) == "00 00"


def test_a_chip_that_lost_its_supply_knows_nothing_any_more() -> None:
    chip = chip_at(1.875, 1.875)
    shift(chip, "90 40", 1000)
    chip.reset(2000)
    assert shift(chip, "00 00", 3000) == "FF FF"
    shift(chip, "10 00", 6 * MS)
    assert shift(chip, "00 00", 6 * MS + 1000) == "00 00"


@pytest.mark.parametrize(("level", "expected"), [(0, "00 00 00 00"), (1, "FF FF FF FF")])
def test_a_stuck_line_reads_the_same_whatever_the_chip_does(level: int, expected: str) -> None:
    chip = chip_at(1.875, 0.3)
    chip.line.stuck_at = level
    assert shift(chip, "10 00 00 00", 1000) == expected
    assert shift(chip, "00 00 00 00", 2000) == expected


def test_a_differential_part_has_its_zero_in_the_middle_and_clips_at_the_reference() -> None:
    chip = chip_at(-3.0, 1.25, name="ad7380")
    shift(chip, "00 00", 1000)
    assert shift(chip, "00 00 00 00", 2000) == "80 00 40 00"


WORDS = st.one_of(st.sampled_from(["A0FF", "A100", "A13C", "9040", "1000", "2000", "CA5A", "9044"]))


@given(
    st.lists(st.tuples(WORDS, st.integers(0, 6)), min_size=1, max_size=12),
    st.sampled_from(["ad7380", "ad7383", "ad7383-4"]),
)
def test_a_frame_at_once_is_the_same_as_its_edges(frames: list[tuple[str, int]], name: str) -> None:
    chips = [Ad738xChip(lambda c, t: 0.1 * c + t * 1e-7, name, 2.5) for _ in range(2)]
    for number, (word, extra) in enumerate(frames):
        sent, now_ns = bytes.fromhex(word) + bytes(extra), 10_000 * number
        by_edges = shift(chips[0], sent.hex(), now_ns)
        at_once = chips[1].frame(sent, now_ns, now_ns + 8 * len(sent))
        assert at_once == bytes.fromhex(by_edges)


def test_the_bus_hands_over_the_time_at_which_select_falls() -> None:
    asked: list[int] = []

    def volts_at(_: int, now_ns: int) -> float:
        asked.append(now_ns)
        return 0.0

    clock = SimClock(start_ns=7_000)
    SimSpi(Ad738xChip(volts_at, "ad7380", 2.5), clock, 10_000_000, 25_000).transfer(bytes(4))
    assert asked == [32_000, 32_000]
    assert clock.now_ns() == 32_000 + 3_200
