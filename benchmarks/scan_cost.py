"""What one scan costs our own code, against a floor that answers without thinking.

The simulated chips cost far more than the drivers, so both wires are replaced by ones
that answer from memory. The floor is the bare transfers of the same scan.

    python -m benchmarks.scan_cost --json
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks.report import Figure, report
from edge_app.walsh import walsh_patterns
from firmware.board import SIMULATED_BOARD, find_board
from firmware.correction import correct
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.factory import open_rig
from firmware.interfaces import Advance
from firmware.scan import ScanParts, run_scan
from firmware.sequence import DARK_PATTERNS, sequence_of
from firmware.sim.clock import SimClock
from firmware.stepped import SteppedAcquisition
from lsi.measurement import ArmLayout
from lsi.patterns import PatternSet
from lsi.units import NS_PER_MS

BOARD: Final = find_board(SIMULATED_BOARD)
ROUNDS: Final = 200
_ON: Final = b"\x00\x04\x00"
_OFF: Final = b"\x00\x00\x40"


class ReplaySpi:
    """Answers every transfer with prepared bytes: bright, or dark for the dark patterns."""

    def __init__(self) -> None:
        self.answer = _ON

    def transfer(self, sent: bytes) -> bytes:
        """The same every time."""
        del sent
        return self.answer

    def message(self, words: Sequence[bytes]) -> "ReplayMessage":
        """As many of them."""
        return ReplayMessage(self, len(words))


class ReplayMessage:
    """A message whose answers lie ready, bright and dark."""

    def __init__(self, spi: ReplaySpi, words: int) -> None:
        self._spi = spi
        self._ready = {
            answer: np.frombuffer(answer * words, np.uint8).reshape(-1, 3) for answer in (_ON, _OFF)
        }
        self.received = self._ready[_ON]

    def run(self) -> None:
        """Answer at once."""
        self.received = self._ready[self._spi.answer]


class ReplayController:
    """A modulator and its trigger wires without a wire."""

    def __init__(self, spi: ReplaySpi, clock: SimClock, sequence: PatternSet) -> None:
        self.loaded_digest: str | None = sequence.digest
        self._spi = spi
        self._clock = clock
        self._edges = 0
        self._shown = 0

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        """Nothing to load."""

    def start(self) -> None:
        """Begin a pass."""
        self._shown = 0

    def is_running(self) -> bool:
        """A pass is over when it is asked about."""
        return False

    def stop(self) -> None:
        """Nothing to stop."""

    def advance(self, timeout_ns: int) -> int:
        """An edge at once."""
        del timeout_ns
        self._spi.answer = _OFF if self._shown < DARK_PATTERNS else _ON
        self._shown += 1
        self._edges += 1
        return self._clock.now_ns()

    def edges_seen(self) -> int:
        """As many as were asked for."""
        return self._edges


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    patterns = walsh_patterns()
    ours, floor, simulated = _ours(patterns), _floor(patterns), _simulated(patterns)
    times = np.array([[_ms(step) for step in (ours, floor, simulated)] for _ in range(parsed.rounds)])
    ours_ms, floor_ms, simulated_ms = (float(value) for value in np.median(times, axis=0))
    figures = [
        Figure("scan_ms", ours_ms, "ms of CPU", None, None, {"bare_transfers_ms": floor_ms}),
        Figure("scan_over_bare_transfers", ours_ms / floor_ms, "ratio", None, None, {"floor": 1.0}),
        Figure("simulated_scan_ms", simulated_ms, "ms of CPU", None, None, {"scan_ms": ours_ms}),
    ]
    print(report("scan_cost", figures, as_json=parsed.json))
    return 0


def _ours(patterns: PatternSet) -> Callable[[], object]:
    clock, spi = SimClock(), ReplaySpi()
    controller = ReplayController(spi, clock, sequence_of(patterns, ArmLayout.TWO))
    detector = Mcp3208Detector(spi, (0, 1), BOARD.sensor.vref_v)
    acquisition = SteppedAcquisition(BOARD.plan, controller, detector, controller, clock)
    parts = ScanParts(controller, acquisition, clock)
    return lambda: correct(*run_scan(patterns, parts))


def _floor(patterns: PatternSet) -> Callable[[], object]:
    spi = ReplaySpi()
    transfers = (len(patterns) + DARK_PATTERNS) * BOARD.plan.samples_per_pattern * 2
    return lambda: [spi.transfer(b"\x06\x00\x00") for _ in range(transfers)]


def _simulated(patterns: PatternSet) -> Callable[[], object]:
    rig = open_rig(BOARD)
    rig.load(patterns)
    return lambda: correct(*rig.scan(patterns))


def _ms(step: Callable[[], object]) -> float:
    started_ns = time.process_time_ns()
    step()
    return (time.process_time_ns() - started_ns) / NS_PER_MS


if __name__ == "__main__":
    sys.exit(main())
