import numpy as np
import pytest

from firmware.scan import REARM_NS, ScanParts, run_scan, with_dark_references
from lsi.errors import BusError, BusErrorKind, ExposureError, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.patterns import PatternSet
from tests.firmware.scripted import ScriptedClock, ScriptedDetector, ScriptedModulator, ScriptedTrigger

PATTERNS = PatternSet(np.array([[[True, False]], [[False, True]]]))
PLAN = ScanPlan(exposure_ns=1000, settle_ns=200, blocks_per_pattern=2, trigger_timeout_ns=5000)
COUNTS = [(10, 20), (10, 20), (30, 12), (30, 12), (100, 200), (102, 202), (300, 400), (300, 400)]


class Bench:
    """Scripted parts that a test can break one at a time."""

    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.modulator = ScriptedModulator()
        self.modulator.load(with_dark_references(PATTERNS), PLAN.exposure_ns)
        self.trigger = ScriptedTrigger(self.clock, [50] * 4)
        self.detector = ScriptedDetector(self.clock, COUNTS)

    @property
    def parts(self) -> ScanParts:
        return ScanParts(self.modulator, self.detector, self.trigger, self.clock)


def test_the_sequence_is_all_off_all_on_then_the_masks() -> None:
    sequence = with_dark_references(PATTERNS).masks
    assert not sequence[0].any()
    assert sequence[1].all()
    assert np.array_equal(sequence[2:], PATTERNS.masks)


def test_counts_of_each_mask_and_arm_come_in_order() -> None:
    raw, _ = run_scan(PLAN, PATTERNS, Bench().parts)
    assert raw.counts.tolist() == [
        [[100, 100, 102, 102], [200, 200, 202, 202]],
        [[300, 300, 300, 300], [400, 400, 400, 400]],
    ]
    assert raw.pattern_digest == PATTERNS.digest


def test_dark_of_arm_plus_is_read_all_off_and_of_arm_minus_all_on() -> None:
    _, dark = run_scan(PLAN, PATTERNS, Bench().parts)
    assert dark.mean_counts.tolist() == [10, 12]


def test_a_pattern_takes_delay_exposure_and_rearming() -> None:
    raw, _ = run_scan(PLAN, PATTERNS, Bench().parts)
    assert raw.duration_ns == 4 * (50 + PLAN.exposure_ns + REARM_NS)


def test_the_mirrors_idle_after_a_scan() -> None:
    bench = Bench()
    run_scan(PLAN, PATTERNS, bench.parts)
    assert bench.modulator.calls[1:] == ["start", "stop"]


def test_a_missing_mask_drops_the_scan_and_parks_the_mirrors() -> None:
    bench = Bench()
    bench.trigger = ScriptedTrigger(bench.clock, [50, 50, None, 50])
    with pytest.raises(TriggerTimeoutError):
        run_scan(PLAN, PATTERNS, bench.parts)
    assert bench.modulator.calls[-1] == "stop"


def test_a_stray_edge_drops_the_scan() -> None:
    bench = Bench()
    bench.trigger = ScriptedTrigger(bench.clock, [50] * 4, stray_edges=1)
    with pytest.raises(TriggerCountError, match="5 exposures were started, 4"):
        run_scan(PLAN, PATTERNS, bench.parts)


def test_a_controller_that_still_has_patterns_to_show_drops_the_scan() -> None:
    bench = Bench()
    bench.modulator = ScriptedModulator(running_after=True)
    bench.modulator.load(with_dark_references(PATTERNS), PLAN.exposure_ns)
    with pytest.raises(TriggerCountError, match="still has patterns"):
        run_scan(PLAN, PATTERNS, bench.parts)


@pytest.mark.parametrize(("block_ns", "fits"), [(400, True), (401, False)])
def test_the_last_conversion_must_end_within_the_exposure(block_ns: int, fits: bool) -> None:
    bench = Bench()
    bench.detector = ScriptedDetector(bench.clock, COUNTS, block_ns)
    if fits:
        run_scan(PLAN, PATTERNS, bench.parts)
        return
    with pytest.raises(ExposureError, match=r"Pattern 0 of 4: a conversion lies 2 ns after.*exposure_us"):
        run_scan(PLAN, PATTERNS, bench.parts)


def test_a_conversion_before_the_mirrors_have_settled_drops_the_scan() -> None:
    bench = Bench()
    bench.clock.wait_until_ns = lambda deadline_ns: None  # type: ignore[method-assign] # noqa: ARG005 - does not wait
    with pytest.raises(ExposureError, match="200 ns before"):
        run_scan(PLAN, PATTERNS, bench.parts)


def test_without_the_right_masks_no_scan_begins() -> None:
    bench = Bench()
    bench.modulator.lose_masks()
    with pytest.raises(BusError, match="load the masks again"):
        run_scan(PLAN, PATTERNS, bench.parts)
    assert "start" not in bench.modulator.calls


def test_the_first_error_is_told_when_stopping_fails_too() -> None:
    class Stuck(ScriptedModulator):
        def stop(self) -> None:
            raise BusError("stuck", kind=BusErrorKind.TIMEOUT)

    bench = Bench()
    bench.modulator = Stuck()
    bench.modulator.load(with_dark_references(PATTERNS), PLAN.exposure_ns)
    with pytest.raises(BusError, match="stuck"):
        run_scan(PLAN, PATTERNS, bench.parts)
    bench.trigger = ScriptedTrigger(bench.clock, [None])
    with pytest.raises(TriggerTimeoutError):
        run_scan(PLAN, PATTERNS, bench.parts)
