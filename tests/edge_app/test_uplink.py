"""The way out over Debian's real broker: greeting, records through an outage, commands, Home Assistant."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.config import HomeAssistantSettings
from edge_app.home_assistant import DeviceCard, discovery
from edge_app.uplink import Uplink, check_record, open_outbox
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from lab.broker import LoopbackBroker
from lsi.command_documents import Command, command_topic
from lsi.errors import PayloadError
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.topics import Kind
from tests.edge_app.test_service import CONFIG
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import BrokerAddress, Message

CLOCK = MonotonicClock()


def event(device_id: str, stream: str) -> Callable[[int], bytes]:
    made = EventPayload(
        device_id=device_id,
        stream=stream,
        seq=0,
        ts="2026-01-01T12:00:00.000Z",
        clock="ntp",
        bundle="01234567",
        phase=Phase.START,
        visit=f"{stream}-1",
        began="2026-01-01T12:00:00.000Z",
        scans=ScanBucket.ONES,
        attributes={"Smiling": True},
        duration_s=None,
    )
    return made.encode_as


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
    uplink = Uplink(config, outbox, discovery(card, ["Smiling"]), clock=CLOCK)
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
        with uplink_to(fresh_mosquitto.port, "p1", tmp_path) as (uplink, _):
            assert not uplink.publish(Kind.ATTR, b"too early")
            uplink.open(lambda: [(Kind.INFO, b"{}")])
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
            uplink.record(Kind.EVENT, event("p2", first))
        assert uplink.way_out().outbox is not None
    reader = Recorder()
    with (
        linked(fresh_mosquitto.port, "sink", reader, subscriptions=["lsi/v1/p2/event"]),
        uplink_to(fresh_mosquitto.port, "p2", tmp_path) as (uplink, second),
    ):
        uplink.open(list)
        uplink.record(Kind.EVENT, event("p2", second))
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


@pytest.mark.parametrize("payload", [b"", b"{}", b"no json", b'{"v":"lsi.event/1"}'])
def test_what_is_no_record_does_not_leave(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        check_record("event", payload)
