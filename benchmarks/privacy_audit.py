"""What an attacker gets: from the payloads of the default bundle, and from raw measurements over light.

Attackers learn from the people of one file, are chosen on the *tune* half of another and reported on its
*report* half (``docs/how-to/audit-a-bundle.md``). The default bundle is seen through the device's own path;
the rows over d and light through the forward model of the training, with the bundles' masks for d = 4, 16
and 64 and untrained directions (LDA, then PCA) for 128.

    python -m benchmarks.privacy_audit --data celebahq128_val.npz --learn celebahq64_train.npz --light --json
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.report import Figure, report
from firmware.board import SIMULATED_BOARD, Board, find_board
from lab.audit.attack import Attacked, attack
from lab.audit.bench import Bench, set_up
from lab.audit.examine import payload_channel, true_labels
from lab.audit.figures import over_light
from lab.audit.over_light import Faces, directions, rows_over_light
from lab.audit.verdicts import Limits
from lab.audit.views import FULL, LITE, LOGITS, MEASUREMENT
from lab.bundles import shipped_bundle
from lab.evaluate_command import tell
from lsi.bundle import read_bundle

POWERS_NW: Final = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
BANKS: Final = {
    "d4": "attr-lite-4-0.2.0.lsib",
    "d16": "attr-lite-16-0.2.0.lsib",
    "d64": "attr-lite-64-0.2.0.lsib",
}
ALL_ATTRIBUTES: Final = "attr-64-0.2.0.lsib"
DIRECTIONS: Final = 128
MOST_LEARNED: Final = 8000
LIMITS: Final = Limits()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_audit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="labelled faces with identities (.npz)")
    parser.add_argument("--learn", type=Path, help="other people, from whom attackers learn")
    parser.add_argument("--most-learned", type=int, default=MOST_LEARNED, help="default: %(default)s")
    parser.add_argument("--light", action="store_true", help="the rows over d and light too: half an hour")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the rows over light into this file")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    board = find_board(SIMULATED_BOARD)
    lite, full = (_bench(name, board, parsed) for name in (BANKS["d16"], ALL_ATTRIBUTES))
    figures = [*_lite(lite), *_full(full)]
    if parsed.light or parsed.plot:
        rows = rows_over_light(_banks(lite), board, POWERS_NW, _faces(lite), _say)
        figures += [_over_light(row) for row in rows]
        if parsed.plot:
            _draw(parsed.plot, rows)
    print(report("privacy_audit", figures, as_json=parsed.json))
    return 0


def _bench(name: str, board: Board, parsed: argparse.Namespace) -> Bench:
    bundle = read_bundle(shipped_bundle(name))
    return set_up(
        bundle, board, parsed.data, parsed.learn, parsed.most_learned, lambda words: partial(tell, words)
    )


def _lite(bench: Bench) -> list[Figure]:
    """Mode attr-lite beside perfect labels, and what stays in the device."""
    seen, raw = (_attacked(bench, view) for view in (LITE, MEASUREMENT))
    true = true_labels(bench, LITE)
    channel = payload_channel(bench, LITE, seen.rank1.people)
    true_first = true["attackers"][true["finder"]]
    true_same = true["attackers"][true["verifier"]]
    return [
        _ranked("attr_lite_rank1_over_chance", seen, LIMITS.attr_lite_rank1_over_chance, true_first),
        _verified("attr_lite_verification_auc", seen, LIMITS.attr_lite_verification_auc, true_same),
        _at_most(
            "attr_lite_entropy_bits",
            channel["entropy_with_presence_bits"],
            "bit",
            LIMITS.attr_lite_entropy_bits,
            {
                "true_labels": true["channel"]["entropy_with_presence_bits"],
                "declared": channel["declared_bits"],
            },
        ),
        _ranked("logits_rank1_over_chance", _attacked(bench, LOGITS), None, {}),
        Figure(
            "measurement_rank1_d16", raw.rank1.rank1, "share", None, None,
            {
                "chance": raw.rank1.chance_rank1,
                "low_95": raw.rank1.rank1_95[0],
                "high_95": raw.rank1.rank1_95[1],
                "over_chance": raw.rank1.rank1_over_chance,
            },
        ),
        _verified("measurement_verification_auc_d16", raw, None, {}),
    ]  # fmt: skip


def _full(bench: Bench) -> list[Figure]:
    """All 40 answers of the research bundle, which mode attr sends where its owner allows them."""
    seen, true = _attacked(bench, FULL), true_labels(bench, FULL)
    return [
        _ranked("attr_40_rank1_over_chance", seen, None, true["attackers"][true["finder"]]),
        _verified("attr_40_verification_auc", seen, None, true["attackers"][true["verifier"]]),
    ]


def _attacked(bench: Bench, view: str) -> Attacked:
    _say(f"{bench.bundle.manifest.name}: attacking {view}")
    return attack(bench.parts, view)


def _ranked(name: str, seen: Attacked, limit: float | None, true: dict[str, Any]) -> Figure:
    low, high = seen.rank1.rank1_over_chance_95
    beside = {"chance": 1.0, "low_95": low, "high_95": high, "people": float(seen.rank1.people)}
    if true:
        beside["true_labels"] = true["rank1_over_chance"]
    return _at_most(name, seen.rank1.rank1_over_chance, "x chance", limit, beside)


def _verified(name: str, seen: Attacked, limit: float | None, true: dict[str, Any]) -> Figure:
    low, high = seen.verification.auc_95
    beside = {"chance": 0.5, "low_95": low, "high_95": high}
    if true:
        beside["true_labels"] = true["auc"]
    return _at_most(name, seen.verification.auc, "AUC", limit, beside)


def _at_most(name: str, value: float, unit: str, limit: float | None, beside: dict[str, float]) -> Figure:
    if limit is None:
        return Figure(name, value, unit, None, None, beside)
    return Figure(name, value, unit, f"at most {limit:g}", value <= limit, beside)


def _banks(bench: Bench) -> dict[str, Any]:
    banks = {name: read_bundle(shipped_bundle(file)).patterns.masks for name, file in BANKS.items()}
    return {**banks, f"d{DIRECTIONS}": directions(bench.learn_faces, DIRECTIONS)}


def _faces(bench: Bench) -> Faces:
    names = bench.data.attribute_names
    return Faces(bench.learn_faces, bench.tune_faces, bench.data.faces(names, bench.report_rows))


def _over_light(row: dict[str, Any]) -> Figure:
    low, high = row["rank1_95"]
    beside = {
        "chance": 1 / row["people"], "low_95": low, "high_95": high, "over_chance": row["rank1_over_chance"],
        "auc": row["auc"], "refused_scans": row["dropped"],
    }  # fmt: skip
    return Figure(
        f"measurement_rank1_{row['bank']}_{row['power_nw']:g}nw", row["rank1"], "share", None, None, beside
    )


def _draw(path: Path, rows: list[dict[str, Any]]) -> None:
    svg = over_light(rows, "rank1_over_chance", "Found again, times chance")
    path.write_text(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + "\n", "utf-8")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
