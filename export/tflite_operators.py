"""Operators on a graph, one method each; every method returns the tensor that it fills.

All compute in float32, but for the linear ones that are given the int8 code of their result.

Ref: TensorFlow Lite operator versions (``tools/versioning/op_version.cc``): where nothing is said,
version 1 is the one for float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.tflite_graph import Affine, Graph

FULLY_CONNECTED_HYBRID_VERSION: Final = 12
"""First version whose kernel reads a scale per row with float input; older ones read a single scale."""
CONV_2D_HYBRID_VERSION: Final = 5
"""First version with a scale per row and float input."""
CONV_2D_GROUPED_VERSION: Final = 6
"""First version with groups."""
FULLY_CONNECTED_INT8_VERSION: Final = 4
"""First version with int8 input and output; a scale per row came later in the same kernel, and every runtime
from tflite-runtime 2.14 on has it."""
DEQUANTIZE_INT8_VERSION: Final = 2
LEFT_OUT: Final = -1
"""In place of an optional input."""
_OPERATOR: Final = schema.BuiltinOperator
_OPTIONS: Final = schema.BuiltinOptions

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """What a linear operator has beside its input: tensors, its version, and the int8 code of its result.

    Without a ``code`` the result is float32. With one, input and result are int8 and the bias int32.
    """

    weights: int
    bias: int
    version: int
    code: Affine | None = None


class Operators:
    """Appends operators to ``graph`` and keeps the shape of each tensor."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes: dict[int, Shape] = {}
        self._shared: dict[tuple[str, Shape, bytes], int] = {}

    def source(self, name: str, shape: Shape) -> int:
        """A tensor that the caller of the model fills."""
        return self._activation(name, shape)

    def constant(self, name: str, values: NDArray[Any], affine: Affine | None = None) -> int:
        """A tensor with stored values."""
        tensor = self.graph.constant(name, values, affine)
        self.shapes[tensor] = values.shape
        return tensor

    def shared(self, name: str, values: NDArray[Any]) -> int:
        """A small constant that many operators read, stored once."""
        key = (str(values.dtype), values.shape, values.tobytes())
        if key not in self._shared:
            self._shared[key] = self.constant(name, values)
        return self._shared[key]

    def fully_connected(self, name: str, x: int, linear: Linear) -> int:
        """``x W^T + b`` for ``x`` (rows, in) and weights (out, in)."""
        options = (_OPTIONS.FullyConnectedOptions, schema.FullyConnectedOptionsT())
        result = self._activation(name, (self.shapes[x][0], self.shapes[linear.weights][0]), linear.code)
        inputs = [x, linear.weights, linear.bias]
        return self._fill(_OPERATOR.FULLY_CONNECTED, inputs, result, options, linear.version)

    def pointwise_convolution(self, name: str, x: int, linear: Linear) -> int:
        """One pixel ``x`` (1, 1, 1, groups * in) through weights (groups * out, 1, 1, in)."""
        options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideW=1, strideH=1)
        result = self._activation(name, (1, 1, 1, self.shapes[linear.weights][0]), linear.code)
        tagged = (_OPTIONS.Conv2DOptions, options)
        inputs = [x, linear.weights, linear.bias]
        return self._fill(_OPERATOR.CONV_2D, inputs, result, tagged, linear.version)

    def quantise(self, x: int, code: Affine) -> int:
        """The int8 code of float32 ``x``."""
        result = self._activation("quantised", self.shapes[x], code)
        options = (_OPTIONS.QuantizeOptions, schema.QuantizeOptionsT())
        return self._fill(_OPERATOR.QUANTIZE, [x], result, options)

    def dequantise(self, x: int) -> int:
        """The float32 numbers that int8 ``x`` stands for."""
        result = self._activation("dequantised", self.shapes[x])
        options = (_OPTIONS.DequantizeOptions, schema.DequantizeOptionsT())
        return self._fill(_OPERATOR.DEQUANTIZE, [x], result, options, DEQUANTIZE_INT8_VERSION)

    def add(self, x: int, y: int) -> int:
        """Sum, broadcast."""
        return self._binary(_OPERATOR.ADD, x, y, (_OPTIONS.AddOptions, schema.AddOptionsT()))

    def subtract(self, x: int, y: int) -> int:
        """Difference, broadcast."""
        return self._binary(_OPERATOR.SUB, x, y, (_OPTIONS.SubOptions, schema.SubOptionsT()))

    def multiply(self, x: int, y: int) -> int:
        """Product, broadcast."""
        return self._binary(_OPERATOR.MUL, x, y, (_OPTIONS.MulOptions, schema.MulOptionsT()))

    def squared_difference(self, x: int, y: int) -> int:
        """``(x - y)^2``, broadcast."""
        options = (_OPTIONS.SquaredDifferenceOptions, schema.SquaredDifferenceOptionsT())
        return self._binary(_OPERATOR.SQUARED_DIFFERENCE, x, y, options)

    def mean(self, x: int) -> int:
        """Mean over the last of two axes, which stays, one wide."""
        axis = self.shared("last_axis", np.array([1], np.int32))
        options = (_OPTIONS.ReducerOptions, schema.ReducerOptionsT(keepDims=True))
        result = self._activation("mean", (self.shapes[x][0], 1))
        return self._fill(_OPERATOR.MEAN, [x, axis], result, options)

    def reciprocal_root(self, x: int) -> int:
        """``1 / sqrt(x)``."""
        return self._fill(_OPERATOR.RSQRT, [x], self._activation("rsqrt", self.shapes[x]))

    def logistic(self, x: int) -> int:
        """``1 / (1 + exp(-x))``."""
        return self._fill(_OPERATOR.LOGISTIC, [x], self._activation("logistic", self.shapes[x]))

    def gelu(self, x: int) -> int:
        """GELU with the error function."""
        options = (_OPTIONS.GeluOptions, schema.GeluOptionsT(approximate=False))
        return self._fill(_OPERATOR.GELU, [x], self._activation("gelu", self.shapes[x]), options)

    def softmax(self, x: int) -> int:
        """Softmax over the last axis."""
        options = (_OPTIONS.SoftmaxOptions, schema.SoftmaxOptionsT(beta=1.0))
        return self._fill(_OPERATOR.SOFTMAX, [x], self._activation("softmax", self.shapes[x]), options)

    def matrix_product(self, x: int, y: int, *, is_transposed: bool = False) -> int:
        """``x y``, or ``x y^T``, of two float tensors."""
        options = (_OPTIONS.BatchMatMulOptions, schema.BatchMatMulOptionsT(adjY=is_transposed))
        columns = self.shapes[y][0 if is_transposed else 1]
        result = self._activation("product", (self.shapes[x][0], columns))
        return self._fill(_OPERATOR.BATCH_MATMUL, [x, y], result, options)

    def reshape(self, x: int, shape: Shape) -> int:
        """The same numbers in another shape."""
        target = self.shared("shape", np.array(shape, np.int32))
        options = (_OPTIONS.ReshapeOptions, schema.ReshapeOptionsT(newShape=np.array(shape, np.int32)))
        return self._fill(_OPERATOR.RESHAPE, [x, target], self._activation("reshaped", shape), options)

    def stack(self, tensors: Sequence[int]) -> int:
        """Tensors of the same width one below the other."""
        rows = sum(self.shapes[tensor][0] for tensor in tensors)
        options = (_OPTIONS.ConcatenationOptions, schema.ConcatenationOptionsT(axis=0))
        result = self._activation("stacked", (rows, self.shapes[tensors[0]][1]))
        return self._fill(_OPERATOR.CONCATENATION, list(tensors), result, options)

    def split(self, x: int, axis: int, parts: int) -> list[int]:
        """``x`` cut into equal parts along ``axis``."""
        shape = tuple(size // parts if index == axis else size for index, size in enumerate(self.shapes[x]))
        results = [self._activation("part", shape) for _ in range(parts)]
        index = self.shared("split_axis", np.array(axis, np.int32))
        options = (_OPTIONS.SplitOptions, schema.SplitOptionsT(numSplits=parts))
        self.graph.operator(_OPERATOR.SPLIT, 1, [index, x], results, options)
        return results

    def _activation(self, name: str, shape: Shape, code: Affine | None = None) -> int:
        tensor = self.graph.activation(name, shape, np.float32 if code is None else np.int8, code)
        self.shapes[tensor] = shape
        return tensor

    def _binary(self, code: int, x: int, y: int, options: tuple[int, Any]) -> int:
        result = self._activation("combined", np.broadcast_shapes(self.shapes[x], self.shapes[y]))
        return self._fill(code, [x, y], result, options)

    def _fill(
        self,
        code: int,
        inputs: list[int],
        result: int,
        options: tuple[int, Any] | None = None,
        version: int = 1,
    ) -> int:
        self.graph.operator(code, version, inputs, result, options)
        return result
