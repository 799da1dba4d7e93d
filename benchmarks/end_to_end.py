"""Quality of the shipped bundle through the whole simulated chain, on labelled pictures.

Three paths answer for the same rows: the chain (optics, 100 nW, converter, drivers,
correction, int8), the int8 model on exact ratios, and the float model on exact ratios.
What the chain costs is the difference of the first and the last.

    python -m benchmarks.end_to_end --data celebahq128_val.npz --json
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.report import Figure, report
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.bench_rig import chain_logits, ideal_logits
from lab.bundles import FLOAT_TWIN, shipped_bundle
from lab.evaluate_command import tell
from lab.evaluation import AnswerPath, Answers, answers_of, attribute_figures, chosen_rows, presence_figures
from lsi.bundle import Bundle, read_bundle
from lsi.errors import DataError
from training.data_sets.data import DataFile, open_data

POINTS: Final = 100.0
MAX_LOSS_POINTS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is shown to every path."""

    faces: DataFile
    face_rows: list[int]
    others: DataFile
    other_rows: list[int]


@dataclass(frozen=True, slots=True)
class Quality:
    """Attribute and presence figures of one path."""

    attributes: dict[str, Any]
    presence: dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="labelled faces (.npz)")
    parser.add_argument(
        "--nonfaces", type=Path, help="pictures without a face; default: nonfaces128_val.npz beside"
    )
    parser.add_argument("--part", choices=["all", "tune", "report"], default="report", help="of the people")
    parser.add_argument("--limit", type=int, help="only the first N rows of each file")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    nonfaces = parsed.nonfaces or parsed.data.with_name("nonfaces128_val.npz")
    if not nonfaces.is_file():
        raise DataError(f"No pictures without a face at {nonfaces}.", hint="--nonfaces FILE")
    faces, others = open_data(parsed.data), open_data(nonfaces)
    rows = chosen_rows(faces, parsed.part, parsed.limit)
    bench = partial(_quality, Pictures(faces, rows, others, chosen_rows(others, "all", parsed.limit)))
    bundle, twin = read_bundle(shipped_bundle()), read_bundle(shipped_bundle(FLOAT_TWIN))
    chain = bench("chain", bundle, partial(chain_logits, bundle, find_board(SIMULATED_BOARD)))
    int8 = bench("int8 on exact ratios", bundle, partial(ideal_logits, bundle))
    exact = bench("float on exact ratios", twin, partial(ideal_logits, twin))
    print(report("end_to_end", _figures(chain, int8, exact), as_json=parsed.json))
    return 0


def _quality(pictures: Pictures, name: str, bundle: Bundle, path: AnswerPath) -> Quality:
    outputs = len(bundle.attributes) + 1
    progress = partial(tell, name)
    seen = answers_of(pictures.faces, pictures.face_rows, outputs, path, progress)
    unseen = answers_of(pictures.others, pictures.other_rows, outputs, path, progress)
    if seen.dropped:
        print(f"{name}: {seen.dropped} of {len(pictures.face_rows)} scans dropped", file=sys.stderr)
    attributes = attribute_figures(bundle, pictures.faces, pictures.face_rows, _answered(seen))
    return Quality(attributes, presence_figures(bundle, seen, unseen))


def _answered(answers: Answers) -> Answers:
    """A dropped scan answers with the least informative logit instead of leaving the figure."""
    return Answers(np.nan_to_num(answers.logits, nan=0.0), answers.identity)


def _figures(chain: Quality, int8: Quality, exact: Quality) -> list[Figure]:
    macro, presence = chain.attributes, chain.presence
    loss_points = POINTS * (exact.attributes["macro_auc"] - macro["macro_auc"])
    quantization_points = POINTS * (exact.attributes["macro_auc"] - int8.attributes["macro_auc"])
    return [
        Figure(
            "attr_lite_macro_auc", macro["macro_auc"], "AUC", None, None,
            {
                "chance": macro["macro_auc_chance"],
                "float_without_chain": exact.attributes["macro_auc"],
                "low_95": macro["macro_auc_95"][0],
                "high_95": macro["macro_auc_95"][1],
            },
        ),
        Figure(
            "attr_lite_balanced_accuracy", macro["macro_balanced_accuracy"], "share", None, None,
            {"constant": 0.5, "float_without_chain": exact.attributes["macro_balanced_accuracy"]},
        ),
        Figure(
            "attr_lite_accuracy", macro["macro_accuracy"], "share", None, None,
            {
                "majority": macro["macro_accuracy_majority"],
                "float_without_chain": exact.attributes["macro_accuracy"],
            },
        ),
        *(
            Figure(
                f"auc_{name}", row["auc"], "AUC", None, None,
                {"chance": 0.5, "float_without_chain": exact.attributes["attributes"][name]["auc"]},
            )
            for name, row in macro["attributes"].items()
        ),
        Figure(
            "presence_auc", presence["auc"], "AUC", None, None,
            {
                "chance": presence["auc_chance"],
                "float_without_chain": exact.presence["auc"],
                "low_95": presence["auc_95"][0],
                "high_95": presence["auc_95"][1],
            },
        ),
        Figure("presence_faces_seen", presence["faces_seen"], "share", None, None, {"always_yes": 1.0}),
        Figure(
            "presence_others_taken_for_faces", presence["others_taken_for_faces"], "share", None, None,
            {"always_yes": 1.0},
        ),
        Figure(
            "chain_auc_loss_points", loss_points, "points", f"at most {MAX_LOSS_POINTS}",
            loss_points <= MAX_LOSS_POINTS, {"of_which_int8": quantization_points},
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
