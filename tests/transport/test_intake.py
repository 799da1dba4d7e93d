"""Messages that are acknowledged by who keeps them, at a real broker."""

import queue
from typing import Any

import pytest

from lab.broker import LoopbackBroker
from tests.transport.far_ends import SUBSCRIBE, ScriptedBroker, well_behaved
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from tests.transport.test_session import cut
from transport.broker import LinkState, Message, Session
from transport.intake import Acknowledge, Intake
from transport.mqtt import MqttLink

Taken = queue.SimpleQueue[tuple[Message, Acknowledge]]
QUIET_S = 0.3


def intake(taken: Taken, receive_maximum: int = 5) -> Intake:
    return Intake(receive_maximum, lambda message, acknowledge: taken.put((message, acknowledge)))


def nothing_more(taken: Taken) -> bool:
    try:
        taken.get(timeout=QUIET_S)
    except queue.Empty:
        return True
    return False


def publish_all(link: MqttLink, topic: str, count: int) -> None:
    outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()
    for number in range(count):
        assert link.send(Message(topic, str(number).encode()), outcomes.put)
        outcomes.get(timeout=TIMEOUT_S)


def test_the_broker_sends_no_more_than_the_maximum_before_an_acknowledgement(
    mosquitto: LoopbackBroker,
) -> None:
    reader, writer, taken = Recorder(), Recorder(), Taken()
    with (
        linked(mosquitto.port, "in-max", reader, subscriptions=["in/max"], intake=intake(taken, 3)),
        linked(mosquitto.port, "in-max-w", writer) as link,
    ):
        assert (reader.state(), writer.state()) == (LinkState.ONLINE, LinkState.ONLINE)
        publish_all(link, "in/max", 8)
        first = [taken.get(timeout=TIMEOUT_S) for _ in range(3)]
        assert [message.payload for message, _ in first] == [b"0", b"1", b"2"]
        assert nothing_more(taken)
        # Mosquitto 2.0.11 counts no more after the first acknowledgement: then all the rest may come.
        for _, acknowledge in first:
            acknowledge()
        assert [taken.get(timeout=TIMEOUT_S)[0].payload for _ in range(3)] == [b"3", b"4", b"5"]


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(mosquitto: LoopbackBroker) -> None:
    reader, writer, taken = Recorder(), Recorder(), Taken()
    options: dict[str, Any] = {"subscriptions": ["in/again"], "session": Session(0, 60)}
    with (
        linked(mosquitto.port, "in-again", reader, intake=intake(taken), **options) as reading,
        linked(mosquitto.port, "in-again-w", writer) as link,
    ):
        assert (reader.state(), writer.state()) == (LinkState.ONLINE, LinkState.ONLINE)
        publish_all(link, "in/again", 3)
        first = [taken.get(timeout=TIMEOUT_S) for _ in range(3)]
        first[0][1]()
        first[1][1]()
        assert nothing_more(taken)
        cut(reading)
        again, acknowledge = taken.get(timeout=TIMEOUT_S)
        assert again.payload == b"2"
        first[2][1]()  # of the connection before: says nothing in this one
        acknowledge()
        assert nothing_more(taken)


def test_without_an_intake_a_message_is_acknowledged_on_arrival(mosquitto: LoopbackBroker) -> None:
    reader, writer = Recorder(), Recorder()
    options: dict[str, Any] = {"subscriptions": ["in/own"], "session": Session(0, 60)}
    with (
        linked(mosquitto.port, "in-own", reader, **options) as reading,
        linked(mosquitto.port, "in-own-w", writer) as link,
    ):
        assert (reader.state(), writer.state()) == (LinkState.ONLINE, LinkState.ONLINE)
        publish_all(link, "in/own", 3)
        assert [reader.message().payload for _ in range(3)] == [b"0", b"1", b"2"]
        outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()
        assert reading.send(Message("in/behind", b""), outcomes.put)
        outcomes.get(timeout=TIMEOUT_S)  # the broker has read this, and what was written before it
        cut(reading)
        while reader.state() is not LinkState.ONLINE:
            pass
        assert link.send(Message("in/own", b"new"), outcomes.put)
        assert reader.message().payload == b"new"


def test_an_error_while_taking_a_message_leaves_the_link_up(mosquitto: LoopbackBroker) -> None:
    reader, writer, taken = Recorder(), Recorder(), Taken()

    def take(message: Message, acknowledge: Acknowledge) -> None:
        if message.payload == b"0":
            raise RuntimeError
        taken.put((message, acknowledge))

    with (
        linked(mosquitto.port, "in-err", reader, subscriptions=["in/err"], intake=Intake(5, take)) as reading,
        linked(mosquitto.port, "in-err-w", writer) as link,
    ):
        assert (reader.state(), writer.state()) == (LinkState.ONLINE, LinkState.ONLINE)
        publish_all(link, "in/err", 2)
        assert taken.get(timeout=TIMEOUT_S)[0].payload == b"1"
        assert reading.state is LinkState.ONLINE


def test_a_topic_that_is_no_text_is_shown_and_the_next_message_comes() -> None:
    bad, good = b"\x30\x06\x00\x02\xff\x41\x00x", b"\x30\x06\x00\x02ok\x00y"

    def answer(packet: bytes) -> bytes | None:
        if packet[0] & 0xF0 != SUBSCRIBE:
            return well_behaved(packet)
        return bytes([0x90, 4, *packet[2:4], 0, 1]) + bad + good

    recorder = Recorder()
    with ScriptedBroker(answer) as broker, linked(broker.port, "in-utf", recorder, subscriptions=["#"]):
        assert recorder.message().topic == "\\xffA"
        assert recorder.message() == Message("ok", b"y", qos=0)


@pytest.mark.parametrize("receive_maximum", [0, -1, 65_536])
def test_a_maximum_that_mqtt_cannot_say_is_refused(receive_maximum: int) -> None:
    with pytest.raises(ValueError, match="must be from 1 to 65535"):
        intake(Taken(), receive_maximum)
