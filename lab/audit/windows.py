"""The attack on mode agg: the device's own counts, made of what it answers about the people of the audit."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.attackers import MOST_PAIRS, Values, same_pairs
from lab.audit.bench import Bench
from lab.audit.counts import (
    CONFIDENCE,
    NoisyCounts,
    Progress,
    epsilon_bound,
    neighbours,
)
from lab.audit.device_counts import MECHANISM, DeviceCounts
from lab.audit.membership import Crowd, membership
from lab.audit.people import People, occasions
from lab.audit.views import LITE
from lab.audit.withheld import guesses
from lsi.aggregate import LEAST_VISITS

VISITS: Final = 20
"""Per window: enough to be told nearly always, few enough for one visit to matter."""
MOST_ROUNDS: Final = 5000
"""Releases of each of two windows that differ in one visit."""


@dataclass(frozen=True, slots=True)
class Case:
    """One pair of windows and the epsilon that is lost between them, at least."""

    name: str
    at_least: float
    claimed: float
    holds: bool


def aggregation(
    bench: Bench, windows: int, progress: Progress, insiders: int | None = None
) -> dict[str, Any] | None:
    """Empirical epsilon and membership for the attributes of mode attr-lite; ``None`` without one.

    Args:
        bench: Whose people pass by.
        windows: How many are simulated for the attacker who saw everybody once before. For epsilon each
            window of a pair is released for a quarter of them, but ``MOST_ROUNDS`` times at most.
        progress: Told (windows done, in all).
        insiders: Windows for the attacker who knows every answer; a tenth of ``windows`` by default.
    """
    names = bench.subject.lite
    if not names:
        return None
    mechanism, rounds = DeviceCounts(names), min(MOST_ROUNDS, max(2, windows // 4))
    before, inside = crowds(bench.parts.learn, bench.parts.report)
    return {
        "mechanism": MECHANISM,
        "attributes": list(names),
        "epsilon": [asdict(case) for case in epsilon_cases(mechanism, len(names), rounds)],
        "membership": membership(mechanism, before, windows, progress),
        "insider": membership(
            mechanism, inside, max(1, windows // 10) if insiders is None else insiders, progress, seed=1
        ),
    }


def epsilon_cases(mechanism: NoisyCounts, attributes: int, rounds: int) -> list[Case]:
    """Lower bounds of epsilon for every pair of windows; all of them together hold at ``CONFIDENCE``."""
    pairs = neighbours(attributes, LEAST_VISITS)
    confidence = 1 - (1 - CONFIDENCE) / len(pairs)
    cases = []
    for pair in pairs:
        found = epsilon_bound(mechanism, pair, rounds, confidence)
        cases.append(Case(pair.name, found, mechanism.epsilon, found <= mechanism.epsilon))
    return cases


def crowds(learn: People, report: People, visits: int = VISITS) -> tuple[Crowd, Crowd]:
    """The people of *report*: as an attacker expects them who saw each once before, and as they are.

    What one answer before says of the answers now is learned from the people of *learn*.
    """
    drawn = occasions(report.identity, 1)[0]
    now, before = report.views[LITE][drawn.probe], report.views[LITE][drawn.gallery]
    pairs = same_pairs(learn.identity, MOST_PAIRS)
    first, second = learn.views[LITE][pairs.T.ravel()], learn.views[LITE][pairs[:, ::-1].T.ravel()]
    expected = np.stack(
        [guesses(first, _yes_or_no(second[:, 1 + k]), before) for k in range(now.shape[1] - 1)], axis=1
    )
    shown = (now[:, 1:] > 0).astype(np.int64)
    return Crowd(shown, expected, visits), Crowd(shown, shown.astype(np.float64), visits)


def _yes_or_no(answers: Values) -> NDArray[np.int8]:
    """What a window counts: yes, or anything else."""
    found: NDArray[np.int8] = np.where(answers > 0, 1, -1).astype(np.int8)
    return found
