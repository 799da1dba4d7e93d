"""Refuses TFLite files that load on some runtime and are then computed wrongly without a word.

Checked on the finished bytes, so that it does not matter who wrote them. What each runtime does was
tried with ai-edge-litert 2.3 and tflite-runtime 2.14; the tests repeat what the first one does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

from export.tflite_graph import FILE_ID, HIGHEST_OLD_CODE
from export.tflite_operators import (
    CONV_2D_GROUPED_VERSION,
    CONV_2D_HYBRID_VERSION,
    FULLY_CONNECTED_HYBRID_VERSION,
)
from lsi.errors import BundleError

_OPERATOR: Final = schema.BuiltinOperator
_TYPE: Final = schema.TensorType
_QUANTIZED: Final = frozenset({_TYPE.INT4, _TYPE.INT8, _TYPE.UINT8})
_HINT: Final = "write it with export.paper_tflite, or quantise FULLY_CONNECTED and CONV_2D only."


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What a check asks about a tensor. ``scales`` counts them; 0 means not quantised."""

    type: int
    shape: tuple[int, ...]
    scales: int
    is_blockwise: bool
    is_constant: bool


@dataclass(frozen=True, slots=True)
class _Operator:
    code: int
    version: int
    inputs: tuple[_Tensor, ...]


def check_model(model: bytes) -> None:
    """Refuse a model that a runtime is known to compute wrongly.

    Raises:
        BundleError: Names the operator and what happens to it.
    """
    if model[4:8] != FILE_ID:
        raise BundleError("These bytes are no TFLite file.", hint=_HINT)
    faults = [fault for operator in _operators(model) for fault in _faults(operator)]
    faults += _code_faults(model)
    if faults:
        more = f" ({len(faults)} operators in all)" if len(faults) > 1 else ""
        raise BundleError(
            f"The model has a form known to be computed wrongly: {faults[0]}{more}.", hint=_HINT
        )


def _faults(operator: _Operator) -> Iterator[str]:
    for is_bad, told in _KNOWN_BAD:
        if is_bad(operator):
            yield told


def _is_hybrid(operator: _Operator) -> bool:
    """Float input, quantised weights."""
    if len(operator.inputs) < 2:  # noqa: PLR2004 - input and weights
        return False
    x, weights = operator.inputs[:2]
    return x.type == _TYPE.FLOAT32 and weights.type in _QUANTIZED


def _is_per_row(operator: _Operator) -> bool:
    return _is_hybrid(operator) and operator.inputs[1].scales > 1


def _is_old_per_row_fully_connected(operator: _Operator) -> bool:
    is_old = operator.version < FULLY_CONNECTED_HYBRID_VERSION
    return operator.code == _OPERATOR.FULLY_CONNECTED and is_old and _is_per_row(operator)


def _is_old_per_row_convolution(operator: _Operator) -> bool:
    is_old = operator.version < CONV_2D_HYBRID_VERSION
    return operator.code == _OPERATOR.CONV_2D and is_old and _is_per_row(operator)


def _is_old_grouped_convolution(operator: _Operator) -> bool:
    if operator.code != _OPERATOR.CONV_2D or operator.version >= CONV_2D_GROUPED_VERSION:
        return False
    x, filters = operator.inputs[:2]
    return x.shape[-1] != filters.shape[-1]


def _is_quantized_matrix_product(operator: _Operator) -> bool:
    is_stored = [tensor.is_constant and tensor.type in _QUANTIZED for tensor in operator.inputs]
    return operator.code == _OPERATOR.BATCH_MATMUL and any(is_stored)


def _is_blockwise(operator: _Operator) -> bool:
    return any(tensor.is_blockwise for tensor in operator.inputs)


def _is_16x8_fully_connected(operator: _Operator) -> bool:
    is_int16: bool = operator.inputs[0].type == _TYPE.INT16
    return is_int16 and operator.code == _OPERATOR.FULLY_CONNECTED


def _is_unscaled(operator: _Operator) -> bool:
    if operator.code not in {_OPERATOR.FULLY_CONNECTED, _OPERATOR.CONV_2D} or not _is_hybrid(operator):
        return False
    weights = operator.inputs[1]
    return not weights.is_blockwise and weights.scales not in {1, weights.shape[0]}


_KNOWN_BAD: Final[tuple[tuple[Callable[[_Operator], bool], str], ...]] = (
    (
        _is_old_per_row_fully_connected,
        "FULLY_CONNECTED with float input and a scale per row below version 12; readers of one scale run it",
    ),
    (
        _is_old_per_row_convolution,
        "CONV_2D with float input and a scale per row below version 5; readers of one scale run it",
    ),
    (_is_old_grouped_convolution, "grouped CONV_2D below version 6; runtimes without groups run it"),
    (
        _is_quantized_matrix_product,
        "BATCH_MATMUL with a quantised constant; it is read with one scale, or fails when loaded",
    ),
    (_is_blockwise, "weights with a scale per block; runtimes that know none run it"),
    (_is_16x8_fully_connected, "FULLY_CONNECTED with int16 input; older kernels compute it wrongly"),
    (_is_unscaled, "quantised weights that have neither one scale nor one per row"),
)


def _code_faults(model: bytes) -> Iterator[str]:
    root = schema.Model.GetRootAsModel(model, 0)
    for index in range(root.OperatorCodesLength()):
        entry = root.OperatorCodes(index)
        if entry.DeprecatedBuiltinCode() != min(entry.BuiltinCode(), HIGHEST_OLD_CODE):
            yield f"operator code {entry.BuiltinCode()} that older readers take for another operator"


def _operators(model: bytes) -> Iterator[_Operator]:
    root = schema.Model.GetRootAsModel(model, 0)
    codes = [root.OperatorCodes(index) for index in range(root.OperatorCodesLength())]
    for graph in (root.Subgraphs(index) for index in range(root.SubgraphsLength())):
        for operator in (graph.Operators(index) for index in range(graph.OperatorsLength())):
            code = codes[operator.OpcodeIndex()]
            indices = [operator.Inputs(index) for index in range(operator.InputsLength())]
            inputs = tuple(_tensor(root, graph.Tensors(index)) for index in indices if index >= 0)
            yield _Operator(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), code.Version(), inputs)


def _tensor(root: Any, tensor: Any) -> _Tensor:  # noqa: ANN401 - the generated schema is untyped
    quantization = tensor.Quantization()
    shape = tuple(tensor.Shape(index) for index in range(tensor.ShapeLength()))
    details = quantization.DetailsType() if quantization else schema.QuantizationDetails.NONE
    return _Tensor(
        type=tensor.Type(),
        shape=shape,
        scales=quantization.ScaleLength() if quantization else 0,
        is_blockwise=details == schema.QuantizationDetails.BlockwiseQuantization,
        is_constant=root.Buffers(tensor.Buffer()).DataLength() > 0,
    )
