"""What the page says, for which no browser is needed."""

from dataclasses import replace
from typing import Any

import pytest

from host.dashboard_words import (
    REJECTED_SHOWN,
    STALE_S,
    bundle_of,
    facts_of,
    is_silent,
    left_of,
    link_trouble,
    needs_attention,
    problems_of,
    rejected_lines,
    summary_of,
)
from host.fleet import DeviceState, Fleet
from host.subscriber import Received, Rejected
from host.subscription import LinkChanged
from lsi.problems import ADVICE, Problem
from lsi.rollback import ROLLBACK_TEXT, RollbackReason
from lsi.status import Backlog, HealthPayload, RollbackTold, SlotsTold
from lsi.topics import Availability, Kind, Topic
from lsi.update_state import UpdateState
from tests.lsi.test_status import HEALTH, INFO
from transport.broker import LinkState

NOW_S = 1_000_000.0
SLOTS = SlotsTold(is_trial=False, security_epoch=3, highest_epoch=3, downgrades=0)
BACK = RollbackTold("attr-lite-16", "0.2.0", "0123abcd", RollbackReason.SELF_TEST)
WELL = replace(HEALTH, problems=frozenset())


def device(**changes: Any) -> DeviceState:  # noqa: ANN401 - any field
    """Online, healthy and heard a moment ago."""
    fields: dict[str, Any] = {
        "heard_s": NOW_S - 3,
        "availability": Availability.ONLINE,
        "info": replace(INFO, slots=SLOTS),
        "health": WELL,
    }
    return DeviceState("hall1", **{**fields, **changes})


def outbox(**counts: int) -> HealthPayload:
    return replace(WELL, outbox=Backlog(**{"rows": 0, "kept": 0, "dead": 0, "dropped": 0, **counts}))


@pytest.mark.parametrize(
    ("changes", "is_needed"),
    [
        ({}, False),
        ({"availability": Availability.OFFLINE}, True),
        ({"availability": None}, True),
        ({"heard_s": NOW_S - STALE_S - 1}, True),
        ({"heard_s": 0.0}, False),
        ({"health": HEALTH}, True),
        ({"health": None}, False),
        ({"health": outbox(rows=9)}, False),
        ({"health": outbox(dropped=1)}, True),
        ({"health": outbox(dead=1)}, True),
        ({"info": replace(INFO, slots=replace(SLOTS, rollback=BACK))}, True),
        ({"info": None}, False),
    ],
)
def test_what_somebody_should_look_at(changes: dict[str, Any], is_needed: bool) -> None:
    assert needs_attention(device(**changes), NOW_S) is is_needed


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "healthy: 9 scans, 2 dropped"),
        ({}, "sim-mcp3208 (simulated), attr-lite, 16 masks"),
        ({}, "heard 3 s ago"),
        ({"heard_s": NOW_S - 200}, "heard 200 s ago: what is shown may be old"),
        ({"heard_s": 0.0}, "heard nothing since this page's program started"),
        ({"health": None}, "health not heard of yet"),
        ({"health": replace(HEALTH, temperature_c=71.4)}, "has a problem: 9 scans, 2 dropped, 71 °C"),
        ({"health": outbox(rows=1234)}, "1,234 records wait on the device"),
        ({"health": outbox(rows=1, dropped=2, dead=3)}, "1 records wait on the device, 5 were lost"),
        ({"health": replace(WELL, paused_s=60)}, "paused for 60 s more"),
    ],
)
def test_the_facts_of_a_device(changes: dict[str, Any], line: str) -> None:
    assert line in facts_of(device(**changes), NOW_S).splitlines()


@pytest.mark.parametrize("reason", list(RollbackReason))
def test_every_reason_of_a_rollback_is_told(reason: RollbackReason) -> None:
    slots = replace(SLOTS, rollback=replace(BACK, reason=reason))
    lines = bundle_of(device(info=replace(INFO, slots=slots))).splitlines()
    assert lines[1:] == ["went back from attr-lite-16 0.2.0 (0123abcd):", ROLLBACK_TEXT[reason]]


@pytest.mark.parametrize(
    ("slots", "update", "wanted"),
    [
        (None, None, []),
        (SLOTS, UpdateState("0.1.0", "0.1.0"), []),
        (SLOTS, UpdateState("0.1.0", "0.2.0"), ["0.2.0 is staged"]),
        (SLOTS, UpdateState("0.1.0", "0.2.0", in_progress=True), ["0.2.0 is being installed"]),
        (
            SLOTS,
            UpdateState("0.1.0", "0.2.0", in_progress=True, percentage=7),
            ["0.2.0 is being installed (7 %)"],
        ),
        (
            replace(SLOTS, highest_epoch=5, downgrades=2),
            None,
            ["security epoch 3, once 5: root lowered it 2 times"],
        ),
    ],
)
def test_what_is_staged_and_what_was_lowered(
    slots: SlotsTold | None, update: UpdateState | None, wanted: list[str]
) -> None:
    told = bundle_of(device(info=replace(INFO, slots=slots), update=update)).splitlines()
    assert told == ["bundle attr-lite-16 0.1.0 (89abcdef)", *wanted]


def test_a_bundle_on_trial_says_so_and_an_unknown_one_nothing() -> None:
    trial = device(info=replace(INFO, slots=replace(SLOTS, is_trial=True)))
    assert bundle_of(trial) == "bundle attr-lite-16 0.1.0 (89abcdef), on trial"
    assert bundle_of(device(info=None)) == ""


def test_each_problem_comes_with_what_to_try() -> None:
    assert problems_of(device()) == problems_of(device(health=None)) == ""
    hot = device(health=replace(HEALTH, problems=frozenset({Problem.HOT, Problem.POWER})))
    assert problems_of(hot).splitlines() == [f"hot: {ADVICE[Problem.HOT]}", f"power: {ADVICE[Problem.POWER]}"]


def test_bytes_by_topic_of_each_device_and_of_the_fleet() -> None:
    fleet = Fleet()
    for kind, size, count in ((Kind.ATTR, 200, 3), (Kind.INFO, 450, 1), (Kind.HEALTH, 300, 1)):
        content = Availability.ONLINE  # what it holds does not count
        for _ in range(count):
            fleet.take(Received(Topic("hall1", kind), size, retained=False, content=content), NOW_S)
    lines = [line.split() for line in left_of(fleet.devices["hall1"]).splitlines()]
    assert lines == [
        ["attr", "3", "messages", "600", "bytes"],
        ["info", "1", "messages", "450", "bytes"],
        ["health", "1", "messages", "300", "bytes"],
    ]
    assert summary_of(fleet) == "1 of 1 online, 1,350 bytes received"


def test_messages_that_were_turned_away_are_told_newest_first_without_control_characters() -> None:
    fleet = Fleet()
    for number in range(REJECTED_SHOWN + 5):
        fleet.take(Rejected(f"lsi/v1/x{number}/\x1b[2J", 7, "because"), NOW_S)
    lines = rejected_lines(fleet).splitlines()
    assert len(lines) == REJECTED_SHOWN
    assert lines[0] == f"lsi/v1/x{REJECTED_SHOWN + 4}/\N{REPLACEMENT CHARACTER}[2J (7 bytes): because"
    assert summary_of(fleet) == "0 of 0 online, 0 bytes received, 25 messages rejected"


def test_more_devices_than_fit_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.fleet.MAX_DEVICES", 1)
    fleet = Fleet()
    for name in ("a", "b", "b"):
        fleet.take(Received(Topic(name, Kind.AVAILABILITY), 6, retained=True, content=Availability.ONLINE), 1)
    assert summary_of(fleet) == "1 of 1 online, 6 bytes received, 2 messages of more devices than fit"


def test_the_connection_to_the_broker() -> None:
    fleet = Fleet()
    assert link_trouble(fleet) == "Connecting to the broker."
    fleet.take(LinkChanged(LinkState.ONLINE, ""), NOW_S)
    assert link_trouble(fleet) == ""
    fleet.take(LinkChanged(LinkState.AWAY, "lost\x07"), NOW_S)
    assert link_trouble(fleet) == "No connection to the broker (lost\ufffd): what is shown is old."


def test_silence_is_measured_from_what_was_heard_and_not_from_what_was_retained() -> None:
    assert not is_silent(device(heard_s=0.0), NOW_S)
    assert is_silent(device(heard_s=NOW_S - STALE_S - 1), NOW_S)
    assert not is_silent(device(heard_s=NOW_S - STALE_S), NOW_S)
