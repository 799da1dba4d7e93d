"""What cutting an oversampled pass costs our own code: from blocks in memory to ``PassSamples``.

Blocks are those of a stream of three channels at 9.4 us; the modulator does nothing. The
floor is copying the same blocks.

    python -m benchmarks.oversampled_replay --json
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure, report
from firmware.acquisition.oversampled import OversampledAcquisition
from firmware.acquisition.sequence import DARK_PATTERNS
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, Advance, StreamBlock, StreamRole
from firmware.sim.clock import SimClock
from lsi.measurement import CountScale, ScanPlan
from lsi.patterns import PatternSet
from lsi.units import NS_PER_MS, NS_PER_US

ROUNDS: Final = 300
MASKS: Final = 64
SAMPLES: Final = 8
GOAL_MS: Final = 0.5
EXPOSURE_US: Final = 400
SPACING_NS: Final = 9_400
GAP_NS: Final = 150_000
BLOCK_SAMPLES: Final = 510
_LOW, _HIGH = 2_000, 50_000


@dataclass(slots=True)
class ReplayStream:
    """``SampleStream`` from memory, from the beginning after every :meth:`rewind`."""

    blocks: Sequence[StreamBlock]
    roles: Sequence[StreamRole] = (StreamRole.ARM_PLUS, StreamRole.ARM_MINUS, StreamRole.TRIGGER)
    scale: CountScale = field(default_factory=lambda: CountScale(65_535, 2.5 / 65_536))
    _next: int = 0

    def rewind(self) -> None:
        """From the first block again."""
        self._next = 0

    def read(self) -> StreamBlock:
        """The next block."""
        self._next += 1
        return self.blocks[self._next - 1]


class StillModulator:
    """A modulator that is asked nothing that costs time; a start rewinds the stream."""

    def __init__(self, stream: ReplayStream) -> None:
        self.loaded_digest: str | None = None
        self._stream = stream

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        """Only the name is kept."""
        del exposure_ns, advance
        self.loaded_digest = sequence.digest

    def start(self) -> None:
        """Begin a pass."""
        self._stream.rewind()

    def is_running(self) -> bool:
        """A pass is over when it is asked about."""
        return False

    def stop(self) -> None:
        """Nothing to stop."""


def replayed(patterns: int) -> OversampledAcquisition:
    """The acquisition over a pass of ``patterns`` in memory."""
    stream = ReplayStream(_pass_blocks(patterns))
    plan = ScanPlan(EXPOSURE_US * NS_PER_US, 20 * NS_PER_US, SAMPLES, NS_PER_MS)
    return OversampledAcquisition(plan, StillModulator(stream), stream, SimClock())


def measure_ms(patterns: int, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Median CPU time of one pass, the least of all, and the median of copying its blocks, in ms."""
    acquisition = replayed(patterns)
    blocks = _pass_blocks(patterns)
    room = np.zeros((sum(len(block.counts) for block in blocks), 3), np.uint16)
    ours = [cpu_ms(lambda: acquisition.acquire(patterns)) for _ in range(rounds)]
    floor = [cpu_ms(lambda: _copied(blocks, room)) for _ in range(rounds)]
    return float(np.median(ours)), min(ours), float(np.median(floor))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oversampled_replay", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    ours_ms, least_ms, floor_ms = measure_ms(MASKS + DARK_PATTERNS, parsed.rounds)
    beside = {"least_ms": least_ms, "copy_ms": floor_ms}
    goal = f"at most {GOAL_MS} ms"
    figure = Figure("oversampled_pass_ms", ours_ms, "ms of CPU", goal, ours_ms <= GOAL_MS, beside)
    print(report("oversampled_replay", [figure], as_json=parsed.json))
    return 0


def _pass_blocks(patterns: int) -> list[StreamBlock]:
    """Blocks from just before a pass to two exposures after it."""
    exposure_ns = EXPOSURE_US * NS_PER_US
    blocks: list[StreamBlock] = []
    started_ns = 0
    while started_ns < (patterns + 2) * exposure_ns:
        times_ns = started_ns + np.arange(BLOCK_SAMPLES) * SPACING_NS
        ended_ns = int(times_ns[-1]) + SPACING_NS
        blocks.append(StreamBlock(_counts(times_ns - exposure_ns // 4, patterns), started_ns, ended_ns))
        started_ns = ended_ns + GAP_NS
    return blocks


def _counts(times_ns: NDArray[np.int64], patterns: int) -> NDArray[np.uint16]:
    pattern, within_ns = np.divmod(times_ns, EXPOSURE_US * NS_PER_US)
    is_high = (pattern >= 0) & (pattern < patterns)
    is_high &= within_ns < (EXPOSURE_US - TRIG_OUT_1_EARLY_FALL_US) * NS_PER_US
    level = np.select([pattern == 0, pattern == 1], [2_000, 58_000], 20_000 + 10 * pattern)
    plus = level + times_ns // SPACING_NS % 7
    columns = [plus, 60_000 - plus, np.where(is_high, _HIGH, _LOW)]
    return np.ascontiguousarray(np.stack(columns, axis=1).astype(np.uint16))


def _copied(blocks: Sequence[StreamBlock], room: NDArray[np.uint16]) -> None:
    first = 0
    for block in blocks:
        room[first : first + len(block.counts)] = block.counts
        first += len(block.counts)


def cpu_ms(step: Callable[[], object]) -> float:
    """CPU time of one call of ``step``."""
    started_ns = time.process_time_ns()
    step()
    return (time.process_time_ns() - started_ns) / NS_PER_MS


if __name__ == "__main__":
    sys.exit(main())
