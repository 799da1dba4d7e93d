"""A link whose broker stops answering, in every way in which one can."""

import queue
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.transport.far_ends import (
    CONNECT,
    PINGREQ,
    PUBLISH,
    SUBSCRIBE,
    ScriptedBroker,
    mosquitto_with,
    well_behaved,
)
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from tests.transport.test_sending import Outcomes
from transport.backoff import Backoff
from transport.broker import BrokerAddress, LinkState, Message
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink
from transport.outgoing import Settled
from transport.protocol import V5
from transport.timing import Timing

QUICK = Timing(acknowledge_s=0.3, connack_s=0.3, farewell_s=0.1)


def test_a_broker_that_acknowledges_nothing_is_left_although_it_answers_pings() -> None:
    stalled = threading.Event()

    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 == PUBLISH and not stalled.is_set():
            stalled.set()
            return b""
        return well_behaved(packet)

    recorder, told = Recorder(), Outcomes()
    with (
        ScriptedBroker(answer) as broker,
        linked(broker.port, "patient", recorder, timing=QUICK) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("t/a", b"x"), told.put)
        assert told.get(timeout=TIMEOUT_S).settled is Settled.LOST
        assert [recorder.state(), recorder.state()] == [LinkState.AWAY, LinkState.ONLINE]
        assert recorder.reasons == ["MQTT 5", "nothing acknowledged for 0.3 s", "MQTT 5"]
        assert link.send(Message("t/a", b"x"), told.put)
        assert told.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED


def test_a_broker_that_answers_no_ping_is_left_after_one_and_a_half_keepalives() -> None:
    pings = iter([b""])
    recorder = Recorder()

    def answer(packet: bytes) -> bytes:
        return next(pings, well_behaved(packet)) if packet[0] == PINGREQ else well_behaved(packet)

    with (
        ScriptedBroker(answer) as broker,
        linked(broker.port, "patient", recorder, keepalive_s=1),
    ):
        assert recorder.state() is LinkState.ONLINE
        online_s = time.monotonic()
        assert recorder.state() is LinkState.AWAY
        assert 1.4 < time.monotonic() - online_s < 2.5
        assert recorder.state() is LinkState.ONLINE
    assert recorder.reasons[1] == "silent for 1.5 s"


def test_a_broker_that_answers_pings_is_kept_without_any_message() -> None:
    recorder = Recorder()
    with (
        ScriptedBroker(well_behaved) as broker,
        linked(broker.port, "patient", recorder, keepalive_s=1) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        broker.packet(PINGREQ)
        broker.packet(PINGREQ)
        assert link.state is LinkState.ONLINE
        assert link.reconnects == 0


def test_a_broker_that_accepts_and_then_never_answers_is_asked_again_in_both_versions() -> None:
    recorder = Recorder()
    with ScriptedBroker(lambda _: b"") as broker, linked(broker.port, "patient", recorder, timing=QUICK):
        assert recorder.state() is LinkState.AWAY
        versions = [broker.packet(CONNECT)[8] for _ in range(2)]
    assert versions == [5, 4]
    assert recorder.reasons == ["accepts, and says nothing for 0.3 s"]


def test_a_broker_that_never_confirms_a_subscription_is_left_and_never_called_online() -> None:
    recorder = Recorder()

    def answer(packet: bytes) -> bytes:
        return b"" if packet[0] & 0xF0 == SUBSCRIBE else well_behaved(packet)

    with (
        ScriptedBroker(answer) as broker,
        linked(broker.port, "patient", recorder, timing=QUICK, subscriptions=["t"]),
    ):
        assert recorder.state() is LinkState.AWAY
    assert recorder.reasons == ["nothing acknowledged for 0.3 s"]


def test_a_message_before_the_confirmation_of_its_subscription_finds_the_link_online() -> None:
    # Allowed by MQTT 5, 3.8.4: PUBLISH of QoS 0 on "t", then SUBACK.
    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 != SUBSCRIBE:
            return well_behaved(packet)
        return bytes.fromhex("30 04 0001 74 00") + bytes([0x90, 4, *packet[2:4], 0, 1])

    seen: queue.SimpleQueue[str] = queue.SimpleQueue()
    events = LinkEvents(
        on_message=lambda message: seen.put(message.topic), on_state=lambda state, _: seen.put(state)
    )
    with ScriptedBroker(answer) as broker:
        address = BrokerAddress("127.0.0.1", broker.port, None)
        link = MqttLink(address, "early", subscriptions=["t"], events=events)
        link.start()
        told = [seen.get(timeout=TIMEOUT_S) for _ in range(2)]
        link.stop()
    assert told == [LinkState.ONLINE, "t"]


def test_a_frozen_mosquitto_is_noticed_and_found_again_in_the_same_version(
    mosquitto_path: str, tmp_path: Path
) -> None:
    recorder, told = Recorder(), Outcomes()
    with (
        mosquitto_with(mosquitto_path, tmp_path) as broker,
        linked(broker.port, "patient", recorder, timing=QUICK) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        broker.freeze()
        assert link.send(Message("t/a", b"x"), told.put)
        assert told.get(timeout=TIMEOUT_S).settled is Settled.LOST
        assert recorder.state() is LinkState.AWAY
        assert not link.send(Message("t/a", b"x"), told.put)
        broker.thaw()
        assert recorder.state() is LinkState.ONLINE
        assert link.protocol is V5
        assert link.is_alive


def test_a_link_to_a_missing_broker_is_alive_and_one_that_a_handler_blocks_is_not() -> None:
    now_s = [0.0]
    blocked, release = threading.Event(), threading.Event()

    def block(_: Message) -> None:
        blocked.set()
        release.wait(TIMEOUT_S)

    # A retained message right after CONNACK: PUBLISH of QoS 0 on "t".
    hello = bytes.fromhex("20 03 00 00 00 30 04 0001 74 00")
    with ScriptedBroker(lambda packet: hello if packet[0] == CONNECT else well_behaved(packet)) as broker:
        link = MqttLink(
            BrokerAddress("127.0.0.1", broker.port, None),
            "slow",
            events=LinkEvents(on_message=block),
            timing=Timing(now_s=lambda: now_s[0]),
        )
        alive = [link.is_alive]
        link.start()
        try:
            alive.append(link.is_alive)
            assert blocked.wait(TIMEOUT_S)
            now_s[0] += 100
            alive.append(link.is_alive)
        finally:
            release.set()
            link.stop()
    assert alive == [False, True, False]


def test_stop_returns_within_its_bound_while_a_name_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, release = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        asked.set()
        release.wait(TIMEOUT_S)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    link = MqttLink(BrokerAddress("127.0.0.1", 1883, None), "x", timing=Timing(stop_s=0.05))
    link.start()
    assert asked.wait(TIMEOUT_S)
    link.stop()
    assert not release.is_set()
    assert "still busy; it ends by itself" in caplog.text
    release.set()
    link._thread.join(TIMEOUT_S)
    assert not link._thread.is_alive()


@pytest.mark.parametrize("attempts", [30])
def test_many_connections_leave_no_thread_and_no_file_behind(attempts: int) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    connects = threading.Semaphore(0)

    def answer(packet: bytes) -> bytes | None:
        if packet[0] != CONNECT:
            return None
        connects.release()
        return well_behaved(packet)

    with ScriptedBroker(answer) as broker:
        before, threads = files(), threading.active_count()
        recorder = Recorder(Message("g", b"closes the connection"))
        with linked(broker.port, "many", recorder, backoff=Backoff(lambda _, __: 0.001)):
            for _ in range(attempts):
                assert connects.acquire(timeout=TIMEOUT_S)
            assert threading.active_count() == threads + 1
            # Link, wake-up pair, selector, and the broker's end.
            assert files() <= before + 6
        assert threading.active_count() == threads
        assert files() <= before + 1
