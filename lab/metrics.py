"""Figures of merit with the trivial predictor in mind. Labels are bool, scores float."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_ROUNDS: Final = 1000
CHANCE_AUC: Final = 0.5

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def auc(labels: Bools, scores: Floats) -> float:
    """Area under the ROC curve; ties count half. NaN when one class is absent."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    values, group = np.unique(scores, return_inverse=True)
    counts = np.bincount(group, minlength=len(values))
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_rank[group][labels].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def balanced_accuracy(labels: Bools, decisions: Bools) -> float:
    """Mean of the true rates of both classes; a constant answer scores 0.5. NaN when one class is absent."""
    if labels.all() or not labels.any():
        return float("nan")
    return float((decisions[labels].mean() + (~decisions[~labels]).mean()) / 2)


def accuracy(labels: Bools, decisions: Bools) -> float:
    """Share of right answers; means little without :func:`majority` beside it. NaN without rows."""
    return float("nan") if not labels.size else float((labels == decisions).mean())


def majority(labels: Bools) -> float:
    """Accuracy of always answering the commoner class of these labels. NaN without rows."""
    return accuracy(labels, np.full_like(labels, 2 * labels.sum() > labels.size))


def interval(figure: Callable[[NDArray[np.int64]], float], groups: NDArray[np.int64]) -> tuple[float, float]:
    """95 % bootstrap interval of ``figure(rows)``, drawn over people, not over rows.

    Args:
        figure: Computes the figure on row numbers, which may repeat.
        groups: Which person (or source picture) each row belongs to.
    """
    if not groups.size:
        return float("nan"), float("nan")
    generator = np.random.default_rng(0)
    order = np.argsort(groups, kind="stable")
    rows_of = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    drawn = [
        figure(
            np.concatenate([rows_of[person] for person in generator.integers(0, len(rows_of), len(rows_of))])
        )
        for _ in range(BOOTSTRAP_ROUNDS)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)
