"""From scores of a predictor to its figures: calibrated and cut on *tune*, counted on *report*.

Letters: n rows, K attributes. Answers are +1 yes, -1 no, 0 unknown; unknown ones count nowhere.
Every predictor is treated alike: slope and offset of its scores are fitted on *tune*, accuracy is
taken at probability 1/2 and balanced accuracy at the threshold that was best on *tune*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.read_outs.calibration import fit
from training.read_outs.thresholds import balanced_threshold
from training.scores.figures import known, mean_of_known
from training.scores.intervals import bounds, person_weights, weighted_accuracies, weighted_areas

Floats = NDArray[np.float64]
Answers = NDArray[np.int8]
METRICS: Final = ("auc", "map", "balanced_accuracy", "accuracy")
CHANCE: Final = 0.5
"""AUC and balanced accuracy of a constant answer."""


@dataclass(frozen=True, slots=True, repr=False)
class Split:
    """Answers of both halves. Shape: (n, K); ``people`` (n of report,), equal for rows of one person."""

    names: tuple[str, ...]
    tune: Answers
    report: Answers
    people: NDArray[np.int64]

    def columns(self) -> list[int]:
        """The attributes with both answers in both halves: only they have figures."""
        halves = (self.tune, self.report)
        return [
            k for k in range(len(self.names)) if all({-1, 1} <= set(half[:, k].tolist()) for half in halves)
        ]


@dataclass(frozen=True, slots=True)
class Label:
    """What a row of the table says about its predictor besides figures."""

    system: str
    d: int | None
    arms: str
    light: str
    note: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Predictor:
    """Raw scores of one trained predictor, higher means yes. Shape: (n of the half, K)."""

    label: Label
    seed: int | None
    tune: Floats
    report: Floats


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """How one attribute's raw scores become logits and answers. ``balanced`` cuts the calibrated logit."""

    slope: float
    offset: float
    balanced: float

    def logits(self, scores: NDArray[np.floating[Any]]) -> Floats:
        """Calibrated logits: their sigmoid is a probability, 0 is 1/2."""
        found: Floats = self.slope * scores.astype(np.float64) + self.offset
        return found


def decision(scores: Floats, answers: Answers) -> Decision:
    """Fitted on the *tune* scores (n,) of one attribute with both answers."""
    chosen, labels = known(scores, answers)
    slope, offset = fit(chosen, labels)
    return Decision(slope, offset, balanced_threshold(slope * chosen + offset, labels))


def decisions(scores: Floats, split: Split) -> dict[int, Decision]:
    """By column, for the attributes that have figures."""
    return {k: decision(scores[:, k], split.tune[:, k]) for k in split.columns()}


def resampled(scores: Floats, how: Mapping[int, Decision], split: Split, weights: Floats) -> Floats:
    """Macro figures (4, rounds), in the order of ``METRICS``, over the attributes of ``how``.

    Args:
        scores: (n, K), raw scores of *report*.
        how: Decisions by column.
        split: Answers.
        weights: (rounds, n), how often each row counts.
    """
    each = []
    for k, decided in how.items():
        chosen = split.report[:, k] != 0
        logits, labels = decided.logits(scores[chosen, k]), split.report[chosen, k] > 0
        areas = weighted_areas(logits, labels, weights[:, chosen])
        accuracy, _ = weighted_accuracies(logits >= 0, labels, weights[:, chosen])
        _, balanced = weighted_accuracies(logits >= decided.balanced, labels, weights[:, chosen])
        each.append((*areas, balanced, accuracy))
    return _mean_of_numbers(np.array(each)) if each else np.full((len(METRICS), len(weights)), np.nan)


def row_of(predictors: Sequence[Predictor], split: Split) -> dict[str, Any]:
    """One row of the table: the seeds of one system.

    ``mean`` and ``spread`` (standard deviation) over seeds; ``interval_95`` over people, of the mean.
    """
    label = predictors[0].label
    once = np.ones((1, len(split.people)))
    cut = [(each.report, decisions(each.tune, split)) for each in predictors]
    values = np.array([resampled(scores, how, split, once)[:, 0] for scores, how in cut])
    drawn = np.concatenate(
        [
            np.mean([resampled(scores, how, split, weights) for scores, how in cut], axis=0)
            for weights in person_weights(split.people)
        ],
        axis=1,
    )
    row: dict[str, Any] = {
        "system": label.system,
        "d": label.d,
        "arms": label.arms,
        "light": label.light,
        "note": label.note,
        "seeds": [each.seed for each in predictors if each.seed is not None],
    }
    for index, metric in enumerate(METRICS):
        row[metric] = {
            "mean": float(values[:, index].mean()),
            "spread": float(values[:, index].std(ddof=1)) if len(values) > 1 else None,
            "interval_95": list(bounds(drawn[index])),
        }
    return row


def trivial_figures(commoner_yes: NDArray[np.bool_], split: Split) -> dict[str, float]:
    """What a constant answer gets on *report*; for mAP that is the prevalence.

    Args:
        commoner_yes: (K,), the constant answer to each attribute.
        split: Answers.
    """
    right, share = [], []
    for k in split.columns():
        answers = split.report[:, k]
        labels = answers[answers != 0] > 0
        right.append(float((labels == commoner_yes[k]).mean()))
        share.append(float(labels.mean()))
    return {
        "auc": CHANCE,
        "map": mean_of_known(share),
        "balanced_accuracy": CHANCE,
        "accuracy": mean_of_known(right),
    }


def _mean_of_numbers(values: Floats) -> Floats:
    """Mean over the first axis, leaving NaN out; NaN where nothing else stands."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0.0).sum(axis=0), there.sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean
