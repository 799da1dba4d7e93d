"""What an attacker gets from the payloads of the default bundle, from its counts, and from its measurements.

Attackers learn from the people of one file, are chosen on the *tune* half of another and reported on its
*report* half (``docs/how-to/audit-a-bundle.md``). *Report* is seen through the device's own path, but for
the research bundle with 40 attributes, which is seen through the forward model of the training.

    python -m benchmarks.privacy_audit --data celebahq128_val.npz --learn celebahq64_train.npz --json
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.report import Figure, report
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit.attack import Attacked, Parts, attack
from lab.audit.bench import Bench, set_up
from lab.audit.examine import payload_channel, true_labels
from lab.audit.verdicts import Limits
from lab.audit.views import FULL, LITE, LOGITS, MEASUREMENT, full_names, lite_names, through_the_model
from lab.audit.windows import aggregation
from lab.bundles import shipped_bundle
from lab.evaluate_command import tell
from lsi.bundle import read_bundle

ALL_ATTRIBUTES: Final = "attr-64-0.2.0.lsib"
MOST_LEARNED: Final = 8000
WINDOWS: Final = 20_000
INSIDERS_PART: Final = 10
"""The attacker who knows every answer is given one window in so many."""
LIMITS: Final = Limits()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_audit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="labelled faces with identities (.npz)")
    parser.add_argument("--learn", type=Path, help="other people, from whom attackers learn")
    parser.add_argument("--most-learned", type=int, default=MOST_LEARNED, help="default: %(default)s")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="of counts; default: %(default)s")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    figures = audit_figures(parsed.data, parsed.learn, parsed.most_learned, parsed.windows)
    print(report("privacy_audit", figures, as_json=parsed.json))
    return 0


def audit_figures(
    data: Path, learn: Path | None, most_learned: int = MOST_LEARNED, windows: int = WINDOWS
) -> list[Figure]:
    """What attackers get, mode by mode."""
    torch.set_num_threads(1)
    board, bundle = find_board(SIMULATED_BOARD), read_bundle(shipped_bundle())
    bench = set_up(bundle, board, data, learn, most_learned, partial(partial, tell))
    return [*_counted(bench, windows), *_lite(bench), *_full(bench)]


def _counted(bench: Bench, windows: int) -> list[Figure]:
    """Mode agg."""
    progress = partial(tell, "windows of counts")
    found = aggregation(bench, windows, progress, insiders=max(1, windows // INSIDERS_PART))
    if found is None:
        return []
    member, insider = found["membership"], found["insider"]
    violations = float(sum(not case["holds"] for case in found["epsilon"]))
    beside = {f"at_least {case['name']}": case["at_least"] for case in found["epsilon"]}
    return [
        _at_most(
            "agg_rank1_over_chance_upper",
            member["over_chance_99"][1],
            "x chance",
            LIMITS.agg_rank1_over_chance_upper,
            {
                "rate_over_chance": member["over_chance"],
                "low_99": member["over_chance_99"][0],
                "windows": float(member["windows"]),
                "people": float(member["people"]),
                "knowing_every_answer": insider["over_chance"],
                "knowing_every_answer_low_99": insider["over_chance_99"][0],
                "knowing_every_answer_high_99": insider["over_chance_99"][1],
            },
        ),
        _at_most(
            "epsilon_violations",
            violations,
            "cases",
            LIMITS.epsilon_violations,
            {"claimed": found["epsilon"][0]["claimed"], **beside},
        ),
    ]


def _lite(bench: Bench) -> list[Figure]:
    """Mode attr-lite beside perfect labels, and what stays in the device."""
    seen, raw = (_attacked(bench, view) for view in (LITE, MEASUREMENT))
    true = true_labels(bench.parts, lite_names(bench.bundle))
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
    bundle = read_bundle(shipped_bundle(ALL_ATTRIBUTES))
    report_faces = bench.data.faces(bench.data.attribute_names, bench.report_rows)
    people = (bench.learn_faces, bench.tune_faces, report_faces)
    parts = Parts(
        *(through_the_model(bundle, bench.board, faces, seed) for seed, faces in enumerate(people, 1))
    )
    _say(f"{bundle.manifest.name}: attacking {FULL}")
    seen, true = attack(parts, FULL), true_labels(parts, full_names(bundle))
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


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
