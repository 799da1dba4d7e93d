"""What a scan costs our own code in each mode, and the other figures of the rig that need no bench.

Simulated chips cost far more than drivers, so buses are replaced by ones that answer from
memory: what is told is CPU time of our code, from the command to the ``Measurement``.
Beside a stepped frame stand the bare messages (the floor) and the plain loop of one
py-spidev call per conversion (the peer).

    python -m benchmarks.scan --json
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.chain_snr import measure as measure_snr
from benchmarks.coproc_throughput import frame_ms, sustain
from benchmarks.naive_erle import measure_speedup
from benchmarks.oversampled_replay import cpu_ms, replayed
from benchmarks.report import Figure, report
from firmware.acquisition.correction import correct
from firmware.acquisition.scan import ScanParts, run_scan
from firmware.acquisition.sequence import DARK_PATTERNS, sequence_of
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.drivers.mcp3208_frames import request_conversion
from firmware.interfaces import Advance
from firmware.sim.clock import SimClock
from lsi.measurement import ArmLayout, ScanPlan
from lsi.patterns import PatternSet

MASKS: Final = 64
SAMPLES: Final = 8
PATTERNS: Final = PatternSet(np.random.default_rng(0).integers(0, 2, (MASKS, 64, 64)).astype(np.bool_))
PLAN: Final = ScanPlan(1_500_000, 200_000, SAMPLES, 20_000_000)
VREF_V: Final = 3.3
GOAL_STEPPED_MS: Final = 1.0
GOAL_FREE_MS: Final = 0.5
GOAL_SPEEDUP: Final = 60
GOAL_SNR_DB: Final = 1.0
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=5.0, help="of masks from the co-processor")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    figures = [
        _stepped(parsed.rounds),
        _oversampled(parsed.rounds),
        _at_most("coproc_frame_ms", frame_ms(parsed.rounds), "ms of CPU", GOAL_FREE_MS, {}),
        _speedup(),
        *(_lost(masks, parsed.seconds) for masks in (16, 64)),
        _snr(),
    ]
    print(report("scan", figures, as_json=parsed.json))
    return 0


def _stepped(rounds: int) -> Figure:
    steps = {"ours": _ours(), "bare_messages_ms": _bare_messages(), "plain_xfer2_loop_ms": _plain_loop()}
    times = np.array([[cpu_ms(step) for step in steps.values()] for _ in range(rounds)])
    medians = dict(zip(steps, np.median(times, axis=0).tolist(), strict=True))
    return _at_most("stepped_frame_ms", medians.pop("ours"), "ms of CPU", GOAL_STEPPED_MS, medians)


def _ours() -> Callable[[], object]:
    clock, spi = SimClock(), ReplaySpi()
    controller = ReplayController(spi, clock, sequence_of(PATTERNS, ArmLayout.TWO))
    detector = Mcp3208Detector(spi, (0, 1), VREF_V)
    parts = ScanParts(controller, SteppedAcquisition(PLAN, controller, detector, controller, clock), clock)
    return lambda: correct(*run_scan(PATTERNS, parts))


def _bare_messages() -> Callable[[], object]:
    message = ReplaySpi().message([_ON] * (2 * SAMPLES))

    def run() -> None:
        for _ in range(MASKS + DARK_PATTERNS):
            message.run()

    return run


def _plain_loop() -> Callable[[], object]:
    """One call per conversion with lists, as py-spidev's xfer2 has them, and the same arithmetic."""
    words = [list(request_conversion(channel)) for channel in (0, 1, 1, 0)] * (SAMPLES // 2)

    def xfer2(sent: list[int]) -> list[int]:
        del sent
        return [0, 4, 0]

    def frame() -> NDArray[np.float64]:
        counts = []
        for _ in range(MASKS + DARK_PATTERNS):
            codes = []
            for word in words:
                received = xfer2(word)
                codes.append((received[1] & 0x0F) << 8 | received[2])
            counts.append([codes[0::4] + codes[3::4], codes[1::4] + codes[2::4]])
        arms = np.array(counts, np.float64).mean(axis=2)
        ratio: NDArray[np.float64] = (arms[:, 0] - arms[:, 1]) / arms.sum(axis=1)
        return ratio

    return frame


def _oversampled(rounds: int) -> Figure:
    acquisition = replayed(MASKS + DARK_PATTERNS)
    acquisition.modulator.load(sequence_of(PATTERNS, ArmLayout.TWO), 0)
    parts = ScanParts(acquisition.modulator, acquisition, SimClock())
    acquire_ms = _median_ms(lambda: acquisition.acquire(MASKS + DARK_PATTERNS), rounds)
    scan_ms = _median_ms(lambda: correct(*run_scan(PATTERNS, parts)), rounds)
    return _at_most("oversampled_frame_ms", scan_ms, "ms of CPU", GOAL_FREE_MS, {"acquire_ms": acquire_ms})


def _speedup() -> Figure:
    ours_s, naive_s, ours_bytes, naive_bytes = measure_speedup()
    speedup = naive_s / ours_s
    beside = {
        "ours_ms": 1e3 * ours_s,
        "naive_ms": 1e3 * naive_s,
        "ours_bytes": float(ours_bytes),
        "naive_bytes": float(naive_bytes),
    }
    holds = speedup >= GOAL_SPEEDUP and ours_bytes <= naive_bytes
    goal = f">= {GOAL_SPEEDUP}, no larger"
    return Figure("upload_encode_speedup", speedup, "ratio", goal, holds, beside)


def _lost(masks: int, seconds: float) -> Figure:
    found = sustain(masks, seconds)
    beside = {
        "masks_per_s": found.masks_per_s,
        "cpu_percent_of_a_core": 100 * found.cpu_share,
        "seconds": seconds,
    }
    name = f"coproc_lost_masks_d{masks}"
    return Figure(name, found.lost_masks, "masks", "0", found.lost_masks == 0, beside)


def _snr() -> Figure:
    rows = measure_snr()
    worst_db = max(abs(found_db - expected_db) for _, found_db, expected_db in rows)
    beside = {name: found_db for name, found_db, _ in rows}
    return _at_most("snr_error_db", worst_db, "dB", GOAL_SNR_DB, beside)


def _at_most(name: str, value: float, unit: str, goal: float, beside: dict[str, float]) -> Figure:
    return Figure(name, value, unit, f"<= {goal:g}", value <= goal, beside)


def _median_ms(step: Callable[[], object], rounds: int) -> float:
    return float(np.median([cpu_ms(step) for _ in range(rounds)]))


if __name__ == "__main__":
    sys.exit(main())
