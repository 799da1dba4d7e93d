"""A program of the paper's encoder in static int8: the small form of it that runs on both runtimes.

Linear steps are int8 throughout, with the ranges that their inputs and outputs really had over calibration
measurements; norms, activations and sums stay float32. Two linear steps in a row hand over their code.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.known_bad import check_model
from export.paper_program import Array, Op, Program, Shape, Step, row_parts, shapes_of, values_of
from export.paper_tflite import Grouping, Lowering, Recipe
from export.tflite_graph import Affine
from export.tflite_operators import CONV_2D_GROUPED_VERSION, FULLY_CONNECTED_INT8_VERSION, Linear
from export.tflite_writer import Interval, activation_affine, bias_affine, weight_affine

_LINEAR = frozenset({Op.LINEAR, Op.BLOCKS})


def static_model(program: Program, measurements: Array) -> bytes:
    """The static int8 file of ``program``: float32 input (1, d), float32 outputs in the program's order.

    Args:
        program: After the passes of ``export.paper_export``.
        measurements: Shape (n, d), like those that the device will take. What goes beyond their ranges is
            clipped.

    Raises:
        BundleError: The file has a form that some runtime computes wrongly without a word.
    """
    model = _StaticLowering(program, true_ranges(program, measurements)).file(program)
    check_model(model)
    return model


def true_ranges(program: Program, measurements: Array) -> dict[str, Interval]:
    """Lowest and highest number of every value that a linear step reads or gives."""
    linear = [step for step in program.steps if step.op in _LINEAR]
    wanted = {name for step in linear for name in (step.output, *step.inputs)}
    found: dict[str, list[float]] = {}
    for part in row_parts(measurements):
        for name, value in values_of(program, part):
            if name in wanted:
                found.setdefault(name, []).extend((float(value.min()), float(value.max())))
    return {name: Interval(min(ends), max(ends)) for name, ends in found.items()}


class _StaticLowering(Lowering):
    """Keeps the int8 code of values beside their float tensors; either is made when it is first read."""

    def __init__(self, program: Program, ranges: Mapping[str, Interval]) -> None:
        super().__init__(Recipe.INT8, Grouping.CONVOLUTION, shapes_of(program))
        self._affines = {name: activation_affine(interval) for name, interval in ranges.items()}
        self._row_codes: dict[str, int] = {}
        self._pixel_codes: dict[str, int] = {}

    def _add(self, step: Step) -> None:
        if step.op is Op.BLOCKS:
            self._pixel_codes[step.output] = self._convolved(step)
        elif step.op is Op.LINEAR:
            self._row_codes[step.output] = self._linear(step, self._row_code(step.inputs[0]))
        else:
            super()._add(step)

    def _row_tensor(self, name: str) -> int:
        if name not in self._rows and name in self._row_codes:
            self._rows[name] = self._operators.dequantise(self._row_codes[name])
        if name not in self._rows and name not in self._pixels:
            self._pixels[name] = self._operators.dequantise(self._pixel_codes[name])
        return super()._row_tensor(name)

    def _row_code(self, name: str) -> int:
        if name not in self._row_codes:
            self._row_codes[name] = self._operators.quantise(self._row_tensor(name), self._affines[name])
        return self._row_codes[name]

    def _pixel_code(self, name: str) -> int:
        if name not in self._pixel_codes:
            self._row_tensor(name)
            self._pixel_codes[name] = self._operators.quantise(self._pixel(name), self._affines[name])
        return self._pixel_codes[name]

    def _linear(self, step: Step, x: int) -> int:
        linear = self._int8(step, step.weights[0].shape, FULLY_CONNECTED_INT8_VERSION)
        return self._operators.fully_connected(step.output, x, linear)

    def _convolved(self, step: Step) -> int:
        channels, inputs = len(step.weights) * len(step.weights[0]), step.weights[0].shape[1]
        linear = self._int8(step, (channels, 1, 1, inputs), CONV_2D_GROUPED_VERSION)
        return self._operators.pointwise_convolution(step.output, self._pixel_code(step.inputs[0]), linear)

    def _int8(self, step: Step, shape: Shape, version: int) -> Linear:
        weights = self._weights(f"{step.output}.weight", step.weights, shape)
        return Linear(weights, self._bias(step), version, self._affines[step.output])

    def _bias(self, step: Step) -> int:
        """int32 biases of all rows, zeros where there are none."""
        rows = np.concatenate([weight_affine(np.asarray(each, np.float32)).scales for each in step.weights])
        of_rows = Affine(rows, np.zeros(len(rows), np.int64))
        affine = bias_affine(self._affines[step.inputs[0]], of_rows)
        values = np.concatenate(step.biases) if step.biases else np.zeros(len(rows))
        return self._operators.constant(f"{step.output}.bias", _codes(values, affine), affine)


def _codes(values: Array, affine: Affine) -> NDArray[np.int32]:
    limits = np.iinfo(np.int32)
    codes = np.rint(values.astype(np.float64) / affine.scales)
    return np.clip(codes, limits.min, limits.max).astype(np.int32)
