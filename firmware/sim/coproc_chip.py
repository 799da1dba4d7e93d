"""The co-processor's end of the line: its own firmware on a simulated capture.

Commands and frames are handled by the files that a board runs (``hardware/coproc``);
simulated are the state machines, the DMA and the converter, at the times that the
sampling program has in the emulator.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firmware.sim.clock import SimClock
from firmware.sim.spi import VoltsAt
from hardware.coproc.ports import Capture, Line
from hardware.coproc.session import Session
from hardware.coproc.timing import CLOSING_CYCLES, EDGE_CYCLES, FRAME_CYCLES
from lsi.errors import BusError, BusErrorKind
from lsi.measurement import CountScale
from lsi.units import NS_PER_MS, NS_PER_S, NS_PER_US

CLOCK_HZ: Final = 125_000_000
RING_WORDS: Final = 8192
_SIGN: Final = 0x8000
_STILL_EXPOSED: Final = 0b10

Edges = Callable[[int, int], list[tuple[int, int]]]
"""Exposures whose edge rises from start to before end: (rise, fall), all in ns."""


@dataclass(frozen=True, slots=True)
class _Exposure:
    """One exposure that is being sampled."""

    rise_ns: int
    fall_ns: int
    ended_ns: int


class SimCapture(Capture):
    """State machines, DMA and AD7383.

    ``silent`` is a converter that does not answer, ``losing`` a FIFO that runs over: faults
    for tests.

    Args:
        clock: Virtual time.
        volts_at: What is on the converter's inputs, channel 0 being A.
        edges: The trigger's exposures.
        scale: Of the converter; its codes are two's complement around half scale.
        ring_words: Size of the memory between DMA and line.
    """

    def __init__(
        self,
        clock: SimClock,
        volts_at: VoltsAt,
        edges: Edges,
        scale: CountScale,
        ring_words: int = RING_WORDS,
    ) -> None:
        self.clock_hz = CLOCK_HZ
        self.ring_words = ring_words
        self.ring = bytearray(4 * ring_words)
        self.silent = False
        self.losing = False
        self._clock = clock
        self._volts_at = volts_at
        self._edges_between = edges
        self._scale = scale
        self._running = False
        self._guard_ns = self._spacing_ns = self._closing_ns = 0.0
        self._samples = self._masks = self._written = self._edges = 0
        self._seen_ns = self._busy_ns = 0
        self._sampling: deque[_Exposure] = deque()

    def answers(self) -> bool:
        """Whether the converter is there."""
        return not self.silent

    def start(self, divider: int, guard_loops: int, samples: int, masks: int) -> None:
        """Watch the trigger from now on; see ``Capture``."""
        cycle_ns = divider * NS_PER_S / CLOCK_HZ
        self._guard_ns = (EDGE_CYCLES + guard_loops) * cycle_ns
        self._spacing_ns = FRAME_CYCLES * cycle_ns
        self._closing_ns = CLOSING_CYCLES * cycle_ns
        self._samples, self._masks = samples, masks
        self._written = self._edges = self._busy_ns = 0
        self._seen_ns = self._clock.now_ns()
        self._sampling.clear()
        self._running = True

    def written_words(self) -> int:
        """Catch up with the trigger; see ``Capture``."""
        self._watch()
        return self._written

    def edges(self) -> int:
        """All edges since the start; see ``Capture``."""
        self._watch()
        return self._edges

    def stalled(self) -> bool:
        """A fault; see ``Capture``."""
        return self.losing

    def now_us(self) -> int:
        """Virtual time; see ``Capture``."""
        return self._clock.now_ns() // NS_PER_US

    def elapsed_us(self, since_us: int) -> int:
        """Virtual time since; see ``Capture``."""
        return self.now_us() - since_us

    def stop(self) -> None:
        """Sample no more; see ``Capture``."""
        self._watch()
        self._running = False
        self._sampling.clear()

    def _watch(self) -> None:
        now_ns = self._clock.now_ns()
        if self._seen_ns < now_ns and self._samples:
            for rise_ns, fall_ns in self._edges_between(self._seen_ns, now_ns):
                self._on_edge(rise_ns, fall_ns)
            self._seen_ns = now_ns
        while self._sampling and self._sampling[0].ended_ns <= now_ns:
            self._write(self._sampling.popleft())

    def _on_edge(self, rise_ns: int, fall_ns: int) -> None:
        """The program looks at the trigger only when it has finished the exposure before."""
        self._edges += 1
        if not self._running or rise_ns < self._busy_ns:
            return
        # K + 1 frames: a result comes out one frame after its conversion.
        self._busy_ns = rise_ns + round(self._guard_ns + (self._samples + 1) * self._spacing_ns)
        self._sampling.append(_Exposure(rise_ns, fall_ns, self._busy_ns))

    def _write(self, exposure: _Exposure) -> None:
        """K words and, before the last of them, the closing word, as the DMA puts them into the ring."""
        if self._written == self._masks * (self._samples + 1):
            return
        starts_ns = [self._guard_ns + index * self._spacing_ns for index in range(self._samples + 1)]
        words = [self._word(exposure.rise_ns + round(after_ns)) for after_ns in starts_ns[:-1]]
        closed_ns = exposure.rise_ns + round(starts_ns[-1] - self._closing_ns)
        words.insert(-1, _STILL_EXPOSED if closed_ns < exposure.fall_ns else 0)
        for word in words:
            self._put(word)

    def _word(self, now_ns: int) -> int:
        return self._code(0, now_ns) << 16 | self._code(1, now_ns)

    def _put(self, word: int) -> None:
        at = 4 * (self._written % self.ring_words)
        self.ring[at : at + 4] = word.to_bytes(4, "little")
        self._written += 1

    def _code(self, channel: int, now_ns: int) -> int:
        volts = self._volts_at(channel, now_ns) - self._scale.zero_v
        counts = int(volts / self._scale.v_per_count)
        return min(max(counts, 0), self._scale.full_scale_counts) ^ _SIGN


class SimCoproc(Line):
    """``SerialDevice``: the host's end of a line to a simulated co-processor.

    ``unplugged`` makes the line fail until it is set back: a fault for tests.
    """

    def __init__(self, capture: SimCapture, clock: SimClock) -> None:
        self.capture = capture
        self.unplugged = False
        self._clock = clock
        self._to_host = bytearray()
        self._boots = 0
        self._outgoing = _Outgoing(self._to_host)
        self._session = self._started()

    def write(self, sent: bytes | memoryview) -> None:
        """Commands; see ``SerialDevice``."""
        self._check_plugged()
        self._session.receive(bytes(sent))

    def read(self, timeout_ms: int) -> bytes:
        """What was sent since; lets time pass while there is nothing. See ``SerialDevice``."""
        self._check_plugged()
        deadline_ns = self._clock.now_ns() + timeout_ms * NS_PER_MS
        self._session.poll()
        while not self._to_host and self._clock.now_ns() < deadline_ns:
            self._clock.advance(NS_PER_MS)
            self._session.poll()
        received = bytes(self._to_host)
        self._to_host.clear()
        return received

    def restart(self) -> None:
        """A fault: everything is forgotten, and the boot frame is sent."""
        self.capture.stop()
        self._session = self._started()
        self._session.boot()

    def _started(self) -> Session:
        self._boots += 1
        return Session(0, self._boots, self.capture, self._outgoing)

    def _check_plugged(self) -> None:
        if self.unplugged:
            found = "The co-processor is gone."
            raise BusError(found, kind=BusErrorKind.NO_DEVICE, hint="plug it in.")


class _Outgoing(Line):
    """Bytes on their way to the host."""

    def __init__(self, to_host: bytearray) -> None:
        self._to_host = to_host

    def write(self, data: bytes | memoryview) -> None:
        """Queue ``data``."""
        self._to_host += data
