"""Which samples of a free-running pass belong to which pattern, by the digitised trigger.

The waveform of TRIG_OUT_1 that this reads, and that a driver has to program for
``Advance.FREE_RUNNING``: high from the start of each exposure to
``TRIG_OUT_1_EARLY_FALL_US`` before its end (rising delay 0, falling delay
``-TRIG_OUT_1_EARLY_FALL_US`` in command 0x1A1D), exposures back to back, no dark time::

    exposure   |------ pattern 0 ------|------ pattern 1 ------|-- ... --|  P-1  |
                ___________________     ___________________     __         _____
    TRIG_OUT_1 |                   |___|                   |___|           |     |_________
                            early fall                                       seen low

Without the early fall TRIG_OUT_1 would stay high from the first pattern to the last.
What a DLPC900 makes of a falling delay of -20 us between patterns without dark time is
U: not yet seen on an oscilloscope.

Blocks have time unseen between them. Within a block edges are counted; across a gap the
time stamps tell how many exposures passed. Where they cannot tell, the scan fails. The
stream may begin within pattern 0, as far as enough of it is left. The end of the pass has to
be seen: the trigger low where one more exposure would have been.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.stream_record import StreamRecord
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, StreamRole
from lsi.errors import ExposureError, ScanError, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.units import NS_PER_US

MIN_SWING: Final = 1 / 8
"""Least swing of the trigger channel, in parts of full scale; less is a stuck line."""
WIDTH_TOLERANCE: Final = 0.1
"""By how much an exposure may differ from the one asked for."""
MIN_KEPT: Final = 0.5
"""Least part of the samples of a pattern that must have been seen."""

_HYSTERESIS: Final = 0.1  # either side of the middle, in parts of the swing
# How far an exposure may lie from the even spacing: in exposures, with the samples that
# blur its edge, or across a gap. There, with the doubts of a hidden edge and of the time
# stamps, it has to stay below one half.
_STEP_JITTER: Final = 0.02
_STEP_SAMPLES: Final = 1.5
_STEP_TOLERANCE: Final = 0.2
_UNAMBIGUOUS: Final = 0.5
_MOST_OVERHEAD: Final = 0.1  # of the time between a block's stamps

_WIRE_HINT: Final = "check the trigger wires for bounce and noise."

_Indices = NDArray[np.intp]
_Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Windows:
    """Where the samples of each pattern lie in a record.

    ``rows`` (P, S) are sample indices. Where a gap left a pattern fewer than S samples, some
    are named twice; ``dropped_count`` is how many were missing, all patterns together.
    """

    rows: _Indices
    dropped_count: int

    def __repr__(self) -> str:
        return f"Windows(shape={self.rows.shape}, dropped_count={self.dropped_count})"


@dataclass(frozen=True, slots=True)
class Waveform:
    """What the trigger channel is expected to show, all in nanoseconds.

    ``high_ns`` of each ``exposure_ns`` are high. ``settle_ns`` after a rise and ``tail_ns``
    before a fall are not used; the samples between a fall and the end of its exposure never are.
    """

    exposure_ns: int
    high_ns: int
    settle_ns: int
    tail_ns: int

    @classmethod
    def of(cls, plan: ScanPlan, tail_ns: int = 0) -> "Waveform":
        """The waveform of ``plan``."""
        high_ns = plan.exposure_ns - TRIG_OUT_1_EARLY_FALL_US * NS_PER_US
        return cls(plan.exposure_ns, high_ns, plan.settle_ns, tail_ns)

    def usable_samples(self, spacing_ns: float) -> int:
        """Samples of the shortest exposure that would be accepted."""
        usable_ns = (1 - WIDTH_TOLERANCE) * self.high_ns - self.settle_ns
        return max(int(usable_ns / spacing_ns) + int(-self.tail_ns // spacing_ns), 0)


@dataclass(slots=True)
class _Blocks:
    """When each block's samples were taken: ``origin_ns + (i - first) * spacing_ns``, give or take.

    What every block takes longer than its samples shifts all of them alike and does not
    matter; what one takes longer than the quickest is doubt.
    """

    firsts: _Indices
    started_ns: _Times
    taken_ns: _Times
    steps: _Indices
    spacing_ns: float
    origin_ns: _Times = field(init=False)
    doubt_ns: _Times = field(init=False)

    def __post_init__(self) -> None:
        over_ns = self.taken_ns - self.steps * self.spacing_ns
        self.doubt_ns = (over_ns - over_ns.min()) / 2
        self.origin_ns = self.started_ns + self.doubt_ns

    def times_ns(self, samples: _Indices, block: _Indices | None = None) -> _Times:
        if block is None:
            block = np.searchsorted(self.firsts, samples, side="right") - 1
        times: _Times = self.origin_ns[block] + (samples - self.firsts[block]) * self.spacing_ns
        return times


@dataclass(slots=True)
class _Highs:
    """Stretches of high samples ``start`` to ``end`` (exclusive), none longer than its block."""

    start: _Indices
    end: _Indices
    block: _Indices
    has_rise: NDArray[np.bool_]
    has_fall: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> "_Highs":
        start, end, block = self.start[chosen], self.end[chosen], self.block[chosen]
        return _Highs(start, end, block, self.has_rise[chosen], self.has_fall[chosen])


def segment(record: StreamRecord, patterns: int, samples: int, waveform: Waveform) -> Windows:
    """One window per pattern, ``samples`` each, the middle ones.

    Args:
        record: All blocks of the pass, beginning no later than in pattern 0 and ending after it.
        patterns: How many patterns the controller was told to show.
        samples: How many of each to keep.
        waveform: What the trigger should look like.

    Raises:
        TriggerTimeoutError: The trigger channel does not change.
        TriggerCountError: Another number of exposures, one that is split, or two that are joined.
        ExposureError: Exposures of another length, or too short for ``samples``.
        ScanError: The blocks' times do not tell which exposure is which, or too little of a pattern
            was seen.
    """
    blocks = _blocks(record)
    _check_rate(blocks.spacing_ns, samples, waveform)
    seen = _highs(_levels(record, blocks), blocks, len(record))
    _check_widths(seen, blocks.spacing_ns, waveform)
    blocks = _with_spacing_of_exposures(blocks, seen, waveform)
    highs = seen.where(seen.has_rise | seen.has_fall)
    falls_ns = _falls_ns(highs, blocks, waveform)
    slots = _slots(highs, falls_ns, blocks, waveform)
    if slots[-1] + 1 != patterns:
        found = f"{slots[-1] + 1} exposures were seen, {patterns} were asked for."
        raise TriggerCountError(found, hint="the trigger wire; less load, if the first ones are missing.")
    _check_first(seen, highs, falls_ns[0], blocks, waveform)
    _check_last(seen, highs, falls_ns[-1], blocks, (len(record), waveform))
    return _windows(highs, slots, waveform, blocks.spacing_ns, (patterns, samples))


def _blocks(record: StreamRecord) -> _Blocks:
    """Spacing from the block that took the least time per sample: an upper bound."""
    firsts, started_ns = record.firsts, record.started_ns
    steps = np.append(firsts[1:], len(record)) - firsts - 1
    taken_ns = record.ended_ns - started_ns
    if not steps.any():
        raise ScanError("Blocks of single samples have no spacing.", hint="longer messages.")
    spacing_ns = float((taken_ns[steps > 0] / steps[steps > 0]).min())
    return _Blocks(firsts, started_ns, taken_ns, steps, spacing_ns)


def _with_spacing_of_exposures(blocks: _Blocks, highs: _Highs, waveform: Waveform) -> _Blocks:
    """Spacing from the exposures within blocks, where there are any.

    The controller's quartz does not know what a call costs, which the time stamps contain.
    """
    is_pair = highs.has_fall[1:] & highs.has_fall[:-1] & (highs.block[1:] == highs.block[:-1])
    samples = (highs.end[1:] - highs.end[:-1])[is_pair]
    if not len(samples):
        return blocks
    spacing_ns = waveform.exposure_ns * len(samples) / int(samples.sum())
    least_ns = (1 - _MOST_OVERHEAD) * blocks.spacing_ns
    spacing_ns = min(max(spacing_ns, least_ns), blocks.spacing_ns)
    return _Blocks(blocks.firsts, blocks.started_ns, blocks.taken_ns, blocks.steps, spacing_ns)


def _check_rate(spacing_ns: float, samples: int, waveform: Waveform) -> None:
    low_ns = waveform.exposure_ns - waveform.high_ns
    if spacing_ns >= low_ns:
        found = f"A sample every {spacing_ns:.0f} ns cannot see the trigger low for {low_ns} ns."
        raise ExposureError(found, hint="raise converter.spi_hz.")
    usable = waveform.usable_samples(spacing_ns)
    if samples > usable:
        found = f"{samples} samples every {spacing_ns:.0f} ns do not fit: {usable} do."
        raise ExposureError(found, hint="raise scan.exposure_us or lower scan.samples_per_pattern.")


def _levels(record: StreamRecord, blocks: _Blocks) -> NDArray[np.bool_]:
    """(N,) bool: high. Between the two thresholds the level before stays."""
    trigger = record.channel(StreamRole.TRIGGER)
    low, high = int(trigger.min()), int(trigger.max())
    if high - low < MIN_SWING * record.full_scale_counts:
        found = "The trigger channel does not change."
        raise TriggerTimeoutError(found, hint="the wire from TRIG_OUT_1 and its divider.")
    middle, margin = (low + high) / 2, (high - low) * _HYSTERESIS
    above, below = trigger > middle + margin, trigger < middle - margin
    decided = above | below
    if decided.all():
        return above
    decided[blocks.firsts] = True
    above[blocks.firsts] = trigger[blocks.firsts] > middle
    last = np.maximum.accumulate(np.where(decided, np.arange(len(trigger)), 0))
    levels: NDArray[np.bool_] = above[last]
    return levels


def _highs(levels: NDArray[np.bool_], blocks: _Blocks, size: int) -> _Highs:
    """Every stretch of high samples, cut where a block ends."""
    cut = np.empty(size, np.bool_)
    cut[0] = True
    np.not_equal(levels[1:], levels[:-1], out=cut[1:])
    cut[blocks.firsts] = True
    start = np.flatnonzero(cut)
    end = np.empty_like(start)
    end[:-1], end[-1] = start[1:], size
    is_high = levels[start]
    start, end = start[is_high], end[is_high]
    block = np.searchsorted(blocks.firsts, start, side="right") - 1
    first = blocks.firsts[block]
    return _Highs(start, end, block, start != first, end != first + blocks.steps[block] + 1)


def _check_widths(highs: _Highs, spacing_ns: float, waveform: Waveform) -> None:
    """Complete ones within the tolerance, cut ones not longer; one sample either way is the edges' doubt."""
    widths_ns = (highs.end - highs.start) * spacing_ns
    shortest_ns, longest_ns = ((1 + sign * WIDTH_TOLERANCE) * waveform.high_ns for sign in (-1, 1))
    is_complete = highs.has_rise & highs.has_fall
    is_wrong = widths_ns - spacing_ns > longest_ns
    is_wrong |= is_complete & (widths_ns + spacing_ns < shortest_ns)
    if not is_wrong.any():
        return
    usual_ns = float(np.median(widths_ns[is_complete])) if is_complete.any() else 0.0
    if is_complete.any() and not shortest_ns <= usual_ns <= longest_ns:
        found = f"The trigger is high for {usual_ns:.0f} ns, expected were {waveform.high_ns}."
        raise ExposureError(found, hint="load the masks again; the controller has another exposure.")
    found = f"{int(is_wrong.sum())} of {len(is_wrong)} exposures are split or joined on the trigger channel."
    raise TriggerCountError(found, hint=_WIRE_HINT)


def _falls_ns(highs: _Highs, blocks: _Blocks, waveform: Waveform) -> _Times:
    """When each exposure's trigger falls; reckoned from its rise where the fall was not seen."""
    half_ns = blocks.spacing_ns / 2
    falls_ns = blocks.times_ns(highs.end - 1, highs.block) + half_ns
    hidden = np.flatnonzero(~highs.has_fall)
    rises_ns = blocks.times_ns(highs.start[hidden], highs.block[hidden]) - half_ns
    falls_ns[hidden] = rises_ns + waveform.high_ns
    return falls_ns


def _slots(highs: _Highs, falls_ns: _Times, blocks: _Blocks, waveform: Waveform) -> _Indices:
    """Number of the exposure of each stretch, from 0; two of one exposure have a gap between."""
    if not len(falls_ns):
        raise TriggerCountError("No exposure was seen.", hint=_WIRE_HINT)
    steps = (falls_ns[1:] - falls_ns[:-1]) / waveform.exposure_ns
    whole = np.rint(steps)
    crosses = highs.block[1:] != highs.block[:-1]
    # Of the time stamps, where a gap lies between, and of falls that were not seen.
    doubts_ns = blocks.doubt_ns[highs.block]
    doubt_ns = (doubts_ns[1:] + doubts_ns[:-1]) * crosses
    is_reckoned = ~highs.has_fall
    in_block = _STEP_JITTER + _STEP_SAMPLES * blocks.spacing_ns / waveform.exposure_ns
    allowed = doubt_ns / waveform.exposure_ns + np.where(crosses, _STEP_TOLERANCE, in_block)
    allowed += WIDTH_TOLERANCE * is_reckoned[1:] + WIDTH_TOLERANCE * is_reckoned[:-1]
    if (allowed >= _UNAMBIGUOUS).any():
        found = f"A block's time stamps are uncertain by {doubt_ns.max() / NS_PER_US:.0f} us."
        raise ScanError(found, hint="real-time priority for the scan, or a longer scan.exposure_us.")
    is_split = crosses & ~highs.has_fall[:-1] & ~highs.has_rise[1:]
    is_next = (whole == 1) | (crosses & (whole > 1))
    fits = (np.abs(steps - whole) <= allowed) & (is_next | (is_split & (whole == 0)))
    if not fits.all():
        found = f"{int((~fits).sum())} exposures do not follow the one before in step."
        raise TriggerCountError(found, hint=_WIRE_HINT)
    slots = np.zeros(len(falls_ns), np.intp)
    np.cumsum(whole, out=slots[1:], dtype=np.intp)
    return slots


def _check_first(seen: _Highs, highs: _Highs, fall_ns: float, blocks: _Blocks, waveform: Waveform) -> None:
    """Nothing unseen lies between the beginning of the stream and the first exposure.

    Or the trigger was seen low where one before would have been.
    """
    if seen.start[0] == 0:
        began_ns = blocks.times_ns(seen.start[:1])[0]
        longest_ns = (1 + WIDTH_TOLERANCE) * waveform.high_ns
        _check_outside(fall_ns - began_ns <= longest_ns + blocks.doubt_ns.max())
        return
    _check_outside(seen.start[0] == highs.start[0])
    if highs.block[0] > 0:
        _check_seen(np.arange(highs.start[0]), fall_ns - waveform.exposure_ns, blocks, waveform)


def _check_last(
    seen: _Highs, highs: _Highs, fall_ns: float, blocks: _Blocks, bounds: tuple[int, Waveform]
) -> None:
    """Where one more exposure would have been, the trigger was seen low."""
    size, waveform = bounds
    _check_outside(seen.start[-1] == highs.start[-1])
    _check_seen(np.arange(highs.end[-1], size), fall_ns + waveform.exposure_ns, blocks, waveform)


def _check_outside(is_low: bool) -> None:  # noqa: FBT001 - an assertion of one condition
    if not is_low:
        raise TriggerCountError("The trigger channel is high outside the pass.", hint=_WIRE_HINT)


def _check_seen(samples: _Indices, fall_ns: float, blocks: _Blocks, waveform: Waveform) -> None:
    times_ns = blocks.times_ns(samples)
    doubt_ns = float(blocks.doubt_ns.max()) + (_STEP_TOLERANCE + WIDTH_TOLERANCE) * waveform.high_ns
    is_inside = (times_ns > fall_ns - waveform.high_ns + doubt_ns) & (times_ns < fall_ns - doubt_ns)
    if not is_inside.any():
        found = "The first or the last exposure of the pass was not seen to be so: samples are missing there."
        raise TriggerCountError(found, hint="scan again; less load on the processor if it stays.")


def _windows(
    highs: _Highs, slots: _Indices, waveform: Waveform, spacing_ns: float, shape: tuple[int, int]
) -> Windows:
    """The middle samples of each exposure; exposures cut by a gap one by one, the others at once."""
    patterns, samples = shape
    first, last = _usable(highs, waveform, spacing_ns)
    rows = np.empty(shape, np.intp)
    is_plain = (np.bincount(slots, minlength=patterns)[slots] == 1) & (last - first >= samples)
    middle = (first + (last - first - samples) // 2)[is_plain]
    rows[slots[is_plain]] = middle[:, None] + np.arange(samples)
    dropped_count = 0
    is_left = np.ones(patterns, np.bool_)
    is_left[slots[is_plain]] = False
    left = np.flatnonzero(is_left)
    parts = zip(np.searchsorted(slots, left), np.searchsorted(slots, left, side="right"), strict=True)
    bounds = list(zip(first.tolist(), last.tolist(), strict=True))
    dropped_count = 0
    for slot, (begin, end) in zip(left.tolist(), parts, strict=True):
        seen = [*chain.from_iterable(range(*bound) for bound in bounds[begin:end])]
        if len(seen) < max(MIN_KEPT * samples, 1):
            found = f"Pattern {slot} of {patterns}: {len(seen)} of {samples} samples, the rest was not seen."
            raise ScanError(found, hint="a longer scan.exposure_us: the stream has gaps.")
        dropped_count += max(samples - len(seen), 0)
        rows[slot] = _middle(seen, samples)
    return Windows(rows, dropped_count)


def _middle(seen: list[int], samples: int) -> list[int]:
    """``samples`` in the middle of ``seen``, or all of them and some twice."""
    if len(seen) < samples:
        return [seen[k * len(seen) // samples] for k in range(samples)]
    skipped = (len(seen) - samples) // 2
    return seen[skipped : skipped + samples]


def _usable(highs: _Highs, waveform: Waveform, spacing_ns: float) -> tuple[_Indices, _Indices]:
    """First and last (exclusive) settled sample; where an edge was not seen, counted from the other one."""
    settle, tail = (-int(-guard_ns // spacing_ns) for guard_ns in (waveform.settle_ns, waveform.tail_ns))
    usable = waveform.usable_samples(spacing_ns)
    first, last = highs.start + settle, highs.end - tail
    from_rise = np.minimum(highs.end, first + usable)
    from_fall = np.maximum(highs.start, last - usable)
    first = np.where(highs.has_rise, first, from_fall)
    last = np.where(highs.has_fall, last, from_rise)
    return first, np.maximum(first, last)
