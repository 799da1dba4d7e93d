"""Scripted parts of a rig: each plays one line after another and complains about leftovers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firmware.interfaces import Advance, PassSamples
from lsi.errors import TriggerTimeoutError
from lsi.measurement import CountScale
from lsi.patterns import PatternSet


class ScriptedSpi:
    """``SpiDevice`` that expects exact bytes and gives exact answers, in order."""

    def __init__(self, exchanges: Sequence[tuple[bytes, bytes]]) -> None:
        self._left = list(exchanges)

    def transfer(self, sent: bytes) -> bytes:
        expected, answer = self._left.pop(0)
        assert sent == expected
        return answer

    def message(self, words: Sequence[bytes]) -> "ScriptedMessage":
        return ScriptedMessage(self, words)

    def check_done(self) -> None:
        assert self._left == []


class ScriptedClock:
    """``Clock`` that moves by ``tick_ns`` with every question and by waits."""

    def __init__(self, tick_ns: int = 0) -> None:
        self.time_ns = 0
        self._tick_ns = tick_ns

    def now_ns(self) -> int:
        self.time_ns += self._tick_ns
        return self.time_ns

    def wait_until_ns(self, deadline_ns: int) -> None:
        self.time_ns = max(self.time_ns, deadline_ns)


class ScriptedTrigger:
    """``TriggerLine`` whose edges come after given delays; ``None`` is an edge that never comes."""

    def __init__(self, clock: ScriptedClock, delays_ns: Sequence[int | None], stray_edges: int = 0) -> None:
        self._clock = clock
        self._delays_ns = list(delays_ns)
        self._edges = 0
        self._stray_edges = stray_edges

    def advance(self, timeout_ns: int) -> int:
        delay_ns = self._delays_ns.pop(0)
        if delay_ns is None or delay_ns > timeout_ns:
            self._clock.wait_until_ns(self._clock.time_ns + timeout_ns)
            raise TriggerTimeoutError("No edge.")
        self._clock.wait_until_ns(self._clock.time_ns + delay_ns)
        self._edges += 1 + self._stray_edges
        self._stray_edges = 0
        return self._clock.time_ns

    def edges_seen(self) -> int:
        return self._edges


class ScriptedModulator:
    """``PatternModulator`` that remembers what it was told."""

    def __init__(self, *, running_after: bool = False) -> None:
        self.calls: list[str] = []
        self._digest: str | None = None
        self._running_after = running_after

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        self.calls.append(f"load {len(sequence)} {exposure_ns} {advance}")
        self._digest = sequence.digest

    @property
    def loaded_digest(self) -> str | None:
        return self._digest

    def lose_masks(self) -> None:
        self._digest = None

    def start(self) -> None:
        self.calls.append("start")

    def is_running(self) -> bool:
        return self._running_after

    def stop(self) -> None:
        self.calls.append("stop")


class ScriptedMessage:
    """``SpiMessage`` that plays its words one after another."""

    def __init__(self, spi: ScriptedSpi, words: Sequence[bytes]) -> None:
        self._spi = spi
        self._words = list(words)
        self.received = np.zeros((len(words), len(words[0])), np.uint8)

    def run(self) -> None:
        for row, word in zip(self.received, self._words, strict=True):
            row[:] = np.frombuffer(self._spi.transfer(word), np.uint8)


class ScriptedDetector:
    """``BucketDetector`` that takes ``pattern_ns`` for a pattern and gives ``counts`` in the end."""

    scale = CountScale(4095, 1e-3)

    def __init__(self, clock: ScriptedClock, counts: ArrayLike, pattern_ns: int = 100) -> None:
        self._clock = clock
        self._counts = np.array(counts, np.uint16)
        self._pattern_ns = pattern_ns
        self.taken: list[int] = []

    def sampler(self, patterns: int, samples: int) -> "ScriptedDetector":
        assert self._counts.shape[::2] == (patterns, samples)
        return self

    def take(self, index: int) -> None:
        self.taken.append(index)
        self._clock.time_ns += self._pattern_ns

    def counts(self) -> NDArray[np.uint16]:
        return self._counts[self.taken]


class ScriptedAcquisition:
    """``Acquisition`` that gives ``counts`` (patterns, arms, samples)."""

    advance = Advance.TRIGGERED

    def __init__(self, clock: ScriptedClock, counts: ArrayLike, duration_ns: int = 100) -> None:
        self._clock = clock
        self._counts = np.array(counts, np.uint16)
        self._duration_ns = duration_ns
        self.asked: list[int] = []

    def acquire(self, patterns: int) -> PassSamples:
        self.asked.append(patterns)
        self._clock.time_ns += self._duration_ns
        return PassSamples(self._counts, CountScale(4095, 1e-3), dropped_count=3, trimmed_count=1)
