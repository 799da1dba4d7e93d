"""Figures of a bundle on a data file, with the trivial predictor beside each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.metrics import accuracy, interval, majority
from lsi.bundle import Bundle
from lsi.errors import DataError
from training.data import DataFile, tune_rows
from training.figures import auc, balanced_accuracy

Logits = NDArray[np.float32]
AnswerPath = Callable[[Iterable[NDArray[np.float32]]], Iterator[Logits | None]]
"""From fields to logits: the simulated chain, or the ideal one."""

PROGRESS_ROWS: Final = 250
CHANCE_AUC: Final = 0.5


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
    """Per attribute and macro figures of the rows that were answered.

    Raises:
        DataError: The file lacks an attribute of the bundle.
    """
    labels = _labels(bundle, data, rows)
    answered = ~np.isnan(answers.logits[:, 0])
    labels, logits, identity = labels[answered], answers.logits[answered], answers.identity[answered]
    table = {
        name: _one_attribute(labels[:, k], logits[:, k], bundle.attributes.thresholds[k])
        for k, name in enumerate(bundle.attributes.names)
    }

    def macro(chosen: NDArray[np.int64]) -> float:
        return macro_auc(labels[chosen], logits[chosen])

    low, high = interval(macro, identity)
    return {
        "macro_auc": macro_auc(labels, logits),
        "macro_auc_95": [low, high],
        "macro_auc_chance": CHANCE_AUC,
        "macro_balanced_accuracy": float(np.mean([row["balanced_accuracy"] for row in table.values()])),
        "macro_accuracy": float(np.mean([row["accuracy"] for row in table.values()])),
        "macro_accuracy_majority": float(np.mean([row["accuracy_majority"] for row in table.values()])),
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


def macro_auc(labels: NDArray[np.bool_], logits: NDArray[np.float64]) -> float:
    """Mean AUC over the attributes that have both classes; ``logits`` (n, K + 1) or (n, K)."""
    found = [auc(logits[:, k], labels[:, k]) for k in range(labels.shape[1])]
    known = [value for value in found if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _one_attribute(
    labels: NDArray[np.bool_], scores: NDArray[np.float64], threshold: float
) -> dict[str, float]:
    decisions = scores >= threshold
    return {
        "auc": auc(scores, labels),
        "balanced_accuracy": balanced_accuracy(decisions, labels),
        "accuracy": accuracy(labels, decisions),
        "accuracy_majority": majority(labels),
        "positive_rate": accuracy(labels, np.ones_like(labels)),
    }


def _labels(bundle: Bundle, data: DataFile, rows: Sequence[int]) -> NDArray[np.bool_]:
    missing = [name for name in bundle.attributes.names if name not in data.attribute_names]
    if missing:
        found = f"{data.path} does not label {', '.join(missing)}."
        raise DataError(found, hint="a data file with the attributes of the bundle.")
    columns = [data.attribute_names.index(name) for name in bundle.attributes.names]
    labels: NDArray[np.bool_] = data.attributes[np.ix_(list(rows), columns)] > 0
    return labels
