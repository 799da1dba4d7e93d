"""A free-running pass as a stream sees it: trigger, arms and lamp over time, cut into blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, StreamBlock, StreamRole
from lsi.measurement import CountScale

LOW, HIGH = 2_000, 50_000
MOVE_NS = 12_500
ROLES = (StreamRole.ARM_PLUS, StreamRole.ARM_MINUS, StreamRole.TRIGGER)
SCALE = CountScale(65_535, 2.5 / 65_536)
EARLY_FALL_NS = TRIG_OUT_1_EARLY_FALL_US * 1_000


@dataclass(slots=True)
class Shown:
    """What the controller does: ``patterns`` exposures from ``start_ns`` on, and its faults.

    ``glitches`` are stretches (from, to) in which the trigger reads the opposite.
    """

    patterns: int
    exposure_ns: int = 400_000
    start_ns: int = 1_000_000
    glitches: list[tuple[float, float]] = field(default_factory=list)
    late_ns: dict[int, int] = field(default_factory=dict)

    @property
    def ends_ns(self) -> int:
        return self.start_ns + self.patterns * self.exposure_ns

    def bounds_ns(self) -> NDArray[np.int64]:
        """Begin of every exposure and end of the last."""
        lengths = np.full(self.patterns, self.exposure_ns)
        for k, late_ns in self.late_ns.items():
            lengths[k] += late_ns
        return self.start_ns + np.concatenate([[0], np.cumsum(lengths)])

    def trigger_at(self, times_ns: NDArray[np.float64]) -> NDArray[np.bool_]:
        high = np.zeros(len(times_ns), np.bool_)
        for begin, end in pairwise(self.bounds_ns()):
            high |= (times_ns >= begin) & (times_ns < end - EARLY_FALL_NS)
        for begin, end in self.glitches:
            high ^= (times_ns >= begin) & (times_ns < end)
        return high

    def pattern_at(self, times_ns: NDArray[np.float64]) -> NDArray[np.intp]:
        """Number of the pattern on the mirrors; -1 outside, -2 while they move."""
        bounds = self.bounds_ns()
        pattern = np.searchsorted(bounds, times_ns, side="right") - 1
        moving = (pattern >= 0) & (times_ns < bounds[pattern] + MOVE_NS)
        pattern[(pattern >= self.patterns)] = -1
        return np.where(moving, -2, pattern)


def arm_plus(pattern: NDArray[np.intp] | int) -> NDArray[np.intp]:
    """Counts of arm +, different for every pattern."""
    return 20_000 + 10 * np.asarray(pattern)


@dataclass(slots=True)
class PassStream:
    """``SampleStream`` over ``shown``; ``gaps_ns`` and ``sizes`` of blocks repeat.

    ``overhead_ns`` passes between the time stamps and the conversions, at either end.
    """

    shown: Shown
    spacing_ns: float = 9_400.0
    sizes: Sequence[int] = (511,)
    gaps_ns: Sequence[int] = (150_000,)
    overhead_ns: int = 5_000
    noise: float = 0.0
    now_ns: int = 0
    light_at: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    roles: tuple[StreamRole, ...] = ROLES
    scale: CountScale = SCALE
    blocks: int = 0

    def read(self) -> StreamBlock:
        size = self.sizes[self.blocks % len(self.sizes)]
        started_ns = self.now_ns
        times_ns = started_ns + self.overhead_ns + np.arange(size, dtype=np.float64) * self.spacing_ns
        self.now_ns = int(times_ns[-1]) + 1 + self.overhead_ns
        block = StreamBlock(self._counts(times_ns), started_ns, self.now_ns)
        self.now_ns += self.gaps_ns[self.blocks % len(self.gaps_ns)]
        self.blocks += 1
        return block

    def _counts(self, times_ns: NDArray[np.float64]) -> NDArray[np.uint16]:
        pattern = self.shown.pattern_at(times_ns)
        noise = np.random.default_rng(self.blocks).normal(0, self.noise, (len(times_ns), 2))
        light = np.ones(len(times_ns)) if self.light_at is None else self.light_at(times_ns)
        columns = {
            StreamRole.ARM_PLUS: arm_plus(pattern) * light + noise[:, 0],
            StreamRole.ARM_MINUS: (40_000 - arm_plus(pattern)) * light + noise[:, 1],
            StreamRole.TRIGGER: np.where(self.shown.trigger_at(times_ns), HIGH, LOW) + noise[:, 0],
            StreamRole.LAMP: 30_000 * light,
        }
        counts = np.stack([np.rint(columns[role]) for role in self.roles], axis=1)
        return counts.astype(np.uint16)


class StreamClock:
    """``Clock`` that tells the time up to which a stream has been read."""

    def __init__(self, stream: PassStream) -> None:
        self._stream = stream

    def now_ns(self) -> int:
        return self._stream.now_ns

    def wait_until_ns(self, deadline_ns: int) -> None:
        self._stream.now_ns = max(self._stream.now_ns, deadline_ns)
