"""Commands over Debian's mosquitto, asked by a foreign client."""

import json
import queue
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from edge_app.link.commands import Commands
from firmware.sim.clock import SimClock
from lab.broker import LoopbackBroker
from lsi.command_documents import Accepted, Command, Reply, Request, command_topic
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.broker import LinkState, Message, MessageProperties
from transport.outgoing import Outcome, Settled
from transport.protocol import V5, V311, ProtocolChoice

STREAM = "0123456789abcdef"
INSTALL_TOPIC = command_topic("hall1", Command.UPDATE)


class Asked:
    """A device's commands, carried out as they come."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        handlers = dict.fromkeys(Command, self._note)
        self.commands = Commands("hall1", STREAM, handlers, clock=SimClock())

    def _note(self, request: Request) -> Reply:
        self.requests.put(request)
        return Accepted()


def serve(device: Asked, recorder: Recorder, publish: Callable[[Message], bool]) -> Message:
    """Handle the next message that came, as the service would; returns it."""
    message = recorder.message()
    ack = device.commands.handle(message)
    assert ack is None or publish(ack)
    return message


def test_a_retained_install_is_delivered_at_every_connect_and_fires_at_none(
    fresh_mosquitto: LoopbackBroker,
) -> None:
    port = fresh_mosquitto.port
    device = Asked()
    with linked(port, "careless", careless := Recorder()) as sender:
        assert careless.state() is LinkState.ONLINE
        for _ in range(2):
            # Only what the broker had before the device came is delivered as retained.
            taken: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
            assert sender.send(Message(INSTALL_TOPIC, b"INSTALL", retain=True), taken.put)
            assert taken.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED
            with linked(
                port, "hall1", recorder := Recorder(), subscriptions=[device.commands.topic_filter]
            ) as link:
                assert recorder.state() is LinkState.ONLINE
                assert serve(device, recorder, link.publish).retain
        assert device.requests.empty()
        with linked(
            port, "hall1", recorder := Recorder(), subscriptions=[device.commands.topic_filter]
        ) as link:
            assert serve(device, recorder, link.publish).retain
            assert sender.publish(Message(INSTALL_TOPIC, b"INSTALL"))
            assert not serve(device, recorder, link.publish).retain
            assert device.requests.get(timeout=TIMEOUT_S) == Request(Command.UPDATE)


@pytest.mark.parametrize("version", [V5, V311])
def test_who_asks_finds_the_answer_by_correlation_data_or_by_id(
    version: MQTTProtocolVersion, mosquitto: LoopbackBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ProtocolChoice.__init__

    def chosen(self: ProtocolChoice) -> None:
        original(self)
        self.current = version

    monkeypatch.setattr(ProtocolChoice, "__init__", chosen)
    device = Asked()
    asking = MessageProperties(correlation_data=b"\x00\xff7")
    with (
        linked(mosquitto.port, "hall1", recorder := Recorder(), subscriptions=["lsi/v1/hall1/cmd/+"]) as link,
        linked(mosquitto.port, "asker", asker := Recorder(), subscriptions=["lsi/v1/hall1/ack/+"]) as sender,
    ):
        assert recorder.state() is asker.state() is LinkState.ONLINE
        assert sender.publish(Message("lsi/v1/hall1/cmd/rebirth", b'{"id":"r-1"}', properties=asking))
        serve(device, recorder, link.publish)
        answer = asker.message()
    assert (answer.topic, json.loads(answer.payload)["id"]) == ("lsi/v1/hall1/ack/rebirth", "r-1")
    assert answer.properties.correlation_data == (b"\x00\xff7" if version is V5 else None)


def test_a_foreign_client_asks_and_reads_the_answer(mosquitto: LoopbackBroker, mosquitto_rr: Path) -> None:
    device = Asked()
    with linked(
        mosquitto.port, "hall1", recorder := Recorder(), subscriptions=["lsi/v1/hall1/cmd/+"]
    ) as link:
        assert recorder.state() is LinkState.ONLINE
        options = ["-h", mosquitto.host, "-p", str(mosquitto.port), "-V", "mqttv5", "-W", "10"]
        topics = ["-t", "lsi/v1/hall1/cmd/pause", "-e", "lsi/v1/hall1/ack/pause"]
        process = subprocess.Popen(
            [str(mosquitto_rr), *options, *topics, "-m", '{"seconds":60,"id":"p1"}'], stdout=subprocess.PIPE
        )
        serve(device, recorder, link.publish)
        out, _ = process.communicate(timeout=TIMEOUT_S)
    found: dict[str, Any] = json.loads(out)
    assert (found["command"], found["accepted"], found["id"]) == ("pause", True, "p1")


@pytest.fixture(scope="session")
def mosquitto_rr() -> Path:
    """Debian's request and response client; without it the test is skipped with what to install."""
    path = Path("/usr/bin/mosquitto_rr")
    if not path.exists():
        pytest.skip("mosquitto_rr is not installed (apt install mosquitto-clients)")
    return path
