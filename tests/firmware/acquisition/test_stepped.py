import numpy as np
import pytest

from firmware.acquisition.stepped import REARM_NS, SteppedAcquisition
from firmware.interfaces import PassSamples
from lsi.errors import BusError, BusErrorKind, ExposureError, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.patterns import PatternSet
from tests.firmware.scripted import ScriptedClock, ScriptedDetector, ScriptedModulator, ScriptedTrigger

SEQUENCE = PatternSet(np.array([[[False, False]], [[True, True]], [[True, False]], [[False, True]]]))
PLAN = ScanPlan(exposure_ns=1000, settle_ns=200, samples_per_pattern=3, trigger_timeout_ns=5000)
COUNTS = np.arange(24).reshape(4, 2, 3)


class Bench:
    """Scripted parts that a test can break one at a time."""

    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.modulator = ScriptedModulator()
        self.modulator.load(SEQUENCE, PLAN.exposure_ns)
        self.trigger = ScriptedTrigger(self.clock, [50] * 8)
        self.detector = ScriptedDetector(self.clock, COUNTS)

    def acquire(self) -> PassSamples:
        acquisition = SteppedAcquisition(PLAN, self.modulator, self.detector, self.trigger, self.clock)
        return acquisition.acquire(4)


def test_counts_of_each_pattern_come_in_order_with_their_scale() -> None:
    bench = Bench()
    samples = bench.acquire()
    assert np.array_equal(samples.counts, COUNTS)
    assert samples.scale == bench.detector.scale
    assert bench.detector.taken == [0, 1, 2, 3]


def test_a_pattern_takes_delay_exposure_and_rearming() -> None:
    bench = Bench()
    bench.acquire()
    assert bench.clock.time_ns == 4 * (50 + PLAN.exposure_ns + REARM_NS)


def test_the_mirrors_idle_after_a_pass() -> None:
    bench = Bench()
    bench.acquire()
    assert bench.modulator.calls[1:] == ["start", "stop"]


def test_room_for_the_samples_is_laid_out_once() -> None:
    bench = Bench()
    asked: list[tuple[int, int]] = []
    sampler = bench.detector.sampler

    def counted(patterns: int, samples: int) -> ScriptedDetector:
        asked.append((patterns, samples))
        bench.detector.taken.clear()
        return sampler(patterns, samples)

    bench.detector.sampler = counted  # type: ignore[method-assign] # counts how often it is asked
    acquisition = SteppedAcquisition(PLAN, bench.modulator, bench.detector, bench.trigger, bench.clock)
    acquisition.acquire(4)
    acquisition.acquire(4)
    assert asked == [(4, 3)]


def test_a_missing_mask_drops_the_scan_and_parks_the_mirrors() -> None:
    bench = Bench()
    bench.trigger = ScriptedTrigger(bench.clock, [50, 50, None, 50])
    with pytest.raises(TriggerTimeoutError):
        bench.acquire()
    assert bench.modulator.calls[-1] == "stop"


def test_a_stray_edge_drops_the_scan() -> None:
    bench = Bench()
    bench.trigger = ScriptedTrigger(bench.clock, [50] * 4, stray_edges=1)
    with pytest.raises(TriggerCountError, match="5 exposures were started, 4"):
        bench.acquire()


def test_a_controller_that_still_has_patterns_to_show_drops_the_scan() -> None:
    bench = Bench()
    bench.modulator = ScriptedModulator(running_after=True)
    bench.modulator.load(SEQUENCE, PLAN.exposure_ns)
    with pytest.raises(TriggerCountError, match="still has patterns"):
        bench.acquire()


@pytest.mark.parametrize(("pattern_ns", "fits"), [(800, True), (802, False)])
def test_the_last_conversion_must_end_within_the_exposure(pattern_ns: int, fits: bool) -> None:
    bench = Bench()
    bench.detector = ScriptedDetector(bench.clock, COUNTS, pattern_ns)
    if fits:
        bench.acquire()
        return
    with pytest.raises(ExposureError, match=r"Pattern 0 of 4: a conversion lies 2 ns after.*exposure_us"):
        bench.acquire()


def test_a_conversion_before_the_mirrors_have_settled_drops_the_scan() -> None:
    bench = Bench()
    bench.clock.wait_until_ns = lambda deadline_ns: None  # type: ignore[method-assign] # noqa: ARG005 - does not wait
    with pytest.raises(ExposureError, match="200 ns before"):
        bench.acquire()


def test_the_first_error_is_told_when_stopping_fails_too() -> None:
    class Stuck(ScriptedModulator):
        def stop(self) -> None:
            raise BusError("stuck", kind=BusErrorKind.TIMEOUT)

    bench = Bench()
    bench.modulator = Stuck()
    bench.modulator.load(SEQUENCE, PLAN.exposure_ns)
    with pytest.raises(BusError, match="stuck"):
        bench.acquire()
    bench.trigger = ScriptedTrigger(bench.clock, [None])
    with pytest.raises(TriggerTimeoutError):
        bench.acquire()
