"""The int8 graph against its definition in integers, and against float."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.parity import run_model
from export.tflite_writer import (
    Interval,
    activation_affine,
    bias_affine,
    float_model,
    int8_model,
    intervals_of,
    quantised_weights,
    weight_affine,
)
from tests.training.tiny import measurements_for, random_read_out
from training.read_outs.read_out import Dense, ReadOutWeights

FINITE = st.floats(-100, 100, width=32)


def _int8_in_numpy(
    weights: ReadOutWeights, intervals: tuple[Interval, ...], inputs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Three layers in 64-bit arithmetic, the middle one in integers: what every kernel approximates."""
    first, middle, last = weights.layers
    source, sink = (activation_affine(each) for each in intervals[1:3])
    real = np.maximum((inputs - weights.mean) * weights.scale @ first.weights.T + first.bias, 0)
    scale, zero = float(source.scales[0]), int(source.zero_points[0])
    codes = np.clip(np.rint(real / scale) + zero, -128, 127)
    rows = weight_affine(middle.weights)
    integer_bias = np.rint(middle.bias / (scale * rows.scales.astype(np.float64)))
    total = (codes - zero) @ quantised_weights(middle.weights, rows).T.astype(np.float64) + integer_bias
    real = total * scale * rows.scales.astype(np.float64)
    scale, zero = float(sink.scales[0]), int(sink.zero_points[0])
    codes = np.maximum(np.clip(np.rint(real / scale) + zero, -128, 127), zero)
    logits: NDArray[np.float64] = (codes - zero) * scale @ last.weights.T.astype(np.float64) + last.bias
    return logits


@pytest.fixture(scope="module")
def weights() -> ReadOutWeights:
    return random_read_out()


@pytest.fixture(scope="module")
def inputs(weights: ReadOutWeights) -> NDArray[np.float32]:
    return measurements_for(weights, 400)


@pytest.fixture(scope="module")
def intervals(weights: ReadOutWeights, inputs: NDArray[np.float32]) -> tuple[Interval, ...]:
    return intervals_of(weights.activations(inputs))


def test_the_float_file_computes_the_float_logits(
    weights: ReadOutWeights, inputs: NDArray[np.float32]
) -> None:
    assert np.allclose(run_model(float_model(weights), inputs), weights.logits(inputs), atol=1e-4)


def test_the_int8_file_computes_what_its_integers_say(
    weights: ReadOutWeights, inputs: NDArray[np.float32], intervals: tuple[Interval, ...]
) -> None:
    found = run_model(int8_model(weights, intervals), inputs)
    # A tie that a kernel rounds the other way moves a hidden unit by one step, never more.
    step = float(activation_affine(intervals[2]).scales[0]) * float(np.abs(weights.layers[2].weights).max())
    difference = np.abs(found - _int8_in_numpy(weights, intervals, inputs)) / step
    assert difference.max() < 2.5
    assert (difference < 0.01).mean() > 0.95


def test_the_ends_of_three_layers_stay_float_however_wide_their_ranges(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    far = Interval(-1e3, 1e3)
    assert int8_model(weights, (far, *intervals[1:3], far)) == int8_model(weights, intervals)
    coarse = int8_model(weights, (intervals[0], far, *intervals[2:]))
    assert coarse != int8_model(weights, intervals)


def test_only_the_layers_between_the_ends_are_int8(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    stored = schema.TensorType
    tensors = _parsed(int8_model(weights, intervals)).subgraphs[0].tensors
    types = {tensor.name.decode(): tensor.type for tensor in tensors}
    kinds = [types[f"weights_{index}"] for index in range(3)]
    assert kinds == [stored.FLOAT32, stored.INT8, stored.FLOAT32]


@pytest.mark.parametrize("widths", [(6, 3), (6, 24, 3)])
def test_a_read_out_without_a_middle_is_int8_throughout(widths: tuple[int, ...]) -> None:
    short = random_read_out(widths)
    inputs = measurements_for(short, 50)
    model = int8_model(short, intervals_of(short.activations(inputs)))
    stored = [each.type for each in _parsed(model).subgraphs[0].tensors if each.name.startswith(b"weights_")]
    assert stored == [schema.TensorType.INT8] * len(short.layers)
    expected = short.logits(inputs)
    assert np.abs(run_model(model, inputs) - expected).mean() < 0.02 * np.ptp(expected)


def test_int8_stays_close_to_float(
    weights: ReadOutWeights, inputs: NDArray[np.float32], intervals: tuple[Interval, ...]
) -> None:
    expected = weights.logits(inputs)
    error = np.abs(run_model(int8_model(weights, intervals), inputs) - expected)
    assert error.max() < 0.05 * np.ptp(expected)
    assert error.mean() < 0.01 * np.ptp(expected)


def test_one_scale_for_all_rows_would_be_worse(weights: ReadOutWeights) -> None:
    layer = weights.layers[1].weights
    rows = weight_affine(layer)
    per_row = quantised_weights(layer, rows) * rows.scales[:, None]
    shared = np.rint(layer / (np.abs(layer).max() / 127)) * (np.abs(layer).max() / 127)
    smallest = np.argmin(np.abs(layer).max(axis=1))
    per_row_error, shared_error = (np.abs(each - layer)[smallest].max() for each in (per_row, shared))
    assert per_row_error < shared_error / 5


def test_negative_inputs_of_a_layer_stop_at_its_relu(intervals: tuple[Interval, ...]) -> None:
    first = Dense(np.array([[1.0]], np.float32), np.zeros(1, np.float32))
    last = Dense(np.array([[1.0]], np.float32), np.zeros(1, np.float32))
    chain = ReadOutWeights(np.zeros(1, np.float32), np.ones(1, np.float32), (first, last))
    # A hidden range that reaches below zero leaves the stopping to the fused ReLU.
    wide = (Interval(-2, 2), Interval(-2, 2), Interval(-2, 2))
    found = run_model(int8_model(chain, wide), np.array([[-1.5], [1.5]], np.float32))
    assert found[:, 0] == pytest.approx([0.0, 1.5], abs=0.03)
    assert len(intervals) == 4


def test_the_last_layer_may_be_negative() -> None:
    only = Dense(np.array([[1.0]], np.float32), np.array([-0.5], np.float32))
    chain = ReadOutWeights(np.zeros(1, np.float32), np.ones(1, np.float32), (only,))
    found = run_model(int8_model(chain, (Interval(-1, 1), Interval(-2, 1))), np.array([[-1.0]], np.float32))
    assert found[0, 0] == pytest.approx(-1.5, abs=0.02)


def test_values_beyond_the_range_are_clipped_not_wrapped() -> None:
    only = Dense(np.array([[1.0]], np.float32), np.zeros(1, np.float32))
    chain = ReadOutWeights(np.zeros(1, np.float32), np.ones(1, np.float32), (only,))
    found = run_model(
        int8_model(chain, (Interval(-1, 1), Interval(-1, 1))), np.array([[9.0], [-9.0]], np.float32)
    )
    assert found[:, 0] == pytest.approx([1.0, -1.0], abs=0.01)


def test_standardisation_is_inside_the_file(weights: ReadOutWeights, inputs: NDArray[np.float32]) -> None:
    shifted = replace(weights, mean=weights.mean + np.float32(0.5))
    found = run_model(float_model(shifted), inputs[:5] + np.float32(0.5))
    assert np.allclose(found, weights.logits(inputs[:5]), atol=1e-3)


@given(FINITE, FINITE)
def test_zero_and_both_ends_have_codes(one: float, other: float) -> None:
    interval = Interval(min(one, other), max(one, other))
    affine = activation_affine(interval)
    scale, zero = float(affine.scales[0]), int(affine.zero_points[0])
    assert -128 <= zero <= 127
    low, high = (-128 - zero) * scale, (127 - zero) * scale
    assert low <= interval.low + scale
    assert high >= interval.high - scale


def test_a_range_after_relu_uses_all_codes() -> None:
    affine = activation_affine(Interval(0.0, 25.5))
    assert float(affine.scales[0]) == pytest.approx(0.1)
    assert int(affine.zero_points[0]) == -128


def test_a_symmetric_range_has_its_zero_in_the_middle() -> None:
    assert int(activation_affine(Interval(-1.0, 1.0)).zero_points[0]) in (-1, 0)


def test_the_largest_weight_of_each_row_is_code_127() -> None:
    rows = np.array([[0.5, -2.0], [1e-3, 5e-4]], np.float32)
    codes = quantised_weights(rows, weight_affine(rows))
    assert np.abs(codes).max(axis=1).tolist() == [127, 127]
    assert codes[0].tolist() == [32, -127]


def test_a_row_of_zeros_stays_zero() -> None:
    rows = np.zeros((1, 4), np.float32)
    affine = weight_affine(rows)
    assert np.isfinite(affine.scales).all()
    assert not quantised_weights(rows, affine).any()


def test_the_bias_scale_is_the_product_of_both() -> None:
    rows = weight_affine(np.array([[1.27], [12.7]], np.float32))
    source = activation_affine(Interval(0.0, 25.5))
    assert bias_affine(source, rows).scales == pytest.approx([0.001, 0.01])


def test_true_ranges_keep_the_one_far_sample() -> None:
    values = np.zeros((1000, 2), np.float32)
    values[7, 1], values[8, 0] = 30.0, -4.0
    assert intervals_of([values]) == (Interval(-4.0, 30.0),)


def test_an_interval_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="exceed"):
        Interval(1.0, 0.0)


def test_every_activation_needs_a_range(weights: ReadOutWeights, intervals: tuple[Interval, ...]) -> None:
    with pytest.raises(ValueError, match="4 intervals"):
        int8_model(weights, intervals[:-1])


def _parsed(model: bytes) -> "schema.ModelT":
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))


def test_operators_and_versions_are_those_that_old_runtimes_know(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    # TensorFlow Lite op_version.cc: FULLY_CONNECTED with int8 input, weights and output is version 4,
    # DEQUANTIZE of int8 is version 2. tflite-runtime 2.14 has all of these.
    operator = schema.BuiltinOperator
    codes = _parsed(int8_model(weights, intervals)).operatorCodes
    assert {(code.builtinCode, code.version) for code in codes} == {
        (operator.SUB, 1),
        (operator.MUL, 1),
        (operator.QUANTIZE, 1),
        (operator.FULLY_CONNECTED, 1),
        (operator.FULLY_CONNECTED, 4),
        (operator.DEQUANTIZE, 2),
    }
    assert all(code.deprecatedBuiltinCode == min(code.builtinCode, 127) for code in codes)


def test_the_file_is_batch_one_float_in_and_float_out(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    graph = _parsed(int8_model(weights, intervals)).subgraphs[0]
    ends = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
    assert [list(tensor.shape) for tensor in ends] == [[1, 6], [1, 3]]
    assert {tensor.type for tensor in ends} == {schema.TensorType.FLOAT32}


def test_weights_have_a_scale_per_row_along_dimension_0(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    tensors = _parsed(int8_model(weights, intervals)).subgraphs[0].tensors
    stored = next(tensor for tensor in tensors if tensor.name == b"weights_1")
    assert stored.quantization.quantizedDimension == 0
    assert len(stored.quantization.scale) == 24
    assert not np.any(stored.quantization.zeroPoint)


def test_the_file_carries_its_identifier(weights: ReadOutWeights) -> None:
    assert float_model(weights)[4:8] == b"TFL3"


def test_the_same_weights_give_the_same_bytes(
    weights: ReadOutWeights, intervals: tuple[Interval, ...]
) -> None:
    assert int8_model(weights, intervals) == int8_model(random_read_out(), intervals)
    assert int8_model(weights, intervals) != int8_model(random_read_out(seed=1), intervals)
