"""Accuracy beside its trivial predictor. AUC and intervals: ``training.scores``."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


def accuracy(labels: Bools, decisions: Bools) -> float:
    """Share of right answers; means little without :func:`majority` beside it. NaN without rows."""
    return float("nan") if not labels.size else float((labels == decisions).mean())


def majority(labels: Bools) -> float:
    """Accuracy of always answering the commoner class of these labels. NaN without rows."""
    return accuracy(labels, np.full_like(labels, 2 * labels.sum() > labels.size))
