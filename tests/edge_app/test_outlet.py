"""What the service tells: live state on change and by heartbeat, visits, health, answers to commands."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from edge_app.link.home_assistant import HEARTBEAT_S
from edge_app.link.publisher import CertificateState, WayOut
from edge_app.outlet import HEALTH_PERIOD_NS, Outlet, Told
from edge_app.pause import Pause
from edge_app.records.outbox_records import DropReason, OutboxStatus
from edge_app.records.outbox_schema import Fault
from edge_app.results_choice import results_of
from edge_app.rig.device_rig import COUNT_NAME
from edge_app.vitals import Vitals
from edge_app.wall_clock import SystemWallClock
from firmware.factory import open_rig
from firmware.sim.clock import SimClock
from lsi.bundle import parse_bundle
from lsi.command_documents import Accepted, AckPayload, Command, Refused, command_topic
from lsi.disclosure import DisclosurePolicy
from lsi.errors import LowLightError
from lsi.payload import AttributePayload
from lsi.problems import Problem
from lsi.status import HealthPayload, InfoPayload, Throttling
from lsi.topics import Kind
from lsi.units import NS_PER_S
from lsi.update_state import UpdateState
from tests.bundles import small_bundle
from tests.edge_app.test_service import BOARD, CONFIG, RecordingPublisher
from transport.broker import Message

STREAM = "0123456789abcdef"


class Desk:
    """An outlet with a clock that moves by hand, one second a scan."""

    def __init__(self, *, every_scan: bool = False, state: Path = Path("/nonexistent")) -> None:
        self.clock = SimClock()
        self.publisher = RecordingPublisher()
        self.pause = Pause(self.clock)
        self.vitals = Vitals()
        bundle = parse_bundle(small_bundle(), "small")
        config = replace(CONFIG, every_scan=every_scan, state=state)
        self.told = Told(config, bundle, open_rig(BOARD), DisclosurePolicy(), STREAM, lambda: self.vitals)
        self.results = results_of(
            config,
            bundle,
            DisclosurePolicy(),
            self.publisher,
            stream=STREAM,
            clock=self.clock,
            wall_clock=SystemWallClock(),
        )
        self.outlet = Outlet(self.told, self.results, self.publisher, self.clock, self.pause)
        self._seq = 0

    def scan(self, *, face: bool = True, smiling: bool | None = True) -> bool:
        self._seq += 1
        self.clock.advance(NS_PER_S)
        answers = {"Smiling": smiling if face else None, "Eyeglasses": False if face else None}
        payload = AttributePayload(
            device_id="hall1",
            stream=STREAM,
            seq=self._seq,
            ts="2026-01-01T12:00:00.000Z",
            clock="ntp",
            bundle="01234567",
            face=face,
            attributes=answers,
            scan_ms=40.0,
            infer_ms=0.3,
        )
        return self.outlet.tell(payload)

    def ask(self, command: Command, payload: bytes = b"{}") -> AckPayload:
        self.publisher.inbox.append(Message(command_topic("hall1", command), payload))
        self.outlet.serve()
        return AckPayload.decode(self.publisher.replies[-1].payload)

    @property
    def attr(self) -> list[AttributePayload]:
        return [AttributePayload.decode(payload) for payload in self.publisher.of(Kind.ATTR)]

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(payload) for payload in self.publisher.of(Kind.EVENT)]

    @property
    def health(self) -> HealthPayload:
        return HealthPayload.decode(self.publisher.of(Kind.HEALTH)[-1])


def test_live_state_is_told_at_first_on_a_confirmed_change_and_by_heartbeat() -> None:
    desk = Desk()
    assert [desk.scan() for _ in range(4)] == [True, False, False, False]
    assert not desk.scan(smiling=False)
    assert desk.scan(smiling=False)
    assert [payload.attributes["Smiling"] for payload in desk.attr] == [True, False]
    told = [desk.scan(smiling=False) for _ in range(int(HEARTBEAT_S))]
    assert told.count(True) == 1
    assert told[-1]


def test_every_scan_is_told_where_that_is_asked_for() -> None:
    desk = Desk(every_scan=True)
    assert all(desk.scan() for _ in range(3))
    assert [payload.seq for payload in desk.attr] == [1, 2, 3]


def test_what_was_not_sent_stays_due() -> None:
    desk = Desk()
    desk.publisher.online = False
    assert not desk.scan()
    desk.publisher.online = True
    assert desk.scan()


def test_a_visit_is_a_start_and_an_end_and_a_clean_stop_ends_it_too() -> None:
    desk = Desk()
    for _ in range(3):
        desk.scan()
    for _ in range(12):
        desk.scan(face=False)
    assert [event["phase"] for event in desk.events] == ["start", "end"]
    assert [event["seq"] for event in desk.events] == [1, 2]
    for _ in range(3):
        desk.scan()
    desk.outlet.close()
    assert [event["phase"] for event in desk.events[2:]] == ["start", "end"]


def test_a_visit_ends_while_scans_fail() -> None:
    desk = Desk()
    for _ in range(3):
        desk.scan()
    for seq in range(4, 20):
        desk.clock.advance(NS_PER_S)
        desk.outlet.miss(seq, LowLightError("Dark."))
    assert [event["phase"] for event in desk.events] == ["start", "end"]
    assert desk.health.problems == {Problem.LOW_LIGHT}


def test_the_greeting_is_info_health_update_and_a_state_that_is_fresh() -> None:
    desk = Desk()
    kinds = [kind for kind, _ in desk.outlet.greeting()]
    assert kinds == [Kind.INFO, Kind.HEALTH, Kind.UPDATE]
    desk.scan()
    greeting = desk.outlet.greeting()
    assert [kind for kind, _ in greeting] == [*kinds, Kind.ATTR]
    assert UpdateState.decode(dict(greeting)[Kind.UPDATE]) == UpdateState("1.2.3", "1.2.3")
    desk.clock.advance(round(2 * HEARTBEAT_S * NS_PER_S))
    assert [kind for kind, _ in desk.outlet.greeting()] == kinds


def test_info_counts_the_patterns_that_calibrations_have_shown(tmp_path: Path) -> None:
    (tmp_path / COUNT_NAME).write_text("1168\n")
    info = dict(Desk(state=tmp_path).outlet.greeting())[Kind.INFO]
    assert InfoPayload.decode(info).calibration_patterns == 1168


def test_health_is_told_again_after_a_minute_with_the_median_inference() -> None:
    desk = Desk()
    desk.scan()
    desk.clock.advance(HEALTH_PERIOD_NS)
    desk.outlet.serve()
    desk.outlet.serve()
    assert len(desk.publisher.of(Kind.HEALTH)) == 1
    assert desk.health.infer_ms == 0.3
    assert desk.health.scans == 1


def test_home_assistant_that_was_born_gets_health_and_state_again() -> None:
    desk = Desk()
    desk.scan()
    desk.publisher.sent.clear()
    desk.publisher.owes_state = True
    desk.outlet.serve()
    assert {Kind.HEALTH, Kind.ATTR} <= {kind for kind, _ in desk.publisher.sent}


@pytest.mark.parametrize(
    ("way_out", "problem"),
    [
        (WayOut(is_in_conflict=True), Problem.CLIENT_ID_CONFLICT),
        (WayOut(certificate=CertificateState("2026-12-31T00:00:00Z", is_refused=True)), Problem.CERTIFICATE),
        (
            WayOut(
                outbox=OutboxStatus(
                    5, 900, 2, 1, {DropReason.AGE: 3, DropReason.POLICY: 2}, Fault.DISK_FULL, set_aside=False
                )
            ),
            Problem.OUTBOX,
        ),
    ],
)
def test_what_is_wrong_with_the_way_out_is_in_health(
    way_out: WayOut, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    monkeypatch.setattr(desk.publisher, "way_out", lambda: way_out)
    desk.clock.advance(HEALTH_PERIOD_NS)
    desk.outlet.serve()
    assert desk.health.problems == {problem}
    if way_out.certificate is not None:
        assert desk.health.certificate_expires == "2026-12-31T00:00:00Z"
    if way_out.outbox is not None:
        assert desk.health.outbox is not None
        assert (desk.health.outbox.rows, desk.health.outbox.dropped) == (5, 5)
        assert desk.health.outbox.withheld == 2


def test_commands_are_carried_out_and_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    asked: list[tuple[Command, bytes, Callable[[], bool]]] = [
        (Command.REBIRTH, b"{}", lambda: len(desk.publisher.of(Kind.INFO)) == 1),
        (Command.IDENTIFY, b"{}", lambda: "asked to identify" in caplog.text),
        (Command.PAUSE, b'{"seconds":30}', lambda: desk.pause.left_s == 30),
    ]
    for command, payload, done in asked:
        assert isinstance(desk.ask(command, payload).reply, Accepted)
        assert done()


def test_a_pause_and_its_end_are_told_at_once() -> None:
    desk = Desk()
    desk.ask(Command.PAUSE, b'{"seconds":30}')
    assert desk.health.paused_s == 30
    told = len(desk.publisher.of(Kind.HEALTH))
    desk.clock.advance(29 * NS_PER_S)
    desk.outlet.serve()
    assert len(desk.publisher.of(Kind.HEALTH)) == told
    desk.clock.advance(NS_PER_S)
    desk.outlet.serve()
    assert len(desk.publisher.of(Kind.HEALTH)) == told + 1
    assert desk.health.paused_s == 0


@pytest.mark.parametrize(
    ("throttled", "problems"),
    [
        ({Throttling.UNDER_VOLTAGE, Throttling.THROTTLED}, {Problem.POWER}),
        ({Throttling.SOFT_TEMPERATURE_LIMIT}, {Problem.HOT}),
        (set(), set()),
    ],
)
def test_what_slows_the_board_down_is_in_health(throttled: set[Throttling], problems: set[Problem]) -> None:
    desk = Desk()
    desk.vitals = Vitals(81.34, frozenset(throttled))
    desk.clock.advance(HEALTH_PERIOD_NS)
    desk.outlet.serve()
    assert desk.health.problems == problems
    assert desk.health.throttled == throttled
    assert desk.health.temperature_c == 81.3


def test_a_command_that_nobody_can_carry_out_is_refused() -> None:
    desk = Desk()
    assert isinstance(desk.ask(Command.UPDATE, b"INSTALL").reply, Refused)
    replay = b'{"stream":"0123456789abcdef","from":1,"to":2}'
    assert isinstance(desk.ask(Command.REPLAY, replay).reply, Refused)


def test_what_a_scan_can_tell_is_told_once_for_each_bundle() -> None:
    desk = Desk()
    told: list[int | None] = []
    for bits in (700, 650):
        desk.outlet.measured(partial(int, bits))
        told.append(InfoPayload.decode(desk.publisher.of(Kind.INFO)[-1]).bits_per_frame)
    desk.outlet.change(desk.told, desk.results)
    desk.outlet.measured(lambda: 650)
    told.append(InfoPayload.decode(desk.publisher.of(Kind.INFO)[-1]).bits_per_frame)
    assert told == [700, 700, 650]
    assert len(desk.publisher.of(Kind.INFO)) == 2
