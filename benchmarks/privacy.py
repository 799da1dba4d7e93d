"""What privacy costs and whether it holds: the guard of the way out, and attacks on what leaves.

Attacks need faces of people seen twice, and others to learn from; without them the guard alone is tried.

    python -m benchmarks.privacy --data celebahq128_val.npz --learn celebahq64_train.npz --json
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.guard_fuzz import guard_figures
from benchmarks.privacy_data import add_data, check_data
from benchmarks.report import Figure, report

RESULTS: Final = 100_000
FEW_WINDOWS: Final = 20_000
"""Enough for the bounds of epsilon; who was in a window is asked of many more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--results", type=int, default=RESULTS, help="for the guard (default: %(default)s)")
    add_data(parser, required=False)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    check_data(parser, parsed)
    logging.disable(logging.CRITICAL)  # the guard says of each hostile message why it stopped it
    figures = guard_figures(parsed.results)
    if parsed.data is not None:
        figures = [*figures, *_attacks(parsed.data, parsed.learn)]
    print(report("privacy", figures, as_json=parsed.json))
    return 0


def _attacks(data: Path, learn: Path) -> list[Figure]:
    """Counts of windows are attacked in processes of their own, a million times."""
    from benchmarks.privacy_audit import audit_figures  # noqa: PLC0415 - needs PyTorch
    from benchmarks.privacy_windows import window_figures  # noqa: PLC0415 - same

    few = audit_figures(data, learn, windows=FEW_WINDOWS)
    many = window_figures(data, learn)
    known = {figure.name for figure in many}
    return [*many, *(figure for figure in few if figure.name not in known)]


if __name__ == "__main__":
    sys.exit(main())
