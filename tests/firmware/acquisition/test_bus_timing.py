"""Times of buses whose every nanosecond is known beforehand."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.acquisition.bus_timing import (
    BIN_EDGES_US,
    Durations,
    MessageTimes,
    time_calls,
    time_messages,
    time_transfers,
    time_triggers,
)
from firmware.acquisition.stepped import REARM_NS, SteppedAcquisition
from firmware.interfaces import SpiMessage
from firmware.sim.clock import SimClock
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.spi import SELECT_GAP_NS, SimSpi
from lsi.errors import BusError, BusErrorKind, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.patterns import PatternSet
from tests.firmware.scripted import ScriptedClock, ScriptedDetector, ScriptedModulator, ScriptedTrigger
from tests.lsi.test_sensor import SENSOR

WORD = bytes(3)
WORD_NS = 24_000
OVERHEAD_NS = 25_000
SPACING_NS = WORD_NS + SELECT_GAP_NS
SEQUENCE = PatternSet(np.array([[[False, True]], [[True, True]]]))
PLAN = ScanPlan(exposure_ns=1_000, settle_ns=200, samples_per_pattern=3, trigger_timeout_ns=5_000)


def simulated(clock: SimClock) -> SimSpi:
    return SimSpi(Mcp3208Chip(lambda _channel, _now_ns: 1.0, SENSOR), clock, 1_000_000, OVERHEAD_NS)


class NarrowSpi:
    """``SpiDevice`` that refuses messages of more than ``most`` transfers, or fails otherwise."""

    def __init__(self, spi: SimSpi, most: int, kind: BusErrorKind = BusErrorKind.REFUSED) -> None:
        self._spi = spi
        self._most = most
        self._kind = kind

    def transfer(self, sent: bytes) -> bytes:
        return self._spi.transfer(sent)

    def message(self, words: Sequence[bytes]) -> SpiMessage:
        if len(words) > self._most:
            raise BusError(f"{len(words)} are too many.", kind=self._kind, hint="fewer.")
        return self._spi.message(words)


def stepped(delays_ns: list[int | None], tick_ns: int = 0) -> tuple[SteppedAcquisition, ScriptedModulator]:
    clock = ScriptedClock(tick_ns)
    modulator = ScriptedModulator()
    modulator.load(SEQUENCE, PLAN.exposure_ns)
    trigger = ScriptedTrigger(clock, delays_ns)
    detector = ScriptedDetector(clock, np.zeros((2, 1, 3)))
    return SteppedAcquisition(PLAN, modulator, detector, trigger, clock), modulator


def test_a_transfer_takes_its_overhead_and_its_bits() -> None:
    clock = SimClock()
    durations = time_transfers(simulated(clock), WORD, clock, repeats=7)
    assert durations.each_ns.tolist() == [OVERHEAD_NS + WORD_NS] * 7


def test_a_message_of_511_is_told_apart_into_spacing_and_gap() -> None:
    clock = SimClock()
    times = time_messages(simulated(clock), WORD, clock, repeats=3)
    assert (times.transfers, times.refused) == (511, "")
    assert times.message.each_ns.tolist() == [OVERHEAD_NS + 511 * SPACING_NS] * 3
    assert times.spacing_ns == SPACING_NS
    assert times.gap.each_ns.tolist() == [OVERHEAD_NS] * 3
    assert times.transfers_per_s == pytest.approx(511e9 / (511 * SPACING_NS + OVERHEAD_NS))


@pytest.mark.parametrize(("most", "taken"), [(511, 511), (510, 255), (32, 31), (3, 3)])
def test_where_a_bus_refuses_the_longest_message_half_of_it_is_timed(most: int, taken: int) -> None:
    clock = SimClock()
    times = time_messages(NarrowSpi(simulated(clock), most), WORD, clock, repeats=2)
    assert times.transfers == taken
    assert times.refused == ("" if taken == 511 else "511 are too many. Try: fewer.")
    assert times.spacing_ns == SPACING_NS


@pytest.mark.parametrize("kind", [BusErrorKind.REFUSED, BusErrorKind.NO_DEVICE])
def test_a_bus_that_takes_no_message_fails(kind: BusErrorKind) -> None:
    clock = SimClock()
    with pytest.raises(BusError, match="511 are too many") as failed:
        time_messages(NarrowSpi(simulated(clock), 1, kind), WORD, clock, repeats=1)
    assert failed.value.kind is kind


@given(st.floats(1, 1e6), st.integers(0, 10**9), st.integers(2, 511))
def test_more_gap_never_means_more_transfers_a_second(spacing_ns: float, gap_ns: int, transfers: int) -> None:
    def rate(gap: int) -> float:
        each = Durations(np.array([gap]))
        return MessageTimes(transfers, each, each, spacing_ns).transfers_per_s

    assert rate(gap_ns + 1) <= rate(gap_ns) <= rate(0) == pytest.approx(1e9 / spacing_ns)


def test_trigger_times_are_split_at_the_edge() -> None:
    acquisition, modulator = stepped([40, 50, 60, 70], tick_ns=5)
    times = time_triggers(acquisition, patterns=2, passes=2)
    assert times.to_edge.each_ns.tolist() == [40, 50, 60, 70]
    assert times.to_return.each_ns.tolist() == [5] * 4
    assert times.latency.each_ns.tolist() == [45, 55, 65, 75]
    assert modulator.calls[1:] == ["start", "stop"] * 2


def test_every_pattern_is_shown_for_its_exposure_before_the_next_pulse() -> None:
    acquisition, _ = stepped([40, 40])
    time_triggers(acquisition, patterns=2, passes=1)
    assert acquisition.clock.now_ns() == 2 * (40 + PLAN.exposure_ns + REARM_NS)


def test_a_missing_edge_ends_the_measurement_with_the_mirrors_idle() -> None:
    acquisition, modulator = stepped([40, None])
    with pytest.raises(TriggerTimeoutError):
        time_triggers(acquisition, patterns=2, passes=1)
    assert modulator.calls[-1] == "stop"


def test_the_first_call_does_not_count() -> None:
    clock = SimClock()
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        clock.advance(1_000_000 if len(calls) == 1 else 10)

    assert time_calls(action, clock, repeats=4).each_ns.tolist() == [10] * 4


def test_a_histogram_counts_every_duration_once() -> None:
    ns = np.array([0, 9_999, 10_000, 199_999, 10_000_000, 10**12])
    assert Durations(ns).histogram() == [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 2]


@given(st.lists(st.integers(-5, 10**11), min_size=1))
def test_no_duration_is_lost_or_out_of_order(values: list[int]) -> None:
    durations = Durations(np.array(values))
    assert sum(durations.histogram()) == len(values)
    assert len(durations.histogram()) == len(BIN_EDGES_US)
    assert durations.percentile_ns(0) == min(values)
    assert durations.percentile_ns(100) == max(values)
    assert durations.percentile_ns(0) <= durations.median_ns <= durations.percentile_ns(99)


def test_nothing_measured_is_no_duration() -> None:
    with pytest.raises(ValueError, match="each_ns"):
        Durations(np.zeros(0, np.int64))
