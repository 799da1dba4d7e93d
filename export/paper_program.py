"""The paper's encoder as a list of steps: what the passes rewrite and the writer lowers.

A program is straight-line: every step reads values that stand before it and gives one value a
name. Values are rows of features, so that one step can serve several styles or tokens at once.
Weights stay in the precision in which they came until a pass folds something into them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Shape = tuple[int, ...]
_ERF: Final = np.vectorize(math.erf, otypes=[np.float64])

NORM_EPSILON: Final = 1e-5
"""Added to the variance in every LayerNorm of the paper's encoder."""
ROWS_AT_ONCE: Final = 64


class Op(StrEnum):
    """What a step computes from its inputs ``x`` (and ``y``) and its weights."""

    LINEAR = "linear"
    """``x W^T + b``; one matrix ``W`` (out, in) and perhaps one bias ``b`` (out,)."""
    BLOCKS = "blocks"
    """Each row of ``x`` through its own matrix (out, in), plus its own bias (out,) if there are biases."""
    NORM = "norm"
    """LayerNorm over the last axis; weight ``gamma`` and bias ``beta``, both or neither."""
    RSTD = "rstd"
    """``1 / sqrt(variance + epsilon)`` over the last axis, which becomes 1 wide."""
    ATTEND = "attend"
    """Attention of one token to itself; ``x`` holds query, key and value side by side."""
    MIX = "mix"
    """``W x``: tokens mixed; weight ``W`` (n, n)."""
    SCALE = "scale"
    """``x`` times a constant weight."""
    SHIFT = "shift"
    """``x`` plus a constant bias."""
    ADD = "add"
    MULTIPLY = "multiply"
    SILU = "silu"
    GELU = "gelu"
    """Exact form, with the error function."""
    STACK = "stack"
    """Inputs one below the other."""
    ROW = "row"
    """Row ``index`` of ``x``."""
    RESHAPE = "reshape"
    """Same numbers in row-major order, in the step's ``shape``."""


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """One computation. ``index`` belongs to ROW, ``shape`` to RESHAPE."""

    op: Op
    output: str
    inputs: tuple[str, ...]
    weights: tuple[Array, ...] = ()
    biases: tuple[Array, ...] = ()
    index: int = 0
    shape: Shape = ()

    def __repr__(self) -> str:
        return f"Step({self.op}, {self.output!r}, {self.inputs!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Program:
    """Steps in order, from one measurement to the outputs.

    Args:
        source: Name of the measurement; its shape is (1, d).
        d: Numbers in a measurement.
        steps: In an order in which they can run.
        outputs: Names of the results, as the file will hold them.

    Raises:
        ValueError: A step reads a value that does not exist yet, or names one twice.
    """

    source: str
    d: int
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        known = {self.source}
        for step in self.steps:
            missing = set(step.inputs) - known
            if missing or step.output in known:
                message = f"{step!r} reads {sorted(missing)} too early or names its output twice"
                raise ValueError(message)
            known.add(step.output)
        if not set(self.outputs) <= known:
            message = f"no step gives {sorted(set(self.outputs) - known)}"
            raise ValueError(message)

    def __repr__(self) -> str:
        return f"Program(d={self.d}, steps={len(self.steps)}, outputs={self.outputs!r})"

    @property
    def weight_count(self) -> int:
        """Numbers in all weights and biases together."""
        return sum(array.size for step in self.steps for array in (*step.weights, *step.biases))

    def readers(self) -> dict[str, list[Step]]:
        """The steps that read each value; an output of the program has none for that alone."""
        found: dict[str, list[Step]] = {name: [] for name in (self.source, *self.writers())}
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                found[name].append(step)
        return found

    def writers(self) -> dict[str, Step]:
        """The step that gives each value."""
        return {step.output: step for step in self.steps}


def shapes_of(program: Program) -> dict[str, Shape]:
    """The shape of every value."""
    shapes: dict[str, Shape] = {program.source: (1, program.d)}
    for step in program.steps:
        shapes[step.output] = _shape(step, [shapes[name] for name in step.inputs])
    return shapes


def evaluate(program: Program, measurements: Array) -> dict[str, NDArray[np.float64]]:
    """All values in float64 for measurements (n, d), each with n in front of its own shape."""
    return dict(values_of(program, measurements))


def results(program: Program, measurements: Array) -> list[NDArray[np.float64]]:
    """Each output of the program in float64 for measurements (n, d), with n in front."""
    parts = [_outputs(program, part) for part in row_parts(measurements)]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def values_of(
    program: Program, measurements: Array, reads: Callable[[Step, Array], Array] = lambda _, x: x
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Name and value of every step in order, as :func:`evaluate` gives them.

    A value is forgotten once its last reader has run, unless the caller keeps it. ``reads`` may change what a
    step sees of a value.
    """
    last = {name: index for index, step in enumerate(program.steps) for name in step.inputs}
    values = {program.source: np.asarray(measurements, np.float64).reshape(-1, 1, program.d)}
    yield program.source, values[program.source]
    for index, step in enumerate(program.steps):
        values[step.output] = _COMPUTE[step.op](step, *(reads(step, values[name]) for name in step.inputs))
        yield step.output, values[step.output]
        for name in set(step.inputs):
            if last[name] == index:
                del values[name]


def _outputs(program: Program, measurements: Array) -> list[NDArray[np.float64]]:
    found = {name: value for name, value in values_of(program, measurements) if name in program.outputs}
    return [found[name] for name in program.outputs]


def row_parts(measurements: Array) -> list[Array]:
    """So few rows at a time that their values fit into memory with room to spare."""
    return [measurements[first : first + ROWS_AT_ONCE] for first in range(0, len(measurements), ROWS_AT_ONCE)]


def _shape(step: Step, inputs: list[Shape]) -> Shape:
    rows, width = inputs[0][0], inputs[0][-1]
    found: Mapping[Op, Callable[[], Shape]] = {
        Op.LINEAR: lambda: (rows, step.weights[0].shape[0]),
        Op.BLOCKS: lambda: (rows, step.weights[0].shape[0]),
        Op.RSTD: lambda: (rows, 1),
        Op.ATTEND: lambda: (rows, width // 3),
        Op.STACK: lambda: (sum(shape[0] for shape in inputs), width),
        Op.ROW: lambda: (1, width),
        Op.RESHAPE: lambda: step.shape,
    }
    return found[step.op]() if step.op in found else inputs[0]


def _linear(step: Step, x: Array) -> Array:
    product = x @ step.weights[0].astype(np.float64).T
    return product + step.biases[0] if step.biases else product


def _blocks(step: Step, x: Array) -> Array:
    rows = np.moveaxis(x, -2, 0)
    pairs = zip(step.weights, rows, strict=True)
    product: Array = np.stack([row @ weights.astype(np.float64).T for weights, row in pairs], axis=-2)
    return product + np.stack(step.biases) if step.biases else product


def _rstd(_: Step, x: Array) -> Array:
    reciprocal: Array = 1.0 / np.sqrt(x.var(axis=-1, keepdims=True) + NORM_EPSILON)
    return reciprocal


def _norm(step: Step, x: Array) -> Array:
    standard: Array = (x - x.mean(axis=-1, keepdims=True)) * _rstd(step, x)
    return standard * step.weights[0] + step.biases[0] if step.weights else standard


def _attend(_: Step, x: Array) -> Array:
    query, key, value = np.split(x, 3, axis=-1)
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    attended: Array = (weights / weights.sum(axis=-1, keepdims=True)) @ value
    return attended


def _silu(_: Step, x: Array) -> Array:
    positive = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1.0, positive) / (1.0 + positive)
    activated: Array = x * sigmoid
    return activated


_COMPUTE: Final[Mapping[Op, Callable[..., Any]]] = {
    Op.LINEAR: _linear,
    Op.BLOCKS: _blocks,
    Op.NORM: _norm,
    Op.RSTD: _rstd,
    Op.ATTEND: _attend,
    Op.MIX: lambda step, x: step.weights[0].astype(np.float64) @ x,
    Op.SCALE: lambda step, x: x * step.weights[0],
    Op.SHIFT: lambda step, x: x + step.biases[0],
    Op.ADD: lambda _, x, y: x + y,
    Op.MULTIPLY: lambda _, x, y: x * y,
    Op.SILU: _silu,
    Op.GELU: lambda _, x: x * 0.5 * (1.0 + _ERF(x / math.sqrt(2.0))),
    Op.STACK: lambda _, *xs: np.concatenate(xs, axis=-2),
    Op.ROW: lambda step, x: x[..., step.index : step.index + 1, :],
    Op.RESHAPE: lambda step, x: x.reshape(len(x), *step.shape),
}
