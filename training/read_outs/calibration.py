"""Logits that mean what they say: fitted on *tune*, folded into the last layer, measured.

The device needs no step of its own for it, and the probabilities never leave.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError
from training.read_outs.read_out import Dense, ReadOutWeights

Scores = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

BINS: Final = 15
LEAST_SPREAD: Final = 0.02
"""Smallest standard deviation of calibrated logits. A slope of zero or below would forget or turn round
what was learned; where *tune* asks for that, nearly flat logits say that they are worth nothing."""
EQUAL: Final = 1e-6
"""Standard deviation of raw logits below which they count as equal and only the offset is fitted."""
FLOOR_DRAWS: Final = 200
_STEPS: Final = 100
_HALVINGS: Final = 40
_DONE: Final = 1e-10


@dataclass(frozen=True, slots=True, repr=False)
class Calibration:
    """``slope * z + offset`` for the first outputs of a read-out, slopes positive.

    Shape: ``slopes`` and ``offsets`` (K,) float64. Outputs after the first K, such as presence, stay as
    they are.
    """

    slopes: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.slopes.shape != self.offsets.shape or self.slopes.ndim != 1:
            message = f"one slope and one offset each: {self.slopes.shape}, {self.offsets.shape}"
            raise ValueError(message)
        if not (self.slopes > 0).all() or not np.isfinite([self.slopes, self.offsets]).all():
            message = "slopes must be positive, slopes and offsets finite"
            raise ValueError(message)

    def padded(self, outputs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Slopes and offsets (outputs,), 1 and 0 beyond the first K."""
        more = outputs - len(self.slopes)
        return np.append(self.slopes, np.ones(more)), np.append(self.offsets, np.zeros(more))

    def __repr__(self) -> str:
        return f"Calibration(attributes={len(self.slopes)})"


def calibrate(logits: Scores, answers: NDArray[np.int8], names: tuple[str, ...]) -> Calibration:
    """Fit slope and offset of every attribute.

    Args:
        logits: (n, K) or more columns; those after the first K are not read.
        answers: (n, K), +1 yes, -1 no, 0 unknown; unknown ones are left out.
        names: Of the K attributes, for messages.

    Raises:
        DataError: An attribute of which only one answer, or none, is known.
    """
    fitted = []
    for k, name in enumerate(names):
        known = answers[:, k] != 0
        labels = answers[known, k] > 0
        if labels.all() or not labels.any():
            found = f"{name} has {int(labels.sum())} yes and {int((~labels).sum())} no on val tune."
            raise DataError(found, hint="more people in the val file, or leave this attribute out.")
        fitted.append(fit(logits[known, k], labels))
    slopes, offsets = np.array(fitted, np.float64).T
    return Calibration(slopes, offsets)


def fit(scores: Scores, labels: Bools) -> tuple[float, float]:
    """Slope and offset that make ``sigmoid(slope * score + offset)`` most likely, slope positive.

    The prior is Platt's (Advances in Large Margin Classifiers, 1999): with P positives their label
    becomes (P + 1) / (P + 2), and alike for negatives, so that a few perfectly separated positives do not
    drive the slope to infinity. The problem is convex; where its minimum lies below ``LEAST_SPREAD``,
    the best offset at that slope is the answer.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    share = float(target.mean())
    prevalence = float(np.log(share / (1 - share)))
    centre, spread = float(scores.mean(dtype=np.float64)), float(scores.std(dtype=np.float64))
    if spread < EQUAL:
        return 1.0, prevalence - centre
    standard = (scores.astype(np.float64) - centre) / spread
    slope, offset = _minimum(standard, target, np.array([0.0, prevalence]), np.array([True, True]))
    if slope < LEAST_SPREAD:
        start = np.array([LEAST_SPREAD, prevalence])
        slope, offset = _minimum(standard, target, start, np.array([False, True]))
    return float(slope / spread), float(offset - slope * centre / spread)


def _minimum(
    z: NDArray[np.float64], target: NDArray[np.float64], start: NDArray[np.float64], free: Bools
) -> NDArray[np.float64]:
    """Newton's method with halved steps on the ``free`` ones of slope and offset of standardised ``z``."""
    design, at = np.stack((z, np.ones_like(z)), axis=1), start
    for _ in range(_STEPS):
        chance = probabilities(design @ at)
        gradient = design.T @ (chance - target)
        curvature = (design.T * (chance * (1 - chance))) @ design
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], -gradient[free])
        decrement = float(-gradient @ step)
        if decrement < _DONE:
            break
        at = _descended(design, target, at, step, decrement)
    return at


def _descended(
    design: NDArray[np.float64],
    target: NDArray[np.float64],
    at: NDArray[np.float64],
    step: NDArray[np.float64],
    decrement: float,
) -> NDArray[np.float64]:
    """``at`` plus the longest halving of ``step`` that lowers the loss enough (Armijo, 1e-4)."""
    size, loss = 1.0, _loss(design, target, at)
    for _ in range(_HALVINGS):
        if _loss(design, target, at + size * step) <= loss - 1e-4 * size * decrement:
            break
        size /= 2
    return at + size * step


def _loss(design: NDArray[np.float64], target: NDArray[np.float64], at: NDArray[np.float64]) -> float:
    z = design @ at
    return float((np.logaddexp(0, z) - target * z).sum())


def folded(read_out: ReadOutWeights, calibration: Calibration) -> ReadOutWeights:
    """The same read-out with the calibration inside the rows of its last layer."""
    *before, last = read_out.layers
    slopes, offsets = calibration.padded(read_out.outputs)
    weights = (last.weights * slopes[:, None]).astype(np.float32)
    bias = (last.bias * slopes + offsets).astype(np.float32)
    return ReadOutWeights(read_out.mean, read_out.scale, (*before, Dense(weights, bias)))


def folded_range(
    low: NDArray[np.float32], high: NDArray[np.float32], calibration: Calibration
) -> tuple[float, float]:
    """Range over all outputs after folding, from lowest and highest raw logit (K + 1,) of each output.

    Exact, because slopes are positive: where a raw logit was lowest, the folded one is.
    """
    slopes, offsets = calibration.padded(len(low))
    return float((low * slopes + offsets).min()), float((high * slopes + offsets).max())


def probabilities(logits: Scores) -> NDArray[np.float64]:
    """``1 / (1 + exp(-z))`` without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -logits.astype(np.float64))), np.float64)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows of like probability: what was said, what happened, how many."""

    mean_probability: float
    positive_share: float
    rows: int


def reliability(chance: Scores, labels: Bools, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Bins of equal mass, for a diagram; fewer where equal probabilities fall together.

    Edges are the quantiles k / ``bins`` of ``chance`` (n,), and equal values are never parted.
    """
    place = _bin_of(chance, bins)
    rows = np.bincount(place)
    said, happened = np.bincount(place, chance), np.bincount(place, labels)
    return tuple(
        ReliabilityBin(float(said[k] / rows[k]), float(happened[k] / rows[k]), int(rows[k]))
        for k in np.flatnonzero(rows)
    )


def expected_calibration_error(chance: Scores, labels: Bools, bins: int = BINS) -> float:
    """Mean over rows of |said - happened| of their bin, 15 bins of equal mass; NaN without rows.

    It is of the probability of *yes*, not of the more likely answer. Chance alone keeps it
    above zero: see :func:`expected_calibration_error_floor`.
    """
    if not len(labels):
        return float("nan")
    return float(_errors(_bin_of(chance, bins), chance, labels.astype(np.float64)[None, :])[0])


def expected_calibration_error_floor(chance: Scores, bins: int = BINS) -> float:
    """What :func:`expected_calibration_error` shows on average where ``chance`` is exactly right."""
    if not len(chance):
        return float("nan")
    return float(calibration_errors_if_exact(chance, np.random.default_rng(0), bins).mean())


def calibration_errors_if_exact(
    chance: Scores, generator: np.random.Generator, bins: int = BINS
) -> NDArray[np.float64]:
    """Calibration errors of ``FLOOR_DRAWS`` drawn sets of answers for which ``chance`` (n,) is exactly right.

    A measured error inside their spread says nothing against the probabilities.
    """
    drawn = generator.random((FLOOR_DRAWS, len(chance))) < chance
    return _errors(_bin_of(chance, bins), chance, drawn.astype(np.float64))


def brier_skill(chance: Scores, labels: Bools, prevalence: float) -> float:
    """1 - (Brier score / that of always saying ``prevalence``, as found on *tune*).

    1 is perfect, 0 no better than the climatology, below 0 worse. NaN where the climatology is perfect.
    """
    if not len(labels):
        return float("nan")
    climatology = float(((prevalence - labels) ** 2).mean())
    return 1 - float(((chance - labels) ** 2).mean()) / climatology if climatology else float("nan")


def _bin_of(chance: Scores, bins: int) -> NDArray[np.intp]:
    if not len(chance):
        return np.empty(0, np.intp)
    edges = np.quantile(chance, np.arange(1, bins) / bins)
    return np.searchsorted(np.unique(edges), chance, side="right")


def _errors(place: NDArray[np.intp], chance: Scores, happened: NDArray[np.float64]) -> NDArray[np.float64]:
    """The calibration error of each row of ``happened`` (draws, n)."""
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    surplus = np.add.reduceat((happened - chance)[:, order], starts, axis=1)
    errors: NDArray[np.float64] = np.abs(surplus).sum(axis=1) / len(chance)
    return errors
