"""Mode ``agg`` in the service: windows and nothing else of anybody, whatever clock and ledger do."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.disclosure.aggregate import AggRules
from edge_app.disclosure.policy import in_force
from edge_app.disclosure.privacy_ledger import LEDGER_NAME
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import ResultTerms
from edge_app.link.publisher import message_of
from edge_app.outlet import HEALTH_PERIOD_NS, Outlet, Told
from edge_app.pause import Pause
from edge_app.results_choice import results_of
from firmware.factory import open_rig
from firmware.sim.clock import SimClock
from lsi.aggregate import AggPayload
from lsi.bundle import parse_bundle
from lsi.command_documents import Accepted, AckPayload, Command, command_topic
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.problems import Problem
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Kind
from lsi.units import NS_PER_S
from tests.bundles import small_bundle
from tests.edge_app.records.outbox_bench import SetWallClock
from tests.edge_app.test_service import BOARD, CONFIG, RecordingPublisher
from tests.payloads import payload
from transport.broker import Message

STREAM = "0123456789abcdef"
COUNTED = DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.AGG)


class Wall(SetWallClock):
    """Spells the time as the device does."""

    def timestamp(self) -> str:
        return super().timestamp().replace("+00:00", "Z")


class Hall:
    """A sensor in mode ``agg`` at a place where people come and go; every message passes the real guard."""

    def __init__(self, state: Path, clock: SimClock | None = None) -> None:
        self.clock = clock or SimClock(5 * NS_PER_S)
        self.wall = Wall()
        self.publisher = RecordingPublisher()
        self._bundle = parse_bundle(small_bundle(), "small")
        config = replace(CONFIG, state=state, policy=COUNTED, agg=AggRules(900))
        self._policy = in_force(config.policy, self._bundle)
        results = results_of(
            config,
            self._bundle,
            self._policy,
            self.publisher,
            stream=STREAM,
            clock=self.clock,
            wall_clock=self.wall,
        )
        told = Told(config, self._bundle, open_rig(BOARD), self._policy, STREAM)
        self.outlet = Outlet(told, results, self.publisher, self.clock, Pause(self.clock))
        self._seq = 0

    def scan(self, *, face: bool) -> None:
        self._seq += 1
        self.clock.advance(NS_PER_S)
        scanned = payload(
            seq=self._seq, stream=STREAM, face=face, attributes={"Smiling": True if face else None}
        )
        self.outlet.tell(scanned)
        self.outlet.serve()

    def visits(self, count: int) -> None:
        """Each of 4 s with a face and 12 s without one."""
        for _ in range(count):
            for face in [True] * 4 + [False] * 12:
                self.scan(face=face)

    def empty(self, seconds: int) -> None:
        for _ in range(seconds):
            self.scan(face=False)

    @property
    def windows(self) -> list[AggPayload]:
        return [AggPayload.decode(each) for each in self.publisher.of(Kind.AGG)]

    @property
    def health(self) -> HealthPayload:
        return HealthPayload.decode(self.publisher.of(Kind.HEALTH)[-1])

    @property
    def info(self) -> InfoPayload:
        return InfoPayload.decode(dict(self.outlet.greeting())[Kind.INFO])

    def check_everything(self) -> None:
        """All that was said may leave, and none of it is of one person."""
        guard = EgressGuard("hall1", ResultTerms.of(self._policy, self._bundle, STREAM))
        for kind, said in self.publisher.sent:
            guard.check(message_of("hall1", kind, said))
            assert kind not in {Kind.ATTR, Kind.EVENT}


def test_a_busy_hall_is_told_as_a_noisy_number_and_an_empty_one_as_nothing(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.visits(56)  # 896 s
    hall.empty(904)
    hall.outlet.close()
    busy, empty = hall.windows
    assert busy.visits is not None
    assert abs(busy.visits - 56) < 60  # noise of scale 2: further off once in 10^13
    assert busy.yes is not None
    assert set(busy.yes) == {"Smiling"}
    assert (busy.window_s, busy.epsilon, busy.sensitivity) == (900, 1.0, 2)
    assert empty.visits is None or empty.visits >= 10
    hall.check_everything()


def test_the_greeting_tells_no_state_and_info_tells_what_it_costs(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.scan(face=True)
    assert [kind for kind, _ in hall.outlet.greeting()] == [Kind.INFO, Kind.HEALTH, Kind.UPDATE]
    assert hall.info.mode == "agg"
    assert hall.info.agg is not None
    assert (hall.info.agg.epsilon, hall.info.agg.window_s, hall.info.agg.releases) == (1.0, 900, 0)
    hall.empty(1800)
    assert hall.info.agg is not None
    assert (hall.info.agg.releases, hall.info.agg.spent) == (2, 2.0)


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0, -900.0, 900.0])
def test_a_wall_clock_that_jumps_gives_no_window_and_takes_none(tmp_path: Path, jump_s: float) -> None:
    hall = Hall(tmp_path)
    for _ in range(4):
        hall.empty(450)
        hall.wall.now_s += jump_s
    assert len(hall.windows) == 2


def test_a_restart_neither_repeats_nor_hurries_a_window(tmp_path: Path) -> None:
    clock = SimClock(5 * NS_PER_S)
    told = 0
    for uptime_s in (300, 899, 901, 100, 1000):
        hall = Hall(tmp_path, clock)
        hall.empty(uptime_s)
        hall.outlet.close()
        told += len(hall.windows)
    assert told == 2
    assert hall.info.agg is not None
    assert hall.info.agg.releases == 2


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"{}"), lambda path: path.write_bytes(b"\xff" * 50), Path.unlink]
)
def test_a_corrupted_ledger_publishes_nothing_keeps_sensing_and_says_so(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    Hall(tmp_path).empty(900)
    damage(tmp_path / LEDGER_NAME)
    hall = Hall(tmp_path)
    assert "No window will be told" in caplog.text
    hall.visits(60)
    hall.clock.advance(HEALTH_PERIOD_NS)
    hall.outlet.serve()
    assert hall.windows == []
    assert hall.health.problems == {Problem.LEDGER}
    assert hall.health.scans == 60 * 16
    hall.check_everything()


@pytest.mark.parametrize("command", Command)
def test_no_command_reaches_the_ledger(tmp_path: Path, command: Command) -> None:
    hall = Hall(tmp_path)
    hall.empty(900)
    before = (tmp_path / LEDGER_NAME).read_bytes()
    words = {Command.UPDATE: b"INSTALL", Command.PAUSE: b'{"seconds":0}'}
    hall.publisher.inbox.append(Message(command_topic("hall1", command), words.get(command, b"{}")))
    hall.outlet.serve()
    reply = AckPayload.decode(hall.publisher.replies[-1].payload).reply
    assert isinstance(reply, Accepted) == (command in {Command.REBIRTH, Command.IDENTIFY, Command.PAUSE})
    assert (tmp_path / LEDGER_NAME).read_bytes() == before
    assert json.loads(before)["releases"] == 1
