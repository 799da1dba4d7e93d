"""A TFLite flatbuffer put together tensor by tensor: one subgraph, static shapes, batch 1.

Ref: TensorFlow Lite schema, version 3 (``schema.fbs``); the object API is the one that
``ai_edge_litert`` generates from it. Only what a measurement encoder needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

FILE_ID: Final = b"TFL3"
SCHEMA_VERSION: Final = 3
HIGHEST_OLD_CODE: Final = 127
"""Readers of old files look at a signed byte; larger operator codes show there as this."""
SHARED_MAX_BYTES: Final = 1 << 16
"""Longer vectors are weights, of which no two are alike."""

_TYPES: Final = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


@dataclass(frozen=True, slots=True)
class Affine:
    """``real = scale * (stored - zero_point)``, per tensor or per row.

    Shape: ``scales`` (1,) or (rows,) float32, ``zero_points`` alike, int64.
    """

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]


@dataclass(slots=True)
class Graph:
    """Collects tensors and operators, then gives the bytes of the file."""

    description: str
    _tensors: list[Any] = field(default_factory=list)
    _buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    _operators: list[Any] = field(default_factory=list)
    _codes: list[tuple[int, int]] = field(default_factory=list)

    def variable(self, name: str, width: int, dtype: type, affine: Affine | None = None) -> int:
        """A tensor (1, ``width``) that an operator fills; returns its index."""
        return self.activation(name, (1, width), dtype, affine)

    def activation(
        self, name: str, shape: tuple[int, ...], dtype: type = np.float32, affine: Affine | None = None
    ) -> int:
        """A tensor of any ``shape`` that an operator fills; returns its index."""
        return self._add(name, shape, np.dtype(dtype), 0, affine)

    def constant(self, name: str, values: NDArray[Any], affine: Affine | None = None) -> int:
        """A tensor with stored values; returns its index."""
        little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
        stored = schema.BufferT(data=np.frombuffer(little_endian.tobytes(), np.uint8))
        self._buffers.append(stored)
        return self._add(name, values.shape, values.dtype, len(self._buffers) - 1, affine)

    def operator(
        self,
        code: int,
        version: int,
        inputs: list[int],
        output: int | Sequence[int],
        options: tuple[int, Any] | None = None,
    ) -> None:
        """Append an operator. ``options`` are its union tag and object, where it has some.

        ``output`` is one tensor or several; an input of -1 is an optional one that is left out.
        """
        if (code, version) not in self._codes:
            self._codes.append((code, version))
        tag, content = options if options is not None else (schema.BuiltinOptions.NONE, None)
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=self._codes.index((code, version)),
                inputs=np.array(inputs, np.int32),
                outputs=_indices(output),
                builtinOptionsType=tag,
                builtinOptions=content,
            )
        )

    def to_bytes(self, source: int, sink: int | Sequence[int]) -> bytes:
        """The file whose input is tensor ``source`` and whose outputs are ``sink``, one or several."""
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=np.array([source], np.int32),
            outputs=_indices(sink),
            operators=self._operators,
            name="main",
        )
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[_operator_code(code, version) for code, version in self._codes],
            subgraphs=[subgraph],
            description=self.description,
            buffers=self._buffers,
        )
        builder = _SharingBuilder(sum(len(stored.data) for stored in self._buffers[1:]) + 1024)
        builder.Finish(model.Pack(builder), file_identifier=FILE_ID)
        return bytes(builder.Output())

    def _add(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], buffer: int, affine: Affine | None
    ) -> int:
        tensor = schema.TensorT(
            shape=np.array(shape, np.int32), type=_TYPES[dtype], buffer=buffer, name=name, hasRank=True
        )
        if affine is not None:
            tensor.quantization = schema.QuantizationParametersT(
                scale=affine.scales.astype(np.float32),
                zeroPoint=affine.zero_points.astype(np.int64),
                quantizedDimension=0,
            )
        self._tensors.append(tensor)
        return len(self._tensors) - 1


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc] # flatbuffers ships no types
    """Writes equal small vectors once: every row of int8 weights has its own zero point, always 0."""

    def __init__(self, expected_bytes: int) -> None:
        super().__init__(expected_bytes)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - a method of flatbuffers
        """Offset of a vector with the values of ``x``."""
        if x.nbytes > SHARED_MAX_BYTES:
            return int(super().CreateNumpyVector(x))
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = int(super().CreateNumpyVector(x))
        return self._written[key]


def _indices(tensors: int | Sequence[int]) -> NDArray[np.int32]:
    return np.atleast_1d(np.array(tensors, np.int32))


def _operator_code(code: int, version: int) -> Any:  # noqa: ANN401 - the generated schema is untyped
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(code, HIGHEST_OLD_CODE), builtinCode=code, version=version
    )
