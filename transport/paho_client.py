"""paho-mqtt's client and packets, in our words. With ``transport.connection`` all that knows paho."""

import errno
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from transport.broker import NO_PROPERTIES, BrokerAddress, Message, MessageProperties, Session
from transport.intake import Intake
from transport.outgoing import WINDOW
from transport.protocol import V5, V311
from transport.received_publish import read_publish
from transport.timing import Timing

MAX_PACKET_BYTES: Final = 1 << 20
"""Told to the broker: it keeps longer packets to itself. Our longest payload is a sealed latent of 37 kB."""

READ_BYTES: Final = 1 << 16
PACKING_ERRORS: Final = (ValueError, TypeError, MQTTException, struct.error)
"""What paho raises for a message that cannot be written as a packet."""

_NAMES: Final = {
    "expires_s": "MessageExpiryInterval",
    "content_type": "ContentType",
    "response_topic": "ResponseTopic",
    "correlation_data": "CorrelationData",
}


_new_properties: Final[Callable[[int], Any]] = Properties
_packed_integer: Final[Callable[[int], bytes]] = VariableByteIntegers.encode


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one connection needs to know."""

    address: BrokerAddress
    client_id: str
    protocol: MQTTProtocolVersion
    context: ssl.SSLContext | None
    will: Message | None
    session: Session
    subscriptions: tuple[str, ...]
    timing: Timing
    intake: Intake | None = None


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker takes at once; ``packet_bytes`` is ``None`` for any length."""

    window: int = WINDOW
    packet_bytes: int | None = None


class BufferedClient(paho.Client):
    """paho's client with fewer system calls: paho makes four to read a message, one to acknowledge it.

    A thread that makes one gives way to the others and waits for its turn afterwards: beside a busy
    thread, messages came at a fifth of their rate.

    Messages go to ``on_arrival`` with their packet identifiers, not to ``on_message``.
    """

    on_arrival: Callable[[Message, int], None]
    fault = ""
    """Why a packet ended the connection."""
    _read = memoryview(b"")

    @property
    def has_buffered(self) -> bool:
        """Whether bytes were read that no packet was made of yet: the socket will not tell of them."""
        return bool(self._read)

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Lay the PUBACKs of messages of QoS 1 ready to be written, in this order (MQTT 5, 3.4)."""
        if mids:
            packets = b"".join(struct.pack("!BBH", paho.PUBACK, 2, mid) for mid in mids)
            self._packet_queue(paho.PUBACK, packets, mids[-1], 0)

    def _handle_publish(self) -> MQTTErrorCode:
        body = bytes(self._in_packet["packet"])
        try:
            message, mid = read_publish(self._in_packet["command"], body, is_v5=self.protocol == V5)
        except ValueError as cause:
            self.fault = f"the broker sent a packet against the rules: {cause}"
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.on_arrival(message, mid)
        if message.qos and not self._manual_ack:
            self.acknowledge([mid])
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MAX_PACKET_BYTES:  # 3.1.1 has no word for our limit, and paho would collect all of it
            self.fault = f"the broker sent a packet of {bufsize} bytes, at most {MAX_PACKET_BYTES} are read"
            raise OSError(errno.EMSGSIZE, self.fault)
        if not self._read:
            self._read = memoryview(super()._sock_recv(max(bufsize, READ_BYTES)))
        taken, self._read = self._read[:bufsize], self._read[bufsize:]
        return bytes(taken)


def new_client(plan: Plan) -> BufferedClient:
    """A client for one connection. It never reconnects and has no thread."""
    client = BufferedClient(
        CallbackAPIVersion.VERSION2,
        plan.client_id,
        # A session of 3.1.1 knows no expiry: it would stay at the broker for ever.
        clean_session=True if plan.protocol is V311 else None,
        protocol=plan.protocol,
        reconnect_on_failure=False,
        manual_ack=plan.intake is not None,
    )
    client.connect_timeout = plan.timing.connect_s
    client.max_inflight_messages_set(WINDOW)
    # With this set, paho leaves the socket to whoever calls loop_write.
    client.on_socket_register_write = _leave_to_the_loop
    if plan.context is not None:
        client.tls_set_context(plan.context)
    if plan.will is not None:
        _set_will(client, plan.will, plan)
    return client


def connect(client: paho.Client, plan: Plan) -> None:
    """Open the socket, with TLS where the plan has it, and lay CONNECT ready to be written.

    Raises:
        ssl.SSLError: TLS was refused, by us or by the broker.
        OSError: No connection.
        ValueError: A host name that is none.
    """
    address, options = plan.address, dict[str, Any]()
    if plan.protocol is V5:
        properties = _new_properties(PacketTypes.CONNECT)
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        if plan.session.expires_s:
            properties.SessionExpiryInterval = plan.session.expires_s
        if plan.intake is not None:
            properties.ReceiveMaximum = plan.intake.receive_maximum
        # A clean start ends the session that a loss left, and the end of a session speaks its will.
        options = {"clean_start": not plan.session.expires_s, "properties": properties}
    client.connect(address.host, address.port, address.keepalive_s, **options)


def publish(client: paho.Client, message: Message) -> int:
    """Lay ``message`` ready to be written; returns its packet identifier.

    Raises:
        ValueError, TypeError, MQTTException, struct.error: It cannot be written as a packet.
    """
    properties = _properties_of(client, message, PacketTypes.PUBLISH)
    return client.publish(message.topic, message.payload, message.qos, message.retain, properties).mid


def packet_bytes(message: Message) -> int:
    """Length of the MQTT 5 PUBLISH packet of ``message`` (MQTT 5, 3.3)."""
    packed = _packed(message.properties, PacketTypes.PUBLISH).pack()
    identifier = 2 if message.qos else 0
    remaining = 2 + len(message.topic.encode()) + identifier + len(packed) + len(message.payload)
    return 1 + len(_packed_integer(remaining)) + remaining


def limits_of(properties: Properties | None) -> BrokerLimits:
    """What a CONNACK says about the broker's limits; paho itself heeds neither."""
    window = getattr(properties, "ReceiveMaximum", WINDOW)
    return BrokerLimits(min(window, WINDOW), getattr(properties, "MaximumPacketSize", None))


def _leave_to_the_loop(_client: paho.Client, _userdata: object, _socket: object) -> None:
    pass


def _set_will(client: paho.Client, will: Message, plan: Plan) -> None:
    properties = _properties_of(client, will, PacketTypes.WILLMESSAGE)
    if plan.session.will_delay_s and plan.protocol is V5:
        properties = properties or _new_properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = plan.session.will_delay_s
    client.will_set(will.topic, will.payload, will.qos, will.retain, properties)


def _properties_of(client: paho.Client, message: Message, packet_type: int) -> Any:  # noqa: ANN401 - paho's class has no types
    if message.properties == NO_PROPERTIES or client.protocol != V5:
        return None
    return _packed(message.properties, packet_type)


def _packed(properties: MessageProperties, packet_type: int) -> Any:  # noqa: ANN401 - paho's class has no types
    packed = _new_properties(packet_type)
    for ours, theirs in _NAMES.items():
        value = getattr(properties, ours)
        if value is not None:
            setattr(packed, theirs, value)
    if properties.user_properties:
        packed.UserProperty = list(properties.user_properties)
    if properties.is_text:
        packed.PayloadFormatIndicator = 1
    return packed
