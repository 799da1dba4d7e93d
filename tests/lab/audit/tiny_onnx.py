"""A recognition network of one layer, written byte by byte: the mean of each of 3 x 4 x 3 places."""

from pathlib import Path

FLOAT = 1
INTS = 7


def tiny_network(path: Path, height: int = 112) -> Path:
    """AveragePool over 28 x 32 pixels, then Flatten: (n, 3, ``height``, 96) to (n, 36)."""
    pool = _node("AveragePool", "input", "pooled", _ints("kernel_shape", 28, 32) + _ints("strides", 28, 32))
    flat = _node("Flatten", "pooled", "embedding", b"")
    graph = (
        _field(1, pool) + _field(1, flat) + _field(2, b"tiny")
        + _field(11, _value("input", None, 3, height, 96)) + _field(12, _value("embedding", None, 36))
    )  # fmt: skip
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _number(2, 13)))
    return path


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _field(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _ints(name: str, *values: int) -> bytes:
    numbers = b"".join(_number(8, value) for value in values)
    return _field(5, _field(1, name.encode()) + numbers + _number(20, INTS))


def _node(kind: str, source: str, sink: str, attributes: bytes) -> bytes:
    return _field(1, source.encode()) + _field(2, sink.encode()) + _field(4, kind.encode()) + attributes


def _value(name: str, *shape: int | None) -> bytes:
    dimensions = b"".join(_field(1, _field(2, b"n") if size is None else _number(1, size)) for size in shape)
    tensor = _number(1, FLOAT) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))
