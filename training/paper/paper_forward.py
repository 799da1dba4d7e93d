"""The paper's encoder in numpy and float64: the reference that needs no PyTorch."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.paper.paper_weights import (
    ATTENTION_WIDTH,
    MEASUREMENT_STYLES,
    MIDDLE_STYLES,
    REPEATS,
    STYLES,
    WIDTH,
    PaperWeights,
)

Floats = NDArray[np.float64]
_EPSILON = 1e-5  # added to the variance by every LayerNorm
_ERF = np.vectorize(math.erf, otypes=[np.float64])


def paper_offset(weights: PaperWeights, measurements: NDArray[np.floating]) -> Floats:
    """Offset (n, 18, 512) from the mean latent for measurements (n, d).

    Raises:
        ValueError: Measurements of another shape.
    """
    if measurements.ndim != 2 or measurements.shape[1] != weights.d:  # noqa: PLR2004 - (n, d)
        message = f"measurements must be (n, {weights.d}), found {measurements.shape}"
        raise ValueError(message)
    tensors = _Tensors(weights.encoder)
    j = measurements.astype(np.float64)
    middle, fine = MEASUREMENT_STYLES, MEASUREMENT_STYLES + MIDDLE_STYLES
    first = _styles(tensors, range(middle), j)
    second = _styles(tensors, range(middle, fine), _projected(tensors, "proj_input_0", first) + j)
    # Here too the measurement itself is added, not the input of the level before.
    third = _styles(tensors, range(fine, STYLES), _projected(tensors, "proj_input_1", second) + j)
    return _gated(tensors, "out", np.concatenate([first, second, third], axis=1))


def paper_logits(weights: PaperWeights, offset: NDArray[np.floating]) -> Floats:
    """Attribute logits (n, 40) for offsets (n, 18, 512).

    Raises:
        ValueError: These weights have no head.
    """
    if weights.head_weight is None or weights.head_bias is None:
        message = "these paper weights have no attribute head"
        raise ValueError(message)
    flat = offset.reshape(-1, STYLES * WIDTH).astype(np.float64)
    return flat @ weights.head_weight.T.astype(np.float64) + weights.head_bias


class _Tensors:
    """Layers of a state dict by name. Shape: every method maps (..., in) to (..., out)."""

    def __init__(self, named: Mapping[str, NDArray[np.float32]]) -> None:
        self._named = named

    def get(self, name: str) -> Floats:
        return self._named[name].astype(np.float64)

    def linear(self, name: str, x: Floats) -> Floats:
        product: Floats = x @ self.get(f"{name}.weight").T
        return product + self.get(f"{name}.bias")

    def norm(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        scaled: Floats = centred / np.sqrt(variance + _EPSILON)
        return scaled * self.get(f"{name}.weight") + self.get(f"{name}.bias")


def _styles(tensors: _Tensors, indices: range, x: Floats) -> Floats:
    return np.stack([_style(tensors, index, x) for index in indices], axis=1)


def _style(tensors: _Tensors, index: int, x: Floats) -> Floats:
    prefix = f"styles.{index}"
    h = _silu(tensors.linear(f"{prefix}.initial.0", tensors.norm(f"{prefix}.norm", x)))
    s = h
    for first in range(0, 4 * REPEATS[index], 4):
        attention = f"{prefix}.convs.{first + 1}"
        # One token attends to itself with weight 1: what is left of attention is the value.
        value = tensors.get(f"{attention}.to_qkv.weight")[2 * ATTENTION_WIDTH :]
        s = _silu(tensors.linear(f"{attention}.to_out", tensors.norm(f"{prefix}.convs.{first}", s) @ value.T))
    return tensors.linear(f"{prefix}.linear", s + h)


def _projected(tensors: _Tensors, name: str, latents: Floats) -> Floats:
    mixed = _gated(tensors, f"{name}_glp", latents)
    return tensors.linear(f"{name}_linear", mixed.reshape(len(mixed), -1))


def _gated(tensors: _Tensors, name: str, tokens: Floats) -> Floats:
    prefix = f"{name}.layers.0.fn"
    content, gate = np.split(_gelu(tensors.linear(f"{prefix}.proj_in.0", tokens)), 2, axis=-1)
    gate = tensors.get(f"{prefix}.sgu.weight")[0] @ tensors.norm(f"{prefix}.sgu.norm", gate)
    gate += tensors.get(f"{prefix}.sgu.bias")[0][:, np.newaxis]
    return tensors.linear(f"{prefix}.proj_out", content * gate) + tokens


def _silu(x: Floats) -> Floats:
    return x * np.exp(-np.logaddexp(0, -x))


def _gelu(x: Floats) -> Floats:
    cumulative: Floats = 0.5 * (1 + _ERF(x / math.sqrt(2)))
    return x * cumulative
