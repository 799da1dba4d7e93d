"""Heads on frozen offsets: linear, fitted in closed form. Masks and encoder are not touched: numpy only."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array

PENALTY: Final = 1.0
"""Ridge on standardised inputs, in units of one row."""

Values = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, repr=False)
class LinearHead:
    """``(offset - mean) * scale`` times weights, plus a bias.

    Shape: ``mean`` and ``scale`` (F,), ``weights`` (F, T), ``bias`` (T,), all float32; F = L D.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        inputs, outputs = self.weights.shape
        shapes = {"mean": (inputs,), "scale": (inputs,), "weights": (inputs, outputs), "bias": (outputs,)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, shape))

    def predict(self, offsets: Values) -> NDArray[np.float32]:
        """Targets (n, T) of offsets (n, L, D)."""
        flat = offsets.reshape(len(offsets), -1).astype(np.float32)
        found = ((flat - self.mean) * self.scale) @ self.weights + self.bias
        return found.astype(np.float32)

    def __repr__(self) -> str:
        return f"LinearHead({self.weights.shape[0]} to {self.weights.shape[1]})"


def fit_head(offsets: Values, targets: Values, penalty: float = PENALTY) -> LinearHead:
    """Ridge regression of targets (n, T) on offsets (n, L, D).

    Raises:
        ValueError: Not one row of targets per offset, or none.
    """
    if len(offsets) != len(targets) or not len(offsets):
        message = f"{len(offsets)} offsets for {len(targets)} targets"
        raise ValueError(message)
    flat = offsets.reshape(len(offsets), -1).astype(np.float64)
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    scale = 1 / np.maximum(spread, 1e-6)
    standard, bias = (flat - mean) * scale, targets.mean(axis=0, dtype=np.float64)
    gram = standard.T @ standard + penalty * np.eye(standard.shape[1])
    weights = np.linalg.solve(gram, standard.T @ (targets - bias))
    return LinearHead(*(each.astype(np.float32) for each in (mean, scale, weights, bias)))
