"""How far the figures differ between groups of people: by default Male x Young.

These are the labels that the data has, as annotators saw them. Skin tone is not labelled, so nothing
is said about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.scores.figures import mean_of_known
from training.scores.intervals import bounds, person_weights, weighted_accuracies

BY: Final = ("Male", "Young")
FEWEST: Final = 10
"""Positives, and negatives, below which an attribute says too little about a group."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, repr=False)
class Grouping:
    """What people are grouped by. Shape: ``answers`` (n, len(by)) int8, +1 yes, -1 no, 0 unknown."""

    by: tuple[str, ...]
    answers: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.answers.ndim != 2 or self.answers.shape[1] != len(self.by):  # noqa: PLR2004 - a table
            message = f"answers must be (n, {len(self.by)}), found {self.answers.shape}"
            raise ValueError(message)

    def rows(self, chosen: Bools) -> "Grouping":
        """The rows where ``chosen`` (n,) is true."""
        return Grouping(self.by, self.answers[chosen])

    def members(self) -> dict[str, Bools]:
        """Rows of each group, by a name such as "Male, not Young". Unknown rows belong to none."""
        return {
            ", ".join(
                name if sign > 0 else f"not {name}" for name, sign in zip(self.by, signs, strict=True)
            ): (self.answers == signs).all(axis=1)
            for signs in product((1, -1), repeat=len(self.by))
        }

    def __repr__(self) -> str:
        return f"Grouping(by={self.by}, rows={len(self.answers)})"


def grouping_of(
    names: Sequence[str], attributes: NDArray[np.int8], by: tuple[str, ...] = BY
) -> Grouping | None:
    """The grouping by the columns ``by`` of ``attributes`` (n, K); ``None`` where one is missing."""
    if not set(by) <= set(names):
        return None
    return Grouping(by, attributes[:, [list(names).index(name) for name in by]])


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: mean balanced accuracy over the attributes that count in every group."""

    group: str
    rows: int
    balanced_accuracy: float
    low_95: float
    high_95: float


@dataclass(frozen=True, slots=True)
class AttributeGaps:
    """One attribute over the groups in which it counts.

    ``true_positive_gap`` and ``false_positive_gap`` are largest minus smallest rate; NaN with fewer
    than two groups.
    """

    name: str
    worst_group: str
    balanced_accuracy: float
    true_positive_gap: float
    false_positive_gap: float
    groups: int


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """``shared`` are the attributes with ``FEWEST`` positives and negatives in every group."""

    by: tuple[str, ...]
    shared: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    attributes: tuple[AttributeGaps, ...]

    @property
    def worst(self) -> GroupRow | None:
        """The group of the lowest mean balanced accuracy; ``None`` where no attribute is shared."""
        found = [row for row in self.rows if not np.isnan(row.balanced_accuracy)]
        return min(found, key=lambda row: row.balanced_accuracy) if found else None


@dataclass(frozen=True, slots=True)
class _Rates:
    """True and false positive rate of one attribute in one group."""

    true_positive: float
    false_positive: float

    @property
    def balanced_accuracy(self) -> float:
        return (self.true_positive + 1 - self.false_positive) / 2


def group_figures(
    decided: Bools,
    answers: NDArray[np.int8],
    names: tuple[str, ...],
    grouping: Grouping,
    identity: NDArray[np.int64],
) -> GroupFigures:
    """Compare the groups of ``grouping`` on decisions (n, K) and answers (n, K) of people ``identity``."""
    members = grouping.members()
    rates = {
        name: {
            group: _rates(decided[rows, k], answers[rows, k])
            for group, rows in members.items()
            if _counts(answers[rows, k])
        }
        for k, name in enumerate(names)
    }
    shared = tuple(name for name in names if len(rates[name]) == len(members))
    columns = [names.index(name) for name in shared]
    return GroupFigures(
        by=grouping.by,
        shared=shared,
        rows=tuple(
            _row(group, decided[rows][:, columns], answers[rows][:, columns], identity[rows])
            for group, rows in members.items()
        ),
        attributes=tuple(_gaps(name, rates[name]) for name in names),
    )


def _counts(answers: NDArray[np.int8]) -> bool:
    return int((answers > 0).sum()) >= FEWEST and int((answers < 0).sum()) >= FEWEST


def _rates(decided: Bools, answers: NDArray[np.int8]) -> _Rates:
    return _Rates(float(decided[answers > 0].mean()), float(decided[answers < 0].mean()))


def _gaps(name: str, rates: Mapping[str, _Rates]) -> AttributeGaps:
    if len(rates) < 2:  # noqa: PLR2004 - a gap lies between two
        return AttributeGaps(name, "", float("nan"), float("nan"), float("nan"), len(rates))
    worst = min(rates, key=lambda group: rates[group].balanced_accuracy)
    return AttributeGaps(
        name=name,
        worst_group=worst,
        balanced_accuracy=rates[worst].balanced_accuracy,
        true_positive_gap=_spread([each.true_positive for each in rates.values()]),
        false_positive_gap=_spread([each.false_positive for each in rates.values()]),
        groups=len(rates),
    )


def _spread(values: list[float]) -> float:
    return max(values) - min(values)


def _row(group: str, decided: Bools, answers: NDArray[np.int8], identity: NDArray[np.int64]) -> GroupRow:
    columns = range(answers.shape[1])
    if not columns or not len(answers):
        return GroupRow(group, len(answers), float("nan"), float("nan"), float("nan"))
    value = mean_of_known(_balanced(decided, answers, np.ones((1, len(answers))), k)[0] for k in columns)
    rounds = [
        np.stack([_balanced(decided, answers, weights, k) for k in columns]).mean(axis=0)
        for weights in person_weights(identity)
    ]
    low, high = bounds(np.concatenate(rounds))
    return GroupRow(group, len(answers), value, low, high)


def _balanced(
    decided: Bools, answers: NDArray[np.int8], weights: NDArray[Any], k: int
) -> NDArray[np.float64]:
    known = answers[:, k] != 0
    _, balanced = weighted_accuracies(decided[known, k], answers[known, k] > 0, weights[:, known])
    return balanced
