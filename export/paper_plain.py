"""The paper's encoder as a program, as its official code computes it: nothing left out or folded.

Query, key and softmax are computed although a sequence of one token has no use for them. The one
liberty: the first layer of a gated block is written as its two halves, so that nothing is sliced.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.paper_program import Op, Program, Step
from training.paper.paper_weights import MEASUREMENT_STYLES, MIDDLE_STYLES, REPEATS, STYLES
from training.read_outs.read_out import Dense

SOURCE: Final = "measurement"
OFFSET: Final = "offset"
LOGITS: Final = "logits"
MIDDLE_END: Final = MEASUREMENT_STYLES + MIDDLE_STYLES


def plain_program(encoder: Mapping[str, NDArray[np.float32]], head: Dense | None) -> Program:
    """The program of ``encoder``, by official names; with ``head`` it also gives logits.

    Widths are taken from the arrays. Outputs: offset (1, 18, width) and logits (1, attributes).
    """
    build = _Builder(encoder)
    first = [build.style(index, SOURCE) for index in range(MEASUREMENT_STYLES)]
    second_input = build.projected("proj_input_0", first)
    second = [build.style(index, second_input) for index in range(MEASUREMENT_STYLES, MIDDLE_END)]
    third_input = build.projected("proj_input_1", second)
    third = [build.style(index, third_input) for index in range(MIDDLE_END, STYLES)]
    rows = build.gated("out", build.add(Step(Op.STACK, "latents", (*first, *second, *third))))
    width = build.width
    build.add(Step(Op.RESHAPE, OFFSET, (rows,), shape=(1, STYLES, width)))
    outputs: tuple[str, ...] = (OFFSET,)
    if head is not None:
        flat = build.add(Step(Op.RESHAPE, "offset.flat", (rows,), shape=(1, STYLES * width)))
        build.add(Step(Op.LINEAR, LOGITS, (flat,), (head.weights,), (head.bias,)))
        outputs = (OFFSET, LOGITS)
    return Program(SOURCE, build.d, tuple(build.steps), outputs)


class _Builder:
    """Appends the steps of layers; every method returns the name of what it appended last."""

    def __init__(self, encoder: Mapping[str, NDArray[np.float32]]) -> None:
        self._named = encoder
        self.steps: list[Step] = []
        self.width, self.d = encoder["styles.0.initial.0.weight"].shape

    def add(self, step: Step) -> str:
        self.steps.append(step)
        return step.output

    def style(self, index: int, source: str) -> str:
        prefix = f"styles.{index}"
        normed = self._norm(f"{prefix}.norm", source)
        h = self._silu(self._linear(f"{prefix}.initial.0", normed))
        s = h
        for first in range(0, 4 * REPEATS[index], 4):
            normed = self._norm(f"{prefix}.convs.{first}", s)
            attention = f"{prefix}.convs.{first + 1}"
            weights = (self._named[f"{attention}.to_qkv.weight"],)
            heads = self.add(Step(Op.LINEAR, f"{attention}.to_qkv", (normed,), weights))
            attended = self.add(Step(Op.ATTEND, f"{attention}.attended", (heads,)))
            s = self._silu(self._linear(f"{attention}.to_out", attended))
        total = self.add(Step(Op.ADD, f"{prefix}.sum", (s, h)))
        return self._linear(f"{prefix}.linear", total)

    def projected(self, name: str, styles: list[str]) -> str:
        tokens = self.add(Step(Op.STACK, f"{name}.tokens", tuple(styles)))
        mixed = self.gated(f"{name}_glp", tokens)
        flat = self.add(Step(Op.RESHAPE, f"{name}.flat", (mixed,), shape=(1, len(styles) * self.width)))
        return self.add(Step(Op.ADD, f"{name}.sum", (self._linear(f"{name}_linear", flat), SOURCE)))

    def gated(self, name: str, tokens: str) -> str:
        prefix = f"{name}.layers.0.fn"
        weights = self._named[f"{prefix}.proj_in.0.weight"]
        bias = self._named[f"{prefix}.proj_in.0.bias"]
        halves = []
        for half, rows in (("content", slice(None, self.width)), ("gate", slice(self.width, None))):
            projected = self.add(
                Step(Op.LINEAR, f"{prefix}.{half}", (tokens,), (weights[rows],), (bias[rows],))
            )
            halves.append(self.add(Step(Op.GELU, f"{prefix}.{half}.gelu", (projected,))))
        gate = self._norm(f"{prefix}.sgu.norm", halves[1])
        mixing = (self._named[f"{prefix}.sgu.weight"][0],)
        mixed = self.add(Step(Op.MIX, f"{prefix}.sgu.mixed", (gate,), mixing))
        token_bias = (self._named[f"{prefix}.sgu.bias"][0][:, np.newaxis],)
        opened = self.add(Step(Op.SHIFT, f"{prefix}.sgu", (mixed,), biases=token_bias))
        gated = self.add(Step(Op.MULTIPLY, f"{prefix}.gated", (halves[0], opened)))
        return self.add(
            Step(Op.ADD, f"{prefix}.residual", (tokens, self._linear(f"{prefix}.proj_out", gated)))
        )

    def _linear(self, name: str, source: str) -> str:
        return self._affine(Op.LINEAR, name, source)

    def _norm(self, name: str, source: str) -> str:
        return self._affine(Op.NORM, name, source)

    def _affine(self, op: Op, name: str, source: str) -> str:
        named = self._named
        return self.add(Step(op, name, (source,), (named[f"{name}.weight"],), (named[f"{name}.bias"],)))

    def _silu(self, source: str) -> str:
        return self.add(Step(Op.SILU, f"{source}.silu", (source,)))
