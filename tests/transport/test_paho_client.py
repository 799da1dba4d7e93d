"""Packets as bytes, against the text of MQTT 5 and against what paho writes itself."""

import pytest
from hypothesis import given
from paho.mqtt.enums import MQTTProtocolVersion

from tests.transport.far_ends import ScriptedBroker
from tests.transport.test_received_publish import MESSAGES, packet_of
from transport.broker import BrokerAddress, Message, MessageProperties, Session
from transport.paho_client import (
    PACKING_ERRORS,
    Plan,
    connect,
    limits_of,
    new_client,
    packet_bytes,
    publish,
)
from transport.protocol import V5, V311
from transport.timing import Timing

CLEAN = Session()
FULL = MessageProperties(
    expires_s=120,
    content_type="application/json",
    user_properties=(("schema", "lsi.attr/1"),),
    response_topic="r",
    correlation_data=b"\x01",
    is_text=True,
)


def plan(
    port: int,
    protocol: MQTTProtocolVersion = V5,
    will: Message | None = None,
    session: Session = CLEAN,
) -> Plan:
    address = BrokerAddress("127.0.0.1", port, None)
    return Plan(address, "d", protocol, None, will, session, (), Timing())


def first_packet(
    protocol: MQTTProtocolVersion = V5, will: Message | None = None, session: Session = CLEAN
) -> bytes:
    """The CONNECT of a plan."""
    with ScriptedBroker(lambda _: b"") as broker:
        settings = plan(broker.port, protocol, will, session)
        client = new_client(settings)
        connect(client, settings)
        client.loop_write()
        packet = broker.packets.get(timeout=10)
        sock = client.socket()
        assert sock is not None
        sock.close()
        return packet


def test_connect_asks_for_a_session_that_outlives_the_will_delay() -> None:
    # Flags 0x2C: will retained, QoS 1, no clean start. Properties: 0x11 session expiry 60 s,
    # 0x27 maximum packet size 2**20; of the will: 0x18 delay 5 s.
    packet = first_packet(will=Message("w", b"bye", retain=True), session=Session(5, 60))
    assert packet == bytes.fromhex(
        "10 26 0004 4D515454 05 2C 000F 0A 11 0000003C 27 001000000001 64 05 18 00000005 0001 77 0003 627965"
    )


def test_without_a_session_the_start_is_clean_and_nothing_is_kept() -> None:
    assert first_packet() == bytes.fromhex("10 13 0004 4D515454 05 02 000F 05 27 00100000 0001 64")


def test_3_1_1_knows_neither_properties_nor_delays() -> None:
    will = Message("w", b"bye", properties=FULL)
    packet = first_packet(protocol=V311, will=will, session=Session(5, 60))
    assert packet == bytes.fromhex("10 15 0004 4D515454 04 0E 000F 0001 64 0001 77 0003 627965")


def written(message: Message, protocol: MQTTProtocolVersion = V5) -> bytes:
    """The PUBLISH that paho lays ready."""
    with ScriptedBroker(lambda _: b"") as broker:
        settings = plan(broker.port, protocol)
        client = new_client(settings)
        connect(client, settings)
        client._out_packet.clear()
        publish(client, message)
        packet = client._out_packet[0]["packet"]
        sock = client.socket()
        assert sock is not None
        sock.close()
        return bytes(packet)


def test_publish_carries_every_property_on_mqtt_5() -> None:
    packet = written(Message("t", b"{}", properties=FULL))
    assert packet == bytes.fromhex(
        "32 3F 0001 74 0001 37"
        "01 01" "02 00000078" "03 0010 6170706C69636174696F6E2F6A736F6E" "08 0001 72" "09 0001 01"
        "26 0006 736368656D61 000A 6C73692E617474722F31" "7B7D"
    )  # fmt: skip


def test_publish_leaves_them_out_on_3_1_1() -> None:
    assert written(Message("t", b"{}", properties=FULL), V311) == bytes.fromhex("32 07 0001 74 0001 7B7D")


@given(MESSAGES)
def test_the_length_of_a_packet_is_known_beforehand(message: Message) -> None:
    assert packet_bytes(message) == len(packet_of(message))


@pytest.mark.parametrize(
    "message",
    [
        Message("a/#", b""),
        Message("t", b"", qos=3),
        Message("t", b"", properties=MessageProperties(content_type="x" * 70_000)),
        Message("t", b"", properties=MessageProperties(user_properties=(("a", "\ud800"),))),
    ],
)
def test_what_cannot_be_written_is_one_of_the_errors_that_are_caught(message: Message) -> None:
    with pytest.raises(PACKING_ERRORS):
        packet_of(message)


def test_a_broker_that_says_nothing_takes_ten_at_once_and_any_length() -> None:
    limits = limits_of(None)
    assert (limits.window, limits.packet_bytes) == (10, None)
