"""A simulated co-processor under a modulator that only makes edges, and a line that damages bytes."""

import random
from dataclasses import dataclass, field

from firmware.acquisition.coproc_scan import CoprocAcquisition
from firmware.drivers.coproc import Coproc, CoprocSettings
from firmware.drivers.coproc_link import CoprocLink, SerialDevice
from firmware.interfaces import Advance, Clock
from firmware.sim.clock import SimClock
from firmware.sim.coproc_chip import SimCapture, SimCoproc
from lsi.measurement import CountScale, ScanPlan
from lsi.patterns import PatternSet

PLAN = ScanPlan(exposure_ns=105_000, settle_ns=15_000, samples_per_pattern=6, trigger_timeout_ns=20_000_000)
SCALE = CountScale(0xFFFF, 2.5 / 65536)
SPI_HZ = 20_000_000
FIRST_EDGE_NS = 300_000
DARK_NS = 2_000
"""From the trigger's fall to its next rise."""


class EdgeModulator:
    """``PatternModulator`` that shows nothing and raises the trigger once per pattern.

    ``missing``, ``extra_ns`` and ``short_ns`` are faults of one pass: patterns without an edge, further
    edges so long after the start, and how much earlier exposures end.
    """

    loaded_digest: str | None = None

    def __init__(self, clock: SimClock, patterns: int) -> None:
        self.patterns = patterns
        self.missing: set[int] = set()
        self.extra_ns: list[int] = []
        self.short_ns = 0
        self.starts = self.stops = 0
        self.first_rise_ns = 0
        self._clock = clock
        self._started_ns: int | None = None

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        assert exposure_ns == PLAN.exposure_ns
        assert advance is Advance.FREE_RUNNING
        self.patterns, self.loaded_digest = len(sequence), sequence.digest

    def start(self) -> None:
        self.starts += 1
        self.first_rise_ns = self._started_ns = self._clock.now_ns() + FIRST_EDGE_NS

    def is_running(self) -> bool:
        return self._started_ns is not None and self._clock.now_ns() < self.rise_ns(self.patterns)

    def stop(self) -> None:
        self.stops += 1
        self._started_ns = None

    def repair(self) -> None:
        self.missing, self.extra_ns, self.short_ns = set(), [], 0

    def rise_ns(self, index: int) -> int:
        assert self._started_ns is not None
        return self._started_ns + index * PLAN.exposure_ns

    def edges(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        if self._started_ns is None:
            return []
        high_ns = PLAN.exposure_ns - DARK_NS - self.short_ns
        rises = [self.rise_ns(index) for index in range(self.patterns) if index not in self.missing]
        found = [(rise, rise + high_ns) for rise in rises]
        found += [(self._started_ns + after, self._started_ns + after + 500) for after in self.extra_ns]
        return sorted(pair for pair in found if start_ns <= pair[0] < end_ns)


def volts_at(channel: int, now_ns: int) -> float:
    """A ramp that differs between channels; fine enough for every count to tell when it was taken."""
    return 0.2 + channel * 0.9 + (now_ns % 250_000_000) * 4e-9


@dataclass
class NoisyLine:
    """``SerialDevice`` that loses, flips and repeats bytes on the way to the host, by chance with a seed.

    Shares are per byte, ``repeat`` per chunk.
    """

    port: SerialDevice
    seed: int
    loss: float = 0.0
    flip: float = 0.0
    repeat: float = 0.0
    damaged: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a seed, not a secret

    def quiet(self) -> None:
        self.loss = self.flip = self.repeat = 0.0

    def write(self, sent: bytes) -> None:
        self.port.write(sent)

    def read(self, timeout_ms: int) -> bytes:
        chunk = self.port.read(timeout_ms)
        kept = bytearray()
        for byte in chunk:
            chance = self._random.random()
            if chance < self.loss:
                self.damaged += 1
            elif chance < self.loss + self.flip:
                self.damaged += 1
                kept.append(byte ^ 1 << self._random.randrange(8))
            else:
                kept.append(byte)
        if self._random.random() < self.repeat:
            self.damaged += 1
            kept += chunk
        return bytes(kept)


class Bench:
    """Everything in memory and in virtual time."""

    def __init__(self, patterns: int = 18, ring_words: int = 8192, plan: ScanPlan = PLAN) -> None:
        self.clock = SimClock()
        self.modulator = EdgeModulator(self.clock, patterns)
        self.capture = SimCapture(self.clock, volts_at, self.modulator.edges, SCALE, ring_words)
        self.chip = SimCoproc(self.capture, self.clock)
        self.line = NoisyLine(self.chip, seed=1)
        self.acquisition = acquisition_over(self.line, self.modulator, self.clock, plan)


def acquisition_over(
    port: SerialDevice, modulator: EdgeModulator, clock: Clock, plan: ScanPlan = PLAN
) -> CoprocAcquisition:
    coproc = Coproc(CoprocLink(port, clock), plan, CoprocSettings(SPI_HZ))
    return CoprocAcquisition(plan, modulator, coproc, SCALE, clock)
