"""What a TFLite file costs, read off the file itself."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

_CODES: Final = schema.BuiltinOperator
_NAMES: Final[Mapping[int, str]] = {
    code: name for name, code in vars(_CODES).items() if isinstance(code, int) and not name.startswith("_")
}
_NUMBERS: Final = frozenset({schema.TensorType.FLOAT32, schema.TensorType.INT8, schema.TensorType.INT16})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``parameters`` are constants that are multiplied or added; ``macs`` the multiplications of one run."""

    size_bytes: int
    parameters: int
    macs: int
    operators: Mapping[str, int]


def model_facts(model: bytes) -> ModelFacts:
    """Facts of the TFLite file ``model``, one of ours."""
    root = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    codes = [_code(entry) for entry in root.operatorCodes]
    graphs = root.subgraphs
    operators = Counter(_NAMES[codes[each.opcodeIndex]] for graph in graphs for each in graph.operators)
    return ModelFacts(
        size_bytes=len(model),
        parameters=sum(_size(tensor) for graph in graphs for tensor in _constants(root, graph)),
        macs=sum(_macs(graph, each, codes[each.opcodeIndex]) for graph in graphs for each in graph.operators),
        operators=dict(sorted(operators.items())),
    )


def _code(entry: Any) -> int:  # noqa: ANN401 - the generated schema is untyped
    return max(int(entry.builtinCode), int(entry.deprecatedBuiltinCode))


def _constants(root: Any, graph: Any) -> Iterator[Any]:  # noqa: ANN401 - same
    """Weights and biases; shapes and axes are int32 without a scale."""
    for tensor in graph.tensors:
        data = root.buffers[tensor.buffer].data
        has_scale = tensor.quantization is not None and tensor.quantization.scale is not None
        if data is not None and len(data) and (tensor.type in _NUMBERS or has_scale):
            yield tensor


def _size(tensor: Any) -> int:  # noqa: ANN401 - same
    return prod(int(side) for side in tensor.shape)


def _macs(graph: Any, operator: Any, code: int) -> int:  # noqa: ANN401 - same
    output = _size(graph.tensors[operator.outputs[0]])
    if code in {_CODES.FULLY_CONNECTED, _CODES.CONV_2D}:
        weights = graph.tensors[operator.inputs[1]].shape
        return output * prod(int(side) for side in weights[1:])
    if code == _CODES.BATCH_MATMUL:
        left = graph.tensors[operator.inputs[0]].shape
        return output * int(left[-2 if operator.builtinOptions.adjX else -1])
    return 0
