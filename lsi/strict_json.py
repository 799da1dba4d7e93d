"""JSON of which two readers cannot think differently: one spelling, no key twice, bounded numbers."""

import json
from collections.abc import Iterator
from typing import Any, Final

from lsi.errors import PayloadError
from lsi.schema import MAX_PAYLOAD_BYTES, decode_document

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly."""


def strict_document(
    encoded: bytes, name: str, *, decimals: int = 0, max_bytes: int = MAX_PAYLOAD_BYTES
) -> dict[str, Any]:
    """The document of schema ``name`` in ``encoded``, which is its only spelling.

    A second key of one name, a blank, an escape that need not be, or digits beyond ``decimals``
    would carry what the schema does not see.

    Raises:
        PayloadError: Against the schema, or another spelling than ``encode_document`` gives.
    """
    document = decode_document(encoded, name, max_bytes)
    if spelled(document) != encoded:
        raise PayloadError(f"{name} payload is not in canonical form.")
    if not all(_is_bounded(number, decimals) for number in _numbers(document)):
        raise PayloadError(f"{name} payload holds a number with more than {decimals} decimals, or too large.")
    return document


def spelled(document: object) -> bytes:
    """The one spelling: compact, ASCII, keys in their order."""
    return json.dumps(document, separators=(",", ":")).encode()


def _numbers(value: object) -> Iterator[int | float]:
    """Every number in ``value``; a key is none."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _is_bounded(number: float, decimals: int) -> bool:
    return abs(number) <= MAX_INTEGER and round(number, decimals) == number
