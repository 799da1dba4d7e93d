"""The AD738x driver on the simulated chip, and on wires with faults."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.drivers.ad738x import Ad738xDetector, Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS
from firmware.sim.clock import SimClock
from firmware.sim.spi import FLOATING, SELECT_GAP_NS, VoltsAt
from lsi.errors import BoardConfigError, FrameError
from tests.firmware.drivers.ad738x_rig import OVERHEAD_NS, SPI_HZ, Rig, rig_with
from tests.firmware.scripted import ScriptedClock, ScriptedSpi

MS = 1_000_000
LOW_V = 0.4
HIGH_V = 1.4


def counts_with(rig: Rig, channels: tuple[int, ...] = (0, 1), samples: int = 4) -> NDArray[np.uint16]:
    sampler = Ad738xDetector(rig.link, channels).sampler(2, samples)
    sampler.take(0)
    sampler.take(1)
    return sampler.counts()


def test_setting_up_sends_these_words_and_reads_them_back() -> None:
    # Hard reset, one line, average of 4, soft reset, mark; then CONFIG1, CONFIG2 and the mark; then
    # the frame that is no conversion.
    sent = ["A0FF", "A100", "9080", "A13C", "CA5A", "1000", "2000", "4000", "0000", "00000000"]
    answers = ["0000", "0000", "0000", "0000", "0000", "0000", "0080", "0100", "0A5A", "00000000"]
    exchanges = [(bytes.fromhex(out), bytes.fromhex(back)) for out, back in zip(sent, answers, strict=True)]
    spi, clock = ScriptedSpi(exchanges), ScriptedClock()
    Ad738xLink(spi, Ad738xSettings(PARTS["ad7383"], SPI_HZ, oversampling=4), clock).configure()
    spi.check_done()
    assert clock.time_ns == 5 * MS


def test_both_arms_are_read_in_volts_on_the_channels_they_are_wired_to() -> None:
    rig = rig_with("ad7383-4")
    counts = counts_with(rig, (3, 1))
    scale = Ad738xDetector(rig.link, (3, 1)).scale
    assert counts.shape == (2, 2, 4)
    assert counts.dtype == np.uint16
    volts = counts * scale.v_per_count + scale.zero_v
    assert np.abs(volts[:, 0] - 1.9).max() < 1e-4
    assert np.abs(volts[:, 1] - 0.9).max() < 1e-4


def test_one_arm_alone_can_be_read() -> None:
    assert counts_with(rig_with("ad7383"), (1,)).shape == (2, 1, 4)


@given(volts=st.floats(-2.4, 2.4), name=st.sampled_from(["ad7380", "ad7383"]))
@settings(max_examples=30)
def test_volts_come_back_within_a_count_wherever_the_range_has_them(volts: float, name: str) -> None:
    rig = rig_with(name, lambda _, __: volts)
    detector = Ad738xDetector(rig.link, (0, 1))
    low_v, step_v = detector.scale.zero_v, detector.scale.v_per_count
    expected = np.clip((volts - low_v) / step_v, 0, 65_535)
    # At its zero a converter without noise looks like a line that stands still.
    assume(abs(expected - 32_768) > 2)
    assert np.abs(counts_with(rig).astype(float) - expected).max() <= 1


@pytest.mark.parametrize("samples", [1, 2, 7, 510, 511, 1_030])
def test_sample_k_is_what_was_there_when_select_fell_for_frame_k(samples: int) -> None:
    # The input is a clock that counts microseconds, 40 of them per volt and thousands of counts apart.
    begin_ns = {"at": 0}

    def volts_at(_: int, now_ns: int) -> float:
        return (now_ns - begin_ns["at"]) * 1e-3 * 2.5 / 65536

    rig = rig_with("ad7383", volts_at)
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(1, samples)
    rig.clock.advance(MS)
    begin_ns["at"] = rig.clock.now_ns()
    sampler.take(0)
    ended_us = (rig.clock.now_ns() - begin_ns["at"]) / 1e3
    taken_us = sampler.counts()[0, 0].astype(int)
    frame_us = 32 / SPI_HZ * 1e6
    between_us = frame_us + SELECT_GAP_NS / 1e3
    frames = np.arange(samples)
    # A message holds 511 frames; every one has the overhead of its call.
    expected = OVERHEAD_NS / 1e3 * (1 + frames // 511) + between_us * frames
    assert np.abs(taken_us - expected).max() <= 1
    assert taken_us[-1] + frame_us <= ended_us


def test_what_was_converted_before_the_call_is_not_returned() -> None:
    level = {"volts": LOW_V}
    rig = rig_with("ad7383", lambda _, __: level["volts"])
    sampler = Ad738xDetector(rig.link, (0,)).sampler(2, 3)
    sampler.take(0)
    level["volts"] = HIGH_V
    sampler.take(1)
    low, high = sampler.counts()[:, 0].tolist()
    assert set(low) == {int(LOW_V * 65536 / 2.5)}
    assert set(high) == {int(HIGH_V * 65536 / 2.5)}


def test_counts_are_a_copy() -> None:
    rig = rig_with("ad7383")
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(1, 2)
    sampler.take(0)
    first = sampler.counts()
    kept = first.copy()
    first[:] = 0
    assert (sampler.counts() == kept).all()


def noisy(seed: int) -> VoltsAt:
    noise = np.random.default_rng(seed)
    return lambda _, __: 1.0 + 2e-3 * noise.standard_normal()


def test_averaging_quietens_the_counts_by_its_root() -> None:
    plain, averaged = (
        counts_with(rig_with("ad7383", noisy(3), oversampling=many), samples=400).std() for many in (1, 4)
    )
    assert plain / averaged == pytest.approx(2, rel=0.15)


def test_an_average_that_is_not_done_when_the_next_frame_begins_is_refused() -> None:
    part = PARTS["ad7383"]
    with pytest.raises(BoardConfigError, match="takes 15510 ns, a frame and its pause 13200 ns"):
        Ad738xSettings(part, 10_000_000, oversampling=32)
    with pytest.raises(BoardConfigError, match="takes 3510 ns, a frame and its pause 3500 ns"):
        Ad738xSettings(part, 10_000_000, oversampling=8, select_gap_ns=300)
    Ad738xSettings(part, 10_000_000, oversampling=16)
    Ad738xSettings(PARTS["ad7383-4"], 10_000_000, oversampling=32)


def test_registers_want_a_slow_bus_beside_a_fast_one() -> None:
    rig = rig_with("ad7383")
    fast = Ad738xSettings(PARTS["ad7383"], 20_000_000)
    with pytest.raises(BoardConfigError, match="registers are not reliable"):
        Ad738xLink(rig.spi, fast, rig.clock)
    conversions = ScriptedSpi([(bytes(4), bytes(4))])
    Ad738xLink(conversions, fast, rig.clock, registers=rig.spi).configure()
    conversions.check_done()


@pytest.mark.parametrize("channels", [(), (2,), (-1,), (0, 0), (0, 1, 2)])
def test_channels_that_the_part_lacks_are_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(BoardConfigError, match="different ones of 0 to 1"):
        Ad738xDetector(rig_with("ad7383").link, channels)


def test_no_sample_at_all_is_refused() -> None:
    with pytest.raises(BoardConfigError, match="at least 1"):
        Ad738xDetector(rig_with().link, (0, 1)).sampler(1, 0)


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_is_stuck_from_the_beginning_is_found_by_reading_back(level: int) -> None:
    rig = rig_with("ad7383")
    rig.chip.line.stuck_at = level
    with pytest.raises(FrameError, match=f"its line reads {level} all the time") as failure:
        Ad738xDetector(rig.link, (0, 1)).sampler(1, 2)
    assert "SDOA" in failure.value.hint


def test_a_chip_that_hears_nothing_does_not_keep_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = rig_with("ad7383")
    monkeypatch.setattr(rig.chip, "deselect", lambda _: None)
    with pytest.raises(FrameError, match="does not keep what is written"):
        rig.link.configure()


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_breaks_in_the_middle_of_a_pass_is_found(level: int) -> None:
    rig = rig_with("ad7383")
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(2, 4)
    sampler.take(0)
    rig.chip.line.stuck_at = level
    sampler.take(1)
    with pytest.raises(FrameError, match=f"reads {level} all the time"):
        sampler.counts()


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_broke_for_one_pattern_only_is_found(level: int) -> None:
    rig = rig_with("ad7383")
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(2, 4)
    rig.chip.line.stuck_at = level
    sampler.take(0)
    rig.chip.line.stuck_at = None
    sampler.take(1)
    with pytest.raises(FrameError, match="stood still during 1 of 2 patterns"):
        sampler.counts()


def test_a_chip_that_was_reset_fails_the_pass_and_serves_the_next_one() -> None:
    rig = rig_with("ad7383", oversampling=4)
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(2, 4)
    sampler.take(0)
    rig.chip.reset(rig.clock.now_ns())
    rig.clock.advance(10 * MS)
    sampler.take(1)
    with pytest.raises(FrameError, match="was reset while it was in use; it is set up again"):
        sampler.counts()
    sampler.take(0)
    sampler.take(1)
    volts = sampler.counts() * 2.5 / 65536
    assert np.abs(volts - [[0.4], [0.9]]).max() < 1e-4


def test_a_reset_that_left_the_arm_on_the_line_is_found_all_the_same() -> None:
    # One arm on channel A leaves on SDOA before and after a reset; the average does not.
    rig = rig_with("ad7383", oversampling=4)
    sampler = Ad738xDetector(rig.link, (0,)).sampler(1, 4)
    rig.chip.frame(bytes.fromhex("A0FF"), rig.clock.now_ns(), rig.clock.now_ns())
    sampler.take(0)
    with pytest.raises(FrameError, match="was reset"):
        sampler.counts()


@pytest.mark.parametrize("word", ["9000", "A000", "C800"])
def test_one_register_that_changed_during_a_pass_is_enough(word: str) -> None:
    rig = rig_with("ad7383", oversampling=4)
    sampler = Ad738xDetector(rig.link, (0,)).sampler(1, 4)
    rig.chip.frame(bytes.fromhex(word), rig.clock.now_ns(), rig.clock.now_ns())
    sampler.take(0)
    with pytest.raises(FrameError, match="was reset"):
        sampler.counts()


def test_a_chip_that_comes_back_later_is_set_up_when_it_does() -> None:
    rig = rig_with("ad7383")
    sampler = Ad738xDetector(rig.link, (0, 1)).sampler(1, 4)
    rig.chip.line.stuck_at = FLOATING
    for _ in range(2):
        sampler.take(0)
        with pytest.raises(FrameError, match="does not answer"):
            sampler.counts()
    rig.chip.line.stuck_at = None
    sampler.take(0)
    with pytest.raises(FrameError, match="it is set up again"):
        sampler.counts()
    sampler.take(0)
    assert sampler.counts().shape == (1, 2, 4)


def test_the_chip_is_set_up_once_for_all_samplers() -> None:
    rig = rig_with("ad7383", volts_at=lambda _, __: LOW_V)
    detector = Ad738xDetector(rig.link, (0, 1))
    detector.sampler(1, 2)
    ready_ns = rig.clock.now_ns()
    detector.sampler(2, 2)
    assert rig.clock.now_ns() == ready_ns >= 5 * MS
    assert isinstance(rig.clock, SimClock)
