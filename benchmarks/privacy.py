"""What privacy costs and whether it holds: the guard of the way out against random results.

python -m benchmarks.privacy --json
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks.guard_fuzz import guard_figures
from benchmarks.report import report

RESULTS: Final = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--results", type=int, default=RESULTS, help="for the guard (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the guard says of each hostile message why it stopped it
    print(report("privacy", guard_figures(parsed.results), as_json=parsed.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
