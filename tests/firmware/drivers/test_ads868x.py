"""The ADS868x driver on the simulated chip: settling enforced, faults found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.ads868x import (
    Ads868xDetector,
    Ads868xSettings,
    check_exposure,
    settling_ns,
)
from firmware.drivers.ads868x_frames import PARTS, unipolar_range
from firmware.interfaces import SpiMessage
from firmware.sim.ads868x_chip import Ads868xChip, InputFilter
from firmware.sim.clock import SimClock
from firmware.sim.spi import FLOATING, SELECT_GAP_NS, SimSpi, VoltsAt
from lsi.errors import BoardConfigError, FrameError
from lsi.measurement import ScanPlan
from tests.firmware.scripted import ScriptedSpi

MS = 1_000_000
US = 1_000
SPI_HZ = 10_000_000
OVERHEAD_NS = 25_000


@dataclass(slots=True)
class Rig:
    chip: Ads868xChip
    clock: SimClock
    detector: Ads868xDetector


def rig_with(volts_at: VoltsAt, *, parity: bool = False) -> Rig:
    clock = SimClock()
    part = PARTS["ads8681"]
    chip = Ads868xChip(volts_at, part.name)
    settings = Ads868xSettings(part, SPI_HZ, unipolar_range(5.12), parity=parity)
    return Rig(chip, clock, Ads868xDetector(SimSpi(chip, clock, SPI_HZ, OVERHEAD_NS), settings))


def steady(volts: float) -> VoltsAt:
    return lambda _, __: volts


def test_setting_up_sends_these_frames() -> None:
    # Nothing, range, mark, pattern 6, pattern 7, output; then RANGE_SEL, DATAOUT_CTL and the mark.
    sent = ["00000000", "D014000B", "D002000A", "D0100006", "00000000", "00000000", "D0100007", "00000000",
            "00000000", "D0100008", "C8140000", "C8100000", "C8020000", "00000000"]  # fmt: skip
    answers = ["00000000"] * 5 + ["55550000"] + ["00000000"] * 2 + ["33330000"] + ["00000000"] * 2
    answers += ["000B0000", "00080000", "000A0000"]
    exchanges = [(bytes.fromhex(out), bytes.fromhex(back)) for out, back in zip(sent, answers, strict=True)]
    spi = ScriptedSpi(exchanges)
    settings = Ads868xSettings(PARTS["ads8681"], SPI_HZ, unipolar_range(5.12), parity=True)
    Ads868xDetector(spi, settings).configure()
    spi.check_done()


@pytest.mark.parametrize("parity", [False, True])
@pytest.mark.parametrize("samples", [1, 8, 510, 511, 600])
def test_one_arm_is_read_in_volts(samples: int, parity: bool) -> None:
    rig = rig_with(steady(3.0), parity=parity)
    sampler = rig.detector.sampler(2, samples)
    sampler.take(0)
    sampler.take(1)
    counts = sampler.counts()
    assert counts.shape == (2, 1, samples)
    assert counts.dtype == np.uint16
    scale = rig.detector.scale
    assert np.abs(counts * scale.v_per_count + scale.zero_v - 3.0).max() <= scale.v_per_count


def test_sample_k_is_what_was_there_when_select_rose_after_frame_k() -> None:
    # The input rises by a count per 100 ns; behind the filter it is that much later by 2 / w / sqrt(2).
    begin_ns = {"at": 0}
    rig = rig_with(lambda _, now_ns: (now_ns - begin_ns["at"]) * 1e-2 * 5.12 / 65536)
    sampler = rig.detector.sampler(1, 6)
    rig.clock.advance(MS)
    begin_ns["at"] = rig.clock.now_ns() - MS
    sampler.take(0)
    late_ns = math.sqrt(2) / (2 * math.pi * 15_000) * 1e9
    taken_ns = sampler.counts()[0, 0] * 100.0 + late_ns - MS
    frame_ns = 32 / SPI_HZ * 1e9
    expected = OVERHEAD_NS + frame_ns + np.arange(6) * (frame_ns + SELECT_GAP_NS)
    assert np.abs(taken_ns - expected).max() < 300


@pytest.mark.parametrize(("part", "microseconds"), [(1e-3, 109), (1e-4, 144), (1.5e-5, 172)])
def test_settling_is_computed_from_the_filter(part: float, microseconds: int) -> None:
    assert math.ceil(settling_ns(part) / 1e3) == microseconds


@given(st.floats(1e-6, 0.5), st.integers(0, 200_000))
def test_what_is_left_after_settling_is_less_than_asked(part: float, later_ns: int) -> None:
    low_pass = InputFilter(lambda _, now_ns: 1.0 if now_ns >= 0 else 0.0)
    low_pass.volts(-1)
    # The simulated filter holds its input for 2 us, by which it may be late.
    assert abs(1.0 - low_pass.volts(settling_ns(part) + 2_000 + later_ns)) <= part


def plan_with(settle_us: int, exposure_us: int) -> ScanPlan:
    return ScanPlan(exposure_us * US, settle_us * US, 4, MS)


def test_a_plan_that_lets_the_filter_settle_is_accepted() -> None:
    check_exposure(plan_with(110, 200))
    check_exposure(plan_with(20, 105), part=0.5)


@pytest.mark.parametrize("settle_us", [0, 20, 108])
def test_a_plan_that_is_too_fast_is_refused_with_one_that_would_do(settle_us: int) -> None:
    plan = plan_with(settle_us, settle_us + 85)
    with pytest.raises(BoardConfigError, match="filter of 15 kHz") as failure:
        check_exposure(plan)
    assert "scan.settle_us at least 109, scan.exposure_us 194" in failure.value.hint
    check_exposure(plan_with(109, 194))


def crosstalk(settle_us: int) -> float:
    """Part of the step that is left in the first sample after it."""
    rig = rig_with(lambda _, now_ns: 4.0 if now_ns >= 100 * MS else 1.0)
    sampler = rig.detector.sampler(1, 2)
    rig.clock.wait_until_ns(100 * MS - 2 * MS)
    rig.clock.wait_until_ns(100 * MS + settle_us * US - OVERHEAD_NS - 3_200)
    sampler.take(0)
    volts = sampler.counts()[0, 0, 0] * rig.detector.scale.v_per_count
    return float(abs(4.0 - volts) / 3.0)


def test_masks_that_are_too_fast_talk_into_each_other_and_slow_ones_do_not() -> None:
    # sqrt(2) exp(-2) cos(2 - pi / 4) at 30 us, where a t is 2.0.
    assert crosstalk(30) == pytest.approx(0.067, rel=0.03)
    assert crosstalk(60) > 1e-2
    assert crosstalk(111) < 1.1e-3
    assert crosstalk(200) < 1e-4


@pytest.mark.parametrize(
    ("name", "spi_hz", "gap_ns"),
    [
        ("ads8689", 1_000_000, 4_900),
        ("ads8689", 10_000_000, 6_000),
        ("ads8689", 60_000_000, 6_000),
        ("ads8685", 60_000_000, 1_200),
    ],
)
def test_frames_that_come_faster_than_the_part_converts_are_refused(
    name: str, spi_hz: int, gap_ns: int
) -> None:
    with pytest.raises(BoardConfigError, match="a longer pause between frames"):
        Ads868xSettings(PARTS[name], spi_hz, unipolar_range(5.12), select_gap_ns=gap_ns)
    Ads868xSettings(PARTS[name], spi_hz, unipolar_range(5.12))


def test_no_sample_at_all_is_refused() -> None:
    with pytest.raises(BoardConfigError, match="at least 1"):
        rig_with(steady(1.0)).detector.sampler(1, 0)


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_is_stuck_from_the_beginning_fails_the_test_pattern(level: int) -> None:
    rig = rig_with(steady(1.0))
    rig.chip.line.stuck_at = level
    with pytest.raises(FrameError, match=f"its line reads {level} all the time"):
        rig.detector.sampler(1, 2)


@dataclass(slots=True)
class LateSpi:
    """``SpiDevice`` that reads every bit a clock too late, as in the wrong mode."""

    spi: SimSpi

    def transfer(self, sent: bytes) -> bytes:
        answer = int.from_bytes(self.spi.transfer(sent), "big")
        return (answer >> 1).to_bytes(len(sent), "big")

    def message(self, words: Sequence[bytes]) -> SpiMessage:
        return self.spi.message(words)


def test_a_chip_that_is_read_in_the_wrong_mode_sends_another_pattern() -> None:
    clock = SimClock()
    spi = SimSpi(Ads868xChip(steady(1.0), "ads8681"), clock, SPI_HZ, OVERHEAD_NS)
    settings = Ads868xSettings(PARTS["ads8681"], SPI_HZ, unipolar_range(5.12))
    with pytest.raises(FrameError, match="another test pattern"):
        Ads868xDetector(LateSpi(spi), settings).configure()


def test_a_chip_that_hears_no_register_word_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = rig_with(steady(1.0))
    obey = rig.chip._obey
    deaf = {0x14}
    monkeypatch.setattr(
        rig.chip, "_obey", lambda op, address, data: address not in deaf and obey(op, address, data)
    )
    with pytest.raises(FrameError, match="does not keep what is written"):
        rig.detector.configure()


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_breaks_in_the_middle_of_a_pass_is_found(level: int) -> None:
    rig = rig_with(steady(1.0))
    sampler = rig.detector.sampler(2, 4)
    sampler.take(0)
    rig.chip.line.stuck_at = level
    sampler.take(1)
    with pytest.raises(FrameError, match=f"reads {level} all the time"):
        sampler.counts()


def test_a_line_that_floated_for_one_pattern_only_is_found() -> None:
    rig = rig_with(steady(1.0))
    sampler = rig.detector.sampler(2, 4)
    rig.chip.line.stuck_at = FLOATING
    sampler.take(0)
    rig.chip.line.stuck_at = None
    sampler.take(1)
    with pytest.raises(FrameError, match="all bits read 1 in 4 results"):
        sampler.counts()


def test_full_scale_is_no_floating_line() -> None:
    rig = rig_with(steady(20.0))
    sampler = rig.detector.sampler(1, 3)
    sampler.take(0)
    assert sampler.counts().tolist() == [[[65535] * 3]]


def test_a_chip_that_was_reset_fails_the_pass_and_serves_the_next_one() -> None:
    rig = rig_with(steady(1.28))
    sampler = rig.detector.sampler(1, 4)
    rig.chip.reset(rig.clock.now_ns())
    sampler.take(0)
    with pytest.raises(FrameError, match="does not answer"):
        sampler.counts()
    rig.clock.advance(30 * MS)
    sampler.take(0)
    with pytest.raises(FrameError, match="was reset while it was in use; it is set up again"):
        sampler.counts()
    sampler.take(0)
    assert sampler.counts().tolist() == [[[0x4000] * 4]]


def test_a_bit_that_is_lost_on_the_wire_is_found_by_parity() -> None:
    rig = rig_with(steady(3.0), parity=True)
    sampler = rig.detector.sampler(1, 4)
    sampler.take(0)
    sampler._rows.received[0, 2, 1] ^= 0x10
    with pytest.raises(FrameError, match="parity is wrong in 1 of 4"):
        sampler.counts()
