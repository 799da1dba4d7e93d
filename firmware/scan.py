"""One scan in ``stepped`` mode: the host advances each mask and samples while it is shown."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import BucketDetector, Clock, PatternModulator, TriggerLine
from lsi.errors import BusError, BusErrorKind, ExposureError, LsiError, TriggerCountError
from lsi.measurement import DarkReference, RawScan, ScanPlan
from lsi.patterns import PatternSet
from lsi.units import NS_PER_US

DARK_PATTERNS: Final = 2
"""All-off, then all-on, before the masks of every scan."""

REARM_NS: Final = 120 * NS_PER_US
"""From the end of an exposure to the next pulse.

The DLPC900 shows 105 us of black at the end of a pattern that is followed by one that
waits for a trigger (DLPU018J, command 0x1A32); the margin covers the host's timer.
"""


@dataclass(frozen=True, slots=True)
class ScanParts:
    """The parts of a rig that a scan drives."""

    modulator: PatternModulator
    detector: BucketDetector
    trigger: TriggerLine
    clock: Clock


@lru_cache(maxsize=2)
def with_dark_references(patterns: PatternSet) -> PatternSet:
    """The sequence of one scan: all-off, all-on, then the masks.

    Remembered: building and hashing it is work that a scan should not do again.
    """
    flat = np.zeros((DARK_PATTERNS, *patterns.shape[1:]), np.bool_)
    flat[1] = True
    return PatternSet(np.concatenate([flat, patterns.masks]))


def run_scan(plan: ScanPlan, patterns: PatternSet, parts: ScanParts) -> tuple[RawScan, DarkReference]:
    """Show every mask once and sample both arms while it is shown.

    Conversions begin ``plan.settle_ns`` after the edge that starts an exposure and must
    end before ``plan.exposure_ns``; what the mirrors do after that is not relied on. A
    scan that shows another number of patterns than asked for is dropped whole, never
    shifted. The mirrors idle afterwards, also after a failure.

    Args:
        plan: Timing.
        patterns: The masks, without dark references; the modulator must hold
            ``with_dark_references(patterns)``.
        parts: What to drive.

    Raises:
        TriggerTimeoutError: A mask was not shown in time.
        TriggerCountError: More or fewer patterns were shown than triggered.
        ExposureError: A conversion lies outside the exposure of its mask.
        BusError: The modulator lost its masks, or a bus failed.
    """
    sequence = with_dark_references(patterns)
    if parts.modulator.loaded_digest != sequence.digest:
        found = "The DMD controller does not hold the masks of this scan."
        raise BusError(found, kind=BusErrorKind.OTHER, hint="load the masks again.")
    started_at_ns = parts.clock.now_ns()
    edges_before = parts.trigger.edges_seen()
    with _pass_of(parts.modulator):
        blocks = [_sample(index, len(sequence), plan, parts) for index in range(len(sequence))]
        _check_count(len(sequence), parts.trigger.edges_seen() - edges_before, parts.modulator)
    counts = np.stack(blocks)
    raw = RawScan(
        counts=counts[DARK_PATTERNS:],
        full_scale_counts=parts.detector.full_scale_counts,
        pattern_digest=patterns.digest,
        started_at_ns=started_at_ns,
        duration_ns=parts.clock.now_ns() - started_at_ns,
    )
    return raw, _dark_reference(counts, started_at_ns)


@contextlib.contextmanager
def _pass_of(modulator: PatternModulator) -> Iterator[None]:
    """Start, and stop whatever happens; the first error is the one that is told."""
    modulator.start()
    try:
        yield
    except LsiError:
        with contextlib.suppress(LsiError):
            modulator.stop()
        raise
    modulator.stop()


def _sample(index: int, total: int, plan: ScanPlan, parts: ScanParts) -> NDArray[np.uint16]:
    """Counts (2, S) of pattern ``index``; returns when the next pulse may come."""
    edge_ns = parts.trigger.advance(plan.trigger_timeout_ns)
    parts.clock.wait_until_ns(edge_ns + plan.settle_ns)
    blocks = [parts.detector.read_block() for _ in range(plan.blocks_per_pattern)]
    exposure_end_ns = edge_ns + plan.exposure_ns
    early_ns = edge_ns + plan.settle_ns - blocks[0].started_at_ns
    late_ns = blocks[-1].ended_at_ns - exposure_end_ns
    if early_ns > 0 or late_ns > 0:
        missed = f"{early_ns} ns before" if early_ns > 0 else f"{late_ns} ns after"
        found = f"Pattern {index} of {total}: a conversion lies {missed} the usable part of its exposure."
        raise ExposureError(found, hint="raise scan.exposure_us or lower scan.blocks_per_pattern.")
    parts.clock.wait_until_ns(exposure_end_ns + REARM_NS)
    return np.concatenate([block.counts for block in blocks], axis=1)


def _check_count(asked: int, edges: int, modulator: PatternModulator) -> None:
    """Edges on the wire and the controller's own opinion must both fit."""
    if edges != asked:
        found = f"{edges} exposures were started, {asked} were asked for."
        raise TriggerCountError(found, hint="check the trigger wires for bounce and noise.")
    if modulator.is_running():
        found = f"After {asked} triggers the controller still has patterns to show: a pulse was lost."
        raise TriggerCountError(found, hint="check the wire to TRIG_IN_1.")


def _dark_reference(counts: NDArray[np.uint16], taken_at_ns: int) -> DarkReference:
    """Arm + from all-off (pattern 0), arm - from all-on (pattern 1)."""
    dark = np.stack([counts[0, 0], counts[1, 1]]).astype(np.float64)
    return DarkReference(dark.mean(axis=1), dark.std(axis=1), taken_at_ns)
