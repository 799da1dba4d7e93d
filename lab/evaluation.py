"""Figures of a bundle on a data file, with the trivial predictor beside each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.metrics import accuracy, majority
from lsi.attributes import AttributeSchema
from lsi.bundle import Bundle
from lsi.errors import DataError
from training.data_sets.data import DataFile, tune_rows
from training.read_outs.calibration import brier_skill, expected_calibration_error, probabilities
from training.scores.figures import auc, average_precision, balanced_accuracy, known, mean_of_known
from training.scores.intervals import bounds, interval, person_weights, weighted_areas

Logits = NDArray[np.float32]
AnswerPath = Callable[[Iterable[NDArray[np.float32]]], Iterator[Logits | None]]
"""From fields to logits: the simulated chain, or the ideal one."""

PROGRESS_ROWS: Final = 250
CHANCE_AUC: Final = 0.5
_MACRO: Final = (
    "average_precision",
    "positive_rate",
    "balanced_accuracy",
    "accuracy",
    "accuracy_majority",
    "ece",
    "brier_skill",
    "coverage",
    "selective_accuracy",
)


@dataclass(frozen=True, slots=True, repr=False)
class Answers:
    """Logits of every row of a data file. Shape: ``logits`` (n, K + 1); NaN where a scan was dropped."""

    logits: NDArray[np.float64]
    identity: NDArray[np.int64]

    @property
    def dropped(self) -> int:
        """Rows without an answer."""
        return int(np.isnan(self.logits[:, 0]).sum())


def answers_of(
    data: DataFile, rows: Sequence[int], outputs: int, path: AnswerPath, progress: Callable[[int, int], None]
) -> Answers:
    """Send ``rows`` of ``data`` along ``path``; ``progress`` is told (done, total)."""
    found = np.full((len(rows), outputs), np.nan)
    for done, logits in enumerate(path(data.field(row) for row in rows), start=1):
        if logits is not None:
            found[done - 1] = logits
        if done % PROGRESS_ROWS == 0 or done == len(rows):
            progress(done, len(rows))
    return Answers(found, data.identity[list(rows)])


def chosen_rows(data: DataFile, part: str, limit: int | None) -> list[int]:
    """Row numbers of ``part``: "all", or the "tune" or "report" half (split by person)."""
    rows = np.arange(len(data))
    if part != "all":
        tune = tune_rows(data.identity)
        rows = rows[tune if part == "tune" else ~tune]
    return [int(row) for row in rows[:limit]]


def attribute_figures(
    bundle: Bundle, data: DataFile, rows: Sequence[int], answers: Answers
) -> dict[str, Any]:
    """Per attribute and macro figures of the rows that were answered; unknown labels do not count.

    ``coverage`` is the part of them to which the bundle says yes or no, ``selective_accuracy`` the accuracy
    there; every other figure counts all. ``brier_skill`` compares with always saying the prevalence of
    these very rows.

    Raises:
        DataError: The file lacks an attribute of the bundle.
    """
    labels = _labels(bundle, data, rows)
    answered = ~np.isnan(answers.logits[:, 0])
    labels, logits, identity = labels[answered], answers.logits[answered], answers.identity[answered]
    table = {
        name: _one_attribute(labels[:, k], logits[:, k], bundle.attributes, k)
        for k, name in enumerate(bundle.attributes.names)
    }
    low, high = _macro_auc_interval(labels, logits, identity)
    macro = {key: mean_of_known(row[key] for row in table.values()) for key in _MACRO}
    return {
        "macro_auc": macro_auc(labels, logits),
        "macro_auc_95": [low, high],
        "macro_auc_chance": CHANCE_AUC,
        **{f"macro_{key}": value for key, value in macro.items()},
        "attributes": table,
    }


def presence_figures(bundle: Bundle, faces: Answers, others: Answers) -> dict[str, Any]:
    """How well presence tells faces from scenes without one. A dropped scan counts as no face."""
    scores = np.concatenate([faces.logits[:, -1], others.logits[:, -1]])
    scores = np.where(np.isnan(scores), -np.inf, scores)
    labels = np.concatenate([np.ones(len(faces.logits), np.bool_), np.zeros(len(others.logits), np.bool_)])
    # People and source pictures are numbered separately; negative numbers keep them apart.
    groups = np.concatenate([faces.identity, -1 - others.identity])
    low, high = interval(lambda chosen: auc(scores[chosen], labels[chosen]), groups)
    decisions = scores >= bundle.attributes.presence_threshold
    return {
        "auc": auc(scores, labels),
        "auc_95": [low, high],
        "auc_chance": CHANCE_AUC,
        "faces_seen": accuracy(labels[labels], decisions[labels]),
        "others_taken_for_faces": 1 - accuracy(labels[~labels], decisions[~labels]),
        "balanced_accuracy": balanced_accuracy(decisions, labels),
    }


def macro_auc(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Mean AUC over the attributes of which both answers are known.

    Args:
        labels: (n, K), +1 yes, -1 no, 0 unknown.
        logits: (n, K + 1) or (n, K).
    """
    return mean_of_known(auc(*known(logits[:, k], labels[:, k])) for k in range(labels.shape[1]))


def _macro_auc_interval(
    labels: NDArray[np.int8], logits: NDArray[np.float64], identity: NDArray[np.int64]
) -> tuple[float, float]:
    rounds = []
    for weights in person_weights(identity):
        each = [
            weighted_areas(*known(logits[:, k], labels[:, k]), weights[:, labels[:, k] != 0])[0]
            for k in range(labels.shape[1])
        ]
        rounds += [mean_of_known(values) for values in np.stack(each, axis=1)]
    return bounds(np.array(rounds))


def _one_attribute(
    answers: NDArray[np.int8], logits: NDArray[np.float64], schema: AttributeSchema, k: int
) -> dict[str, float]:
    scores, labels = known(logits, answers)
    threshold = schema.thresholds[k]
    low, high = schema.abstain[k] if schema.abstain else (threshold, threshold)
    decisions, chance = scores >= threshold, probabilities(scores)
    told = (scores < low) | (scores >= high)
    prevalence = accuracy(labels, np.ones_like(labels))
    return {
        "auc": auc(scores, labels),
        "average_precision": average_precision(scores, labels),
        "balanced_accuracy": balanced_accuracy(decisions, labels),
        "accuracy": accuracy(labels, decisions),
        "accuracy_majority": majority(labels),
        "positive_rate": prevalence,
        "ece": expected_calibration_error(chance, labels),
        "brier_skill": brier_skill(chance, labels, prevalence),
        "coverage": accuracy(told, np.ones_like(told)),
        "selective_accuracy": accuracy(labels[told], decisions[told]),
        "rows": len(labels),
    }


def _labels(bundle: Bundle, data: DataFile, rows: Sequence[int]) -> NDArray[np.int8]:
    missing = [name for name in bundle.attributes.names if name not in data.attribute_names]
    if missing:
        found = f"{data.path} does not label {', '.join(missing)}."
        raise DataError(found, hint="a data file with the attributes of the bundle.")
    columns = [data.attribute_names.index(name) for name in bundle.attributes.names]
    return data.attributes[np.ix_(list(rows), columns)]
