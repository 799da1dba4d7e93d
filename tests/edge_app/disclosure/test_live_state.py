import dataclasses
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.debounce import Quorum
from edge_app.disclosure.live_state import LiveRules, LiveState
from firmware.sim.clock import SimClock
from lsi.errors import AppConfigError
from lsi.payload import AttributePayload
from lsi.units import NS_PER_S
from tests.payloads import payload

QUORUMS = [Quorum(1, 1), Quorum(2, 2), Quorum(), Quorum(3, 5), Quorum(5, 9)]
ANSWERS = st.sampled_from([True, False, None])
FACED = st.tuples(st.sampled_from([True, True, True, False, None]), ANSWERS, ANSWERS)


def seen(**said: bool | None) -> AttributePayload:
    """One scan's payload: a smiling face without glasses, but for what is ``said``."""
    face, smiling, glasses = (
        said.get(key, usual) for key, usual in (("face", True), ("smiling", True), ("glasses", False))
    )
    known = face is True
    attributes = {"Smiling": smiling if known else None, "Eyeglasses": glasses if known else None}
    return payload(face=face, attributes=attributes)


class Sensor:
    """A live state, one scan per second, and a broker that takes every payload or none."""

    def __init__(self, rules: LiveRules | None = None) -> None:
        self.clock = SimClock(start_ns=5 * NS_PER_S)
        self.state = LiveState(rules or LiveRules(), clock=self.clock)
        self.sent: list[AttributePayload] = []
        self.takes = True

    def scan(self, *scans: AttributePayload) -> list[AttributePayload]:
        """The payloads that were due."""
        found = []
        for each in scans:
            due = self.state.scan(each)
            if due is not None:
                found.append(due)
                if self.takes:
                    self.state.sent(due)
            self.clock.advance(NS_PER_S)
        self.sent += found
        return found


def answers(due: AttributePayload) -> tuple[bool | None, bool | None, bool | None]:
    return due.face, due.attributes["Smiling"], due.attributes["Eyeglasses"]


def test_the_first_scan_is_sent_at_once() -> None:
    assert list(map(answers, Sensor().scan(seen()))) == [(True, True, False)]


def test_the_same_answers_are_sent_again_only_by_heartbeat() -> None:
    sensor = Sensor()
    assert [len(sensor.scan(seen())) for _ in range(121)] == [1, *[0] * 59, 1, *[0] * 59, 1]


def test_one_noisy_scan_is_not_sent() -> None:
    sensor = Sensor()
    sensor.scan(seen())
    noise = (seen(smiling=False), seen(), seen(face=False), seen(), seen(glasses=None), seen())
    assert sensor.scan(*noise) == []


def test_a_change_that_a_second_scan_confirms_is_sent_with_that_scans_stamps() -> None:
    sensor = Sensor()
    sensor.scan(seen())
    confirmed = dataclasses.replace(seen(smiling=False), seq=9, ts="2026-11-22T12:00:09.000Z")
    assert sensor.scan(seen(smiling=False)) == []
    (due,) = sensor.scan(confirmed)
    assert (due.seq, due.ts, answers(due)) == (9, confirmed.ts, (True, False, False))


def test_each_payload_holds_every_attribute() -> None:
    sensor = Sensor()
    sensor.scan(seen(), seen(face=False), seen(face=False))
    assert [set(due.attributes) for due in sensor.sent] == [{"Smiling", "Eyeglasses"}] * 2
    assert answers(sensor.sent[-1]) == (False, None, None)


def test_who_comes_after_nobody_inherits_no_answer() -> None:
    sensor = Sensor()
    sensor.scan(seen(), *[seen(face=False)] * 3)
    (due,) = sensor.scan(seen(smiling=True), seen(smiling=False))
    assert answers(due) == (True, None, False)


def test_a_noisy_face_in_an_empty_room_leaves_no_answer_behind() -> None:
    sensor = Sensor()
    sensor.scan(seen(face=False), seen(smiling=True), seen(face=False), seen(face=False))
    (due,) = sensor.scan(seen(smiling=False), seen(smiling=True))
    assert answers(due) == (True, None, False)


def test_a_heartbeat_counts_from_the_last_payload_sent() -> None:
    sensor = Sensor(LiveRules(heartbeat_s=10))
    sensor.scan(*[seen()] * 5, seen(smiling=False), seen(smiling=False))
    assert [len(sensor.scan(seen(smiling=False))) for _ in range(11)] == [*[0] * 9, 1, 0]


def test_a_heartbeat_carries_the_decided_answers_not_those_of_a_noisy_scan() -> None:
    sensor = Sensor(LiveRules(heartbeat_s=3))
    due = sensor.scan(*[seen()] * 3, seen(smiling=False))
    assert list(map(answers, due)) == [(True, True, False)] * 2


def test_a_payload_that_the_broker_did_not_take_stays_due() -> None:
    sensor = Sensor()
    sensor.takes = False
    assert len(sensor.scan(*[seen()] * 4)) == 4
    sensor.takes = True
    assert len(sensor.scan(*[seen()] * 4)) == 1


def test_without_debouncing_every_change_is_sent() -> None:
    sensor = Sensor(LiveRules(quorum=Quorum(1, 1)))
    assert len(sensor.scan(seen(), seen(smiling=False), seen(), seen())) == 3


def test_a_newcomer_is_told_the_state_but_never_an_old_one() -> None:
    sensor = Sensor(LiveRules(heartbeat_s=10))
    assert sensor.state.current() is None
    sensor.scan(seen())
    current = sensor.state.current()
    assert current is not None
    assert answers(current) == (True, True, False)
    sensor.clock.advance(9 * NS_PER_S)
    assert sensor.state.current() is not None
    sensor.clock.advance(1)
    assert sensor.state.current() is None


@pytest.mark.parametrize(
    "change", [{"bundle": "00000000"}, {"stream": "f" * 16}, {"attributes": {"Wearing_Hat": False}}]
)
def test_another_bundle_start_or_policy_begins_anew(change: dict[str, object]) -> None:
    sensor = Sensor()
    sensor.scan(seen(), seen(), seen())
    other = payload(**{"attributes": {"Smiling": False, "Eyeglasses": True}, **change})
    assert sensor.scan(other) == [other]


@pytest.mark.parametrize("change", [{"bundle": "00000000"}, {"stream": "f" * 16}])
def test_the_same_answers_of_another_bundle_or_start_are_told_at_once(change: dict[str, str]) -> None:
    sensor = Sensor()
    sensor.scan(seen(), seen(), seen())
    assert len(sensor.scan(payload(**change))) == 1


@given(st.lists(FACED, min_size=1, max_size=50), st.sampled_from(QUORUMS))
def test_what_is_due_is_complete_allowed_and_differs_from_what_was_sent(
    scans: list[tuple[bool | None, bool | None, bool | None]], quorum: Quorum
) -> None:
    sensor = Sensor(LiveRules(quorum=quorum))
    for scan in scans:
        sensor.scan(seen(**dict(zip(("face", "smiling", "glasses"), scan, strict=True))))
    for due in sensor.sent:
        assert set(json.loads(due.encode())["a"]) == {"Smiling", "Eyeglasses"}
        assert AttributePayload.decode(due.encode()) == due
    told = list(map(answers, sensor.sent))
    assert all(first != then for first, then in pairwise(told))


@pytest.mark.parametrize("heartbeat_s", [0, 0.5, 3601, float("nan")])
def test_a_heartbeat_out_of_range_is_refused(heartbeat_s: float) -> None:
    with pytest.raises(AppConfigError, match="heartbeat"):
        LiveRules(heartbeat_s=heartbeat_s)
