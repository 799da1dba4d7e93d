"""How long a device takes from the bundle's file to a model that may run, check by check.

Every round is a process of its own that loads once, as a device does at start; imports are not
counted. The floor is reading the file and hashing it once.

    python -m benchmarks.bundle_load --json
"""

import argparse
import datetime as dt
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.report import Figure, report
from edge_app.bundles.admission import Check, Terms, admit
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.bundles import shipped_bundle
from lab.signed_copy import SignedCopy, signed_copy
from lsi.disclosure import PayloadMode
from lsi.key_files import read_public_key
from lsi.units import NS_PER_MS

GOAL_MS: Final = 300.0
ROUNDS: Final = 9
FLOOR: Final = "read_and_sha256"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bundle_load", description=__doc__)
    parser.add_argument("--bundle", type=Path, metavar="FILE", help="default: the shipped one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one-load-with", type=Path, metavar="PUB", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.one_load_with is not None:
        print(json.dumps(_one_load(parsed.bundle, parsed.one_load_with)))
        return 0
    with tempfile.TemporaryDirectory(prefix="lsi-bench-") as folder:
        signed = signed_copy(parsed.bundle or shipped_bundle(), Path(folder))
        rounds = [_in_a_process(signed) for _ in range(parsed.rounds)]
    medians = {name: float(np.median([times[name] for times in rounds])) for name in rounds[0]}
    slowest_ms = max(sum(times[check] for check in Check) for times in rounds)
    print(report("bundle_load", _figures(medians, slowest_ms), as_json=parsed.json))
    return 0


def _figures(medians: dict[str, float], slowest_ms: float) -> list[Figure]:
    floor = {f"{FLOOR}_ms": medians[FLOOR]}
    load_ms = sum(medians[check] for check in Check)
    beside = {**floor, "slowest_round_ms": slowest_ms}
    figures = [Figure("load_ms", load_ms, "ms", f"under {GOAL_MS:g} ms", load_ms < GOAL_MS, beside)]
    return figures + [Figure(f"{check} ms", medians[check], "ms", None, None, floor) for check in Check]


def _in_a_process(signed: SignedCopy) -> dict[str, float]:
    arguments = ["--bundle", str(signed.bundle), "--one-load-with", str(signed.public_key)]
    command = [sys.executable, "-m", "benchmarks.bundle_load", *arguments]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - ourselves
    times: dict[str, float] = json.loads(run.stdout)
    return times


def _one_load(bundle: Path, key: Path) -> dict[str, float]:
    """Wall-clock milliseconds of each check of one load, and of the floor."""
    board, today = find_board(SIMULATED_BOARD), dt.datetime.now(dt.UTC).date()
    marks = [time.perf_counter_ns()]
    terms = Terms((read_public_key(key),), False, board.provides, PayloadMode.ATTR_LITE, today)
    admit(bundle, terms, lambda _check, _remark: marks.append(time.perf_counter_ns()))
    times = {str(check): ns / NS_PER_MS for check, ns in zip(Check, np.diff(marks), strict=True)}
    started_ns = time.perf_counter_ns()
    hashlib.sha256(bundle.read_bytes()).digest()
    return {**times, FLOOR: (time.perf_counter_ns() - started_ns) / NS_PER_MS}


if __name__ == "__main__":
    sys.exit(main())
