from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_app.link.announced import MANIFEST_NAME, Announced
from edge_app.link.announcer import ANSWER_S, Announcer
from edge_app.link.home_assistant import STATUS_TOPIC, Discovery, discovery, retained_topics
from firmware.sim.clock import SimClock
from lab.broker import LoopbackBroker
from lsi.units import NS_PER_S
from tests.contracts.home_assistant_rules import discovery_faults, series_faults
from tests.edge_app.link.home_assistant_cards import ATTR_LITE_NAMES, card
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import LinkState, Message

ALL = discovery(card(), ATTR_LITE_NAMES)
FEWER = discovery(card(), ("Smiling",))
RETAINED = retained_topics("hall1")
ONLINE, OFFLINE = Message(STATUS_TOPIC, b"online"), Message(STATUS_TOPIC, b"offline")


class House:
    """A device, its clock and what it said and when; the broker takes it or not."""

    def __init__(self, folder: Path, wanted: Discovery | None) -> None:
        self.clock = SimClock()
        self.sent: list[tuple[float, str, bytes, bool]] = []
        self.states_s: list[float] = []
        self.takes = True
        self.bounds: list[tuple[float, float]] = []
        self.announced = Announced(folder / MANIFEST_NAME)
        self.announcer = Announcer(self.announced, wanted, RETAINED, clock=self.clock, uniform=self._uniform)

    def _uniform(self, low: float, high: float) -> float:
        self.bounds.append((low, high))
        return 3.0

    @property
    def now_s(self) -> float:
        return self.clock.now_ns() / NS_PER_S

    def connect(self) -> None:
        for message in self.announcer.connected():
            assert self._send(message)

    def pass_time(self, duration_s: float) -> None:
        """Serve at every moment that the announcer names, until ``duration_s`` have passed."""
        end_ns = self.clock.now_ns() + round(duration_s * NS_PER_S)
        while (due_ns := self.announcer.next_due_ns()) is not None and due_ns <= end_ns:
            self.clock.wait_until_ns(due_ns)
            if self.announcer.serve(self._send):
                self.states_s.append(self.now_s)
        self.clock.wait_until_ns(end_ns)

    def _send(self, message: Message) -> bool:
        if self.takes:
            self.sent.append((self.now_s, message.topic, message.payload, message.retain))
        return self.takes

    @property
    def times(self) -> list[tuple[float, bytes]]:
        return [(at_s, payload) for at_s, _, payload, _ in self.sent]


def leaving(folder: Path) -> House:
    """A device that announced everything in its former life and wants less now."""
    House(folder, ALL).connect()
    return House(folder, FEWER)


def test_discovery_goes_out_at_once_on_connect_and_nothing_follows(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.pass_time(3600)
    assert house.sent == [(0.0, ALL.topic, ALL.payload, True)]
    assert house.announcer.next_due_ns() is None


def test_a_birth_is_answered_after_a_random_time_with_discovery_and_then_state(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.pass_time(100)
    house.announcer.heard(ONLINE)
    house.pass_time(100)
    assert house.bounds == [ANSWER_S] == [(1.0, 10.0)]
    assert house.times == [(0.0, ALL.payload), (103.0, ALL.payload)]
    assert house.states_s == [105.0]


def test_births_that_wait_share_one_answer(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    for _ in range(1000):
        house.announcer.heard(ONLINE)
        house.pass_time(0.002)
    house.pass_time(58)
    assert [at_s for at_s, _ in house.times] == [0.0, 3.0]
    house.announcer.heard(ONLINE)
    house.pass_time(60)
    assert len(house.sent) == 3


@pytest.mark.parametrize(
    "message", [Message("homeassistant/other", b"online"), Message(STATUS_TOPIC, b"stopped"), OFFLINE]
)
def test_anything_but_a_birth_is_not_answered(tmp_path: Path, message: Message) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.announcer.heard(message)
    house.pass_time(60)
    assert len(house.sent) == 1


def test_a_birth_that_ends_before_its_answer_is_not_answered(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.announcer.heard(ONLINE)
    house.pass_time(1)
    house.announcer.heard(OFFLINE)
    house.pass_time(60)
    assert (len(house.sent), house.states_s) == (1, [])


def test_an_entity_leaves_at_the_pace_that_core_can_follow(tmp_path: Path) -> None:
    house = leaving(tmp_path)
    house.connect()
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times] == [0.0, 5.0, 10.0]
    assert house.times[-1] == (10.0, FEWER.payload)
    assert series_faults(house.sent) == []


def test_a_reconnect_does_not_show_the_entity_again_and_a_birth_removes_it_for_good(tmp_path: Path) -> None:
    house = leaving(tmp_path)
    house.connect()
    house.pass_time(60)
    house.announcer.lost()
    house.connect()
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times] == [0.0, 5.0, 10.0, 60.0]
    assert house.announced.manifest.leaving
    house.announcer.heard(ONLINE)
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times[4:]] == [123.0, 128.0, 133.0]
    assert house.states_s == [125.0]
    assert not house.announced.manifest.leaving
    house.announcer.heard(ONLINE)
    house.pass_time(60)
    assert house.times[7:] == [(183.0, FEWER.payload)]


def test_a_reconnect_announces_at_once_and_answers_births_with_it(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.pass_time(1)
    house.announcer.heard(ONLINE)
    house.connect()
    house.pass_time(60)
    assert house.times == [(0.0, ALL.payload), (1.0, ALL.payload)]


def test_a_removal_that_the_connection_cut_short_begins_anew(tmp_path: Path) -> None:
    house = leaving(tmp_path)
    house.connect()
    house.pass_time(6)
    house.announcer.lost()
    assert house.announcer.next_due_ns() is None
    house.pass_time(1)
    house.connect()
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times] == [0.0, 5.0, 10.0, 15.0, 20.0]
    assert house.times[-1][1] == FEWER.payload


def test_a_removal_during_which_home_assistant_goes_is_still_owed(tmp_path: Path) -> None:
    house = leaving(tmp_path)
    house.connect()
    house.pass_time(60)
    house.announcer.heard(ONLINE)
    house.pass_time(6)
    house.announcer.heard(OFFLINE)
    house.pass_time(60)
    assert house.announced.manifest.leaving


def test_another_announcement_waits_until_core_has_taken_the_one_before(tmp_path: Path) -> None:
    house = House(tmp_path, FEWER)
    house.connect()
    house.pass_time(1)
    house.announcer.change(ALL)
    house.pass_time(60)
    assert house.times == [(0.0, FEWER.payload), (5.0, ALL.payload)]


def test_what_changes_while_the_broker_is_away_is_announced_on_the_next_connect(tmp_path: Path) -> None:
    house = House(tmp_path, ALL)
    house.connect()
    house.announcer.lost()
    house.announcer.change(FEWER)
    house.pass_time(60)
    assert len(house.sent) == 1
    house.connect()
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times] == [0.0, 60.0, 65.0, 70.0]
    assert series_faults(house.sent) == []


def test_a_message_that_the_connection_does_not_take_is_tried_again_each_second(tmp_path: Path) -> None:
    house = leaving(tmp_path)
    house.connect()
    house.takes = False
    house.pass_time(8.5)
    house.takes = True
    house.pass_time(60)
    assert [at_s for at_s, _ in house.times] == [0.0, 9.0, 14.0]


def test_switched_off_it_removes_what_was_announced_and_then_is_silent(tmp_path: Path) -> None:
    House(tmp_path, ALL).connect()
    house = House(tmp_path, None)
    house.connect()
    house.pass_time(60)
    assert house.times == [(0.0, ALL.payload), (2.0, b"")]
    house.announcer.heard(ONLINE)
    house.pass_time(60)
    house.announcer.heard(ONLINE)
    house.pass_time(60)
    assert house.times[2:] == [(63.0, ALL.payload), (65.0, b"")]
    assert house.states_s == []


PROBE = Message("homeassistant/probe", b"x")


@contextmanager
def reading(port: int, client_id: str) -> Iterator[tuple[Recorder, list[Message]]]:
    """A subscriber to all of Home Assistant's topics, and what was retained when it came."""
    reader, retained = Recorder(), list[Message]()
    with linked(port, client_id, reader, subscriptions=["homeassistant/#"]) as link:
        assert reader.state() is LinkState.ONLINE
        assert link.publish(PROBE)  # behind the subscription, on the same connection
        while (message := reader.message()).topic != PROBE.topic:
            retained.append(message)
        yield reader, retained


def test_a_foreign_subscriber_gets_discovery_retained_and_an_emptied_topic_is_gone(
    tmp_path: Path, fresh_mosquitto: LoopbackBroker
) -> None:
    port = fresh_mosquitto.port
    House(tmp_path, ALL).connect()
    house, device = House(tmp_path, FEWER), Recorder()
    with linked(port, "hall1", device) as link, reading(port, "early") as (early, nothing):
        assert device.state() is LinkState.ONLINE
        assert nothing == []
        for message in house.announcer.connected():
            assert link.publish(message)
        while (due_ns := house.announcer.next_due_ns()) is not None:
            house.clock.wait_until_ns(due_ns)
            house.announcer.serve(link.publish)
        live = [early.message() for _ in range(3)]
        assert [(each.payload == FEWER.payload, each.retain) for each in live] == [
            (False, False), (False, False), (True, False),
        ]  # fmt: skip
        with reading(port, "late") as (_, [found]):
            assert (found.topic, found.payload, found.retain, found.qos) == (
                FEWER.topic,
                FEWER.payload,
                True,
                1,
            )
            assert discovery_faults(found.topic, found.payload, retain=found.retain, qos=found.qos) == []
        assert early.message().topic == PROBE.topic
        for step in house.announced.manifest.removal(RETAINED):
            assert link.publish(step.message)
        assert [early.message().payload == b"" for _ in range(2)] == [False, True]
        with reading(port, "latest") as (_, left):
            assert left == []
