"""Wills, sessions and ids that two clients share, at a real broker."""

import queue
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from lab.broker import LoopbackBroker
from tests.transport.far_ends import (
    CONNECT,
    PUBLISH,
    TAKEN_OVER,
    ScriptedBroker,
    mosquitto_with,
    well_behaved,
)
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.backoff import Backoff
from transport.broker import LinkState, Message, Session
from transport.mqtt import MqttLink
from transport.timing import Timing


def cut(link: MqttLink) -> None:
    """Take the network away from a link without telling it."""
    connection = link._connection
    assert connection is not None
    paho_socket = connection._client.socket()
    assert isinstance(paho_socket, socket.socket)
    paho_socket.shutdown(socket.SHUT_RDWR)


def test_a_client_that_comes_back_within_the_will_delay_was_never_away(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder()
    will = Message("w/delayed", b"gone")
    with (
        linked(mosquitto.port, "reader-d", reader, subscriptions=["w/delayed"]),
        linked(mosquitto.port, "writer-d", writer, will=will, session=Session(1, 10)) as link,
    ):
        assert reader.state() is LinkState.ONLINE
        assert writer.state() is LinkState.ONLINE
        cut(link)
        assert [writer.state(), writer.state()] == [LinkState.AWAY, LinkState.ONLINE]
        link.reconnect("for the test")
        assert [writer.state(), writer.state()] == [LinkState.CONNECTING, LinkState.ONLINE]
        with pytest.raises(queue.Empty):
            reader.messages.get(timeout=2.5)
        assert link.reconnects == 2


def test_a_client_that_stays_away_is_declared_gone_after_the_delay(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder()
    will = Message("w/stays", b"gone")
    with (
        linked(mosquitto.port, "reader-s", reader, subscriptions=["w/stays"]),
        linked(
            mosquitto.port,
            "writer-s",
            writer,
            will=will,
            session=Session(1, 10),
            backoff=Backoff(lambda low, _: 60 * low),
        ) as link,
    ):
        assert reader.state() is LinkState.ONLINE
        assert writer.state() is LinkState.ONLINE
        cut(link)
        cut_s = time.monotonic()
        assert reader.message().payload == b"gone"
        assert 0.9 < time.monotonic() - cut_s < 3


def test_a_command_sent_during_a_short_absence_arrives_afterwards(mosquitto: LoopbackBroker) -> None:
    device, sender = Recorder(), Recorder()
    with (
        linked(mosquitto.port, "sender-c", sender) as commands,
        linked(
            mosquitto.port,
            "device-c",
            device,
            subscriptions=["c/#"],
            session=Session(5, 30),
            backoff=Backoff(lambda low, _: low),
        ) as link,
    ):
        assert sender.state() is LinkState.ONLINE
        assert device.state() is LinkState.ONLINE
        assert commands.publish(Message("c/identify", b"before"))
        assert device.message().payload == b"before"
        cut(link)
        assert device.state() is LinkState.AWAY
        assert commands.publish(Message("c/rebirth", b"now"))
        # The first may come again: its acknowledgement may have been cut off.
        while device.message().payload != b"now":
            pass


def test_two_clients_with_one_id_slow_down_and_both_say_so(mosquitto_path: str, tmp_path: Path) -> None:
    first, second = Recorder(), Recorder()

    # Pauses of 60 to 120 s, a hundredth as long.
    settings: dict[str, Any] = {"session": Session(1, 30), "backoff": Backoff(lambda low, _: low / 100)}
    slow_ms = 600

    def slow() -> Backoff:
        return Backoff(lambda _, high: high / 100, 60, 120)

    with (
        mosquitto_with(mosquitto_path, tmp_path) as broker,
        linked(broker.port, "twin", first, conflict=slow(), **settings) as one,
    ):
        assert first.state() is LinkState.ONLINE
        assert one.conflicts == 0
        with linked(broker.port, "twin", second, conflict=slow(), **settings) as other:
            for recorder in (first, second):
                while recorder.state() is not LinkState.CONFLICT:
                    pass
            assert [one.is_in_conflict, other.is_in_conflict] == [True, True]
            before = broker.log.read_text().count("New client connected")
            time.sleep(3 * slow_ms / 1000)
            after = broker.log.read_text().count("New client connected")
            assert after - before <= 6
    for recorder in (first, second):
        assert any("another client" in reason and "twin" in reason for reason in recorder.reasons)


def test_the_pauses_grow_while_the_conflict_lasts_and_begin_again_after_a_long_peace() -> None:
    now_s, pauses = [0.0], queue.SimpleQueue[float]()

    def note(_: float, high: float) -> float:
        pauses.put(high)
        return 0.0

    recorder = Recorder(Message("g", b""))
    lasts_s = iter([1, 1, 400, 1])

    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 == PUBLISH:
            now_s[0] += next(lasts_s, 0)
            return TAKEN_OVER
        return well_behaved(packet)

    with (
        ScriptedBroker(answer) as broker,
        linked(
            broker.port,
            "twin",
            recorder,
            conflict=Backoff(note, 60, 120),
            timing=Timing(now_s=lambda: now_s[0]),
        ),
    ):
        assert [pauses.get(timeout=TIMEOUT_S) for _ in range(4)] == [60, 120, 60, 120]


def test_the_ordinary_pauses_grow_until_a_connection_lasted() -> None:
    now_s, pauses = [0.0], queue.SimpleQueue[float]()

    def note(_: float, high: float) -> float:
        pauses.put(high)
        return 0.0

    lasts_s = iter([1, 9, 10, 1])

    def answer(packet: bytes) -> bytes | None:
        if packet[0] & 0xF0 == PUBLISH:
            now_s[0] += next(lasts_s, 0)
            return None
        return well_behaved(packet)

    with (
        ScriptedBroker(answer) as broker,
        linked(
            broker.port,
            "flapping",
            Recorder(Message("g", b"")),
            backoff=Backoff(note),
            timing=Timing(now_s=lambda: now_s[0]),
        ),
    ):
        assert [pauses.get(timeout=TIMEOUT_S) for _ in range(4)] == [1, 2, 1, 2]


def test_over_3_1_1_a_client_that_is_thrown_out_again_and_again_suspects_a_twin() -> None:
    recorder = Recorder(Message("g", b""))

    def answer(packet: bytes) -> bytes | None:
        if packet[0] == CONNECT:
            return bytes.fromhex("20 02 00 00") if packet[8] == 4 else bytes.fromhex("20 03 00 84 00")
        return None

    with ScriptedBroker(answer) as broker, linked(broker.port, "twin", recorder):
        while "is the id in use elsewhere" not in "".join(recorder.reasons):
            recorder.state()
    assert sum("connection closed" in reason for reason in recorder.reasons) >= 3


@pytest.mark.parametrize(("delay_s", "expires_s"), [(5, 4), (-1, 0), (0, 2**32)])
def test_a_session_that_ends_before_its_will_is_refused(delay_s: int, expires_s: int) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Session(delay_s, expires_s)
