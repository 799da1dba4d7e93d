"""Scripted parts of a rig: each plays one line after another and complains about leftovers."""

from collections.abc import Sequence

import numpy as np

from firmware.interfaces import ArmBlock
from lsi.errors import TriggerTimeoutError
from lsi.patterns import PatternSet


class ScriptedSpi:
    """``SpiDevice`` that expects exact bytes and gives exact answers, in order."""

    def __init__(self, exchanges: Sequence[tuple[bytes, bytes]]) -> None:
        self._left = list(exchanges)

    def transfer(self, sent: bytes) -> bytes:
        expected, answer = self._left.pop(0)
        assert sent == expected
        return answer

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

    def load(self, sequence: PatternSet, exposure_ns: int) -> None:
        self.calls.append(f"load {len(sequence)} {exposure_ns}")
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


class ScriptedDetector:
    """``BucketDetector`` that gives one pair of counts per block and takes ``block_ns`` for it."""

    full_scale_counts = 4095

    def __init__(self, clock: ScriptedClock, counts: Sequence[tuple[int, int]], block_ns: int = 100) -> None:
        self._clock = clock
        self._counts = list(counts)
        self._block_ns = block_ns

    def read_block(self) -> ArmBlock:
        plus, minus = self._counts.pop(0)
        started_at_ns = self._clock.time_ns
        self._clock.time_ns += self._block_ns
        return ArmBlock(np.array([[plus] * 2, [minus] * 2], np.uint16), started_at_ns, self._clock.time_ns)
