"""95 % intervals by bootstrap over people, not over rows."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_ROUNDS: Final = 1000
_BLOCK_CELLS: Final = 1_000_000
"""Weights made at once; bounds the memory at some tens of MB whatever the number of rows."""

Weights = NDArray[np.float64]
Bools = NDArray[np.bool_]


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
    return bounds(np.array(drawn))


def bounds(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of the figures of many rounds; those that are no number do not count."""
    found = drawn[~np.isnan(drawn)]
    if not found.size:
        return float("nan"), float("nan")
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def person_weights(groups: NDArray[np.int64]) -> Iterator[Weights]:
    """The draws of :func:`interval` as weights of rows, block by block. Shape: (rounds, n) each.

    A weight is how often the row's person was drawn. For figures that can be computed for many
    rounds at once.
    """
    if not groups.size:
        return
    people, person_of = np.unique(groups, return_inverse=True)
    generator, count = np.random.default_rng(0), len(people)
    at_once = max(1, _BLOCK_CELLS // max(1, len(groups)))
    for start in range(0, BOOTSTRAP_ROUNDS, at_once):
        rounds = range(start, min(start + at_once, BOOTSTRAP_ROUNDS))
        drawn = [np.bincount(generator.integers(0, count, count), minlength=count) for _ in rounds]
        yield np.array(drawn, np.float64)[:, person_of]


def weighted_areas(
    scores: NDArray[np.floating[Any]], labels: Bools, weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUC and average precision (rounds,) of rows that count ``weights`` (rounds, n) times.

    With weights of 1 they are ``figures.auc`` and ``average_precision``. NaN in rounds without both kinds.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, [True] * bool(labels.size)))
    ordered = weights[:, order]
    found = np.cumsum(ordered * labels[order], axis=1)[:, ends]
    taken = np.cumsum(ordered, axis=1)[:, ends]
    wrong = taken - found
    gained = np.diff(found, axis=1, prepend=0.0)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    # Each positive is above the negatives that come after it, and above half of those tied with it.
    middle = wrong - np.diff(wrong, axis=1, prepend=0.0) / 2
    positives = weights @ labels
    negatives = weights.sum(axis=1) - positives
    below = negatives[:, None] - middle
    both = (positives > 0) & (negatives > 0)
    return (
        _ratio((gained * below).sum(axis=1), positives * negatives, both),
        _ratio((gained * precision).sum(axis=1), positives, both),
    )


def weighted_accuracies(
    decided: Bools, labels: Bools, weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and balanced accuracy (rounds,), NaN where a round lacks what they need."""
    right = weights @ (decided == labels)
    found, positives = weights @ (decided & labels), weights @ labels
    rows = weights.sum(axis=1)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    rates = _ratio(found, positives, both) + _ratio(right - found, negatives, both)
    return _ratio(right, rows, rows > 0), rates / 2


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], exists: Bools) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=exists)
