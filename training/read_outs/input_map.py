"""A gain and an offset per mask in front of a read-out, fitted to few labelled vectors.

Letters: n vectors, d masks, K attributes, s standardised measurement, J slope of a logit by s.
The map is s + a s + b. A rig that is not the one of the training changes what the masks measure, not what
a measurement means; what undoes the change stands in front of all layers and so repairs presence too,
for which a bench has no negatives. Maps that mix masks are left out: for a shifted or scaled scene even
the best one, found from pairs of right and wrong measurements, betters AUC by less than 0.1 point.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.read_outs.read_out import ReadOutWeights

FloatArray = NDArray[np.float64]

STEPS: Final = 8
"""Most Gauss-Newton steps; from a start this near, three to five are enough."""
SMALLEST_STEP: Final = 2**-6
ENOUGH: Final = 1e-4
"""A step that gains less than this part of a nat per answer is the last."""
BASE_RATE_SPREAD: Final = 1.0
"""Standard deviation, in logits, of how far the rate of an attribute on the bench is from the training's."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a rig may be off, before anything was measured: standard deviations in standardised units.

    ``common`` is one shift of all ratios by the same amount (arms that differ), ``offset`` a shift of each
    mask, ``gain`` a factor of each mask.
    """

    common: float
    offset: float
    gain: float


@dataclass(frozen=True, slots=True, repr=False)
class InputMap:
    """s to s + a s + b. Shape: ``gain`` a (d,), ``offset`` b (d,), float64."""

    gain: FloatArray
    offset: FloatArray

    @classmethod
    def identity(cls, d: int) -> "InputMap":
        """The map that changes nothing."""
        return cls(np.zeros(d), np.zeros(d))

    def __call__(self, standardised: FloatArray) -> FloatArray:
        """The map of ``standardised`` (n, d)."""
        return standardised + standardised * self.gain + self.offset

    def folded(self, read_out: ReadOutWeights) -> ReadOutWeights:
        """The read-out that answers like ``read_out`` behind this map; only its standardisation differs.

        s + a s + b = (y - mean) (1 + a) scale + b, which is again a mean and a scale. So what the export
        draws at random around the mean lies where this bench measures.
        """
        scale = read_out.scale * (1 + self.gain)
        mean = read_out.mean - self.offset / scale
        return replace(read_out, mean=mean.astype(np.float32), scale=scale.astype(np.float32))

    def __repr__(self) -> str:
        return f"InputMap(d={len(self.offset)})"


@dataclass(frozen=True, slots=True, repr=False)
class Fitted:
    """A map, and how many logits each attribute's answers lie off on this bench.

    ``base_rate`` (K,) explains rates and class weights that differ from the training's; it is used to
    compare fits and is no part of the read-out.
    """

    map: InputMap
    base_rate: FloatArray

    def __repr__(self) -> str:
        return f"Fitted({self.map!r})"


def standardised(read_out: ReadOutWeights, measurements: NDArray[np.float32]) -> FloatArray:
    """What the first layer of ``read_out`` reads, (n, d)."""
    found: FloatArray = (measurements.astype(np.float64) - read_out.mean) * read_out.scale
    return found


def fit_input_map(
    read_out: ReadOutWeights, measurements: NDArray[np.float32], labels: NDArray[np.int8], spread: Spread
) -> Fitted:
    """The most probable map: logistic likelihood of the answers, normal prior of width ``spread``.

    Gauss-Newton with the slopes of the network, halved steps where the network bends; never worse on its
    own objective than no map at all.

    Args:
        read_out: The start; its last output (presence) takes no part.
        measurements: (n, d).
        labels: (n, K), +1 yes, -1 no, 0 unknown.
        spread: Width of the prior.
    """
    problem = _Problem(read_out, standardised(read_out, measurements), labels, spread)
    theta = np.zeros(problem.size)
    objective = problem.objective(theta)
    for _ in range(STEPS):
        target = problem.newton(theta)
        step, moved, found = 1.0, target, problem.objective(target)
        while found > objective and step > SMALLEST_STEP:
            step /= 2
            moved = theta + step * (target - theta)
            found = problem.objective(moved)
        if found > objective:
            break
        gained, theta, objective = objective - found, moved, found
        if gained < ENOUGH * problem.answers:
            break
    return problem.fitted(theta)


def answer_loss(logits: FloatArray, labels: NDArray[np.int8]) -> FloatArray:
    """Nats that each answer (n, K) costs; 0 where the label is unknown."""
    loss: FloatArray = np.logaddexp(0.0, -labels * logits) * (labels != 0)
    return loss


class _Problem:
    """Parameters in units of their prior: common, offset (d), gain (d), base rates (K)."""

    def __init__(
        self, read_out: ReadOutWeights, inputs: FloatArray, labels: NDArray[np.int8], spread: Spread
    ) -> None:
        self._weights = [layer.weights.astype(np.float64) for layer in read_out.layers]
        self._biases = [layer.bias.astype(np.float64) for layer in read_out.layers]
        self._inputs = inputs
        self._labels = labels
        self._d, self._k = inputs.shape[1], labels.shape[1]
        # The same shift of every ratio, as a direction of length sqrt(d) in standardised units.
        scale = read_out.scale.astype(np.float64)
        self._common = spread.common * scale / np.sqrt((scale**2).mean())
        self._spread = spread
        self.size = 1 + 2 * self._d + self._k
        self.answers = max(1, int((labels != 0).sum()))

    def fitted(self, theta: FloatArray) -> Fitted:
        """The map that the parameters stand for."""
        common, offset, gain, base_rate = np.split(theta, (1, 1 + self._d, 1 + 2 * self._d))
        offset = common * self._common + self._spread.offset * offset
        return Fitted(InputMap(self._spread.gain * gain, offset), BASE_RATE_SPREAD * base_rate)

    def objective(self, theta: FloatArray) -> float:
        """Nats of all answers plus those of the prior."""
        logits = self._forward(theta)[-1]
        return float(answer_loss(logits, self._labels).sum() + theta @ theta / 2)

    def newton(self, theta: FloatArray) -> FloatArray:
        """Where the objective would be least, were the network as straight as it is here."""
        *hidden, logits = self._forward(theta)
        chance = 1 / (1 + np.exp(-logits))
        known = self._labels != 0
        slope = (chance - (self._labels > 0)) * known
        curvature = chance * (1 - chance) * known
        gradient, hessian = theta.copy(), np.eye(self.size)
        for k in range(self._k):
            design = self._design(k, hidden)
            gradient += design.T @ slope[:, k]
            hessian += design.T @ (design * curvature[:, k, None])
        moved: FloatArray = theta - np.linalg.solve(hessian, gradient)
        return moved

    def _forward(self, theta: FloatArray) -> list[FloatArray]:
        """Outputs of the hidden layers, then attribute logits (n, K), base rates included."""
        fitted = self.fitted(theta)
        found = [fitted.map(self._inputs)]
        for weights, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            found.append(np.maximum(found[-1] @ weights.T + bias, 0.0))
        last, bias = self._weights[-1][: self._k], self._biases[-1][: self._k]
        return [*found[1:], found[-1] @ last.T + bias + fitted.base_rate]

    def _design(self, k: int, hidden: list[FloatArray]) -> FloatArray:
        """Slopes (n, size) of attribute k's logit by every parameter."""
        n = len(self._inputs)
        slopes = np.broadcast_to(self._weights[-1][k], (n, self._weights[-1].shape[1]))
        for output, weights in zip(reversed(hidden), reversed(self._weights[:-1]), strict=True):
            slopes = (slopes * (output > 0)) @ weights
        rates = np.zeros((n, self._k))
        rates[:, k] = BASE_RATE_SPREAD
        parts = (
            slopes @ self._common[:, None],
            self._spread.offset * slopes,
            self._spread.gain * slopes * self._inputs,
            rates,
        )
        return np.concatenate(parts, axis=1)
