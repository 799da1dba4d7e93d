"""Acquisition mode ``stepped``: the host advances each mask and samples while it is shown.

Always correct, whatever the host's timing: a mask waits until it is asked for, and a
conversion that comes late fails the scan.
"""

from dataclasses import dataclass, field
from typing import Final

from firmware.acquisition.running_pass import running_pass
from firmware.blame import Blame
from firmware.interfaces import (
    Advance,
    BucketDetector,
    Clock,
    PassSamples,
    PatternModulator,
    Sampler,
    TriggerLine,
)
from lsi.errors import ExposureError, Part, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.units import NS_PER_US

_CONTROLLER, _CONVERTER, _TRIGGER = (Blame(part) for part in (Part.CONTROLLER, Part.CONVERTER, Part.TRIGGER))

REARM_NS: Final = 120 * NS_PER_US
"""From the end of an exposure to the next pulse.

The DLPC900 shows 105 us of black at the end of a pattern that is followed by one that
waits for a trigger (DLPU018J, command 0x1A32); the margin covers the host's timer.
"""


@dataclass(slots=True)
class SteppedAcquisition:
    """``Acquisition`` paced by the host over the trigger wires.

    Conversions begin ``plan.settle_ns`` after the edge that starts an exposure and must
    end before ``plan.exposure_ns``; what the mirrors do after that is not relied on.
    """

    plan: ScanPlan
    modulator: PatternModulator
    detector: BucketDetector
    trigger: TriggerLine
    clock: Clock
    advance: Advance = field(default=Advance.TRIGGERED, init=False)
    _samplers: dict[int, Sampler] = field(default_factory=dict, init=False, repr=False)

    def acquire(self, patterns: int) -> PassSamples:
        """Advance, settle, sample, ``patterns`` times; see ``Acquisition``.

        Raises:
            TriggerTimeoutError: A mask was not shown in time.
            TriggerCountError: More or fewer patterns were shown than triggered.
            ExposureError: A conversion lies outside the exposure of its mask.
            BusError: A bus failed.
            FrameError: Something received is not a conversion.
        """
        sampler = self._sampler(patterns)
        edges_before = self.trigger.edges_seen()
        with running_pass(self.modulator):
            for index in range(patterns):
                self._sample(index, patterns, sampler)
            self._check_count(patterns, self.trigger.edges_seen() - edges_before)
        with _CONVERTER:
            return PassSamples(sampler.counts(), self.detector.scale)

    def _sampler(self, patterns: int) -> Sampler:
        if patterns not in self._samplers:
            self._samplers = {patterns: self.detector.sampler(patterns, self.plan.samples_per_pattern)}
        return self._samplers[patterns]

    def _sample(self, index: int, patterns: int, sampler: Sampler) -> None:
        """Sample pattern ``index``; returns when the next pulse may come."""
        edge_ns = self._advanced()
        usable_from_ns = edge_ns + self.plan.settle_ns
        self.clock.wait_until_ns(usable_from_ns)
        started_ns = self.clock.now_ns()
        with _CONVERTER:
            sampler.take(index)
        late_ns = self.clock.now_ns() - edge_ns - self.plan.exposure_ns
        if started_ns < usable_from_ns or late_ns > 0:
            early_ns = usable_from_ns - started_ns
            missed = f"{early_ns} ns before" if early_ns > 0 else f"{late_ns} ns after"
            found = f"Pattern {index} of {patterns}: a conversion lies {missed} the usable exposure."
            raise ExposureError(found, hint="raise scan.exposure_us or lower scan.samples_per_pattern.")
        self.clock.wait_until_ns(edge_ns + self.plan.exposure_ns + REARM_NS)

    def _advanced(self) -> int:
        """When the exposure of the next pattern began; asks the controller why there is none."""
        try:
            with _TRIGGER:
                return self.trigger.advance(self.plan.trigger_timeout_ns)
        except TriggerTimeoutError:
            with _CONTROLLER:
                self.modulator.is_running()
            raise

    def _check_count(self, asked: int, edges: int) -> None:
        """Edges on the wire and the controller's own opinion must both fit."""
        if edges != asked:
            found = f"{edges} exposures were started, {asked} were asked for."
            raise TriggerCountError(found, hint="check the trigger wires for bounce and noise.")
        with _CONTROLLER:
            is_running = self.modulator.is_running()
        if is_running:
            found = f"After {asked} triggers the controller still has patterns to show: a pulse was lost."
            raise TriggerCountError(found, hint="check the wire to TRIG_IN_1.")
