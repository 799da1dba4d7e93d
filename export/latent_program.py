"""Our latent encoder as a program for the writer: the same steps as ``training.latent.latent_encoder``."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.paper_plain import LOGITS, OFFSET, SOURCE
from export.paper_program import Op, Program, Step
from training.latent.latent_shape import LatentEncoderShape

NORM_EPSILON: Final = 1e-5
"""Of the standardisation, as PyTorch's BatchNorm1d has it."""


def latent_program(weights: Mapping[str, NDArray[np.float32]], shape: LatentEncoderShape) -> Program:
    """The program of an encoder's ``weights`` by name. Outputs: offset (1, L, D) and logits (1, K + 1)."""
    build = _Builder(weights)
    x = build.linear("first", build.standardised())
    for index in range(shape.blocks):
        inner = build.silu(build.linear(f"blocks.{index}.inner", build.norm(f"blocks.{index}.norm", x)))
        x = build.add(Op.ADD, f"blocks.{index}", x, build.linear(f"blocks.{index}.outer", inner))
    spread = build.linear("spread", build.silu(build.norm("norm", x)))
    tokens = build.reshaped("tokens", spread, (shape.layers, shape.token))
    rows = build.linear("last", build.mixed(tokens))
    rows = build.constant(Op.SHIFT, "offset.rows", rows, weights["layer_bias"])
    build.reshaped(OFFSET, rows, (1, shape.layers, shape.width))
    flat = build.reshaped("offset.flat", rows, (1, shape.layers * shape.width))
    build.linear("head", flat, LOGITS)
    return Program(SOURCE, shape.d, tuple(build.steps), (OFFSET, LOGITS))


class _Builder:
    """Appends steps; every method returns the name of what it appended last."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._named = weights
        self.steps: list[Step] = []

    def add(self, op: Op, output: str, *inputs: str) -> str:
        return self._append(Step(op, output, inputs))

    def standardised(self) -> str:
        mean = self._named["standardise.running_mean"].astype(np.float64)
        variance = self._named["standardise.running_var"].astype(np.float64)
        centred = self.constant(Op.SHIFT, "centred", SOURCE, -mean[np.newaxis])
        return self.constant(
            Op.SCALE, "standardised", centred, (1 / np.sqrt(variance + NORM_EPSILON))[np.newaxis]
        )

    def mixed(self, tokens: str) -> str:
        normed = self.norm("mixer.norm", tokens)
        content = self.add(Op.GELU, "mixer.content.gelu", self.linear("mixer.content", normed))
        gate = self.add(Op.GELU, "mixer.gate.gelu", self.linear("mixer.gate", normed))
        gate = self.norm("mixer.gate_norm", gate)
        mixed = self._append(Step(Op.MIX, "mixer.mixed", (gate,), (self._named["mixer.mixing"],)))
        opened = self.constant(Op.SHIFT, "mixer.opened", mixed, self._named["mixer.opening"][:, np.newaxis])
        gated = self.add(Op.MULTIPLY, "mixer.gated", content, opened)
        return self.add(Op.ADD, "mixer", tokens, self.linear("mixer.outer", gated))

    def linear(self, name: str, source: str, output: str = "") -> str:
        weights, bias = self._named[f"{name}.weight"], self._named[f"{name}.bias"]
        return self._append(Step(Op.LINEAR, output or f"{name}.linear", (source,), (weights,), (bias,)))

    def norm(self, name: str, source: str) -> str:
        gain, bias = self._named[f"{name}.weight"], self._named[f"{name}.bias"]
        return self._append(Step(Op.NORM, name, (source,), (gain,), (bias,)))

    def silu(self, source: str) -> str:
        return self.add(Op.SILU, f"{source}.silu", source)

    def constant(self, op: Op, output: str, source: str, values: NDArray[np.floating]) -> str:
        """SHIFT or SCALE by ``values``."""
        weights, biases = ((values,), ()) if op is Op.SCALE else ((), (values,))
        return self._append(Step(op, output, (source,), weights, biases))

    def reshaped(self, output: str, source: str, shape: tuple[int, ...]) -> str:
        return self._append(Step(Op.RESHAPE, output, (source,), shape=shape))

    def _append(self, step: Step) -> str:
        self.steps.append(step)
        return step.output
