"""Where to cut logits: thresholds by named rules, and the band in which no answer is given."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError

Scores = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Rule = Callable[[Scores, Bools], float]

FALSE_REJECTS: Final = 0.02
"""Part of the *tune* faces that the presence threshold turns away.

A face missed costs one scan; a scene taken for a face publishes answers about nobody. At 1 % three
times as many pictures without a face pass.
"""


def balanced_threshold(scores: Scores, labels: Bools) -> float:
    """The threshold of best balanced accuracy: midway between the scores on either side of the cut.

    Raises:
        DataError: Labels of one kind only.
    """
    _require_both(labels)
    order = np.argsort(scores, kind="stable")
    ordered, positive = scores[order].astype(np.float64), labels[order]
    rejected_right = np.cumsum(~positive)[:-1] / (~labels).sum()
    rejected_wrong = np.cumsum(positive)[:-1] / labels.sum()
    gain = np.where(np.diff(ordered) > 0, rejected_right - rejected_wrong, -np.inf)
    cut = int(np.argmax(gain))
    return float((ordered[cut] + ordered[cut + 1]) / 2)


def accuracy_threshold(scores: Scores, labels: Bools) -> float:
    """0: of a calibrated logit the more likely answer, and so the best accuracy. Nothing is searched for.

    Raises:
        DataError: Labels of one kind only.
    """
    del scores  # Calibration has read them; a search here would fit the noise of tune.
    _require_both(labels)
    return 0.0


def prior_threshold(scores: Scores, labels: Bools) -> float:
    """The threshold at which as many are answered yes as are positive; equal scores are never parted.

    Raises:
        DataError: Labels of one kind only.
    """
    _require_both(labels)
    falling = -np.sort(-scores.astype(np.float64))
    positives = int(labels.sum())
    return float((falling[positives - 1] + falling[positives]) / 2)


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {"balanced": balanced_threshold, "accuracy": accuracy_threshold, "prior": prior_threshold}
)


def rule_of(name: str) -> Rule:
    """The rule called ``name``.

    Raises:
        ConfigError: There is none.
    """
    if name not in RULES:
        raise ConfigError(f"There is no threshold rule {name!r}.", hint=f"one of: {', '.join(RULES)}.")
    return RULES[name]


def presence_threshold(face_scores: Scores, false_rejects: float = FALSE_REJECTS) -> float:
    """The threshold below which the part ``false_rejects`` of the faces lies."""
    return float(np.quantile(face_scores.astype(np.float64), false_rejects))


def choose_abstention(scores: Scores, threshold: float, coverage: float) -> tuple[float, float]:
    """The band [low, high) around ``threshold`` that leaves all but ``coverage`` of ``scores`` unanswered.

    It reaches equally far to both sides. On calibrated logits that is Chow's rule (1970): the rows left out
    are those of the largest risk, errors of both kinds weighted as the threshold weighs them. Labels
    are not needed.

    Raises:
        ConfigError: ``coverage`` is not in 0..1, 0 excluded.
    """
    check_coverage(coverage)
    distance = np.sort(np.abs(scores.astype(np.float64) - threshold))
    left_out = round((1 - coverage) * len(distance))
    if not left_out:
        return threshold, threshold
    # Midway to the first row that is still answered, so that rounding moves nobody across.
    reach = float(distance[left_out - 1 : left_out + 1].mean())
    return threshold - reach, threshold + reach


def check_coverage(coverage: float) -> None:
    """Refuse a part of rows to answer that is none.

    Raises:
        ConfigError: It is not in 0..1, 0 excluded.
    """
    if not 0 < coverage <= 1:
        raise ConfigError(f"Coverage is {coverage}.", hint="a part in 0..1; 1 answers always.")


def _require_both(labels: Bools) -> None:
    if labels.all() or not labels.any():
        found = f"A threshold needs positives and negatives; found {int(labels.sum())} of {len(labels)}."
        raise DataError(found, hint="more people in the val file, or leave this attribute out.")
