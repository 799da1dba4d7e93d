"""How well people are found again: ranks, verification, open set; chance and intervals over people.

Letters: M people, R draws of two pictures of each. Scores that tie share what they gain: a message that
ten people could have sent finds the right one in one case of ten.

Ref: ISO/IEC 19795-1:2021 (rank, FAR, TAR, EER; FPIR and DIR of an open set).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.attackers import Matcher, Values
from lab.audit.people import occasions
from training.scores.intervals import bounds, person_weights

DRAWS: Final = 10
VERIFIED_DRAWS: Final = 3
"""Draws of which all pairs are verified."""
VERIFIED_ROUNDS: Final = 200
FAR: Final = 1e-3
FPIR: Final = 0.01
TOP: Final = 10

Interval = tuple[float, float]
Compare = Callable[[NDArray[np.int64], NDArray[np.int64]], Values]
"""Scores (P, G) of probe rows against gallery rows."""


@dataclass(frozen=True, slots=True)
class Identification:
    """What one attacker reaches on M people; chance is ``chance_rank1`` (1 / M) and an AUC of 0.5.

    ``*_95`` are bootstrap intervals over people. ``tar`` is the part of true pairs accepted at a false
    accept rate of ``FAR``; ``open_set`` the part of enrolled people found first among half of the M and
    above the threshold at which ``FPIR`` of the others raise an alarm.
    """

    people: int
    chance_rank1: float
    rank1: float
    rank1_95: Interval
    rank10: float
    rank10_95: Interval
    rank1_over_chance: float
    rank1_over_chance_95: Interval
    auc: float
    auc_95: Interval
    eer: float
    eer_95: Interval
    tar: float
    tar_95: Interval
    open_set: float
    open_set_chance: float

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reach:
    """As much of an :class:`Identification` as attackers are chosen by."""

    rank1: float
    auc: float


def reach(matcher: Matcher, values: Values, identity: NDArray[np.int64], seed: int = 0) -> Reach:
    """Rank-1 and AUC of ``matcher`` on messages ``values`` (n, F)."""
    matrices = [
        matcher.scores(values[each.probe], values[each.gallery]) for each in occasions(identity, DRAWS, seed)
    ]
    scores, same = _pairs(matrices[:VERIFIED_DRAWS])
    area, _, _ = _Curve.of(scores, same).figures(np.ones(len(scores)))
    return Reach(float(hits(matrices, 1).mean()), area)


def identify(matcher: Matcher, values: Values, identity: NDArray[np.int64], seed: int = 0) -> Identification:
    """All figures of ``matcher`` on messages ``values`` (n, F) of people it never saw."""
    return identified(lambda probe, gallery: matcher.scores(values[probe], values[gallery]), identity, seed)


def identified(compare: Compare, identity: NDArray[np.int64], seed: int = 0) -> Identification:
    """All figures of a comparison of rows.

    Raises:
        DataError: Too few people with two pictures.
    """
    drawn = occasions(identity, DRAWS, seed)
    matrices = [compare(each.probe, each.gallery) for each in drawn]
    people = len(drawn[0])
    first, top = hits(matrices, 1), hits(matrices, TOP)
    chance = 1 / people
    rank1_95 = _mean_interval(first)
    verified = verify(matrices[:VERIFIED_DRAWS])
    return Identification(
        people=people,
        chance_rank1=chance,
        rank1=float(first.mean()),
        rank1_95=rank1_95,
        rank10=float(top.mean()),
        rank10_95=_mean_interval(top),
        rank1_over_chance=float(first.mean()) / chance,
        rank1_over_chance_95=(rank1_95[0] / chance, rank1_95[1] / chance),
        **verified,
        open_set=open_set(matrices),
        open_set_chance=FPIR / (people // 2),
    )


def hits(matrices: Sequence[Values], within: int) -> Values:
    """Chance of each person to be among the first ``within``, mean over draws. Shape (M,).

    Args:
        matrices: (M, M) each; the true match is on the diagonal.
        within: 1 for rank-1.
    """
    found = []
    for scores in matrices:
        own = np.diag(scores)[:, None]
        above, tied = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        found.append(np.clip((within - above) / tied, 0, 1))
    mean: Values = np.mean(found, axis=0)
    return mean


def verify(matrices: Sequence[Values]) -> dict[str, Any]:
    """AUC, EER and TAR at ``FAR`` over all pairs of all draws, with intervals over people."""
    people = len(matrices[0])
    probe, gallery = (axis.ravel() for axis in np.indices((people, people)))
    scores, same = _pairs(matrices)
    curve = _Curve.of(scores, same)
    figures = curve.figures(np.ones(len(scores)))
    rounds = []
    for weights in _weights(people)[:VERIFIED_ROUNDS]:
        # A pair counts as often as both of its people were drawn; a true pair has one person.
        pair = np.where(probe == gallery, weights[probe], weights[probe] * weights[gallery])
        rounds.append(curve.figures(np.tile(pair, len(matrices))))
    names = ("auc", "eer", "tar")
    ends = [bounds(np.array([each[k] for each in rounds])) for k in range(len(names))]
    found: dict[str, Any] = {}
    for name, value, end in zip(names, figures, ends, strict=True):
        found |= {name: value, f"{name}_95": end}
    return found


def open_set(matrices: Sequence[Values]) -> float:
    """Detection and identification rate at a false positive identification rate of ``FPIR``."""
    mated, strange = [], []
    for scores in matrices:
        known, unknown = np.arange(0, len(scores), 2), np.arange(1, len(scores), 2)
        inside = scores[np.ix_(known, known)]
        mated.append((np.diag(inside), hits([inside], 1)))
        strange.append(scores[np.ix_(unknown, known)].max(axis=1))
    own = np.concatenate([each for each, _ in mated])
    first = np.concatenate([each for _, each in mated])
    alarms = np.concatenate(strange)
    cuts = np.append(np.unique(np.concatenate((own, alarms))), np.inf)[::-1]
    false = np.array([(alarms >= cut).mean() for cut in cuts])
    found = np.array([(first * (own >= cut)).mean() for cut in cuts])
    return float(np.interp(FPIR, false, found))


@dataclass(frozen=True, slots=True, repr=False)
class _Curve:
    """Sorted pairs, of which any weighting gives an ROC curve. ``ends`` are the last places of ties."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    same: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Values, same: NDArray[np.bool_]) -> "_Curve":
        order = np.argsort(-scores, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        return cls(order, ends, same[order])

    def figures(self, weights: Values) -> tuple[float, float, float]:
        """AUC, EER and TAR at ``FAR`` where pairs count ``weights`` times; between thresholds by chance."""
        ordered = weights[self.order]
        true = np.concatenate(([0.0], np.cumsum(ordered * self.same)[self.ends]))
        false = np.concatenate(([0.0], np.cumsum(ordered * ~self.same)[self.ends]))
        if not true[-1] or not false[-1]:
            return float("nan"), float("nan"), float("nan")
        tar, far = true / true[-1], false / false[-1]
        area = float(np.trapezoid(tar, far))
        crossing = float(np.interp(0.0, far - (1 - tar), far))
        return area, crossing, float(np.interp(FAR, far, tar))


def _pairs(matrices: Sequence[Values]) -> tuple[Values, NDArray[np.bool_]]:
    """All scores of all draws in one row, and which of them are of one person."""
    same = np.tile(np.eye(len(matrices[0]), dtype=np.bool_).ravel(), len(matrices))
    return np.concatenate([matrix.ravel() for matrix in matrices]), same


@lru_cache(maxsize=4)
def _weights(people: int) -> Values:
    """How often each person is drawn in each round of the bootstrap. Shape (rounds, M)."""
    return np.concatenate(list(person_weights(np.arange(people))))


def _mean_interval(each: Values) -> Interval:
    """Of the mean of one number per person."""
    return bounds(_weights(len(each)) @ each / len(each))


def chosen(tuned: Mapping[str, Reach], figure: str) -> str:
    """The attacker with the highest ``figure`` on the people on whom attackers are chosen."""
    return max(tuned, key=lambda name: float(getattr(tuned[name], figure)))
