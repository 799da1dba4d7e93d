"""Accuracy beside its trivial predictor, and intervals over people. AUC: ``training.figures``."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_ROUNDS: Final = 1000

Bools = NDArray[np.bool_]


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
