"""Whether the host keeps up with a co-processor at the full rate of the mirrors.

A second process plays the co-processor: bytes built beforehand, written into a pseudo
terminal at the pace of the masks. If the host is late they pile up and the rate falls.
The time per frame is measured without terminal and process, on bytes from memory.

    python -m benchmarks.coproc_throughput --seconds 60 --json
"""

import argparse
import os
import select
import struct
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.report import Figure, report
from firmware.acquisition.coproc_scan import CoprocAcquisition
from firmware.acquisition.correction import correct
from firmware.acquisition.scan import ScanParts, run_scan
from firmware.acquisition.sequence import DARK_PATTERNS, sequence_of
from firmware.buses.serial_port import SerialPort
from firmware.clock import MonotonicClock
from firmware.drivers.coproc import Coproc, CoprocSettings
from firmware.drivers.coproc_frames import FrameReader, Kind, encode_frame
from firmware.drivers.coproc_link import CoprocLink, SerialDevice
from firmware.interfaces import Advance, Clock
from firmware.sim.clock import SimClock
from lsi.errors import LsiError
from lsi.measurement import ArmLayout, CountScale, ScanPlan
from lsi.patterns import PatternSet
from lsi.units import NS_PER_MS, NS_PER_S

MASKS_PER_S: Final = 9_500
FRAME_MS: Final = 0.5
EXPOSURE_NS: Final = 105_000
SAMPLES: Final = 6
BATCH_MASKS: Final = 73
"""Exposures of 28 bytes in the firmware's 2048."""
SCALE: Final = CountScale(0xFFFF, 2.5 / 65536)
PLAN: Final = ScanPlan(EXPOSURE_NS, 15_000, SAMPLES, 500 * NS_PER_MS)
_PASSES: Final = 255
_TIMING: Final = struct.pack("<IHHI", 125_000_000, 2, 133, 938)
_STILL_EXPOSED: Final = 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a pass and how many of its masks are over when they may be sent."""

    after_masks: int
    sent: bytes


@dataclass(frozen=True, slots=True)
class Sustained:
    """What came of a run over the terminal."""

    masks_per_s: float
    lost_masks: int
    cpu_share: float


class IdleModulator:
    """A modulator without a wire."""

    def __init__(self, sequence: PatternSet) -> None:
        self.loaded_digest: str | None = sequence.digest

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        """Nothing to load."""

    def start(self) -> None:
        """Nothing to start."""

    def is_running(self) -> bool:
        """A pass is over when it is asked about."""
        return False

    def stop(self) -> None:
        """Nothing to stop."""


class Replay:
    """The co-processor's answers, from memory.

    Args:
        patterns: Of a pass, dark ones included.
    """

    def __init__(self, patterns: int) -> None:
        self._reader = FrameReader()
        self._passes = [_pass(number, patterns) for number in range(_PASSES + 1)]
        self._number = 0

    def answers(self, sent: bytes) -> Iterator[Chunk]:
        """What follows on commands."""
        for frame in self._reader.feed(sent):
            reply = frame.kind | Kind.REPLY
            if frame.kind == Kind.ARM:
                self._number = frame.payload[0]
                yield Chunk(0, encode_frame(reply, frame.sequence, frame.payload[:1]))
                yield from self._passes[self._number]
            elif frame.kind == Kind.STOP:
                summary = self._passes[self._number][-1].sent[10:-4]
                yield Chunk(0, encode_frame(reply, frame.sequence, summary))
            else:
                yield Chunk(0, encode_frame(reply, frame.sequence, _TIMING))


class MemoryLine:
    """``SerialDevice`` that has every answer at once."""

    def __init__(self, patterns: int) -> None:
        self._replay = Replay(patterns)
        self._incoming = b""

    def write(self, sent: bytes) -> None:
        """Queue the answers."""
        self._incoming += b"".join([chunk.sent for chunk in self._replay.answers(sent)])

    def read(self, timeout_ms: int) -> bytes:
        """All of them."""
        del timeout_ms
        received, self._incoming = self._incoming, b""
        return received


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coproc_throughput", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of masks")
    parser.add_argument("--frames", type=int, default=400, help="frames for the time per frame")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, type=int, metavar=("FD", "PATTERNS"), help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.serve:
        serve(*parsed.serve)
        return 0
    figures = _frame_figures(parsed.frames)
    for masks in (16, 64):
        figures += _sustained_figures(masks, parsed.seconds)
    print(report("coproc_throughput", figures, as_json=parsed.json))
    return 0


def serve(master: int, patterns: int) -> None:
    """Play the co-processor on a terminal's master until it is hung up."""
    replay, clock, sent_masks = Replay(patterns), MonotonicClock(), 0
    started_ns = 0
    print("ready", flush=True)
    while True:
        try:
            commands = os.read(master, 4096)
        except OSError:
            return
        started_ns = started_ns or clock.now_ns()
        for chunk in replay.answers(commands):
            due_masks = sent_masks + chunk.after_masks
            clock.wait_until_ns(started_ns + due_masks * NS_PER_S // MASKS_PER_S)
            _write_all(master, chunk.sent)
            if chunk.after_masks == patterns and chunk.sent[3] == Kind.END:
                sent_masks += patterns


def sustain(masks: int, seconds: float) -> Sustained:
    """Pass after pass over a terminal for ``seconds``."""
    patterns, lost, passes = masks + DARK_PATTERNS, 0, 0
    sequence = _sequence(masks)
    with ExitStack() as stack:
        path = stack.enter_context(_served(patterns))
        port = SerialPort(path)
        stack.callback(port.close)
        acquisition = _acquisition(port, sequence, MonotonicClock())
        acquisition.acquire(patterns)
        started_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
        while time.monotonic_ns() - started_ns < seconds * NS_PER_S:
            passes += 1
            try:
                acquisition.acquire(patterns)
            except LsiError:
                lost += patterns
        elapsed_ns = time.monotonic_ns() - started_ns
        cpu_ns = time.process_time_ns() - cpu_ns
    return Sustained(passes * patterns * NS_PER_S / elapsed_ns, lost, cpu_ns / elapsed_ns)


def _sustained_figures(masks: int, seconds: float) -> list[Figure]:
    found = sustain(masks, seconds)
    # The first pass sets the pace; what is left of the last one is not counted.
    enough = found.masks_per_s >= 0.995 * MASKS_PER_S
    beside = {"masks_per_s_offered": float(MASKS_PER_S), "seconds": seconds}
    return [
        Figure(f"coproc_lost_masks_d{masks}", found.lost_masks, "masks", "0", found.lost_masks == 0, beside),
        Figure(
            f"coproc_masks_per_s_d{masks}",
            found.masks_per_s,
            "1/s",
            f">= {MASKS_PER_S} less 0.5 %",
            enough,
            beside,
        ),
        Figure(f"coproc_cpu_share_d{masks}", 100 * found.cpu_share, "% of a core", None, None, beside),
    ]


def frame_ms(frames: int) -> float:
    """Median CPU time of a frame of 64 masks, from the command to its measurement."""
    acquisition, patterns = _in_memory()
    parts = ScanParts(acquisition.modulator, acquisition, acquisition.clock)
    return _median_ms(lambda: correct(*run_scan(patterns, parts)), frames)


def _frame_figures(frames: int) -> list[Figure]:
    acquisition, patterns = _in_memory()
    in_pass = len(patterns) + DARK_PATTERNS
    acquire_ms = _median_ms(lambda: acquisition.acquire(in_pass), frames)
    value_ms = frame_ms(frames)
    beside = {"acquire_ms": acquire_ms, "bare_check_ms": _median_ms(_bare_check(len(patterns)), frames)}
    return [Figure("coproc_frame_ms", value_ms, "ms of CPU", f"<= {FRAME_MS}", value_ms <= FRAME_MS, beside)]


def _in_memory(masks: int = 64) -> tuple[CoprocAcquisition, PatternSet]:
    sequence = _sequence(masks)
    acquisition = _acquisition(MemoryLine(masks + DARK_PATTERNS), sequence, SimClock())
    return acquisition, PatternSet(sequence.masks[DARK_PATTERNS:])


def _bare_check(masks: int) -> Callable[[], object]:
    """The floor: the bytes of a pass joined and their checks computed, nothing kept."""
    chunks = [chunk.sent for chunk in _pass(1, masks + DARK_PATTERNS)]
    return lambda: FrameReader().feed(b"".join(chunks))


def _acquisition(port: SerialDevice, sequence: PatternSet, clock: Clock) -> CoprocAcquisition:
    coproc = Coproc(CoprocLink(port, clock), PLAN, CoprocSettings(20_000_000))
    return CoprocAcquisition(PLAN, IdleModulator(sequence), coproc, SCALE, clock)


def _sequence(masks: int) -> PatternSet:
    patterns = np.random.default_rng(1).integers(0, 2, (masks, 64, 64)).astype(np.bool_)
    return sequence_of(PatternSet(patterns), ArmLayout.TWO)


def _pass(number: int, patterns: int) -> list[Chunk]:
    """The frames of one pass: all-off and all-on dark in one arm each, then light in both."""
    words = np.random.default_rng(number).integers(0x1000, 0x2000, (patterns, SAMPLES + 1, 2)).astype("<u2")
    words[0, :, 1] -= 0x9000
    words[1, :, 0] -= 0x9000
    words[:, -2] = (_STILL_EXPOSED, 0)
    chunks = []
    for sequence, first in enumerate(range(0, patterns, BATCH_MASKS)):
        part = words[first : first + BATCH_MASKS]
        payload = struct.pack("<BBHI", number, 0, len(part), first) + part.tobytes()
        chunks.append(Chunk(first + len(part), encode_frame(Kind.DATA, sequence, payload)))
    summary = struct.pack("<BBIII", number, 0, patterns, patterns, 0)
    return [*chunks, Chunk(patterns, encode_frame(Kind.END, len(chunks), summary))]


@contextmanager
def _served(patterns: int) -> Iterator[Path]:
    """A terminal with the second process at its other end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    command = [sys.executable, "-m", "benchmarks.coproc_throughput", "--serve", str(master), str(patterns)]
    path = Path(os.ttyname(slave))
    with subprocess.Popen(command, pass_fds=[master], stdout=subprocess.PIPE) as process:  # noqa: S603 - this program itself
        os.close(master)
        try:
            if process.stdout is not None:
                process.stdout.readline()
            yield path
        finally:
            # The last end of the terminal: the other process reads an error and ends.
            os.close(slave)


def _write_all(descriptor: int, sent: bytes) -> None:
    while sent:
        select.select([], [descriptor], [])
        sent = sent[os.write(descriptor, sent) :]


def _median_ms(step: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started_ns = time.process_time_ns()
        step()
        times.append(time.process_time_ns() - started_ns)
    return float(np.median(times)) / NS_PER_MS


if __name__ == "__main__":
    sys.exit(main())
