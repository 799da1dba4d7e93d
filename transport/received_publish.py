"""Reads a PUBLISH packet (MQTT 5, 3.3) into a message of ours.

paho makes a ``Properties`` for each message, which builds two tables and looks for 27 names in itself: two
thirds of all that reading a message takes. Here the same bytes are read once.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from transport.broker import NO_PROPERTIES, Message, MessageProperties

_SHORT: Final = struct.Struct("!H")
_LONG: Final = struct.Struct("!I")
_LONGEST_INTEGER: Final = 4
_USER_PROPERTY: Final = 38
_KNOWN_BYTES: Final = 64
"""Longer properties are not remembered: whoever may publish could fill our memory."""


def read_publish(first_byte: int, body: bytes, *, is_v5: bool) -> tuple[Message, int]:
    """The message in a PUBLISH, and its packet identifier; 0 where it has none.

    Args:
        first_byte: Type, QoS and retain.
        body: All that follows the remaining length.
        is_v5: Whether there are properties.

    Raises:
        ValueError: Against the rules of MQTT, or of QoS 2, to which we never subscribe.
    """
    qos = first_byte >> 1 & 3
    if qos > 1:
        message = f"QoS {qos} was not asked for"
        raise ValueError(message)
    topic, at = _bytes_at(body, 0)
    mid = 0
    if qos:
        mid, at = _short_at(body, at)
    properties = NO_PROPERTIES
    if is_v5:
        length, at = _integer_at(body, at)
        packed, at = _taken(body, at, length)
        properties = _properties(packed)
    # A topic that is no UTF-8 breaks the rules (1.5.4); a reader is to see it and refuse.
    name = topic.decode("utf-8", "backslashreplace")
    return Message(name, body[at:], qos, bool(first_byte & 1), properties), mid


def _properties(packed: bytes) -> MessageProperties:
    if not packed:
        return NO_PROPERTIES
    return _known_properties(packed) if len(packed) <= _KNOWN_BYTES else _parsed(packed)


def _parsed(packed: bytes) -> MessageProperties:
    values: dict[str, Any] = {}
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(packed):
        identifier, at = packed[at], at + 1
        if identifier == _USER_PROPERTY:
            name, at = _text_at(packed, at)
            value, at = _text_at(packed, at)
            pairs.append((name, value))
            continue
        key, read = _of_publish(identifier)
        if key in values:
            message = f"property {identifier} comes twice"
            raise ValueError(message)
        values[key], at = read(packed, at)
    return MessageProperties(user_properties=tuple(pairs), **values)


_known_properties: Final = lru_cache(maxsize=1024)(_parsed)
"""The records of a fleet carry the same few properties all the time."""


def _of_publish(identifier: int) -> tuple[str, Callable[[bytes, int], tuple[Any, int]]]:
    try:
        return _OF_PUBLISH[identifier]
    except KeyError:
        message = f"property {identifier} belongs into no PUBLISH"
        raise ValueError(message) from None


def _taken(packed: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(packed):
        message = "it ends too soon"
        raise ValueError(message)
    return packed[at:end], end


def _bytes_at(packed: bytes, at: int) -> tuple[bytes, int]:
    length, at = _short_at(packed, at)
    return _taken(packed, at, length)


def _text_at(packed: bytes, at: int) -> tuple[str, int]:
    text, at = _bytes_at(packed, at)
    return text.decode("utf-8"), at


def _flag_at(packed: bytes, at: int) -> tuple[bool, int]:
    flag, at = _taken(packed, at, 1)
    if flag[0] > 1:
        message = f"a flag of {flag[0]}"
        raise ValueError(message)
    return flag == b"\x01", at


def _short_at(packed: bytes, at: int) -> tuple[int, int]:
    taken, at = _taken(packed, at, _SHORT.size)
    return _SHORT.unpack(taken)[0], at


def _long_at(packed: bytes, at: int) -> tuple[int, int]:
    taken, at = _taken(packed, at, _LONG.size)
    return _LONG.unpack(taken)[0], at


def _integer_at(packed: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer (1.5.5)."""
    value = 0
    for place, byte in enumerate(packed[at : at + _LONGEST_INTEGER]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the bit that says more follows
            return value, at + place + 1
    message = "an integer without an end"
    raise ValueError(message)


_OF_PUBLISH: Final[dict[int, tuple[str, Callable[[bytes, int], tuple[Any, int]]]]] = {
    1: ("is_text", _flag_at),
    2: ("expires_s", _long_at),
    3: ("content_type", _text_at),
    8: ("response_topic", _text_at),
    9: ("correlation_data", _bytes_at),
}
"""Of what a PUBLISH may carry we ask for neither subscription identifiers (11) nor topic aliases (35)."""
