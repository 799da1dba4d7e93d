"""How good the logits are, and where to cut them: areas under curves, thresholds, tables. Numpy only."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FALSE_REJECTS: Final = 0.02
"""Part of the *tune* faces that the presence threshold turns away.

A face missed costs one scan; a scene taken for a face publishes answers about nobody. At 1 % three
times as many pictures without a face pass.
"""


def auc(scores: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN without both kinds."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(count) - (count - 1) / 2
    rank_sum = float(middle_rank[place][labels].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def balanced_accuracy(decided: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Mean of the parts of positives and of negatives that are decided right; 0.5 is chance.

    NaN without both kinds.
    """
    if labels.all() or not labels.any():
        return float("nan")
    return (float(decided[labels].mean()) + float((~decided[~labels]).mean())) / 2


def balanced_threshold(scores: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float:
    """The threshold of best balanced accuracy: midway between the scores on either side of the cut.

    Raises:
        ValueError: Labels of one kind only.
    """
    if labels.all() or not labels.any():
        message = "a threshold needs positives and negatives"
        raise ValueError(message)
    order = np.argsort(scores, kind="stable")
    ordered, positive = scores[order].astype(np.float64), labels[order]
    rejected_right = np.cumsum(~positive)[:-1] / (~labels).sum()
    rejected_wrong = np.cumsum(positive)[:-1] / labels.sum()
    gain = np.where(np.diff(ordered) > 0, rejected_right - rejected_wrong, -np.inf)
    cut = int(np.argmax(gain))
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def presence_threshold(face_scores: NDArray[np.floating[Any]], false_rejects: float = FALSE_REJECTS) -> float:
    """The threshold below which the part ``false_rejects`` of the faces lies."""
    return float(np.quantile(face_scores.astype(np.float64), false_rejects))


@dataclass(frozen=True, slots=True)
class AttributeFigures:
    """One attribute on one set of people.

    ``majority`` is the accuracy of always giving the commoner answer.
    """

    name: str
    auc: float
    balanced_accuracy: float
    accuracy: float
    majority: float
    positives: int


@dataclass(frozen=True, slots=True)
class PresenceFigures:
    """Faces against one kind of other scenes; chance is an AUC of 0.5."""

    against: str
    auc: float
    false_accepts: float
    rows: int


def attribute_figures(
    name: str, scores: NDArray[np.floating[Any]], labels: NDArray[np.bool_], threshold: float
) -> AttributeFigures:
    """Figures of one attribute at a threshold that was chosen on other people."""
    decided = scores >= threshold
    share = float(labels.mean())
    return AttributeFigures(
        name=name,
        auc=auc(scores, labels),
        balanced_accuracy=balanced_accuracy(decided, labels),
        accuracy=float((decided == labels).mean()),
        majority=max(share, 1 - share),
        positives=int(labels.sum()),
    )


def presence_figures(
    against: str,
    face_scores: NDArray[np.floating[Any]],
    other_scores: NDArray[np.floating[Any]],
    threshold: float,
) -> PresenceFigures:
    """Figures of presence between faces and other scenes."""
    scores = np.concatenate((face_scores, other_scores))
    labels = np.arange(len(scores)) < len(face_scores)
    accepted = float((other_scores >= threshold).mean())
    return PresenceFigures(against, auc(scores, labels), accepted, len(other_scores))
