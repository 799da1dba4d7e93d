"""``MqttLink``: one connection to a broker, kept up for as long as it is wanted.

The only module that knows paho-mqtt. MQTT 5 first; MQTT 3.1.1 where the broker knows no
other (it refuses with 0x84, or closes the connection without a CONNACK). Each attempt
gets a client of its own: a client that hung once is never asked again.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from transport.backoff import Backoff
from transport.broker import BrokerAddress, LinkState, Message

logger = logging.getLogger(__name__)

MAX_INFLIGHT: Final = 10
"""Smallest Receive Maximum of public brokers; paho does not read the broker's own."""

CONNECT_TIMEOUT_S: Final = 5.0
CONNACK_TIMEOUT_S: Final = 4.0
"""A broker that knows no MQTT 5 may wait for the rest of a CONNECT that it misread (amqtt, with a will)."""
FAREWELL_TIMEOUT_S: Final = 2.0
UNSUPPORTED_PROTOCOL: Final = 0x84
_OTHER_PROTOCOL: Final = {
    MQTTProtocolVersion.MQTTv5: MQTTProtocolVersion.MQTTv311,
    MQTTProtocolVersion.MQTTv311: MQTTProtocolVersion.MQTTv5,
}
_VERSION_NAME: Final = {
    MQTTProtocolVersion.MQTTv5: "MQTT 5",
    MQTTProtocolVersion.MQTTv311: "MQTT 3.1.1",
}
_ADVICE: Final = {
    LinkState.AWAY: "check that it runs and that host and port are right.",
    LinkState.REFUSED: "check certificate, user and access rules at the broker.",
}


def _ignore_message(_: Message) -> None:
    pass


def _ignore_state(_: LinkState, __: str) -> None:
    pass


def _no_greeting() -> Sequence[Message]:
    return ()


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What a link tells its owner. Called from the network thread; none may block.

    ``greeting`` gives the messages to send first after every connect, in order.
    ``on_state`` is called on change only, with a reason in words.
    """

    greeting: Callable[[], Sequence[Message]] = _no_greeting
    on_message: Callable[[Message], None] = _ignore_message
    on_state: Callable[[LinkState, str], None] = _ignore_state


@dataclass(slots=True)
class _Attempt:
    """One client from connect to disconnect."""

    client: paho.Client
    answered: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    acknowledged: bool = False

    def end(self) -> None:
        """Wake whoever waits for an answer or for the end."""
        self.answered.set()
        self.ended.set()


class MqttLink:
    """Connects in the background and again after every loss, with jitter.

    Args:
        address: The broker.
        client_id: Unique at the broker; the device id on a device.
        will: What the broker says for us when we vanish.
        subscriptions: Topic filters, subscribed to on every connect with QoS 1.
        events: Callbacks.
        backoff: Delays between attempts.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        will: Message | None = None,
        subscriptions: Sequence[str] = (),
        events: LinkEvents | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._will = will
        self._subscriptions = tuple(subscriptions)
        self._events = events or LinkEvents()
        self._backoff = backoff or Backoff()
        self._tls = None if address.tls is None else address.tls.context()
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._state = LinkState.CONNECTING
        self._attempt: _Attempt | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-link", daemon=True)
        self._connects = 0

    @property
    def state(self) -> LinkState:
        """What the link is doing now."""
        return self._state

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The MQTT version of the current or next attempt."""
        return self._protocol

    @property
    def reconnects(self) -> int:
        """Connections made after the first."""
        return max(0, self._connects - 1)

    def start(self) -> None:
        """Connect in the background. Returns at once, broker or not."""
        self._thread.start()

    def publish(self, message: Message) -> bool:
        """Hand ``message`` to the broker; ``False`` when it is not there. Nothing is kept for later."""
        attempt = self._attempt
        if attempt is None or self._state is not LinkState.ONLINE:
            return False
        return _send(attempt.client, message).rc == paho.MQTT_ERR_SUCCESS

    def stop(self, farewell: Sequence[Message] = ()) -> None:
        """Say ``farewell`` where there is a connection, disconnect and end the thread."""
        self._stopping.set()
        attempt = self._attempt
        if attempt is not None:
            if self._state is LinkState.ONLINE:
                _say_farewell(attempt.client, farewell)
            attempt.client.disconnect()
            attempt.end()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._connect_once()
            # Without this reference paho's client is freed at once and closes its wake-up sockets.
            self._attempt = None
            if not self._stopping.is_set():
                self._stopping.wait(self._backoff.delay_s())

    def _connect_once(self) -> None:
        attempt = _Attempt(self._new_client())
        self._attempt = attempt
        try:
            attempt.client.connect(self._address.host, self._address.port, self._address.keepalive_s)
        except ssl.SSLError as cause:
            self._enter(LinkState.REFUSED, f"TLS: {cause.reason or cause}")
            return
        except OSError as cause:
            self._enter(LinkState.AWAY, cause.strerror or str(cause))
            return
        attempt.client.loop_start()
        if self._stopping.is_set():
            attempt.client.disconnect()
        if not attempt.answered.wait(CONNACK_TIMEOUT_S):
            attempt.client.disconnect()
        attempt.ended.wait()
        attempt.client.loop_stop()

    def _new_client(self) -> paho.Client:
        session: dict[str, Any] = {}
        if self._protocol is not MQTTProtocolVersion.MQTTv5:
            session["clean_session"] = True
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=self._protocol,
            reconnect_on_failure=False,
            **session,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(MAX_INFLIGHT)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._attempt is None or client is not self._attempt.client:
            return
        self._attempt.acknowledged = True
        self._attempt.answered.set()
        if reason.is_failure:
            self._refused(reason)
            return
        self._connects += 1
        self._backoff.reset()
        for topic_filter in self._subscriptions:
            client.subscribe(topic_filter, qos=1)
        for message in self._events.greeting():
            _send(client, message)
        self._enter(
            LinkState.ONLINE, f"MQTT {'5' if client.protocol == MQTTProtocolVersion.MQTTv5 else '3.1.1'}"
        )

    def _refused(self, reason: ReasonCode) -> None:
        if reason.value == UNSUPPORTED_PROTOCOL:
            self._try_other_protocol()
        else:
            self._enter(LinkState.REFUSED, str(reason))

    def _on_disconnect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        attempt = self._attempt
        if attempt is None or client is not attempt.client:
            return
        if not attempt.acknowledged and not self._stopping.is_set():
            self._try_other_protocol()
        elif self._state is LinkState.ONLINE and not self._stopping.is_set():
            self._enter(LinkState.AWAY, f"connection lost: {reason}")
        attempt.end()

    def _try_other_protocol(self) -> None:
        if self._protocol is MQTTProtocolVersion.MQTTv311:
            self._enter(LinkState.AWAY, "closes every connection without an answer")
        self._protocol = _OTHER_PROTOCOL[self._protocol]

    def _on_message(self, _client: paho.Client, _userdata: object, received: paho.MQTTMessage) -> None:
        message = Message(received.topic, bytes(received.payload), received.qos, bool(received.retain))
        try:
            self._events.on_message(message)
        except Exception:  # an escaping error would end paho's thread without a word
            logger.exception("A message on %s could not be handled.", message.topic)

    def _enter(self, state: LinkState, reason: str) -> None:
        if state is self._state:
            return
        self._state = state
        if state in _ADVICE:
            again, advice = "asked again with growing pauses", _ADVICE[state]
            logger.warning("Broker %s is %s (%s); %s. Try: %s", self._address, state, reason, again, advice)
        else:
            logger.info("Broker %s is %s (%s).", self._address, state, reason)
        self._events.on_state(state, reason)


def _send(client: paho.Client, message: Message) -> paho.MQTTMessageInfo:
    return client.publish(message.topic, message.payload, message.qos, message.retain)


def _say_farewell(client: paho.Client, farewell: Sequence[Message]) -> None:
    for message in farewell:
        _send(client, message).wait_for_publish(FAREWELL_TIMEOUT_S)
