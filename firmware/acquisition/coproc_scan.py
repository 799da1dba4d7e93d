"""Acquisition mode ``coproc``: the DMD free-runs and a co-processor samples it, edge by edge.

As fast as the mirrors: the host only starts the pass and takes in what was sampled.
"""

from dataclasses import dataclass, field
from typing import Final

from firmware.acquisition.running_pass import running_pass
from firmware.blame import Blame
from firmware.drivers.coproc import Coproc
from firmware.interfaces import Advance, Clock, PassSamples, PatternModulator
from lsi.errors import Part, TriggerCountError
from lsi.measurement import CountScale, ScanPlan
from lsi.units import NS_PER_MS

_CONTROLLER, _COPROCESSOR = Blame(Part.CONTROLLER), Blame(Part.COPROCESSOR)

LINE_NS: Final = 100 * NS_PER_MS
"""What the serial line may lag behind the mirrors; a stalled USB host needs the most of it."""


@dataclass(slots=True)
class CoprocAcquisition:
    """``Acquisition`` paced by the co-processor's state machines.

    Conversions begin ``plan.settle_ns`` after the edge that starts an exposure and have
    come out before it ends; the co-processor tells of each exposure whether that held.
    """

    plan: ScanPlan
    modulator: PatternModulator
    coproc: Coproc
    scale: CountScale
    clock: Clock
    advance: Advance = field(default=Advance.FREE_RUNNING, init=False)

    def acquire(self, patterns: int) -> PassSamples:
        """Arm, start the pass, take in its samples; see ``Acquisition``.

        Raises:
            TriggerTimeoutError: Not a single exposure was seen.
            TriggerCountError: More or fewer exposures than patterns.
            ExposureError: An exposure was shorter than its samples.
            ScanError: An exposure came twice with different samples.
            BusError: The co-processor lost samples, restarted or is gone.
            FrameError: Something received makes no sense.
        """
        with _COPROCESSOR:
            self.coproc.arm(patterns)
        with running_pass(self.modulator):
            allowed_ns = patterns * self.plan.exposure_ns + self.plan.trigger_timeout_ns + LINE_NS
            with _COPROCESSOR:
                self.coproc.collect(self.clock.now_ns() + allowed_ns)
            with _CONTROLLER:
                still_running = self.modulator.is_running()
            with _COPROCESSOR:
                counts = self.coproc.finish()
            if still_running:
                found = f"After {patterns} exposures the controller still has patterns to show."
                raise TriggerCountError(found, hint="load the masks again.")
        return PassSamples(counts, self.scale)
