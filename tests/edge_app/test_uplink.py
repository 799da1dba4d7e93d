"""The way out over Debian's real broker: greeting, records through an outage, commands, Home Assistant."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge_app.link.home_assistant import DeviceCard, discovery
from edge_app.settings.config import HomeAssistantSettings
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from lab.broker import LoopbackBroker
from lsi.command_documents import Command, command_topic
from lsi.topics import Kind
from tests import leaving
from tests.edge_app.test_service import CONFIG
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import BrokerAddress, Message

CLOCK = MonotonicClock()


@contextmanager
def uplink_to(
    port: int, device_id: str, state: Path, stream: str | None = None
) -> Iterator[tuple[Uplink, str]]:
    stream = stream or secrets.token_hex(8)
    config = replace(
        CONFIG,
        device_id=device_id,
        broker=BrokerAddress("127.0.0.1", port, None),
        state=state,
        home_assistant=HomeAssistantSettings(),
    )
    outbox = open_outbox(config, stream, clock=CLOCK, wall_clock=SystemWallClock())
    card = DeviceCard(device_id, "Hall", "LSI single-pixel", 16, "0.1.0", "sim")
    uplink = Uplink(config, outbox, discovery(card, ["Smiling"]), results=leaving.terms(stream), clock=CLOCK)
    try:
        yield uplink, stream
    finally:
        uplink.close()


def topics_until(reader: Recorder, last: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    while not found or found[-1][0] != last:
        message = reader.message()
        found.append((message.topic, message.payload))
    return found


def test_discovery_and_greeting_come_before_online_and_offline_in_the_end(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    reader = Recorder()
    filters = ["lsi/v1/p1/#", "homeassistant/#"]
    with linked(fresh_mosquitto.port, "order", reader, subscriptions=filters):
        with uplink_to(fresh_mosquitto.port, "p1", tmp_path) as (uplink, stream):
            assert not uplink.publish(Kind.ATTR, leaving.attr(device_id="p1", stream=stream))
            info = leaving.info(leaving.terms(stream), device_id="p1")
            uplink.open(lambda: [(Kind.INFO, info)])
            greeting = topics_until(reader, "lsi/v1/p1/availability")
        ((_, last),) = topics_until(reader, "lsi/v1/p1/availability")
    assert [topic for topic, _ in greeting] == [
        "homeassistant/device/p1/config", "lsi/v1/p1/info", "lsi/v1/p1/availability",
    ]  # fmt: skip
    assert greeting[-1][1] == b"online"
    assert last == b"offline"


def test_records_wait_for_a_broker_across_a_restart_and_leave_once(
    fresh_mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    with uplink_to(1, "p2", tmp_path) as (uplink, first):
        for _ in range(3):
            uplink.record(Kind.EVENT, leaving.event(first, device_id="p2"))
        assert uplink.way_out().outbox is not None
    reader = Recorder()
    with (
        linked(fresh_mosquitto.port, "sink", reader, subscriptions=["lsi/v1/p2/event"]),
        uplink_to(fresh_mosquitto.port, "p2", tmp_path) as (uplink, second),
    ):
        uplink.open(list)
        uplink.record(Kind.EVENT, leaving.event(second, device_id="p2"))
        events = [json.loads(reader.message().payload) for _ in range(4)]
    assert sorted((each["stream"], each["seq"]) for each in events) == sorted(
        [(first, 1), (first, 2), (first, 3), (second, 1)]
    )
    assert all(each["hist"] for each in events if each["stream"] == first)


def test_a_command_reaches_its_owner(fresh_mosquitto: LoopbackBroker, tmp_path: Path) -> None:
    reader = Recorder()
    filters = ["lsi/v1/p3/availability", "lsi/v1/p3/cmd/#"]
    with (
        linked(fresh_mosquitto.port, "asks", reader, subscriptions=filters) as asking,
        uplink_to(fresh_mosquitto.port, "p3", tmp_path) as (uplink, _),
    ):
        uplink.open(list)
        topics_until(reader, "lsi/v1/p3/availability")
        wanted = command_topic("p3", Command.REBIRTH)
        assert asking.publish(Message(wanted, b"{}"))
        topics_until(reader, wanted)
        deadline_ns = CLOCK.now_ns() + 10**10
        found = uplink.received()
        while not found and CLOCK.now_ns() < deadline_ns:
            found = uplink.received()
        assert [message.topic for message in found] == [wanted]
        assert Command.REPLAY in uplink.handlers()
