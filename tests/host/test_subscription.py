"""The library against Debian's mosquitto and the shipping outbox: what a program of a user's gets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import cbor2
import pytest

from host.gap_watch import Gap, GapState, Patience
from host.sealed_record import SealedRecord
from host.subscriber import Received, Rejected
from host.subscription import Event, Interest, LinkChanged, subscribe
from lab.broker import LoopbackBroker
from lsi.errors import AppConfigError
from lsi.sealing import seal
from lsi.topics import Kind
from tests.host.devices import Device, visit
from tests.payloads import payload
from tests.sealed import DEVICE_KEY, HOST, LATENT, header
from transport.broker import LinkState, Message

QUICK = Patience(grace_s=0.3, first_pause_s=1, longest_pause_s=1)
TIMEOUT_S = 20


def url(broker: LoopbackBroker) -> str:
    return f"mqtt://{broker.host}:{broker.port}"


async def until(events: AsyncIterator[Event], count: int, wanted: Callable[[Event], bool]) -> list[Event]:
    """The first ``count`` events that are wanted."""
    found: list[Event] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(found) < count:
            event = await anext(events)
            if wanted(event):
                found.append(event)
    return found


def is_online(event: Event) -> bool:
    return event == LinkChanged(LinkState.ONLINE, "MQTT 5")


def seqs(events: list[Event]) -> list[int]:
    return [event.record.seq for event in events if isinstance(event, Received) and event.record]


def test_a_record_that_the_broker_lost_is_told_asked_for_and_comes_after_all(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    async def read(device: Device) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), Interest("gap1", patience=QUICK))) as events:
            await until(events, 1, is_online)
            device.lose = {2}
            device.record(3)
            found = await until(events, 3, lambda event: not isinstance(event, LinkChanged))
            asking = asyncio.ensure_future(until(events, 2, lambda _: True))
            await asyncio.to_thread(device.answer)
            return found + await asking

    with Device(mosquitto.port, tmp_path, "gap1") as device:
        found = asyncio.run(read(device))
    assert seqs(found[:2]) == [1, 3]
    assert found[2] == Gap("gap1", device.stream, 2, 2, GapState.MISSING)
    assert seqs(found[3:4]) == [2]
    assert found[4] == Gap("gap1", device.stream, 2, 2, GapState.FILLED)


def test_a_tail_is_found_by_health_and_what_is_wiped_is_said_to_be_gone(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    async def read(device: Device) -> list[Event]:
        async with aclosing(
            subscribe(url(mosquitto), Interest("gap2", (Kind.EVENT,), patience=QUICK))
        ) as events:
            await until(events, 1, is_online)
            device.record()
            found = await until(events, 1, lambda _: True)
            device.lose = {2, 3}
            device.record(2)
            device.outbox.sweep()
            device.tell()
            asking = asyncio.ensure_future(until(events, 2, lambda _: True))
            await asyncio.to_thread(device.answer)
            return found + await asking

    with Device(mosquitto.port, tmp_path, "gap2", keep_accepted_s=0) as device:
        found = asyncio.run(read(device))
    assert seqs(found) == [1]
    assert found[1:] == [
        Gap("gap2", device.stream, 2, 3, GapState.MISSING),
        Gap("gap2", device.stream, 2, 3, GapState.GONE),
    ]


def test_malformed_payloads_are_handed_over_with_a_reason_and_the_stream_goes_on(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    stream = "0123456789abcdef"
    sound = header(device_id="bad1", seq=5)
    sealed = seal(LATENT, sound, HOST.public_key, DEVICE_KEY)
    bad = [
        ("event", b"\xff\xfe"),
        ("event", visit(stream, "bad1", 1).encode().replace(b"lsi.event/1", b"lsi.event/9")),
        ("latent", sealed[:-1]),
        ("latent", cbor2.dumps([1, 2])),
        ("event", b"x" * 200_000),
        ("nothing", b"{}"),
    ]

    async def read(device: Device) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), Interest("bad1", asks_again=False))) as events:
            await until(events, 1, is_online)
            for kind, content in bad:
                device.send(Message(f"lsi/v1/bad1/{kind}", content))
            device.send(Message("lsi/v1/bad1/latent", sealed))
            return await until(events, len(bad) + 1, lambda _: True)

    with Device(mosquitto.port, tmp_path, "bad1") as device:
        *rejected, good = asyncio.run(read(device))
    reasons = [event.reason for event in rejected if isinstance(event, Rejected)]
    assert [event.payload for event in rejected if isinstance(event, Rejected)] == [each for _, each in bad]
    words = [
        "not JSON",
        "'lsi.event/1' was expected",
        "not CBOR",
        "not a map",
        "200000 bytes",
        "documented topic",
    ]
    assert [word in reason for word, reason in zip(words, reasons, strict=True)] == [True] * len(words)
    assert isinstance(good, Received)
    assert good.content == SealedRecord(sound, sealed)


def test_what_the_body_did_not_finish_comes_again_to_a_session_that_is_kept(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    interest = Interest("kept1", (Kind.EVENT,), asks_again=False, client_id="kept-reader", keep_s=60)

    async def read(count: int, act: Callable[[], None]) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), interest)) as events:
            await until(events, 1, is_online)
            act()
            return await until(events, count, lambda _: True)

    with Device(mosquitto.port, tmp_path, "kept1") as device:
        first = asyncio.run(read(2, lambda: device.record(3)))
        again = asyncio.run(read(2, lambda: None))
    # The second was handed over, but its body never came back for more.
    assert (seqs(first), seqs(again)) == ([1, 2], [2, 3])


def test_leaving_the_loop_ends_the_link(mosquitto: LoopbackBroker) -> None:
    async def first() -> Event | None:
        async for event in subscribe(url(mosquitto)):
            return event
        return None

    assert isinstance(asyncio.run(first()), LinkChanged)


def test_live_state_of_many_devices_comes_typed(mosquitto: LoopbackBroker, tmp_path: Path) -> None:
    async def read(device: Device) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), Interest(kinds=(Kind.ATTR,)))) as events:
            await until(events, 1, is_online)
            device.record()
            device.tell()
            for number in range(3):
                sent = payload(device_id=f"live-{number}")
                device.send(Message(f"lsi/v1/live-{number}/attr", sent.encode()))
            return await until(events, 3, lambda _: True)

    with Device(mosquitto.port, tmp_path, "live0") as device:
        found = asyncio.run(read(device))
    expected = [payload(device_id=f"live-{number}") for number in range(3)]
    assert [event.content for event in found if isinstance(event, Received)] == expected


def test_a_record_of_a_kind_that_was_not_asked_for_is_no_gap(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    interest = Interest("kinds1", (Kind.EVENT,), patience=Patience(0.05, 0.05, 0.05))

    stream = "0123456789abcdef"
    sealed = seal(LATENT, header(device_id="kinds1", stream=stream, seq=2), HOST.public_key, DEVICE_KEY)
    first, third = (visit(stream, "kinds1", seq).encode() for seq in (1, 3))

    async def read(device: Device) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), interest)) as events:
            await until(events, 1, is_online)
            for kind, content in (("event", first), ("latent", sealed), ("event", third)):
                device.send(Message(f"lsi/v1/kinds1/{kind}", content))
            found = await until(events, 2, lambda _: True)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):  # a gap would be told after a tenth of it
                    found.append(await anext(events))
            return found

    with Device(mosquitto.port, tmp_path, "kinds1") as device:
        found = asyncio.run(read(device))
    assert seqs(found) == [1, 3]


@pytest.mark.parametrize(
    ("kinds", "levels"),
    [
        ((), ["+", "ack/replay"]),
        ((Kind.ATTR,), ["attr"]),
        ((Kind.AVAILABILITY, Kind.INFO), ["availability", "info"]),
        ((Kind.EVENT,), ["event", "agg", "health", "latent", "ack/replay"]),
        ((Kind.HEALTH, Kind.AGG), ["health", "agg", "event", "latent", "ack/replay"]),
    ],
)
def test_gaps_are_looked_for_where_records_are_wanted(kinds: tuple[Kind, ...], levels: list[str]) -> None:
    expected = [f"lsi/v1/hall1/{level}" for level in levels]
    assert list(Interest("hall1", kinds).filters()) == expected
    without = [name for name in expected if name.rpartition("/")[2] in {*kinds, "+"}]
    assert list(Interest("hall1", kinds, asks_again=False).filters()) == without


@pytest.mark.parametrize("device", ["", "+/attr", "#", "HALL", "a" * 33, "a/b"])
def test_a_device_id_with_wildcards_is_refused(device: str) -> None:
    with pytest.raises(AppConfigError, match="no device id"):
        Interest(device)


def test_a_session_without_a_name_is_refused() -> None:
    with pytest.raises(AppConfigError, match="needs a client id"):
        Interest(keep_s=60)


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("mqtt://broker.example.org", "TLS is off"),
        ("broker.example.org", "no address of a broker"),
        ("http://127.0.0.1", "no address of a broker"),
        ("mqtts://u:p@broker.example.org", "no name and password"),
        ("mqtts://broker.example.org/topic", "no address of a broker"),
        ("mqtts://broker.example.org:99999", "out of range"),
        ("mqtts://[::1", "Invalid IPv6"),
    ],
)
def test_a_broker_that_is_none_is_refused_before_anything_is_sent(broker: str, said: str) -> None:
    async def read() -> None:
        async for _ in subscribe(broker):
            return

    with pytest.raises(AppConfigError, match=said):
        asyncio.run(read())


def test_a_payload_of_megabytes_stays_at_the_broker_and_the_stream_goes_on(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    async def read(device: Device) -> list[Event]:
        async with aclosing(subscribe(url(mosquitto), Interest("big1", asks_again=False))) as events:
            await until(events, 1, is_online)
            device.send(Message("lsi/v1/big1/event", b"x" * 3_000_000))
            device.record()
            return await until(events, 1, lambda _: True)

    with Device(mosquitto.port, tmp_path, "big1") as device:
        assert seqs(asyncio.run(read(device))) == [1]
