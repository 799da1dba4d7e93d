"""One scan: a pass of the modulator, sampled, as ``RawScan`` and ``DarkReference``."""

from dataclasses import dataclass, replace

from firmware.acquisition.sequence import dark_reference, mask_counts, sequence_of
from firmware.acquisition.steadiness import SteadinessLimits, check_steadiness, steadiness
from firmware.interfaces import Acquisition, Clock, PatternModulator
from firmware.realtime import without_collector
from lsi.errors import BusError, BusErrorKind, Part
from lsi.measurement import ArmLayout, DarkReference, RawScan
from lsi.patterns import PatternSet


@dataclass(frozen=True, slots=True)
class ScanParts:
    """What a scan needs of a rig.

    With limits of ``steadiness`` the first mask is shown again at the end of each pass, and a
    scan during which it changed is dropped.
    """

    modulator: PatternModulator
    acquisition: Acquisition
    clock: Clock
    layout: ArmLayout = ArmLayout.TWO
    steadiness: SteadinessLimits | None = None

    def sequence_of(self, patterns: PatternSet) -> PatternSet:
        """What a pass with the masks ``patterns`` shows."""
        return sequence_of(patterns, self.layout, repeats_first=self.steadiness is not None)


def run_scan(patterns: PatternSet, parts: ScanParts) -> tuple[RawScan, DarkReference]:
    """Show every mask once and sample it while it is shown.

    A scan that shows another number of patterns than asked for is dropped whole, never
    shifted. The mirrors idle afterwards, also after a failure.

    Args:
        patterns: The masks alone; the modulator must hold ``parts.sequence_of(patterns)``.
        parts: What to drive.

    Raises:
        ScanError: See ``Acquisition.acquire``; its kind says what was wrong.
        BusError: The modulator lost its masks, or a bus failed.
        FrameError: A converter answered with something that is not a conversion.
    """
    sequence = parts.sequence_of(patterns)
    if parts.modulator.loaded_digest != sequence.digest:
        found = "The DMD controller does not hold the masks of this scan."
        error = BusError(found, kind=BusErrorKind.OTHER, hint="load the masks again.")
        error.part = Part.CONTROLLER
        raise error
    started_at_ns = parts.clock.now_ns()
    with without_collector():
        samples = parts.acquisition.acquire(len(sequence))
    counts = mask_counts(samples, parts.layout)
    raw = RawScan(
        counts=counts[: len(patterns)],
        scale=samples.scale,
        pattern_digest=patterns.digest,
        started_at_ns=started_at_ns,
        duration_ns=parts.clock.now_ns() - started_at_ns,
        layout=parts.layout,
        dropped_count=samples.dropped_count,
        trimmed_count=samples.trimmed_count,
    )
    dark = dark_reference(samples, parts.layout, started_at_ns)
    if parts.steadiness is not None:
        pair = replace(raw, counts=counts[[0, -1]])
        check_steadiness(steadiness(pair, dark), parts.steadiness)
    return raw, dark
