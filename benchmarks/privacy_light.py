"""How well people are found again from the raw measurement, over the number of masks and the light.

The masks of the bundles for d = 4, 16 and 64, and untrained directions (LDA, then PCA) for 128; the forward
model of the training on the board's own noise, attackers taught in the same light, two pictures of each
person. Light in which the device would refuse most scans is left out.

    python -m benchmarks.privacy_light --data celebahq128_val.npz --learn celebahq64_train.npz --json
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.privacy_data import add_data
from benchmarks.report import Figure, report
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit.attack import part_of
from lab.audit.bench import whole_people
from lab.audit.figures import over_light
from lab.audit.over_light import Faces, directions, rows_over_light
from lab.bundles import shipped_bundle
from lab.evaluate_command import tell
from lsi.bundle import read_bundle
from training.data_sets.data import DataFile, open_data

POWERS_NW: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
BUNDLES: Final = ("attr-lite-4-0.2.0.lsib", "attr-lite-16-0.2.0.lsib", "attr-lite-64-0.2.0.lsib")
DIRECTIONS: Final = 128
MOST_LEARNED: Final = 6000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_light", description=__doc__)
    add_data(parser)
    parser.add_argument("--most-learned", type=int, default=MOST_LEARNED, help="default: %(default)s")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the rows into this file")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    faces = _faces(open_data(parsed.data), open_data(parsed.learn), parsed.most_learned)
    rows = rows_over_light(_banks(faces), find_board(SIMULATED_BOARD), POWERS_NW, faces, _say)
    if parsed.plot:
        svg = over_light(rows, "rank1_over_chance", "Found again, times chance")
        parsed.plot.write_text(
            svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + "\n", "utf-8"
        )
    print(report("privacy_light", [_figure(row) for row in rows], as_json=parsed.json))
    return 0


def _faces(data: DataFile, learn: DataFile, most_learned: int) -> Faces:
    named = part_of(data.identity, learns_apart=True)
    learned = whole_people(learn.identity, np.arange(len(learn)), most_learned)
    told = partial(tell, "reading")
    return Faces(
        learn.faces(learn.attribute_names, learned, progress=told),
        data.faces(data.attribute_names, np.flatnonzero(named == "tune"), progress=told),
        data.faces(data.attribute_names, np.flatnonzero(named == "report"), progress=told),
    )


def _banks(faces: Faces) -> dict[str, Any]:
    banks = {}
    for name in BUNDLES:
        masks = read_bundle(shipped_bundle(name)).patterns.masks
        banks[f"d{len(masks)}"] = masks
    return {**banks, f"d{DIRECTIONS}": directions(faces.learn, DIRECTIONS)}


def _figure(row: dict[str, Any]) -> Figure:
    low, high = row["rank1_95"]
    beside = {
        "chance": 1 / row["people"],
        "low_95": low,
        "high_95": high,
        "over_chance": row["rank1_over_chance"],
        "auc": row["auc"],
        "auc_chance": 0.5,
        "refused_scans": row["dropped"],
    }
    return Figure(f"rank1_{row['bank']}_{row['power_nw']:g}nw", row["rank1"], "share", None, None, beside)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
