"""How good the logits are: areas under curves, accuracies, tables. Numpy only.

Answers are int8: +1 yes, -1 no, 0 unknown. No figure counts an unknown one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.read_outs.calibration import (
    brier_skill,
    expected_calibration_error,
    expected_calibration_error_floor,
    probabilities,
)

Scores = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
NAN = float("nan")


def known(scores: Scores, answers: NDArray[np.int8]) -> tuple[Scores, Bools]:
    """Scores and labels of the rows whose answer is known."""
    chosen = answers != 0
    return scores[chosen], answers[chosen] > 0


def mean_of_known(values: Iterable[float]) -> float:
    """Mean of the values that are numbers; NaN where none is."""
    found = [value for value in values if not np.isnan(value)]
    return float(np.mean(found)) if found else NAN


def auc(scores: Scores, labels: Bools) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN without both kinds."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return NAN
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(count) - (count - 1) / 2
    rank_sum = float(middle_rank[place][labels].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def average_precision(scores: Scores, labels: Bools) -> float:
    """Precision at every distinct score, weighted by the recall that it adds; its chance is the prevalence.

    Tied scores count as one cut. NaN without both kinds.
    """
    if labels.all() or not labels.any():
        return NAN
    _, place = np.unique(-scores, return_inverse=True)
    found, taken = np.cumsum(np.bincount(place, labels)), np.cumsum(np.bincount(place))
    return float((np.diff(found, prepend=0.0) * found / taken).sum() / found[-1])


def balanced_accuracy(decided: Bools, labels: Bools) -> float:
    """Mean of the parts of positives and of negatives that are decided right; 0.5 is chance.

    NaN without both kinds.
    """
    if labels.all() or not labels.any():
        return NAN
    return (float(decided[labels].mean()) + float((~decided[~labels]).mean())) / 2


@dataclass(frozen=True, slots=True)
class AttributeFigures:
    """One attribute on one set of people; NaN where the labels are of one kind only.

    Each figure stands beside what says little: ``average_precision`` and ``prevalence``, ``accuracy`` and
    ``majority`` (always the commoner answer), ``ece`` and ``ece_floor`` (what perfect
    probabilities would show on as many people). ``brier_skill`` compares with always saying the
    prevalence of *tune*. ``coverage`` is the part of the rows that are answered at all, and
    ``selective_accuracy`` the accuracy on those; every other figure counts all ``rows``.
    """

    name: str
    auc: float
    average_precision: float
    prevalence: float
    balanced_accuracy: float
    accuracy: float
    majority: float
    ece: float
    ece_floor: float
    brier_skill: float
    coverage: float
    selective_accuracy: float
    positives: int
    rows: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How one attribute's logits become answers, and how common it was where that was chosen.

    None between ``low`` and ``high``, ``high`` excluded.
    """

    name: str
    threshold: float
    low: float
    high: float
    prevalence: float


def attribute_figures(scores: Scores, answers: NDArray[np.int8], cut: Cut) -> AttributeFigures:
    """Figures of one attribute (n,) whose logits are calibrated and whose ``cut`` comes from other people."""
    found, labels = known(scores, answers)
    right = (found >= cut.threshold) == labels
    answered = (found < cut.low) | (found >= cut.high)
    chance, share = probabilities(found), _share(labels)
    return AttributeFigures(
        name=cut.name,
        auc=auc(found, labels),
        average_precision=average_precision(found, labels),
        prevalence=share,
        balanced_accuracy=balanced_accuracy(found >= cut.threshold, labels),
        accuracy=_share(right),
        majority=max(share, 1 - share),
        ece=expected_calibration_error(chance, labels),
        ece_floor=expected_calibration_error_floor(chance),
        brier_skill=brier_skill(chance, labels, cut.prevalence),
        coverage=_share(answered),
        selective_accuracy=_share(right[answered]),
        positives=int(labels.sum()),
        rows=len(labels),
    )


@dataclass(frozen=True, slots=True)
class PresenceFigures:
    """Faces in their place against one kind of other scenes; chance is an AUC of 0.5.

    ``false_accepts`` is the part taken for a face at the threshold of the model,
    ``false_alarms_at_99`` at the threshold that lets 99 % of these very faces pass. Kinds that are
    not in the headline (``counts`` false) are told apart from the worst one.
    """

    against: str
    auc: float
    false_accepts: float
    false_alarms_at_99: float
    rows: int
    counts: bool = True


def presence_figures(
    against: str, face_scores: Scores, other_scores: Scores, threshold: float, *, counts: bool = True
) -> PresenceFigures:
    """Figures of presence between faces and other scenes."""
    scores = np.concatenate((face_scores, other_scores))
    labels = np.arange(len(scores)) < len(face_scores)
    at_99 = np.quantile(face_scores.astype(np.float64), 0.01)
    return PresenceFigures(
        against=against,
        auc=auc(scores, labels),
        false_accepts=_share(other_scores >= threshold),
        false_alarms_at_99=_share(other_scores >= at_99),
        rows=len(other_scores),
        counts=counts,
    )


def _share(values: Bools) -> float:
    return float(values.mean()) if values.size else NAN


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Figures as JSON can hold them: one that does not exist (no rows, one answer only) is ``None``."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
