"""``ReadOutWeights``: what the exported graph computes, in numpy; the float reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array


@dataclass(frozen=True, slots=True, repr=False)
class Dense:
    """One layer ``x W^T + b``. Shape: ``weights`` (out, in) float32, ``bias`` (out,) float32."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        weights = frozen_array("weights", self.weights, np.float32, (None, None))
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "bias", frozen_array("bias", self.bias, np.float32, (len(weights),)))


@dataclass(frozen=True, slots=True, repr=False)
class ReadOutWeights:
    """Standardise, then dense layers with ReLU between them.

    Shape: ``mean`` and ``scale`` (d,) float32: the first layer reads ``(y - mean) * scale``.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    layers: tuple[Dense, ...]

    def __post_init__(self) -> None:
        d = self.layers[0].weights.shape[1] if self.layers else 0
        object.__setattr__(self, "mean", frozen_array("mean", self.mean, np.float32, (d,)))
        object.__setattr__(self, "scale", frozen_array("scale", self.scale, np.float32, (d,)))
        widths = [len(layer.bias) for layer in self.layers]
        inputs = [layer.weights.shape[1] for layer in self.layers]
        if inputs[1:] != widths[:-1]:
            message = f"layers do not follow one another: {inputs} inputs, {widths} outputs"
            raise ValueError(message)

    @property
    def d(self) -> int:
        """Numbers in a measurement."""
        return len(self.mean)

    @property
    def outputs(self) -> int:
        """Numbers of logits, presence included."""
        return len(self.layers[-1].bias)

    @property
    def parameters(self) -> int:
        """Weights and biases together."""
        return sum(layer.weights.size + layer.bias.size for layer in self.layers)

    def activations(self, measurements: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Standardised input and the output of every layer, for measurements (n, d)."""
        found = [(measurements - self.mean) * self.scale]
        for index, layer in enumerate(self.layers):
            linear = found[-1] @ layer.weights.T + layer.bias
            is_last = index == len(self.layers) - 1
            found.append(linear if is_last else np.maximum(linear, np.float32(0)))
        return found

    def logits(self, measurements: NDArray[np.float32]) -> NDArray[np.float32]:
        """Float logits (n, outputs) for measurements (n, d)."""
        return self.activations(measurements)[-1]
