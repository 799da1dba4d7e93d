"""Driver, words and the simulated chip of the MCP3208 (Microchip DS21298)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.mcp3208 import TwoArmMcp3208
from firmware.drivers.mcp3208_frames import parse_conversion, request_conversion
from firmware.sim.clock import SimClock
from firmware.sim.mcp3208_chip import Mcp3208Chip, SimSpi
from lsi.errors import FrameError
from tests.firmware.scripted import ScriptedClock, ScriptedSpi
from tests.lsi.test_sensor import SENSOR

CHANNEL = st.integers(0, 7)
CODE = st.integers(0, 4095)


def volts_of(code: int) -> float:
    return (code + 0.5) / SENSOR.counts_per_v


def chip_with(code: int, channel: int = 0) -> tuple[SimSpi, SimClock]:
    clock = SimClock()
    chip = Mcp3208Chip(lambda asked, _: volts_of(code) if asked == channel else 0.0, SENSOR)
    return SimSpi(chip, clock, 1_000_000, 25_000), clock


# DS21298 figure 6-1: leading zeros, start, SGL, D2 | D1 D0 ...
@pytest.mark.parametrize(
    ("channel", "sent"), [(0, "06 00 00"), (1, "06 40 00"), (3, "06 C0 00"), (4, "07 00 00"), (7, "07 C0 00")]
)
def test_the_request_for_a_channel_is_these_bytes(channel: int, sent: str) -> None:
    assert request_conversion(channel) == bytes.fromhex(sent)


@pytest.mark.parametrize(
    ("received", "counts"), [("00 00 00", 0), ("FF EF FF", 0xFFF), ("E0 0A BC", 0xABC), ("FF E8 01", 0x801)]
)
def test_the_result_is_the_low_twelve_bits(received: str, counts: int) -> None:
    assert parse_conversion(bytes.fromhex(received)) == counts


def test_a_null_bit_of_one_is_a_floating_line_and_not_full_scale() -> None:
    with pytest.raises(FrameError, match="null bit reads 1"):
        parse_conversion(b"\xff\xff\xff")


@pytest.mark.parametrize("received", [b"", b"\0\0", b"\0\0\0\0"])
def test_another_number_of_bytes_is_no_conversion(received: bytes) -> None:
    with pytest.raises(FrameError, match="expected 3"):
        parse_conversion(received)


def test_a_channel_that_does_not_exist_is_refused() -> None:
    with pytest.raises(FrameError, match="no channel 8"):
        request_conversion(8)


@given(CHANNEL, CODE)
def test_the_chip_answers_the_driver_with_its_code(channel: int, code: int) -> None:
    spi, _ = chip_with(code, channel)
    assert parse_conversion(spi.transfer(request_conversion(channel))) == code


@given(CHANNEL, CODE)
def test_the_chip_serves_the_kernels_alignment_too(channel: int, code: int) -> None:
    # Linux drivers/iio/adc/mcp320x.c: one byte out, two bytes in, value = b0 << 4 | b1 >> 4.
    spi, _ = chip_with(code, channel)
    _, b0, b1 = spi.transfer(bytes([0x40 | 0x20 | channel << 2, 0, 0]))
    assert b0 << 4 | b1 >> 4 == code


@given(st.integers(0, 20), CODE)
def test_leading_zeros_shift_the_answer_and_nothing_else(zeros: int, code: int) -> None:
    spi, _ = chip_with(code)
    sent = (0b11000 << (64 - zeros - 5)).to_bytes(8, "big")
    answer = int.from_bytes(spi.transfer(sent), "big")
    assert answer >> (64 - zeros - 7 - 12) & 0xFFF == code


def test_clocking_on_gives_the_bits_backwards_and_then_zeros() -> None:
    spi, _ = chip_with(0b1011_0000_0001)
    answer = int.from_bytes(spi.transfer(bytes([0x06, 0, 0, 0, 0])), "big")
    assert answer & 0xFFFF == 0b0000_0001_1010_0000 << 0 | 0
    assert answer >> 16 & 0xFFF == 0b1011_0000_0001


def test_a_differential_request_reads_the_difference_and_never_less_than_zero() -> None:
    chip = Mcp3208Chip(lambda channel, _: volts_of([300, 100][channel]), SENSOR)
    spi = SimSpi(chip, SimClock(), 1_000_000, 0)
    assert parse_conversion(spi.transfer(bytes([0x04, 0x00, 0]))) == 200
    assert parse_conversion(spi.transfer(bytes([0x04, 0x40, 0]))) == 0


def test_the_input_is_sampled_after_overhead_and_command() -> None:
    sampled: list[int] = []

    def volts_at(_: int, now_ns: int) -> float:
        sampled.append(now_ns)
        return 0.0

    chip = Mcp3208Chip(volts_at, SENSOR)
    clock = SimClock(start_ns=1_000)
    SimSpi(chip, clock, 1_000_000, 25_000).transfer(request_conversion(0))
    assert sampled == [1_000 + 25_000 + 9_000]
    assert clock.now_ns() == 1_000 + 25_000 + 24_000


def test_a_block_reads_the_arms_a_b_b_a() -> None:
    a, b = bytes.fromhex("07 00 00"), bytes.fromhex("06 40 00")
    exchanges = [(a, b"\0\0\1"), (b, b"\0\0\2"), (b, b"\0\0\3"), (a, b"\0\0\4")]
    spi = ScriptedSpi(exchanges)
    block = TwoArmMcp3208(spi, ScriptedClock(tick_ns=10), (4, 1)).read_block()
    spi.check_done()
    assert block.counts.tolist() == [[1, 4], [2, 3]]
    assert (block.started_at_ns, block.ended_at_ns) == (10, 20)


def test_light_that_drifts_linearly_adds_nothing_to_the_difference_of_the_arms() -> None:
    chip = Mcp3208Chip(lambda _, now_ns: now_ns * 1e-6, SENSOR)
    clock = SimClock(start_ns=100_000)
    block = TwoArmMcp3208(SimSpi(chip, clock, 1_000_000, 0), clock, (0, 1)).read_block()
    means = block.counts.mean(axis=1)
    assert block.counts[0, 1] > block.counts[0, 0] + 50
    assert abs(means[0] - means[1]) <= 1
    assert isinstance(block.counts, np.ndarray)
