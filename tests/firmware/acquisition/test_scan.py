import numpy as np
import pytest

from firmware.acquisition.scan import ScanParts, run_scan
from firmware.acquisition.sequence import sequence_of
from lsi.errors import BusError
from lsi.measurement import ArmLayout
from lsi.patterns import PatternSet
from tests.firmware.scripted import ScriptedAcquisition, ScriptedClock, ScriptedModulator

PATTERNS = PatternSet(np.array([[[True, False]], [[False, True]]]))
DARK = [[[10, 12, 11], [20, 20, 20]], [[30, 30, 30], [12, 14, 13]]]
COUNTS = [*DARK, [[100] * 3, [200] * 3], [[300] * 3, [400] * 3]]


class Bench:
    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.modulator = ScriptedModulator()
        self.modulator.load(sequence_of(PATTERNS, ArmLayout.TWO), 1000)
        self.acquisition = ScriptedAcquisition(self.clock, COUNTS)

    @property
    def parts(self) -> ScanParts:
        return ScanParts(self.modulator, self.acquisition, self.clock)


def test_a_scan_holds_the_counts_of_the_masks_and_how_they_were_taken() -> None:
    bench = Bench()
    bench.clock.time_ns = 7
    raw, _ = run_scan(PATTERNS, bench.parts)
    assert raw.counts.tolist() == COUNTS[2:]
    assert raw.pattern_digest == PATTERNS.digest
    assert (raw.started_at_ns, raw.duration_ns) == (7, 100)
    assert (raw.dropped_count, raw.trimmed_count, raw.scale.full_scale_counts) == (3, 1, 4095)
    assert bench.acquisition.asked == [4]


def test_dark_of_arm_plus_is_read_all_off_and_of_arm_minus_all_on() -> None:
    _, dark = run_scan(PATTERNS, Bench().parts)
    assert dark.mean_counts.tolist() == [11, 13]


def test_without_the_right_masks_no_scan_begins() -> None:
    bench = Bench()
    bench.modulator.lose_masks()
    with pytest.raises(BusError, match="load the masks again"):
        run_scan(PATTERNS, bench.parts)
    assert bench.acquisition.asked == []
