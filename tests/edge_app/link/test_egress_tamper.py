"""Ten ways round the guard, tried against a real broker with a reader of everything.

Each begins with code or data of the device that somebody changed. None of the bytes may arrive, what was
going to follow them may not either, and the service must learn that it has to end.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from edge_app.link.home_assistant import DeviceCard, discovery
from edge_app.records.outbox_schema import crc_of
from edge_app.uplink import Uplink
from lab.broker import LoopbackBroker
from lsi.errors import EgressError
from lsi.topics import Kind
from tests import leaving
from tests.edge_app.test_uplink import CLOCK, uplink_to
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import Message, MessageProperties

WITHHELD = "Male"
"""Stands for whatever may not leave."""
WAIT_NS = 10 * 10**9

Way = Callable[[Uplink, str, str], None]
"""Gets the uplink, its device id and its stream; returns once the try is made."""


def attr(device_id: str, stream: str, **changes: object) -> bytes:
    return leaving.attr(device_id=device_id, stream=stream, **changes)


def until_sent(uplink: Uplink, payload: bytes) -> None:
    """Publish ``payload`` as soon as there is a connection."""
    deadline_ns = CLOCK.now_ns() + WAIT_NS
    while not uplink.publish(Kind.ATTR, payload):
        assert CLOCK.now_ns() < deadline_ns


def a_withheld_attribute(uplink: Uplink, device_id: str, stream: str) -> None:
    uplink.publish(Kind.ATTR, leaving.attr(device_id=device_id, stream=stream, attributes={WITHHELD: True}))


def a_probability(uplink: Uplink, device_id: str, stream: str) -> None:
    uplink.publish(Kind.ATTR, attr(device_id, stream).replace(b'"Smiling":true', b'"Smiling":0.93,"Male":1'))


def bytes_after_the_end(uplink: Uplink, device_id: str, stream: str) -> None:
    uplink.publish(Kind.ATTR, attr(device_id, stream) + b"\n" + WITHHELD.encode())


def a_greeting(uplink: Uplink, device_id: str, stream: str) -> None:
    info = leaving.info(leaving.terms(stream), device_id=device_id, attributes=("Smiling", WITHHELD))
    uplink.open(lambda: [(Kind.INFO, info)])


def an_answer_elsewhere(uplink: Uplink, _device_id: str, _stream: str) -> None:
    uplink.reply(Message("elsewhere", WITHHELD.encode()))


def a_property(uplink: Uplink, device_id: str, stream: str) -> None:
    properties = MessageProperties(user_properties=(("note", WITHHELD),))
    uplink.reply(Message(f"lsi/v1/{device_id}/attr", attr(device_id, stream), properties=properties))


def a_record(uplink: Uplink, device_id: str, stream: str) -> None:
    uplink.record(Kind.EVENT, leaving.event(stream, device_id=device_id, attributes={WITHHELD: True}))


def a_row_of_the_outbox(uplink: Uplink, device_id: str, stream: str) -> None:
    uplink.record(Kind.EVENT, leaving.event(stream, device_id=device_id, attributes={"Smiling": True}))
    changed = leaving.event(stream, device_id=device_id, attributes={WITHHELD: True})(1)
    store = uplink._outbox._store
    (row,) = store.read(
        lambda db: db.execute("SELECT stream, seq, kind, topic, created FROM record").fetchall()
    )  # type: ignore[misc] # it works
    store.write(
        lambda db: db.execute(
            "UPDATE record SET payload = ?, crc = ?", (changed, crc_of(*row, payload=changed))
        )
    )
    uplink.open(list)


def another_announcement(uplink: Uplink, device_id: str, _stream: str) -> None:
    card = DeviceCard(device_id, "Hall", "LSI single-pixel", 16, "0.1.0", "sim")
    uplink._announcer.change(discovery(card, ["Smiling", WITHHELD]))
    uplink._announcer._last = None  # no pause between two announcements
    uplink.serve()


def bytes_that_change_their_mind(uplink: Uplink, _device_id: str, _stream: str) -> None:
    class Later(bytes):
        def decode(self, *_: object) -> str:
            return "nothing at all"

    uplink.publish(Kind.ATTR, Later(WITHHELD.encode()))


def a_word_of_availability(uplink: Uplink, _device_id: str, _stream: str) -> None:
    uplink.publish(Kind.AVAILABILITY, b"online " + WITHHELD.encode())


BEFORE = [a_greeting, a_row_of_the_outbox]
"""These open the uplink themselves."""
WAYS: list[Way] = [
    a_withheld_attribute,
    a_probability,
    bytes_after_the_end,
    a_greeting,
    an_answer_elsewhere,
    a_property,
    a_record,
    a_row_of_the_outbox,
    another_announcement,
    bytes_that_change_their_mind,
    a_word_of_availability,
]


def told_to_end(uplink: Uplink) -> str:
    """Serve as the service does until it is told why it has to end."""
    deadline_ns = CLOCK.now_ns() + WAIT_NS
    while CLOCK.now_ns() < deadline_ns:
        try:
            uplink.serve()
        except EgressError as error:
            return str(error)
    raise AssertionError("the service would have gone on")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_round_the_guard(
    way: Way, mosquitto: LoopbackBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device_id = way.__name__[:32]
    reader = Recorder()
    with linked(mosquitto.port, f"reads-{device_id}", reader, subscriptions=["#"]) as reading:
        with uplink_to(mosquitto.port, device_id, tmp_path) as (uplink, stream):
            if way not in BEFORE:
                uplink.open(list)
                until_sent(uplink, attr(device_id, stream))
            with suppress(EgressError):
                way(uplink, device_id, stream)
            reason = told_to_end(uplink)
            with pytest.raises(EgressError):
                uplink.publish(Kind.ATTR, attr(device_id, stream))
        assert reading.publish(Message("probe", b"x"))
        arrived: list[Message] = []
        while (message := reader.message()).topic != "probe":
            arrived.append(message)
    said = [(message.topic, message.payload, message.properties.user_properties) for message in arrived]
    assert WITHHELD not in repr(said)
    assert WITHHELD not in reason
    assert WITHHELD not in caplog.text
    ours = [each for each in arrived if each.topic.startswith(f"lsi/v1/{device_id}/")]
    if way not in BEFORE or ours:  # the guard may have closed before there was a connection
        assert (ours[-1].topic, ours[-1].payload) == (f"lsi/v1/{device_id}/availability", b"offline")
    live = [each.payload for each in ours if each.topic.endswith("/attr")]
    assert live == ([] if way in BEFORE else [attr(device_id, stream)])
