"""A program of the paper's encoder as a TFLite file, in float32 or dynamic int8.

Dynamic int8: the weights of linear steps int8 with a scale per row, their inputs quantised by the
runtime, everything else float32. ``export.paper_static`` quantises inputs and outputs beforehand.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.known_bad import check_model
from export.paper_program import NORM_EPSILON, Array, Op, Program, Shape, Step, shapes_of
from export.tflite_graph import Affine, Graph
from export.tflite_operators import (
    CONV_2D_GROUPED_VERSION,
    FULLY_CONNECTED_HYBRID_VERSION,
    LEFT_OUT,
    Linear,
    Operators,
)
from export.tflite_writer import quantised_weights, weight_affine

_ROWS: Final = 0
_COLUMNS: Final = 1
_ATTENTION_PARTS: Final = 3
"""Query, key and value."""


class Recipe(StrEnum):
    """Number format of the weights of linear steps."""

    FLOAT32 = "float32"
    INT8 = "int8"


class Grouping(StrEnum):
    """What becomes of a step in which every row has its own weights."""

    CONVOLUTION = "convolution"
    """One grouped CONV_2D of one pixel, whose channels are the rows side by side."""
    FULLY_CONNECTED = "fully_connected"
    """One FULLY_CONNECTED per row between a split and a stack."""


def tflite_model(program: Program, recipe: Recipe, grouping: Grouping = Grouping.CONVOLUTION) -> bytes:
    """The TFLite file of ``program``: input (1, d) float32, outputs in the program's order.

    Raises:
        BundleError: The file has a form that some runtime computes wrongly without a word.
    """
    lowering = Lowering(recipe, grouping, shapes_of(program))
    model = lowering.file(program)
    check_model(model)
    return model


class Lowering:
    """Turns steps into operators.

    A value has up to two tensors: its rows, and one pixel with the same numbers for convolutions.
    """

    def __init__(self, recipe: Recipe, grouping: Grouping, shapes: Mapping[str, Shape]) -> None:
        self._operators = Operators(Graph(description=f"lsi encoder, {recipe}"))
        self._recipe = recipe
        self._shapes = shapes
        self._rows: dict[str, int] = {}
        self._pixels: dict[str, int] = {}
        self._is_convolution = grouping is Grouping.CONVOLUTION
        write = self._operators
        self._one_tensor: Mapping[Op, Callable[..., int]] = {
            Op.LINEAR: self._linear,
            Op.BLOCKS: self._separate,
            Op.NORM: self._norm,
            Op.RSTD: lambda _, x: self._rstd(write.squared_difference(x, write.mean(x))),
            Op.ATTEND: self._attend,
            Op.MIX: lambda step, x: write.matrix_product(self._constant(step, step.weights[0]), x),
            Op.SCALE: lambda step, x: write.multiply(x, self._constant(step, step.weights[0])),
            Op.SHIFT: lambda step, x: write.add(x, self._constant(step, step.biases[0])),
            Op.ADD: lambda _, x, y: write.add(x, y),
            Op.MULTIPLY: lambda _, x, y: write.multiply(x, y),
            Op.SILU: lambda _, x: write.multiply(x, write.logistic(x)),
            Op.GELU: lambda _, x: write.gelu(x),
            Op.STACK: lambda _, *xs: write.stack(xs),
            Op.RESHAPE: lambda step, x: write.reshape(x, step.shape),
        }

    def file(self, program: Program) -> bytes:
        """The bytes of the file of ``program``."""
        source = self._operators.source(program.source, self._shapes[program.source])
        self._rows[program.source] = source
        for step in program.steps:
            self._add(step)
        sinks = [self._row_tensor(name) for name in program.outputs]
        return self._operators.graph.to_bytes(source, sinks)

    def _add(self, step: Step) -> None:
        if self._is_convolution and step.op is Op.BLOCKS:
            self._pixels[step.output] = self._convolved(step)
        else:
            inputs = [self._row_tensor(name) for name in step.inputs]
            self._rows[step.output] = self._one_tensor[step.op](step, *inputs)

    def _row_tensor(self, name: str) -> int:
        if name not in self._rows:
            self._rows[name] = self._operators.reshape(self._pixels[name], self._shapes[name])
        return self._rows[name]

    def _pixel(self, name: str) -> int:
        if name not in self._pixels:
            channels = int(np.prod(self._shapes[name]))
            self._pixels[name] = self._operators.reshape(self._rows[name], (1, 1, 1, channels))
        return self._pixels[name]

    def _constant(self, step: Step, values: Array) -> int:
        return self._operators.constant(f"{step.output}.constant", _float32(np.atleast_2d(values)))

    def _weights(self, name: str, matrices: Sequence[Array], shape: Shape) -> int:
        """One tensor of matrices (out, in), one below the other, seen as ``shape``."""
        if self._recipe is Recipe.FLOAT32:
            values = np.concatenate([_float32(matrix) for matrix in matrices])
            return self._operators.constant(name, values.reshape(shape))
        affines, codes = zip(*(_quantised(matrix) for matrix in matrices), strict=True)
        scales = np.concatenate([affine.scales for affine in affines])
        affine = Affine(scales, np.concatenate([affine.zero_points for affine in affines]))
        return self._operators.constant(name, np.concatenate(codes).reshape(shape), affine)

    def _fully_connected(self, name: str, x: int, weights: Array, biases: Sequence[Array]) -> int:
        version = 1 if self._recipe is Recipe.FLOAT32 else FULLY_CONNECTED_HYBRID_VERSION
        stored = self._weights(f"{name}.weight", [weights], weights.shape)
        bias = self._operators.constant(f"{name}.bias", _float32(biases[0])) if biases else LEFT_OUT
        return self._operators.fully_connected(name, x, Linear(stored, bias, version))

    def _linear(self, step: Step, x: int) -> int:
        return self._fully_connected(step.output, x, step.weights[0], step.biases)

    def _separate(self, step: Step, x: int) -> int:
        parts = self._operators.split(x, _ROWS, len(step.weights))
        results = [
            self._fully_connected(f"{step.output}.{index}", part, weights, step.biases[index : index + 1])
            for index, (part, weights) in enumerate(zip(parts, step.weights, strict=True))
        ]
        return self._operators.stack(results)

    def _convolved(self, step: Step) -> int:
        channels, inputs = len(step.weights) * len(step.weights[0]), step.weights[0].shape[1]
        # A convolution needs a bias, unlike FULLY_CONNECTED.
        bias = np.concatenate(step.biases) if step.biases else np.zeros(channels)
        linear = Linear(
            self._weights(f"{step.output}.weight", step.weights, (channels, 1, 1, inputs)),
            self._operators.constant(f"{step.output}.bias", _float32(bias)),
            CONV_2D_GROUPED_VERSION,
        )
        return self._operators.pointwise_convolution(step.output, self._pixel(step.inputs[0]), linear)

    def _norm(self, step: Step, x: int) -> int:
        write = self._operators
        centred = write.subtract(x, write.mean(x))
        result = write.multiply(centred, self._rstd(write.multiply(centred, centred)))
        if not step.weights:
            return result
        scaled = write.multiply(result, self._constant(step, step.weights[0]))
        return write.add(scaled, self._constant(step, step.biases[0]))

    def _rstd(self, square: int) -> int:
        write = self._operators
        epsilon = write.shared("epsilon", np.array([[NORM_EPSILON]], np.float32))
        return write.reciprocal_root(write.add(write.mean(square), epsilon))

    def _attend(self, step: Step, x: int) -> int:
        write = self._operators
        query, key, value = write.split(x, _COLUMNS, _ATTENTION_PARTS)
        factor = np.array([[1 / np.sqrt(self._shapes[step.output][1])]], np.float32)
        scores = write.matrix_product(query, key, is_transposed=True)
        attention = write.softmax(write.multiply(scores, write.shared("attention_scale", factor)))
        return write.matrix_product(attention, value)


def _quantised(matrix: Array) -> tuple[Affine, NDArray[np.int8]]:
    values = _float32(matrix)
    affine = weight_affine(values)
    return affine, quantised_weights(values, affine)


def _float32(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
