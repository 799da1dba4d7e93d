"""A linear head on offsets. Masks, encoder and generator before it are frozen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array

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
