"""``send``: what becomes of each message, told exactly once."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.broker import LoopbackBroker
from tests.transport.far_ends import CONNACK_5, PUBLISH, ScriptedBroker, mosquitto_with, puback, well_behaved
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.broker import LinkState, Message, MessageProperties
from transport.outgoing import Outcome, Settled
from transport.timing import Timing

Outcomes = queue.SimpleQueue[Outcome]


@pytest.fixture
def outcomes() -> Iterator[Outcomes]:
    """What was told; nothing may be left untold or told twice."""
    told = Outcomes()
    yield told
    assert told.empty()


def accept_only(count: int) -> Callable[[bytes], bytes]:
    """A broker that acknowledges the first ``count`` messages and no more."""
    left = iter(range(count))
    return lambda packet: (
        b"" if packet[0] & 0xF0 == PUBLISH and next(left, None) is None else well_behaved(packet)
    )


def test_what_the_broker_took_is_accepted_with_or_without_a_subscriber(
    mosquitto: LoopbackBroker, outcomes: Outcomes
) -> None:
    recorder = Recorder()
    with linked(mosquitto.port, "sender", recorder) as link:
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("nobody/listens", b"x"), outcomes.put)
        outcome = outcomes.get(timeout=TIMEOUT_S)
    assert outcome.settled is Settled.ACCEPTED
    assert outcome.reason == "No matching subscribers"


def test_what_the_access_rules_forbid_is_refused_for_good(
    mosquitto_path: str, tmp_path: Path, outcomes: Outcomes
) -> None:
    (tmp_path / "acl").write_text("topic write mine/#\n")
    config = f"allow_anonymous true\nacl_file {tmp_path / 'acl'}\n"
    recorder = Recorder()
    with (
        mosquitto_with(mosquitto_path, tmp_path, config) as broker,
        linked(broker.port, "sender", recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("yours/a", b"x"), outcomes.put)
        assert link.send(Message("mine/a", b"x"), outcomes.put)
        refused, accepted = (outcomes.get(timeout=TIMEOUT_S) for _ in range(2))
    assert refused == Outcome(Settled.REFUSED, "Not authorized", 0x87)
    assert not refused.may_pass_later
    assert accepted.settled is Settled.ACCEPTED


def test_what_is_longer_than_the_broker_takes_is_refused_and_the_connection_stays(
    mosquitto_path: str, tmp_path: Path, outcomes: Outcomes
) -> None:
    recorder = Recorder()
    config = "allow_anonymous true\nmax_packet_size 200\n"
    with (
        mosquitto_with(mosquitto_path, tmp_path, config) as broker,
        linked(broker.port, "sender", recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("t/a", bytes(300)), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).code == 0x95
        assert link.send(Message("t/a", bytes(100)), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED
        assert link.reconnects == 0


def test_what_no_packet_can_hold_is_refused_and_the_connection_stays(
    mosquitto: LoopbackBroker, outcomes: Outcomes
) -> None:
    recorder = Recorder()
    with linked(mosquitto.port, "sender", recorder) as link:
        assert recorder.state() is LinkState.ONLINE
        long_name = MessageProperties(content_type="x" * 70_000)
        assert link.send(Message("t/a", b"", properties=long_name), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.REFUSED
        assert link.send(Message("t/+", b""), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.REFUSED
        assert link.send(Message("t/a", b""), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED
        assert link.reconnects == 0


@pytest.mark.parametrize(("code", "later"), [(0x97, True), (0x99, False)])
def test_a_refusal_keeps_the_brokers_reason(code: int, later: bool, outcomes: Outcomes) -> None:
    recorder = Recorder()
    with (
        ScriptedBroker(
            lambda packet: puback(packet, code) if packet[0] & 0xF0 == PUBLISH else well_behaved(packet)
        ) as broker,
        linked(broker.port, "sender", recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("t/a", b"x"), outcomes.put)
        outcome = outcomes.get(timeout=TIMEOUT_S)
    assert (outcome.settled, outcome.code, outcome.may_pass_later) == (Settled.REFUSED, code, later)


def test_the_eleventh_is_turned_away_and_all_ten_are_lost_with_the_connection(outcomes: Outcomes) -> None:
    recorder = Recorder()
    with (
        ScriptedBroker(accept_only(0)) as broker,
        linked(broker.port, "sender", recorder, timing=Timing(farewell_s=0.1)) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        taken = [link.send(Message(f"t/{number}", b"x"), outcomes.put) for number in range(11)]
        assert taken == [True] * 10 + [False]
        for _ in range(10):
            broker.packet(PUBLISH)
        assert outcomes.empty()
        link.reconnect("for the test")
        told = [outcomes.get(timeout=TIMEOUT_S) for _ in range(10)]
    assert {outcome.settled for outcome in told} == {Settled.LOST}


def test_a_broker_that_takes_fewer_at_once_gets_no_more(outcomes: Outcomes) -> None:
    # CONNACK with Receive Maximum 2 (0x21).
    narrow = bytes.fromhex("20 06 00 00 03 21 0002")
    recorder = Recorder()
    with (
        ScriptedBroker(
            lambda packet: {0x10: narrow, PUBLISH: b""}.get(packet[0] & 0xF0, well_behaved(packet))
        ) as broker,
        linked(broker.port, "sender", recorder, timing=Timing(farewell_s=0.1)) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        for number in range(5):
            link.publish(Message(f"t/{number}", b"x"))
        assert not link.send(Message("t/9", b"x"), outcomes.put)
        broker.packet(PUBLISH)
        broker.packet(PUBLISH)
        with pytest.raises(queue.Empty):
            broker.packet(PUBLISH, timeout_s=0.2)


def test_an_acknowledgement_that_comes_twice_is_told_once(outcomes: Outcomes) -> None:
    recorder = Recorder()
    with (
        ScriptedBroker(
            lambda packet: puback(packet) * 2 if packet[0] & 0xF0 == PUBLISH else well_behaved(packet)
        ) as broker,
        linked(broker.port, "sender", recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        for _ in range(3):
            assert link.send(Message("t/a", b"x"), outcomes.put)
            assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED


def test_the_owner_is_told_in_the_network_thread_and_may_send_the_next_from_there() -> None:
    recorder, threads, done = Recorder(), set[str](), threading.Event()
    with ScriptedBroker(well_behaved) as broker, linked(broker.port, "sender", recorder) as link:
        assert recorder.state() is LinkState.ONLINE
        left = iter(range(50))

        def go_on(_: Outcome) -> None:
            threads.add(threading.current_thread().name)
            if next(left, None) is None:
                done.set()
            else:
                assert link.send(Message("t/a", b"x"), go_on)

        assert link.send(Message("t/a", b"x"), go_on)
        assert done.wait(TIMEOUT_S)
    assert threads == {"mqtt-link"}


def test_what_waits_at_stop_is_told_as_lost_and_stop_keeps_its_bound(outcomes: Outcomes) -> None:
    recorder = Recorder()
    with (
        ScriptedBroker(accept_only(0)) as broker,
        linked(broker.port, "sender", recorder, timing=Timing(farewell_s=0.2)) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("t/a", b"x"), outcomes.put)
        link.stop([Message("t/bye", b"x")])
        assert outcomes.get(timeout=0).settled is Settled.LOST
        assert not link.send(Message("t/a", b"x"), outcomes.put)
        assert not link._thread.is_alive()


def test_a_malformed_answer_costs_the_connection_and_no_more(outcomes: Outcomes) -> None:
    # A PUBACK whose properties claim more bytes than there are, once.
    bad = iter([bytes.fromhex("40 05 0001 00 7F 1F")])
    recorder = Recorder()

    def answer(packet: bytes) -> bytes:
        if packet[0] & 0xF0 == PUBLISH:
            return next(bad, puback(packet))
        return CONNACK_5 if packet[0] == 0x10 else well_behaved(packet)

    with ScriptedBroker(answer) as broker, linked(broker.port, "sender", recorder) as link:
        assert recorder.state() is LinkState.ONLINE
        assert link.send(Message("t/a", b"x"), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.LOST
        assert [recorder.state(), recorder.state()] == [LinkState.AWAY, LinkState.ONLINE]
        assert link.send(Message("t/a", b"x"), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED
