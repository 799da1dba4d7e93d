"""A million windows of counts against two attackers, on the device's own noise, in several processes.

Who is in the windows is what the default bundle answers about the *report* half, seen through the forward
model of the training (``python -m benchmarks.privacy_audit`` goes through the device's own path).

    python -m benchmarks.privacy_windows --data celebahq128_val.npz --learn celebahq64_train.npz --json
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.privacy_data import add_data
from benchmarks.report import Figure, report
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit.attack import part_of
from lab.audit.bench import whole_people
from lab.audit.device_counts import DeviceCounts
from lab.audit.membership import Crowd, Tally, membership_figures, tallied
from lab.audit.people import People
from lab.audit.verdicts import Limits
from lab.audit.views import Subject, through_the_model
from lab.audit.windows import crowds
from lab.bundles import shipped_bundle
from lab.evaluate_command import tell
from lsi.bundle import read_bundle
from training.data_sets.data import DataFile, open_data

WINDOWS: Final = 1_000_000
MOST_LEARNED: Final = 8000
AT_ONCE: Final = 20_000
"""Windows of one piece of work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_windows", description=__doc__)
    add_data(parser)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="processes; default: %(default)s")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    figures = window_figures(parsed.data, parsed.learn, parsed.windows, parsed.workers)
    print(report("privacy_windows", figures, as_json=parsed.json))
    return 0


def window_figures(data: Path, learn: Path, windows: int = WINDOWS, workers: int = 2) -> list[Figure]:
    """How often an attacker names who was in a window, from what mode ``agg`` tells."""
    torch.set_num_threads(1)
    subject = Subject(read_bundle(shipped_bundle()))
    learned = _people(subject, open_data(learn), "learn")
    before, inside = crowds(learned, _people(subject, open_data(data), "report"))
    names = subject.lite
    with ProcessPoolExecutor(workers) as pool:
        return [
            _figure("agg_rank1_over_chance_upper", pool, names, before, windows, limited=True),
            _figure("agg_knowing_every_answer_upper", pool, names, inside, windows // 10, limited=False),
        ]


def _people(subject: Subject, data: DataFile, part: str) -> People:
    if part == "learn":
        rows = whole_people(data.identity, np.arange(len(data)), MOST_LEARNED)
    else:
        rows = np.flatnonzero(part_of(data.identity, learns_apart=True) == part)
    faces = data.faces(data.attribute_names, rows, progress=partial(tell, part))
    return through_the_model(subject, find_board(SIMULATED_BOARD), faces)


def _figure(  # noqa: PLR0913 - what is counted, by whom and how often
    name: str, pool: ProcessPoolExecutor, names: tuple[str, ...], crowd: Crowd, windows: int, *, limited: bool
) -> Figure:
    pieces = [min(AT_ONCE, windows - start) for start in range(0, windows, AT_ONCE)]
    tally = Tally()
    for done, found in enumerate(
        pool.map(partial(_piece, names, crowd), pieces, range(len(pieces))), start=1
    ):
        tally += found
        tell(name, done, len(pieces))
    member = membership_figures(crowd, tally)
    value, limit = member["over_chance_99"][1], Limits().agg_rank1_over_chance_upper
    beside = {
        "chance": 1.0,
        "over_chance": member["over_chance"],
        "low_99": member["over_chance_99"][0],
        "windows": float(windows),
        "visits": float(member["visits"]),
        "people": float(member["people"]),
    }
    if not limited:
        return Figure(name, value, "x chance", None, None, beside)
    return Figure(name, value, "x chance", f"at most {limit:g}", value <= limit, beside)


def _piece(names: tuple[str, ...], crowd: Crowd, windows: int, seed: int) -> Tally:
    return tallied(DeviceCounts(names), crowd, windows, _quiet, seed)


def _quiet(_done: int, _total: int) -> None:
    return


if __name__ == "__main__":
    sys.exit(main())
