"""The link against real brokers: Debian's mosquitto and the embedded one in Python."""

import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from lab.broker import LoopbackBroker, free_port, loopback_broker
from tests.transport.far_ends import SUBSCRIBE, ScriptedBroker, well_behaved
from transport.backoff import Backoff
from transport.broker import BrokerAddress, LinkState, Message, MessageProperties, TlsSettings
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink
from transport.protocol import V311, ProtocolChoice
from transport.renewal import Renewal
from transport.timing import Timing

TIMEOUT_S = 20


class Recorder:
    """Collects what a link tells its owner."""

    def __init__(self, *greeting: Message) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.states: queue.SimpleQueue[LinkState] = queue.SimpleQueue()
        self.renewals: queue.SimpleQueue[Renewal] = queue.SimpleQueue()
        self.reasons: list[str] = []
        self.events = LinkEvents(lambda: greeting, self.messages.put, self._entered, self.renewals.put)

    def _entered(self, state: LinkState, reason: str) -> None:
        self.reasons.append(reason)
        self.states.put(state)

    def state(self) -> LinkState:
        return self.states.get(timeout=TIMEOUT_S)

    def message(self) -> Message:
        return self.messages.get(timeout=TIMEOUT_S)


@contextmanager
def linked(
    port: int,
    client_id: str,
    recorder: Recorder,
    keepalive_s: int = 15,
    *,
    tls: TlsSettings | None = None,
    **options: Any,  # noqa: ANN401 - any
) -> Iterator[MqttLink]:
    address = BrokerAddress("127.0.0.1", port, tls, keepalive_s)
    options.setdefault("backoff", Backoff(lambda low, _: low / 50))
    link = MqttLink(address, client_id, events=recorder.events, **options)
    link.start()
    try:
        yield link
    finally:
        link.stop()


def test_a_message_reaches_a_subscriber_over_mqtt_5(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder()
    with linked(mosquitto.port, "reader", reader, subscriptions=["t/+"]):
        assert reader.state() is LinkState.ONLINE
        with linked(mosquitto.port, "writer", writer) as link:
            assert writer.state() is LinkState.ONLINE
            assert link.protocol is MQTTProtocolVersion.MQTTv5
            assert link.publish(Message("t/a", b"hello"))
            assert reader.message() == Message("t/a", b"hello")


def test_properties_reach_a_subscriber_over_mqtt_5(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder()
    properties = MessageProperties(
        expires_s=60,
        content_type="application/json",
        user_properties=(("schema", "lsi.attr/1"), ("bundle", "1234abcd")),
        response_topic="p/answer",
        correlation_data=b"\x00\xff",
        is_text=True,
    )
    with (
        linked(mosquitto.port, "reader-p", reader, subscriptions=["p/+"]),
        linked(mosquitto.port, "writer-p", writer) as link,
    ):
        assert reader.state() is LinkState.ONLINE
        assert writer.state() is LinkState.ONLINE
        assert link.publish(Message("p/a", b"{}", properties=properties))
        assert reader.message() == Message("p/a", b"{}", properties=properties)


def test_a_subscription_that_the_broker_refuses_is_said(caplog: pytest.LogCaptureFixture) -> None:
    # mosquitto's file of rules accepts every subscription and delivers nothing; others refuse.
    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 != SUBSCRIBE:
            return well_behaved(packet)
        return bytes([0x90, 5, *packet[2:4], 0, 0x87, 0x01])

    recorder = Recorder()
    with (
        ScriptedBroker(answer) as broker,
        linked(broker.port, "reader-f", recorder, subscriptions=["yours/#", "t"]),
    ):
        assert recorder.state() is LinkState.ONLINE
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "refuses a subscription to yours/# (Not authorized). Try: its access rules" in said[0]


def test_a_refused_subscription_is_told_once_however_often_the_link_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 != SUBSCRIBE:
            return well_behaved(packet)
        return bytes([0x90, 4, *packet[2:4], 0, 0x87])

    recorder = Recorder()
    with (
        ScriptedBroker(answer) as broker,
        linked(broker.port, "reader-h", recorder, subscriptions=["yours/#"]) as link,
    ):
        for _ in range(3):
            while recorder.state() is not LinkState.ONLINE:
                pass
            link.reconnect("to be told again")
        while recorder.state() is not LinkState.ONLINE:
            pass
    said = [
        record.getMessage() for record in caplog.records if "refuses a subscription" in record.getMessage()
    ]
    assert len(said) == 1


def test_a_packet_that_is_too_long_ends_a_connection_of_3_1_1_and_not_the_link(
    mosquitto: LoopbackBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = ProtocolChoice.__init__

    def old(self: ProtocolChoice) -> None:
        original(self)
        self.current = V311

    reader, writer = Recorder(), Recorder()
    with linked(mosquitto.port, "writer-long", writer) as writing, monkeypatch.context() as patched:
        assert writer.state() is LinkState.ONLINE
        patched.setattr(ProtocolChoice, "__init__", old)
        with linked(mosquitto.port, "reader-long", reader, subscriptions=["long/+"]):
            assert reader.state() is LinkState.ONLINE
            writing.publish(Message("long/a", bytes(3_000_000)))
            while reader.state() is not LinkState.ONLINE:
                pass
            writing.publish(Message("long/a", b"short"))
            assert reader.message().payload == b"short"
    assert "sent a packet of 3000010 bytes, at most 1048576 are read" in caplog.text


def test_a_greeting_that_fails_is_said_and_the_link_goes_on(
    mosquitto: LoopbackBroker, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> list[Message]:
        raise RuntimeError

    states: queue.SimpleQueue[LinkState] = queue.SimpleQueue()
    events = LinkEvents(greeting=fail, on_state=lambda state, _: states.put(state))
    link = MqttLink(BrokerAddress("127.0.0.1", mosquitto.port, None), "mute", events=events)
    link.start()
    assert states.get(timeout=TIMEOUT_S) is LinkState.ONLINE
    link.stop()
    assert "greeting of mute could not be made" in caplog.text


def test_the_greeting_comes_first_and_in_order(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder(Message("g/1", b"one"), Message("g/2", b"two"))
    with linked(mosquitto.port, "reader2", reader, subscriptions=["g/+"]):
        assert reader.state() is LinkState.ONLINE
        with linked(mosquitto.port, "writer2", writer):
            assert [reader.message().payload for _ in range(2)] == [b"one", b"two"]


def test_a_link_that_dies_leaves_its_will_and_one_that_stops_its_farewell(mosquitto: LoopbackBroker) -> None:
    reader = Recorder()
    will = Message("w/x", b"gone", retain=False)
    with linked(mosquitto.port, "reader3", reader, subscriptions=["w/+"]):
        assert reader.state() is LinkState.ONLINE
        writer = Recorder()
        with linked(mosquitto.port, "writer3", writer, will=will) as link:
            assert writer.state() is LinkState.ONLINE
            connection = link._connection
            assert connection is not None
            paho_socket = connection._client.socket()
            assert isinstance(paho_socket, socket.socket)
            paho_socket.shutdown(socket.SHUT_RDWR)
            assert reader.message().payload == b"gone"
            assert writer.state() is LinkState.AWAY
            assert writer.state() is LinkState.ONLINE
            assert link.reconnects == 1
            link.stop([Message("w/x", b"bye")])
        assert reader.message().payload == b"bye"
        # A clean end takes the will back.
        with pytest.raises(queue.Empty):
            reader.messages.get(timeout=0.2)


def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_3_1_1() -> None:
    reader, writer, quick = Recorder(), Recorder(), Timing(connack_s=0.5)
    with (
        loopback_broker(mosquitto=None) as broker,
        linked(broker.port, "reader4", reader, subscriptions=["t/+"], timing=quick) as link,
    ):
        assert reader.state() is LinkState.ONLINE
        assert link.protocol is MQTTProtocolVersion.MQTTv311
        with linked(broker.port, "writer4", writer, timing=quick) as other:
            assert writer.state() is LinkState.ONLINE
            properties = MessageProperties(content_type="application/json")
            assert other.publish(Message("t/a", b"hello", properties=properties))
            assert reader.message() == Message("t/a", b"hello")


def test_a_missing_broker_is_said_once_and_found_when_it_comes(
    mosquitto_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    port, recorder = free_port(), Recorder()
    with caplog.at_level(logging.WARNING), linked(port, "early", recorder) as link:
        assert recorder.state() is LinkState.AWAY
        assert not link.publish(Message("t/a", b"lost"))
        with loopback_broker(mosquitto_path, port):
            assert recorder.state() is LinkState.ONLINE
            said = [record.getMessage() for record in caplog.records if record.name == "transport.mqtt"]
    assert len(said) == 1
    assert "is away" in said[0]
    assert "Try: check that it runs" in said[0]


def test_attempt_after_attempt_is_said_only_once(caplog: pytest.LogCaptureFixture) -> None:
    attempts, fourth = iter(range(1000)), threading.Event()

    def count(low: float, _: float) -> float:
        if next(attempts) == 3:
            fourth.set()
        return low / 500

    recorder = Recorder()
    address = BrokerAddress("127.0.0.1", free_port(), None)
    link = MqttLink(address, "alone", events=recorder.events, backoff=Backoff(count))
    with caplog.at_level(logging.INFO):
        link.start()
        assert fourth.wait(TIMEOUT_S)
        link.stop()
    assert caplog.text.count("is away") == 1
    assert recorder.state() is LinkState.AWAY
    assert recorder.states.empty()


def test_a_broker_that_refuses_us_is_said_with_what_to_try(caplog: pytest.LogCaptureFixture) -> None:
    with refusing_broker() as port, caplog.at_level(logging.WARNING):
        recorder = Recorder()
        with linked(port, "stranger", recorder) as link:
            assert recorder.state() is LinkState.REFUSED
            assert not link.publish(Message("t/a", b"lost"))
    assert "check certificate, user and access rules" in caplog.text


def test_stopping_a_link_that_never_connected_ends_its_thread() -> None:
    link = MqttLink(BrokerAddress("127.0.0.1", free_port(), None), "x", backoff=Backoff(lambda _, high: high))
    link.start()
    link.stop()
    assert not link._thread.is_alive()


def test_an_error_in_a_handler_does_not_end_the_link(
    mosquitto: LoopbackBroker, caplog: pytest.LogCaptureFixture
) -> None:
    seen: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(message: Message) -> None:
        seen.put(message.payload)
        if message.payload == b"bad":
            raise RuntimeError

    states: queue.SimpleQueue[LinkState] = queue.SimpleQueue()
    events = LinkEvents(on_message=handler, on_state=lambda state, _: states.put(state))
    link = MqttLink(
        BrokerAddress("127.0.0.1", mosquitto.port, None), "echo", subscriptions=["e/#"], events=events
    )
    link.start()
    assert states.get(timeout=TIMEOUT_S) is LinkState.ONLINE
    for payload in (b"bad", b"good"):
        link.publish(Message("e/x", payload))
    assert [seen.get(timeout=TIMEOUT_S) for _ in range(2)] == [b"bad", b"good"]
    link.stop()
    assert "could not be handled" in caplog.text


@contextmanager
def refusing_broker() -> Iterator[int]:
    """Answers every CONNECT of MQTT 5 with "not authorized" (CONNACK, reason 0x87)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stop = threading.Event()
        thread = threading.Thread(target=_refuse, args=(server, stop.is_set))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _refuse(server: socket.socket, stopped: Callable[[], bool]) -> None:
    while not stopped():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        with connection:
            connection.recv(1024)
            connection.sendall(bytes([0x20, 3, 0, 0x87, 0]))
