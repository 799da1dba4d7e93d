"""What an attacker gets from the payloads of the default bundle, from its counts, and from its measurements.

Attackers learn from the people of one file, are chosen on the *tune* half of another and reported on its
*report* half (``docs/how-to/audit-a-bundle.md``). *Report* is seen through the device's own path, but for
the research bundle with 40 attributes, which is seen through the forward model of the training, and for the
further seeds, each of which draws noise, pictures of people and what attackers begin with anew.

    python -m benchmarks.privacy_audit --data celebahq128_val.npz --learn celebahq64_train.npz --json
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.privacy_data import add_data
from benchmarks.report import Figure, report
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit.attack import Attacked, Parts, attack
from lab.audit.bench import Bench, set_up
from lab.audit.examine import payload_channel, true_labels
from lab.audit.verdicts import Limits
from lab.audit.views import ANSWERS, FULL, LITE, LOGITS, MEASUREMENT, Subject, through_the_model
from lab.audit.windows import aggregation
from lab.bundles import shipped_bundle
from lab.evaluate_command import tell
from lsi.bundle import read_bundle

ALL_ATTRIBUTES: Final = "attr-64-0.2.0.lsib"
MOST_LEARNED: Final = 8000
WINDOWS: Final = 200_000
INSIDERS_PART: Final = 10
"""The attacker who knows every answer is given one window in so many."""
SEEDS: Final = 3
LIMITS: Final = Limits()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy_audit", description=__doc__)
    add_data(parser)
    parser.add_argument("--most-learned", type=int, default=MOST_LEARNED, help="default: %(default)s")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="of counts; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    windows, seeds = parsed.windows, parsed.seeds
    figures = audit_figures(parsed.data, parsed.learn, parsed.most_learned, windows, seeds)
    print(report("privacy_audit", figures, as_json=parsed.json))
    return 0


def audit_figures(
    data: Path, learn: Path, most_learned: int = MOST_LEARNED, windows: int = WINDOWS, seeds: int = SEEDS
) -> list[Figure]:
    """What attackers get, mode by mode. Without ``windows`` the counts of mode agg are left out."""
    torch.set_num_threads(1)
    board, subject = find_board(SIMULATED_BOARD), Subject(read_bundle(shipped_bundle()))
    bench = set_up(subject, board, data, learn, most_learned, partial(partial, tell))
    others = [_measured_again(bench, subject, seed) for seed in range(1, seeds)]
    counted = _counted(bench, windows) if windows else []
    return [*counted, *_lite(bench, others), *_full(bench)]


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


def _lite(bench: Bench, others: Sequence[Parts]) -> list[Figure]:
    """Mode attr-lite beside perfect labels, and what stays in the device."""
    seen, raw = (_attacked(bench, view, others) for view in (LITE, MEASUREMENT))
    true = true_labels(bench.parts, bench.subject.lite)
    channel = payload_channel(bench, LITE, seen[0].rank1.people)
    return [
        *_found(
            "attr_lite", seen, true, LIMITS.attr_lite_rank1_over_chance, LIMITS.attr_lite_verification_auc
        ),
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
        Figure("measurement_rank1_d16", raw[0].rank1.rank1, "share", None, None, _share(raw)),
        _verified("measurement_verification_auc_d16", raw, None, {}),
    ]


def _full(bench: Bench) -> list[Figure]:
    """The research bundle with 40 attributes: what mode attr sends, and all its answers, which none sends."""
    subject = Subject(read_bundle(shipped_bundle(ALL_ATTRIBUTES)))
    report_faces = bench.data.faces(bench.data.attribute_names, bench.report_rows)
    people = (bench.learn_faces, bench.tune_faces, report_faces)
    parts = Parts(
        *(through_the_model(subject, bench.board, faces, seed) for seed, faces in enumerate(people, 1))
    )
    figures = []
    for name, view in (("attr", FULL), ("answers_40", ANSWERS)):
        _say(f"{subject.bundle.manifest.name}: attacking {view}")
        figures += _found(name, [attack(parts, view)], true_labels(parts, subject.named(view)), None, None)
    return figures


def _measured_again(bench: Bench, subject: Subject, seed: int) -> Parts:
    """The same people with other noise."""
    report_faces = bench.data.faces(bench.data.attribute_names, bench.report_rows)
    people = (bench.learn_faces, bench.tune_faces, report_faces)
    return Parts(
        *(through_the_model(subject, bench.board, faces, 10 * seed + k) for k, faces in enumerate(people))
    )


def _attacked(bench: Bench, view: str, others: Sequence[Parts] = ()) -> list[Attacked]:
    """The attack that counts first, then the same with further seeds."""
    _say(f"{bench.bundle.manifest.name}: attacking {view}")
    return [attack(parts, view, seed=seed) for seed, parts in enumerate((bench.parts, *others))]


def _found(
    name: str,
    seen: Sequence[Attacked],
    true: dict[str, Any],
    most_rank1: float | None,
    most_auc: float | None,
) -> list[Figure]:
    """Rank-1 and AUC beside those of perfect labels."""
    first, same = (true["attackers"][true[who]] for who in ("finder", "verifier"))
    return [
        _ranked(f"{name}_rank1_over_chance", seen, most_rank1, first),
        _verified(f"{name}_verification_auc", seen, most_auc, same),
    ]


def _share(seen: Sequence[Attacked]) -> dict[str, float]:
    rank1 = seen[0].rank1
    low, high = rank1.rank1_95
    beside = {
        "chance": rank1.chance_rank1,
        "low_95": low,
        "high_95": high,
        "over_chance": rank1.rank1_over_chance,
    }
    return beside | _by_seed([each.rank1.rank1 for each in seen])


def _by_seed(values: Sequence[float]) -> dict[str, float]:
    """The figure with every seed, where there are several."""
    return {f"seed_{k}": value for k, value in enumerate(values)} if len(values) > 1 else {}


def _ranked(name: str, seen: Sequence[Attacked], limit: float | None, true: dict[str, Any]) -> Figure:
    rank1 = seen[0].rank1
    low, high = rank1.rank1_over_chance_95
    beside = {"chance": 1.0, "low_95": low, "high_95": high, "people": float(rank1.people)}
    if true:
        beside["true_labels"] = true["rank1_over_chance"]
    beside |= _by_seed([each.rank1.rank1_over_chance for each in seen])
    return _at_most(name, rank1.rank1_over_chance, "x chance", limit, beside)


def _verified(name: str, seen: Sequence[Attacked], limit: float | None, true: dict[str, Any]) -> Figure:
    verification = seen[0].verification
    low, high = verification.auc_95
    beside = {"chance": 0.5, "low_95": low, "high_95": high}
    if true:
        beside["true_labels"] = true["auc"]
    beside |= _by_seed([each.verification.auc for each in seen])
    return _at_most(name, verification.auc, "AUC", limit, beside)


def _at_most(name: str, value: float, unit: str, limit: float | None, beside: dict[str, float]) -> Figure:
    if limit is None:
        return Figure(name, value, unit, None, None, beside)
    return Figure(name, value, unit, f"at most {limit:g}", value <= limit, beside)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
