"""The written file on the device's runtime, against the program in float64."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from export.paper_export import simplified
from export.paper_passes import with_attributes_only
from export.paper_plain import LOGITS, OFFSET
from export.paper_program import Array, Program, results
from export.paper_tflite import Grouping, Recipe, tflite_model
from lsi.errors import BundleError
from tests.export.paper_small import ATTRIBUTES, WIDTH, measurements, small_plain

INPUTS = measurements(16)
MAX_OPERATORS = 350
# Kernels without XNNPACK round differently; both must be right.
RUNTIMES = [OpResolverType.AUTO, OpResolverType.BUILTIN_REF]


@pytest.fixture(scope="module")
def program() -> Program:
    return simplified(small_plain())


def run(
    model: bytes, inputs: Array, runtime: OpResolverType = OpResolverType.AUTO
) -> list[NDArray[np.float32]]:
    """Each output for each row of ``inputs``, stacked."""
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=runtime)
    interpreter.allocate_tensors()
    rows = []
    for row in inputs:
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], row[np.newaxis].astype(np.float32)
        )
        interpreter.invoke()
        rows.append(
            [interpreter.get_tensor(each["index"]).copy() for each in interpreter.get_output_details()]
        )
    return [np.stack(each) for each in zip(*rows, strict=True)]


def error(found: Array, wanted: Array) -> float:
    """Root mean square of the difference, relative to the spread of ``wanted``."""
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std())


def operators(model: bytes) -> list[tuple[int, int]]:
    """Code and version of every operator."""
    root = schema.Model.GetRootAsModel(model, 0)
    graph = root.Subgraphs(0)
    codes = [root.OperatorCodes(graph.Operators(i).OpcodeIndex()) for i in range(graph.OperatorsLength())]
    return [(code.BuiltinCode(), code.Version()) for code in codes]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("grouping", Grouping)
def test_the_float_file_computes_the_program(
    program: Program, grouping: Grouping, runtime: OpResolverType
) -> None:
    found = run(tflite_model(program, Recipe.FLOAT32, grouping), INPUTS, runtime)
    for each, wanted in zip(found, results(program, INPUTS), strict=True):
        assert each.shape == wanted.shape
        assert error(each, wanted) < 1e-5


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("grouping", Grouping)
def test_the_int8_file_stays_close(program: Program, grouping: Grouping, runtime: OpResolverType) -> None:
    found = run(tflite_model(program, Recipe.INT8, grouping), INPUTS, runtime)
    for each, wanted in zip(found, results(program, INPUTS), strict=True):
        assert error(each, wanted) < 0.05


def test_the_unsimplified_file_computes_the_same() -> None:
    found = run(tflite_model(small_plain(), Recipe.FLOAT32), INPUTS)
    for each, wanted in zip(found, results(small_plain(), INPUTS), strict=True):
        assert error(each, wanted) < 1e-5


@pytest.mark.parametrize(("recipe", "limit"), [(Recipe.FLOAT32, 2e-5), (Recipe.INT8, 0.05)])
def test_raw_sums_with_a_mean_far_above_their_spread_are_encoded(
    program: Program, recipe: Recipe, limit: float
) -> None:
    # Masks of a 256 x 256 field with half of the mirrors open: sums around 50 000, a few per cent apart.
    sums = (5e4 + 2e3 * INPUTS).astype(np.float32)
    found = run(tflite_model(program, recipe), sums)
    assert error(found[0], results(program, sums)[0]) < limit


def test_outputs_are_offset_and_logits_in_this_order(program: Program) -> None:
    interpreter = Interpreter(model_content=tflite_model(program, Recipe.INT8))
    shapes = [details["shape"].tolist() for details in interpreter.get_output_details()]
    assert shapes == [[1, 18, WIDTH], [1, ATTRIBUTES]]


def test_the_attributes_only_file_has_one_output(program: Program) -> None:
    cut = with_attributes_only([4, 1], LOGITS, OFFSET)(program)
    model = tflite_model(cut, Recipe.FLOAT32)
    assert len(Interpreter(model_content=model).get_output_details()) == 1
    assert error(run(model, INPUTS)[0], results(program, INPUTS)[1][..., [4, 1]]) < 1e-5


def test_few_operators_are_left(program: Program) -> None:
    assert len(operators(tflite_model(program, Recipe.INT8))) <= MAX_OPERATORS
    assert len(operators(tflite_model(small_plain(), Recipe.FLOAT32))) > 4 * MAX_OPERATORS


def test_the_delegate_takes_the_whole_graph(program: Program) -> None:
    interpreter = Interpreter(model_content=tflite_model(program, Recipe.INT8), num_threads=1)
    interpreter.allocate_tensors()
    names = [details["op_name"] for details in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1


def test_int8_linear_steps_name_versions_that_old_runtimes_refuse(program: Program) -> None:
    versions = dict(operators(tflite_model(program, Recipe.INT8)))
    assert versions[schema.BuiltinOperator.FULLY_CONNECTED] == 12
    assert versions[schema.BuiltinOperator.CONV_2D] == 6


def test_only_linear_steps_are_quantised(program: Program) -> None:
    model = tflite_model(program, Recipe.INT8)
    graph = schema.Model.GetRootAsModel(model, 0).Subgraphs(0)
    names = [
        graph.Tensors(i).Name()
        for i in range(graph.TensorsLength())
        if graph.Tensors(i).Type() == schema.TensorType.INT8
    ]
    assert names
    assert all(name.endswith(b".weight") for name in names)


def test_the_same_program_gives_the_same_bytes(program: Program) -> None:
    assert tflite_model(program, Recipe.INT8) == tflite_model(program, Recipe.INT8)


def test_a_file_that_a_runtime_would_compute_wrongly_is_not_given_out(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.paper_tflite.FULLY_CONNECTED_HYBRID_VERSION", 7)
    with pytest.raises(BundleError, match="below version 12"):
        tflite_model(program, Recipe.INT8)
