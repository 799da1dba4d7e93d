"""Static int8 of the paper's encoder: ranges, form and closeness, on the device's runtime."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export.paper_export import simplified
from export.paper_passes import with_attributes_only
from export.paper_plain import LOGITS, OFFSET
from export.paper_program import Op, Program, Step, evaluate, results
from export.paper_static import static_model, true_ranges
from export.paper_tflite import Recipe, tflite_model
from tests.export.paper_small import ATTRIBUTES, WIDTH, measurements, small_plain
from tests.export.test_paper_tflite import error, operators, run

CALIBRATION = measurements(200)
INPUTS = np.random.default_rng(9).standard_normal((32, CALIBRATION.shape[1])).astype(np.float32)


@pytest.fixture(scope="module")
def program() -> Program:
    return simplified(small_plain())


@pytest.fixture(scope="module")
def model(program: Program) -> bytes:
    return static_model(program, CALIBRATION)


def test_ranges_are_the_true_ones_over_all_parts(program: Program) -> None:
    ranges, values = true_ranges(program, CALIBRATION), evaluate(program, CALIBRATION)
    linear = [step for step in program.steps if step.op in {Op.LINEAR, Op.BLOCKS}]
    assert set(ranges) == {name for step in linear for name in (step.output, *step.inputs)}
    for name, interval in ranges.items():
        assert (interval.low, interval.high) == (values[name].min(), values[name].max())


@pytest.mark.parametrize("runtime", [OpResolverType.AUTO, OpResolverType.BUILTIN_REF])
def test_the_file_stays_close(program: Program, model: bytes, runtime: OpResolverType) -> None:
    for each, wanted in zip(run(model, INPUTS, runtime), results(program, INPUTS), strict=True):
        assert each.shape == wanted.shape
        assert error(each, wanted) < 0.15


def test_narrow_ranges_clip(program: Program, model: bytes) -> None:
    clipped = static_model(program, 0.0 * CALIBRATION[:1] + 1e-3 * CALIBRATION[1:2])
    wanted = results(program, INPUTS)[0]
    assert error(run(clipped, INPUTS)[0], wanted) > 2 * error(run(model, INPUTS)[0], wanted)


def test_one_linear_step_is_right_to_half_a_step_of_its_code() -> None:
    generator = np.random.default_rng(3)
    weights, bias = generator.standard_normal((5, 4)), generator.standard_normal(5)
    program = Program("m", 4, (Step(Op.LINEAR, "y", ("m",), (weights,), (bias,)),), ("y",))
    inputs = generator.standard_normal((50, 4)).astype(np.float32)
    wanted = results(program, inputs)[0]
    ranges = true_ranges(program, inputs)
    of_input = np.abs(weights).sum(axis=1).max() * (ranges["m"].high - ranges["m"].low) / 255 / 2
    of_weights = np.abs(weights).max() / 127 / 2 * np.abs(inputs).sum(axis=1).max()
    of_output = (ranges["y"].high - ranges["y"].low) / 255
    found = run(static_model(program, inputs), inputs)[0]
    assert np.abs(found - wanted).max() < of_input + of_weights + of_output


def test_steps_in_a_row_hand_over_their_code(model: bytes) -> None:
    codes = [code for code, _ in operators(model)]
    linear = codes.count(schema.BuiltinOperator.FULLY_CONNECTED) + codes.count(schema.BuiltinOperator.CONV_2D)
    # 12 repetitions of two convolutions each, of which the second needs no code of its own.
    assert codes.count(schema.BuiltinOperator.QUANTIZE) <= linear - 12


def test_every_version_is_one_that_old_runtimes_know(model: bytes) -> None:
    versions = dict(operators(model))
    assert versions[schema.BuiltinOperator.FULLY_CONNECTED] == 4
    assert versions[schema.BuiltinOperator.CONV_2D] == 6


def test_the_delegate_takes_the_whole_graph(model: bytes) -> None:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    names = [details["op_name"] for details in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1


def test_outputs_and_size_are_those_of_the_dynamic_file(program: Program, model: bytes) -> None:
    shapes = [details["shape"].tolist() for details in Interpreter(model_content=model).get_output_details()]
    assert shapes == [[1, 18, WIDTH], [1, ATTRIBUTES]]
    assert len(model) < 1.3 * len(tflite_model(program, Recipe.INT8))


def test_the_attribute_form_can_be_static_too(program: Program) -> None:
    cut = with_attributes_only([4, 1], LOGITS, OFFSET)(program)
    (found,) = run(static_model(cut, CALIBRATION), INPUTS)
    assert error(found, results(program, INPUTS)[1][..., [4, 1]]) < 0.2


def test_the_same_measurements_give_the_same_bytes(program: Program, model: bytes) -> None:
    assert static_model(program, CALIBRATION) == model
