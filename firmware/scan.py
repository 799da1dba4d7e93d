"""One scan: a pass of the modulator, sampled, as ``RawScan`` and ``DarkReference``."""

from dataclasses import dataclass

from firmware.interfaces import Acquisition, Clock, PatternModulator
from firmware.sequence import dark_reference, mask_counts, sequence_of
from lsi.errors import BusError, BusErrorKind
from lsi.measurement import ArmLayout, DarkReference, RawScan
from lsi.patterns import PatternSet


@dataclass(frozen=True, slots=True)
class ScanParts:
    """What a scan needs of a rig."""

    modulator: PatternModulator
    acquisition: Acquisition
    clock: Clock
    layout: ArmLayout = ArmLayout.TWO


def run_scan(patterns: PatternSet, parts: ScanParts) -> tuple[RawScan, DarkReference]:
    """Show every mask once and sample it while it is shown.

    A scan that shows another number of patterns than asked for is dropped whole, never
    shifted. The mirrors idle afterwards, also after a failure.

    Args:
        patterns: The masks alone; the modulator must hold ``sequence_of(patterns, parts.layout)``.
        parts: What to drive.

    Raises:
        ScanError: See ``Acquisition.acquire``; its kind says what was wrong.
        BusError: The modulator lost its masks, or a bus failed.
        FrameError: A converter answered with something that is not a conversion.
    """
    sequence = sequence_of(patterns, parts.layout)
    if parts.modulator.loaded_digest != sequence.digest:
        found = "The DMD controller does not hold the masks of this scan."
        raise BusError(found, kind=BusErrorKind.OTHER, hint="load the masks again.")
    started_at_ns = parts.clock.now_ns()
    samples = parts.acquisition.acquire(len(sequence))
    raw = RawScan(
        counts=mask_counts(samples, parts.layout),
        scale=samples.scale,
        pattern_digest=patterns.digest,
        started_at_ns=started_at_ns,
        duration_ns=parts.clock.now_ns() - started_at_ns,
        layout=parts.layout,
        dropped_count=samples.dropped_count,
        trimmed_count=samples.trimmed_count,
    )
    return raw, dark_reference(samples, parts.layout, started_at_ns)
