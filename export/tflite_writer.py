"""The read-out as a TFLite file: float32, or int8 inside with a float32 layer at each end.

Graph: SUB mean, MUL scale, FULLY_CONNECTED with fused ReLU (float32); QUANTIZE, FULLY_CONNECTED with
fused ReLU (static int8: weights per row, int32 bias), DEQUANTIZE; FULLY_CONNECTED (float32). The float
recipe leaves out QUANTIZE and DEQUANTIZE. The ends are a few per cent of the weights, but one int8 code
for all measurements, whose tails are long, makes most of the error of the whole, and one for all logits moves
every threshold by up to half a step. With two layers or one, nothing is between the ends: all is int8 then.

Ref: LiteRT 8-bit quantization specification (FULLY_CONNECTED: activations per tensor,
weights symmetric in -127..127 with zero point 0, bias scale = input scale * weight scale).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.tflite_graph import Affine, Graph
from training.read_outs.read_out import Dense, ReadOutWeights

INT8_LOWEST: Final = -128
INT8_HIGHEST: Final = 127
FLOAT_ENDS: Final = 1
"""Layers at each end that stay float32."""
FULLY_CONNECTED_VERSION: Final = 1
"""For float32."""
FULLY_CONNECTED_INT8_VERSION: Final = 4
"""First version with int8 input and output; static int8 with scales per row is registered in the
same kernel, so runtimes from tflite-runtime 2.14 on run it (only *hybrid* needs version 12)."""
QUANTIZE_VERSION: Final = 1
DEQUANTIZE_VERSION: Final = 2
_OPERATOR: Final = schema.BuiltinOperator
_RELU: Final = schema.ActivationFunctionType.RELU
_NONE: Final = schema.ActivationFunctionType.NONE


@dataclass(frozen=True, slots=True)
class Interval:
    """Lowest and highest value of one activation over the calibration inputs."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            message = f"low {self.low} must not exceed high {self.high}"
            raise ValueError(message)


def intervals_of(activations: Sequence[NDArray[np.float32]]) -> tuple[Interval, ...]:
    """The true range of each activation. One moving average here would clip the tails."""
    return tuple(Interval(float(values.min()), float(values.max())) for values in activations)


def activation_affine(interval: Interval) -> Affine:
    """int8 code of an activation: the interval, widened to hold 0 exactly."""
    low, high = min(interval.low, 0.0), max(interval.high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / (INT8_HIGHEST - INT8_LOWEST))
    zero_point = int(np.clip(np.rint(INT8_LOWEST - low / float(scale)), INT8_LOWEST, INT8_HIGHEST))
    return Affine(np.array([scale], np.float32), np.array([zero_point], np.int64))


def weight_affine(weights: NDArray[np.float32]) -> Affine:
    """Symmetric int8 code of each row of ``weights`` (out, in)."""
    largest = np.abs(weights).max(axis=1)
    scales = np.maximum(largest / INT8_HIGHEST, np.float32(1e-9)).astype(np.float32)
    return Affine(scales, np.zeros(len(weights), np.int64))


def quantised_weights(weights: NDArray[np.float32], affine: Affine) -> NDArray[np.int8]:
    """The int8 weights that belong to ``affine``."""
    codes = np.rint(weights / affine.scales[:, None])
    stored: NDArray[np.int8] = np.clip(codes, -INT8_HIGHEST, INT8_HIGHEST).astype(np.int8)
    return stored


def bias_affine(source: Affine, weights: Affine) -> Affine:
    """int32 code of the bias: the product of both scales, row by row."""
    scales = (source.scales.astype(np.float64) * weights.scales).astype(np.float32)
    return Affine(scales, np.zeros(len(scales), np.int64))


def float_model(weights: ReadOutWeights) -> bytes:
    """The TFLite file of ``weights`` in float32."""
    graph = Graph(description="lsi read-out, float32")
    source, tensor = _standardised(graph, weights)
    tensor = _float_layers(graph, weights, range(len(weights.layers)), tensor)
    return graph.to_bytes(source, tensor)


def int8_model(weights: ReadOutWeights, intervals: Sequence[Interval]) -> bytes:
    """The TFLite file of ``weights`` with the inner layers in static int8.

    Args:
        weights: The float model.
        intervals: Range of the standardised input and of each layer's output, as
            ``intervals_of(weights.activations(...))`` gives them.

    Raises:
        ValueError: Not one interval per activation.
    """
    layers = len(weights.layers)
    if len(intervals) != layers + 1:
        message = f"{layers} layers need {layers + 1} intervals, not {len(intervals)}"
        raise ValueError(message)
    ends = FLOAT_ENDS if layers > 2 * FLOAT_ENDS else 0
    graph = Graph(description="lsi read-out, static int8")
    source, tensor = _standardised(graph, weights)
    tensor = _float_layers(graph, weights, range(ends), tensor)
    tensor = _int8_layers(graph, weights, range(ends, layers - ends), tensor, intervals)
    tensor = _float_layers(graph, weights, range(layers - ends, layers), tensor)
    return graph.to_bytes(source, tensor)


def _float_layers(graph: Graph, weights: ReadOutWeights, chosen: range, tensor: int) -> int:
    """Append the layers ``chosen`` in float32 behind ``tensor``; returns the tensor that they fill."""
    for index in chosen:
        layer = weights.layers[index]
        inputs = [
            tensor,
            graph.constant(f"weights_{index}", layer.weights),
            graph.constant(f"bias_{index}", layer.bias),
        ]
        output = graph.variable(_name(weights, index), len(layer.bias), np.float32)
        tensor = _fully_connected(
            graph, inputs, output, FULLY_CONNECTED_VERSION, is_last=_is_last(weights, index)
        )
    return tensor


def _int8_layers(
    graph: Graph, weights: ReadOutWeights, chosen: range, tensor: int, intervals: Sequence[Interval]
) -> int:
    """Append the layers ``chosen`` in int8 between QUANTIZE and DEQUANTIZE."""
    affine = activation_affine(intervals[chosen.start])
    code = graph.variable("quantised", weights.layers[chosen.start].weights.shape[1], np.int8, affine)
    options = (schema.BuiltinOptions.QuantizeOptions, schema.QuantizeOptionsT())
    graph.operator(_OPERATOR.QUANTIZE, QUANTIZE_VERSION, [tensor], code, options)
    for index in chosen:
        layer, result = weights.layers[index], activation_affine(intervals[index + 1])
        output = graph.variable(f"code_{index}", len(layer.bias), np.int8, result)
        inputs = [code, *_int8_constants(graph, layer, affine, index)]
        code = _fully_connected(
            graph, inputs, output, FULLY_CONNECTED_INT8_VERSION, is_last=_is_last(weights, index)
        )
        affine = result
    last = chosen[-1]
    real = graph.variable(_name(weights, last), len(weights.layers[last].bias), np.float32)
    options = (schema.BuiltinOptions.DequantizeOptions, schema.DequantizeOptionsT())
    graph.operator(_OPERATOR.DEQUANTIZE, DEQUANTIZE_VERSION, [code], real, options)
    return real


def _standardised(graph: Graph, weights: ReadOutWeights) -> tuple[int, int]:
    """Add ``(measurement - mean) * scale``; returns the input tensor and the result."""
    source = graph.variable("measurement", weights.d, np.float32)
    centred = graph.variable("centred", weights.d, np.float32)
    mean = graph.constant("mean", weights.mean[None, :])
    subtract = schema.SubOptionsT(fusedActivationFunction=_NONE)
    graph.operator(_OPERATOR.SUB, 1, [source, mean], centred, (schema.BuiltinOptions.SubOptions, subtract))
    standardised = graph.variable("standardised", weights.d, np.float32)
    scale = graph.constant("scale", weights.scale[None, :])
    multiply = schema.MulOptionsT(fusedActivationFunction=_NONE)
    graph.operator(
        _OPERATOR.MUL, 1, [centred, scale], standardised, (schema.BuiltinOptions.MulOptions, multiply)
    )
    return source, standardised


def _int8_constants(graph: Graph, layer: Dense, source: Affine, index: int) -> list[int]:
    weights = weight_affine(layer.weights)
    bias = bias_affine(source, weights)
    codes = np.rint(layer.bias.astype(np.float64) / bias.scales)
    limits = np.iinfo(np.int32)
    bias_codes = np.clip(codes, limits.min, limits.max).astype(np.int32)
    return [
        graph.constant(f"weights_{index}", quantised_weights(layer.weights, weights), weights),
        graph.constant(f"bias_{index}", bias_codes, bias),
    ]


def _fully_connected(graph: Graph, inputs: list[int], output: int, version: int, *, is_last: bool) -> int:
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=_NONE if is_last else _RELU)
    tagged = (schema.BuiltinOptions.FullyConnectedOptions, options)
    graph.operator(_OPERATOR.FULLY_CONNECTED, version, inputs, output, tagged)
    return output


def _is_last(weights: ReadOutWeights, index: int) -> bool:
    return index == len(weights.layers) - 1


def _name(weights: ReadOutWeights, index: int) -> str:
    return "logits" if _is_last(weights, index) else f"layer_{index}"
