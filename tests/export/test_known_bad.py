"""Forms that some runtime computes wrongly without a word are refused; sound ones pass."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.known_bad import check_model
from export.tflite_graph import Affine, Graph
from export.tflite_operators import LEFT_OUT, Linear, Operators
from export.tflite_writer import float_model, int8_model, intervals_of
from lsi.errors import BundleError
from tests.training.tiny import measurements_for, random_read_out

IN, OUT = 8, 6
CODES = np.arange(-24, 24, dtype=np.int8).reshape(OUT, IN)


def per_row(rows: int = OUT) -> Affine:
    return Affine(np.linspace(0.01, 1, rows).astype(np.float32), np.zeros(rows, np.int64))


def fully_connected(version: int, affine: Affine, codes: np.ndarray[Any, Any] = CODES) -> bytes:
    write = Operators(Graph("fully connected"))
    x = write.source("x", (1, IN))
    weights = write.constant("w", codes, affine)
    return write.graph.to_bytes(x, write.fully_connected("y", x, Linear(weights, LEFT_OUT, version)))


def convolution(version: int, groups: int, affine: Affine | None) -> bytes:
    write = Operators(Graph("convolution"))
    x = write.source("x", (1, 1, 1, IN))
    filters = CODES[:, : IN // groups].reshape(OUT, 1, 1, IN // groups)
    stored = write.constant("w", filters if affine else filters.astype(np.float32), affine)
    bias = write.constant("b", np.zeros(OUT, np.float32))
    return write.graph.to_bytes(x, write.pointwise_convolution("y", x, Linear(stored, bias, version)))


def matrix_product(*, is_left: bool) -> bytes:
    write = Operators(Graph("matrix product"))
    x = write.source("x", (IN, IN))
    stored = write.constant(
        "w", np.ones((IN, IN), np.int8), Affine(np.ones(1, np.float32), np.zeros(1, np.int64))
    )
    return write.graph.to_bytes(x, write.matrix_product(*((stored, x) if is_left else (x, stored))))


def edited(model: bytes, edit: Any) -> bytes:  # noqa: ANN401 - the generated schema is untyped
    """``model`` after ``edit`` has changed its object tree."""
    import flatbuffers  # noqa: PLC0415 - needed here only

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    edit(tree)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("version", [1, 7, 11])
def test_per_row_fully_connected_below_version_12_is_refused(version: int) -> None:
    with pytest.raises(BundleError, match="below version 12"):
        check_model(fully_connected(version, per_row()))


def test_per_row_fully_connected_of_version_12_passes() -> None:
    check_model(fully_connected(12, per_row()))


def test_one_scale_for_all_rows_passes_at_any_version() -> None:
    check_model(fully_connected(3, Affine(np.ones(1, np.float32), np.zeros(1, np.int64))))


@pytest.mark.parametrize("is_left", [True, False])
def test_a_quantised_constant_in_a_matrix_product_is_refused(is_left: bool) -> None:
    with pytest.raises(BundleError, match="BATCH_MATMUL"):
        check_model(matrix_product(is_left=is_left))


def test_the_left_one_does_not_even_load() -> None:
    # What the check spares the device: the file is well formed, and the runtime gives up on it.
    with pytest.raises(RuntimeError, match="batch_matmul"):
        Interpreter(model_content=matrix_product(is_left=True)).allocate_tensors()


def test_a_grouped_convolution_below_version_6_is_refused() -> None:
    with pytest.raises(BundleError, match="below version 6"):
        check_model(convolution(5, 2, per_row()))
    check_model(convolution(6, 2, per_row()))


def test_a_per_row_convolution_below_version_5_is_refused() -> None:
    with pytest.raises(BundleError, match="below version 5"):
        check_model(convolution(2, 1, per_row()))
    check_model(convolution(5, 1, per_row()))


def test_a_float_convolution_passes() -> None:
    check_model(convolution(1, 1, None))


def test_a_scale_per_block_is_refused() -> None:
    def edit(tree: Any) -> None:  # noqa: ANN401
        quantization = next(t for t in tree.subgraphs[0].tensors if t.name == b"w").quantization
        quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        quantization.details = schema.BlockwiseQuantizationT(blockSize=4)

    with pytest.raises(BundleError, match="per block"):
        check_model(edited(fully_connected(12, per_row()), edit))


def test_int16_activations_are_refused() -> None:
    def edit(tree: Any) -> None:  # noqa: ANN401
        tree.subgraphs[0].tensors[0].type = schema.TensorType.INT16

    with pytest.raises(BundleError, match="int16"):
        check_model(edited(fully_connected(12, per_row()), edit))


def test_scales_that_fit_neither_rows_nor_tensor_are_refused() -> None:
    with pytest.raises(BundleError, match="neither one scale nor one per row"):
        check_model(fully_connected(12, per_row(OUT - 1)))


def test_quantised_weights_without_a_scale_are_refused() -> None:
    def edit(tree: Any) -> None:  # noqa: ANN401
        next(t for t in tree.subgraphs[0].tensors if t.name == b"w").quantization = None

    with pytest.raises(BundleError, match="neither one scale nor one per row"):
        check_model(edited(fully_connected(12, per_row()), edit))


def test_a_code_that_old_readers_take_for_another_is_refused() -> None:
    write = Operators(Graph("gelu"))
    x = write.source("x", (1, IN))
    sound = write.graph.to_bytes(x, write.gelu(x))
    check_model(sound)

    def edit(tree: Any) -> None:  # noqa: ANN401
        tree.operatorCodes[0].deprecatedBuiltinCode = 0

    with pytest.raises(BundleError, match="older readers"):
        check_model(edited(sound, edit))


def test_every_fault_is_counted() -> None:
    write = Operators(Graph("two"))
    x = write.source("x", (1, IN))
    for name in ("a", "b"):
        last = write.fully_connected(name, x, Linear(write.constant("w", CODES, per_row()), LEFT_OUT, 7))
    with pytest.raises(BundleError, match="2 operators in all"):
        check_model(write.graph.to_bytes(x, last))


def test_the_files_of_the_read_out_pass() -> None:
    weights = random_read_out()
    check_model(float_model(weights))
    check_model(int8_model(weights, intervals_of(weights.activations(measurements_for(weights, 50)))))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", b"\x00" * 64])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="no TFLite file"):
        check_model(content)
