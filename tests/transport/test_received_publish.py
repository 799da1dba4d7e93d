"""Packets that paho wrote, and damaged ones: read as paho reads them, or turned away."""

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.exception import MQTTException

from transport.broker import Message, MessageProperties
from transport.paho_client import publish
from transport.protocol import V5
from transport.received_publish import read_publish

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"), max_size=40)
PROPERTIES = st.builds(
    MessageProperties,
    expires_s=st.none() | st.integers(0, 2**32 - 1),
    content_type=st.none() | TEXT,
    user_properties=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    response_topic=st.none() | TEXT,
    correlation_data=st.none() | st.binary(max_size=40),
    is_text=st.booleans(),
)
MESSAGES = st.builds(
    Message,
    topic=st.sampled_from(["t", "lsi/v1/hall1/attr"]),
    payload=st.binary(max_size=300),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    properties=PROPERTIES,
)


def packet_of(message: Message) -> bytes:
    """The PUBLISH that paho writes."""
    writer = paho.Client(CallbackAPIVersion.VERSION2, protocol=V5)
    packets: list[bytes] = []

    def keep(_command: int, packet: bytes, *_rest: object) -> int:
        packets.append(bytes(packet))
        return 0

    # paho asks only whether there is a socket.
    vars(writer).update(_packet_queue=keep, _sock=object(), _sock_close=lambda: None)
    publish(writer, message)
    return packets.pop()


def body_of(packet: bytes) -> bytes:
    return packet[2:] if packet[1] < 128 else packet[3:]


def as_paho_reads(first_byte: int, body: bytes) -> paho.MQTTMessage | None:
    """What paho makes of it; ``None`` where it breaks the rules, a word that nobody asked for among them."""
    reader = paho.Client(CallbackAPIVersion.VERSION2, protocol=V5, manual_ack=True)
    found: list[paho.MQTTMessage] = []
    reader.on_message = lambda _client, _userdata, received: found.append(received)
    reader._in_packet["command"] = first_byte
    reader._in_packet["packet"] = bytearray(body)
    try:
        reader._handle_publish()
    except (MQTTException, ValueError, IndexError, KeyError):
        return None
    return found[0] if found else None


def read(first_byte: int, body: bytes) -> tuple[Message, int] | None:
    try:
        return read_publish(first_byte, body, is_v5=True)
    except ValueError:
        return None


@given(MESSAGES)
def test_what_paho_writes_is_read_as_it_was_meant(message: Message) -> None:
    packet = packet_of(message)
    found, mid = read_publish(packet[0], body_of(packet), is_v5=True)
    assert found == message
    assert (mid > 0) == (message.qos == 1)


@given(
    MESSAGES, st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3), st.integers(0, 400)
)
def test_a_damaged_packet_is_turned_away_or_read_as_paho_reads_it(
    message: Message, changes: list[tuple[int, int]], kept: int
) -> None:
    packet = packet_of(message)
    body = bytearray(body_of(packet)[:kept])
    for place, value in changes:
        if place < len(body):
            body[place] = value
    ours, theirs = read(packet[0], bytes(body)), as_paho_reads(packet[0], bytes(body))
    if ours is None or theirs is None:
        return  # paho reads on beyond the end of properties, and forbids NUL in them
    found, mid = ours
    assert (found.payload, found.qos, found.retain, mid) == (
        bytes(theirs.payload),
        theirs.qos,
        theirs.retain,
        theirs.mid,
    )
    assert found.topic.encode() == theirs._topic or "\\x" in found.topic
    assert found.properties.expires_s == getattr(theirs.properties, "MessageExpiryInterval", None)
    assert found.properties.content_type == getattr(theirs.properties, "ContentType", None)


@pytest.mark.parametrize(
    ("first_byte", "body", "said"),
    [
        (0x34, "0001 74 0001 00", "QoS 2"),
        (0x36, "0001 74 0001 00", "QoS 3"),
        (0x30, "0005 74 00", "too soon"),
        (0x30, "0001 74 05 01 01", "too soon"),
        (0x30, "0001 74 02 01 02", "flag of 2"),
        (0x30, "0001 74 04 01 01 01 01", "twice"),
        (0x30, "0001 74 02 0B 01", "belongs into no PUBLISH"),
        (0x30, "0001 74 03 23 0001", "belongs into no PUBLISH"),
        (0x30, "0001 74 FFFFFFFF 7F", "without an end"),
        (0x30, "0001 74", "without an end"),
        (0x30, "0001 74 04 03 0001 FF", "decode"),
    ],
)
def test_a_packet_against_the_rules_is_turned_away_with_the_reason(
    first_byte: int, body: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        read_publish(first_byte, bytes.fromhex(body), is_v5=True)


def test_a_topic_that_is_no_utf_8_is_shown_and_not_hidden() -> None:
    found, _ = read_publish(0x30, bytes.fromhex("0002 61FF 00"), is_v5=True)
    assert found.topic == "a\\xff"


def test_3_1_1_has_no_properties() -> None:
    found, mid = read_publish(0x33, bytes.fromhex("0001 74 0007 7B7D"), is_v5=False)
    assert (found, mid) == (Message("t", b"{}", 1, retain=True), 7)


def test_long_properties_are_not_remembered() -> None:
    properties = MessageProperties(content_type="x" * 60_000)
    body = body_of(packet_of(Message("t", b"", properties=properties)))[1:]
    first, second = (read_publish(0x32, body, is_v5=True)[0].properties for _ in range(2))
    assert first == second == properties
    assert first is not second
