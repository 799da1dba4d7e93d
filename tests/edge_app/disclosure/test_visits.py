import dataclasses
import datetime as dt
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.debounce import Quorum
from edge_app.disclosure.visits import VisitRules, Visits
from firmware.sim.clock import SimClock
from lsi.errors import AppConfigError
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.payload import AttributePayload
from lsi.schema import MAX_PAYLOAD_BYTES
from lsi.units import NS_PER_S
from tests.payloads import payload

NAMES = ("Smiling", "Eyeglasses")
USUAL = (True, True, False)
STREAM = "0123456789abcdef"
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
ANSWERS = st.sampled_from([True, False, None])
STEP = st.tuples(
    st.sampled_from([0.05, 1.0, 1.0, 3.0, 9.9, 10.0, 60.0]),
    st.sampled_from(["scan", "scan", "scan", "tick"]),
    st.sampled_from([True, True, False, None]),
    ANSWERS,
    ANSWERS,
)


class Sensor:
    """Visits, a clock, and the time of day that goes with it."""

    def __init__(self, rules: VisitRules | None = None, stream: str = STREAM) -> None:
        self.clock = SimClock()
        self.stream = stream
        self.visits = Visits(rules or VisitRules(), clock=self.clock)
        self.events: list[EventPayload] = []

    def scan(self, *said: bool | None) -> None:
        """One scan: a smiling face without glasses, but for what is ``said``."""
        self.take(self.seen(*said, *USUAL[len(said) :]))

    def seen(self, face: bool | None, *answers: bool | None) -> AttributePayload:
        now = NOON + dt.timedelta(microseconds=self.clock.now_ns() // 1000)
        return payload(
            stream=self.stream,
            ts=now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
            face=face,
            attributes={name: answer if face else None for name, answer in zip(NAMES, answers, strict=True)},
        )

    def take(self, scan: AttributePayload) -> None:
        self.events += self.visits.scan(scan)

    def pass_time(self, duration_s: float) -> None:
        self.clock.advance(round(duration_s * NS_PER_S))

    def scans(self, count: int, *args: bool | None, every_s: float = 1.0) -> None:
        for _ in range(count):
            self.scan(*args)
            self.pass_time(every_s)

    def tick(self) -> None:
        self.events += self.visits.tick()

    def close(self) -> list[EventPayload]:
        self.events += self.visits.close()
        return self.events

    @property
    def phases(self) -> list[Phase]:
        return [event.phase for event in self.events]


def test_a_visit_begins_with_the_second_scan_that_sees_a_face() -> None:
    sensor = Sensor()
    sensor.scans(3, False)
    sensor.scan()
    assert sensor.events == []
    sensor.pass_time(1)
    sensor.scan()
    (event,) = sensor.events
    assert event == EventPayload(
        device_id="hall1",
        stream=STREAM,
        seq=0,
        ts="2026-11-22T12:00:04.000Z",
        clock="ntp",
        bundle="89abcdef",
        phase=Phase.START,
        visit=f"{STREAM}-1",
        began="2026-11-22T12:00:03.000Z",
        scans=ScanBucket.ONES,
        attributes={"Smiling": True, "Eyeglasses": False},
    )


def test_one_noisy_scan_is_no_visit() -> None:
    sensor = Sensor()
    for face in (False, True, False, False, None, True, False):
        sensor.scans(1, face)
    assert sensor.close() == []


def test_a_visit_ends_ten_seconds_after_the_last_face_and_lasts_until_it() -> None:
    sensor = Sensor()
    sensor.scans(6)
    sensor.scans(9, False)
    assert sensor.phases == [Phase.START]
    sensor.scan(False)
    assert sensor.phases == [Phase.START, Phase.END]
    end = sensor.events[-1]
    assert (end.ts, end.duration_s) == ("2026-11-22T12:00:05.000Z", 5)


def test_a_visit_ends_without_scans_too() -> None:
    sensor = Sensor()
    sensor.scans(2)
    sensor.pass_time(8.9)
    sensor.tick()
    assert sensor.phases == [Phase.START]
    sensor.pass_time(0.1)
    sensor.tick()
    sensor.tick()
    assert sensor.phases == [Phase.START, Phase.END]


def test_noise_after_a_visit_does_not_prolong_it() -> None:
    sensor = Sensor()
    sensor.scans(3)
    for face in (False, False, True, False, False, True, False, False, False):
        sensor.scans(1, face)
    sensor.scan(False)
    assert sensor.phases == [Phase.START, Phase.END]
    assert sensor.events[-1].duration_s == 2


def test_a_face_lost_for_a_moment_is_the_same_visit() -> None:
    sensor = Sensor()
    sensor.scans(3)
    sensor.scans(5, False)
    sensor.scans(3)
    assert [event.visit for event in sensor.close()] == [f"{STREAM}-1"] * 2


def test_not_known_is_not_presence() -> None:
    sensor = Sensor()
    sensor.scans(2)
    sensor.scans(9, None)
    sensor.scan(None)
    assert sensor.phases == [Phase.START, Phase.END]


def test_faces_far_apart_are_no_visit() -> None:
    sensor = Sensor()
    sensor.scans(4, every_s=60)
    assert sensor.close() == []


def test_a_noisy_face_long_before_a_visit_is_no_part_of_it() -> None:
    sensor = Sensor()
    sensor.scan()
    sensor.pass_time(1)
    sensor.scans(60, False)
    sensor.scans(2)
    (start,) = sensor.events
    assert start.began == "2026-11-22T12:01:01.000Z"


def test_rules_for_slow_scans_leave_room_for_a_quorum() -> None:
    rules = VisitRules().at_interval(60)
    assert (rules.absence_s, VisitRules().at_interval(0.5)) == (180, VisitRules())
    sensor = Sensor(rules)
    sensor.scans(4, every_s=60)
    assert sensor.phases == [Phase.START]
    assert VisitRules().at_interval(86_400).absence_s == 86_400


def test_an_answer_is_what_more_than_half_of_the_scans_gave() -> None:
    sensor = Sensor()
    for smiling, glasses in [(True, True), (True, True), (True, False), (False, False)]:
        sensor.scans(1, True, smiling, glasses)
    assert dict(sensor.close()[-1].attributes) == {"Smiling": True, "Eyeglasses": None}


def test_scans_that_were_not_sure_count_against_both_answers() -> None:
    sensor = Sensor()
    for smiling in (False, None, None, True):
        sensor.scans(1, True, smiling)
    assert sensor.close()[-1].attributes["Smiling"] is None


def test_noise_before_a_visit_has_no_vote_in_it() -> None:
    sensor = Sensor(VisitRules(Quorum(3, 5)))
    for face, smiling in [(True, True), (False, None), (True, True), (False, None), (True, True)]:
        sensor.scans(1, face, smiling)
    assert sensor.events[0].attributes["Smiling"] is True


def test_an_update_tells_only_news_and_not_before_its_time() -> None:
    sensor = Sensor()
    sensor.scans(2)
    sensor.scans(7, True, False)
    assert sensor.phases == [Phase.START]
    sensor.scans(60, True, False)
    updates = [event for event in sensor.events if event.phase is Phase.UPDATE]
    assert [(event.attributes["Smiling"], event.scans) for event in updates] == [(False, ScanBucket.TENS)]


def test_an_update_comes_as_soon_as_its_time_has_come() -> None:
    sensor = Sensor()
    sensor.scans(2)
    sensor.scans(9, True, False)
    assert sensor.phases == [Phase.START]
    sensor.scan(True, False)
    assert sensor.phases == [Phase.START, Phase.UPDATE]
    assert sensor.events[-1].ts == "2026-11-22T12:00:11.000Z"


def test_answers_that_change_all_the_time_are_told_no_more_than_every_ten_seconds() -> None:
    sensor = Sensor()
    for _ in range(31):
        sensor.scans(1, True, True)
        sensor.scans(1, True, False)
    updates = [event.ts[17:19] for event in sensor.events if event.phase is Phase.UPDATE]
    # News comes with every second scan here.
    assert updates == ["11", "22", "33", "44", "55"]


def test_scans_are_told_in_powers_of_ten() -> None:
    sensor = Sensor()
    sensor.scans(1200)
    assert [event.scans for event in sensor.close()] == ["1-9", "10-99", "100-999", "1000+", "1000+"]


@pytest.mark.parametrize(
    "change", [{"bundle": "00000000"}, {"attributes": {"Smiling": True}}, {"stream": "f" * 16}]
)
def test_another_bundle_policy_or_start_ends_the_visit_before_it(change: dict[str, Any]) -> None:
    sensor = Sensor()
    sensor.scans(3)
    sensor.take(dataclasses.replace(sensor.seen(True, True, True), **change))
    end = sensor.events[-1]
    assert (end.phase, end.bundle, end.stream, set(end.attributes)) == (
        Phase.END,
        "89abcdef",
        STREAM,
        set(NAMES),
    )


def test_answers_of_another_bundle_do_not_help_a_visit_to_begin() -> None:
    sensor = Sensor()
    sensor.scans(1)
    sensor.take(dataclasses.replace(sensor.seen(True, True, True), bundle="00000000"))
    assert sensor.events == []


def test_a_stop_ends_an_open_visit_once() -> None:
    sensor = Sensor()
    sensor.scans(3)
    assert [event.phase for event in sensor.close()] == [Phase.START, Phase.END]
    assert sensor.visits.close() == ()


def test_after_a_crash_the_next_start_names_its_visits_anew() -> None:
    crashed, next_start = Sensor(), Sensor(stream="f" * 16)
    crashed.scans(3)
    next_start.scans(3)
    assert [event.visit for event in crashed.events] == [f"{STREAM}-1"]
    assert [event.visit for event in next_start.close()] == [f"{'f' * 16}-1"] * 2


def test_an_event_does_not_change_with_what_comes_later() -> None:
    sensor = Sensor()
    sensor.scans(2)
    before = sensor.events[0].encode_as(1)
    sensor.scans(30, True, False)
    assert sensor.events[0].encode_as(1) == before


@given(st.lists(STEP, max_size=60), st.sampled_from([Quorum(1, 1), Quorum(), Quorum(3, 5)]))
def test_every_start_has_one_end_and_events_keep_their_order(
    steps: list[tuple[float, str, bool | None, bool | None, bool | None]], quorum: Quorum
) -> None:
    rules = VisitRules(quorum)
    sensor = Sensor(rules)
    told_s: dict[str, list[float]] = {}
    for pause_s, what, face, smiling, glasses in steps:
        before = len(sensor.events)
        if what == "tick":
            sensor.tick()
        else:
            sensor.scan(face, smiling, glasses)
        for event in sensor.events[before:]:
            if event.phase is not Phase.END:
                told_s.setdefault(event.visit, []).append(sensor.clock.now_ns() / NS_PER_S)
        sensor.pass_time(pause_s)
    by_visit: dict[str, list[EventPayload]] = {}
    for event in sensor.close():
        by_visit.setdefault(event.visit, []).append(event)
        assert set(event.attributes) == set(NAMES)
        assert len(event.encode_as(2**53 - 1)) <= MAX_PAYLOAD_BYTES
        assert EventPayload.decode(event.encode_as(7)) == dataclasses.replace(event, seq=7)
        assert event.began <= event.ts
    # One visit at a time: its events are together, and no id comes back.
    assert [event for events in by_visit.values() for event in events] == sensor.events
    for events in by_visit.values():
        phases = [event.phase for event in events]
        assert (phases[0], phases[-1]) == (Phase.START, Phase.END)
        assert set(phases[1:-1]) <= {Phase.UPDATE}
        assert len({event.began for event in events}) == 1
        assert all(first.ts <= then.ts for first, then in pairwise(events))
        lasted = dt.datetime.fromisoformat(events[-1].ts) - dt.datetime.fromisoformat(events[-1].began)
        assert events[-1].duration_s is not None
        assert 0 <= events[-1].duration_s <= lasted.total_seconds() + 0.001
    for times_s in told_s.values():
        assert all(then - first >= rules.update_s for first, then in pairwise(times_s))


@pytest.mark.parametrize("name", ["absence_s", "update_s"])
@pytest.mark.parametrize("value", [0, -1, 86_401, float("nan")])
def test_times_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    times: dict[str, Any] = {name: value}
    with pytest.raises(AppConfigError, match=name):
        VisitRules(**times)
