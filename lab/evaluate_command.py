"""``lsi evaluate``: a bundle on a data file, through the device's own path."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.bench_rig import chain_logits, ideal_logits, with_power
from lab.evaluation import answers_of, attribute_figures, chosen_rows, presence_figures
from lsi.bundle import Bundle, read_bundle
from training.data_sets.data import open_data
from training.scores.figures import finite

HELP = "evaluate a bundle on a data file through simulated optics, converter, correction and TFLite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi evaluate``."""
    parser.add_argument("bundle", type=Path, help="a .lsib file")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="a .npz of labelled pictures"
    )
    parser.add_argument(
        "--nonfaces", type=Path, metavar="FILE", help="a .npz of pictures without a face, for presence"
    )
    parser.add_argument(
        "--board", default=SIMULATED_BOARD, metavar="NAME_OR_FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--power-nw", type=float, metavar="P", help="white light on both diodes; default: the board's"
    )
    parser.add_argument(
        "--ideal", action="store_true", help="exact ratios instead of the chain, for comparison"
    )
    parser.add_argument(
        "--part", choices=["all", "tune", "report"], default="all", help="of the people in the file"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N rows of each file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.epilog = "Example: lsi evaluate bundles/attr-lite-16-0.2.0.lsib --data faces.npz --json"


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print."""
    bundle = read_bundle(arguments.bundle)
    result = evaluate(bundle, arguments)
    print(json.dumps(finite(result)) if arguments.json else _table(result))
    return 0


def evaluate(bundle: Bundle, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures as one document."""
    board = find_board(arguments.board)
    if arguments.power_nw is not None:
        board = with_power(board, arguments.power_nw)
    path = partial(ideal_logits, bundle) if arguments.ideal else partial(chain_logits, bundle, board)
    outputs = len(bundle.attributes) + 1
    faces = open_data(arguments.data, "val")
    rows = chosen_rows(faces, arguments.part, arguments.limit)
    answers = answers_of(faces, rows, outputs, path, partial(tell, arguments.data.name))
    result: dict[str, Any] = {
        "bundle": f"{bundle.manifest.name} {bundle.manifest.version} {bundle.manifest.short_id}",
        "data": arguments.data.name,
        "part": arguments.part,
        "rows": len(rows),
        "dropped": answers.dropped,
        "d": bundle.manifest.d,
        "arms": bundle.manifest.arms,
        "light": "ideal (no noise, no converter)"
        if arguments.ideal
        else f"{board.sensor.power_nw:g} nW white, {board.name}",
        **attribute_figures(bundle, faces, rows, answers),
    }
    if arguments.nonfaces is not None:
        others = open_data(arguments.nonfaces, "val")
        chosen = chosen_rows(others, arguments.part, arguments.limit)
        progress = partial(tell, arguments.nonfaces.name)
        result["presence"] = presence_figures(
            bundle, answers, answers_of(others, chosen, outputs, path, progress)
        )
    return result


def tell(name: str, done: int, total: int) -> None:
    """Progress on one line of standard error."""
    print(f"\r{name}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _table(result: dict[str, Any]) -> str:
    head = f"{result['bundle']}, d = {result['d']}, {result['arms']} arms, {result['light']}"
    lines = [
        head,
        f"{result['data']} ({result['part']}): {result['rows']} rows, {result['dropped']} dropped",
        f"{'attribute':24} {'AUC':>6} {'bal. acc.':>9} {'accuracy':>8} {'majority':>8}",
    ]
    lines += [
        f"{name:24} {row['auc']:6.3f} {row['balanced_accuracy']:9.3f} {row['accuracy']:8.3f}"
        f" {row['accuracy_majority']:8.3f}"
        for name, row in result["attributes"].items()
    ]
    low, high = result["macro_auc_95"]
    lines.append(
        f"{'macro':24} {result['macro_auc']:6.3f} {result['macro_balanced_accuracy']:9.3f}"
        f" {result['macro_accuracy']:8.3f} {result['macro_accuracy_majority']:8.3f}"
        f"   AUC 95 % {low:.3f} to {high:.3f}, chance 0.5"
    )
    if "presence" in result:
        presence = result["presence"]
        lines.append(
            f"{'presence':24} {presence['auc']:6.3f} {presence['balanced_accuracy']:9.3f}"
            f"   faces seen {presence['faces_seen']:.3f},"
            f" others taken for faces {presence['others_taken_for_faces']:.3f}"
        )
    return "\n".join(lines)
