"""95 % intervals over people for the figures of the latent path."""

import numpy as np
from numpy.typing import NDArray

from training.scores.figures import known
from training.scores.intervals import bounds, person_weights, weighted_areas

Interval = tuple[float, float]


def mean_interval(rows: NDArray[np.float64], people: NDArray[np.int64]) -> Interval:
    """Of the mean of one value for each picture (n,); ``people`` (n,) says who is on it."""
    drawn = [weights @ rows / weights.sum(axis=1) for weights in person_weights(people)]
    return bounds(np.concatenate(drawn)) if drawn else (float("nan"), float("nan"))


def auc_interval(
    logits: NDArray[np.float32], labels: NDArray[np.int8], people: NDArray[np.int64]
) -> Interval:
    """Of the macro AUC of logits (n, K + 1), presence last, on labels (n, K) with 0 for unknown."""
    drawn = []
    for weights in person_weights(people):
        areas = [_areas(logits[:, k], labels[:, k], weights) for k in range(labels.shape[1])]
        drawn.append(_mean_of_known(np.array(areas)))
    return bounds(np.concatenate(drawn)) if drawn else (float("nan"), float("nan"))


def _areas(
    scores: NDArray[np.float32], answers: NDArray[np.int8], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    counted = answers != 0
    return weighted_areas(*known(scores, answers), weights[:, counted])[0]


def _mean_of_known(areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over attributes (K, rounds) of those that are numbers; NaN where none is."""
    exists = ~np.isnan(areas)
    total, count = np.where(exists, areas, 0.0).sum(axis=0), exists.sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
