"""Driver, words and the simulated chip of the MCP3208 (Microchip DS21298)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.drivers.mcp3208_frames import parse_conversions, request_conversion
from firmware.sim.clock import SimClock
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.spi import SimSpi
from lsi.errors import BoardConfigError, FrameError
from tests.firmware.scripted import ScriptedSpi
from tests.lsi.test_sensor import SENSOR

CHANNEL = st.integers(0, 7)
CODE = st.integers(0, 4095)


def parse_conversion(received: bytes) -> int:
    return int(parse_conversions(np.frombuffer(received, np.uint8)))


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
    with pytest.raises(FrameError, match="null bit reads 1 in 1 of 1"):
        parse_conversion(b"\xff\xff\xff")


@pytest.mark.parametrize("received", [b"\0\0", b"\0\0\0\0"])
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


A, B = bytes.fromhex("07 00 00"), bytes.fromhex("06 40 00")


def test_two_arms_are_read_a_b_b_a() -> None:
    spi = ScriptedSpi([(A, b"\0\0\1"), (B, b"\0\0\2"), (B, b"\0\0\3"), (A, b"\0\0\4")])
    sampler = Mcp3208Detector(spi, (4, 1), 3.3).sampler(1, 2)
    sampler.take(0)
    spi.check_done()
    assert sampler.counts().tolist() == [[[1, 4], [2, 3]]]


def test_one_arm_is_read_four_times_a_block() -> None:
    spi = ScriptedSpi([(A, bytes([0, 0, value])) for value in range(8)])
    sampler = Mcp3208Detector(spi, (4,), 3.3).sampler(2, 4)
    sampler.take(1)
    sampler.take(0)
    assert sampler.counts().tolist() == [[[4, 5, 6, 7]], [[0, 1, 2, 3]]]


@pytest.mark.parametrize(("channels", "samples", "unit"), [((0, 1), 3, 2), ((0,), 6, 4)])
def test_a_part_of_a_block_is_refused(channels: tuple[int, ...], samples: int, unit: int) -> None:
    with pytest.raises(BoardConfigError, match=f"multiple of {unit}"):
        Mcp3208Detector(chip_with(1)[0], channels, 3.3).sampler(1, samples)


def test_more_conversions_than_a_message_holds_go_out_as_several() -> None:
    chip = Mcp3208Chip(lambda channel, _: volts_of(100 + channel), SENSOR)
    sampler = Mcp3208Detector(SimSpi(chip, SimClock(), 1_000_000, 0), (0, 1), 3.3).sampler(1, 300)
    sampler.take(0)
    assert sampler.counts().tolist() == [[[100] * 300, [101] * 300]]


def test_one_floating_conversion_spoils_the_pass() -> None:
    spi = ScriptedSpi([(A, b"\0\0\1"), (B, b"\xff\xff\xff"), (B, b"\0\0\3"), (A, b"\0\0\4")])
    sampler = Mcp3208Detector(spi, (4, 1), 3.3).sampler(1, 2)
    sampler.take(0)
    with pytest.raises(FrameError, match="null bit reads 1 in 1 of 4"):
        sampler.counts()


def test_light_that_drifts_linearly_adds_nothing_to_the_difference_of_the_arms() -> None:
    chip = Mcp3208Chip(lambda _, now_ns: now_ns * 1e-6, SENSOR)
    spi = SimSpi(chip, SimClock(start_ns=100_000), 1_000_000, 0)
    sampler = Mcp3208Detector(spi, (0, 1), SENSOR.vref_v).sampler(1, 2)
    sampler.take(0)
    (counts,) = sampler.counts()
    assert counts[0, 1] > counts[0, 0] + 50
    assert abs(counts.mean(axis=1)[0] - counts.mean(axis=1)[1]) <= 1


def test_volts_of_a_count_are_those_of_the_reference() -> None:
    scale = Mcp3208Detector(chip_with(1)[0], (0, 1), 3.3).scale
    assert (scale.full_scale_counts, scale.zero_v) == (4095, 0.0)
    assert scale.v_per_count * 4096 == pytest.approx(3.3)
