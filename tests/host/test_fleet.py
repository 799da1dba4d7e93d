"""What tables and pages know of each device, and that it stays bounded."""

import io
from types import MappingProxyType

import pytest
from rich.console import Console

from host.fleet import HISTORY, MAX_DEVICES, Fleet
from host.gap_watch import Gap, GapState
from host.listen_filter import ListenFilter, Where
from host.listen_table import fleet_table
from host.subscriber import Content, Received, Rejected
from lsi.errors import AppConfigError
from lsi.topics import Availability, Kind, Topic
from lsi.update_state import UpdateState
from tests.host.devices import health, visit
from tests.lsi.test_status import INFO
from tests.payloads import payload

STREAM = "0123456789abcdef"


def received(kind: Kind, content: Content, device_id: str = "hall1", *, retained: bool = False) -> Received:
    return Received(Topic(device_id, kind), 100, retained, content)


def drawn(fleet: Fleet, now_s: float = 10, rows: int = 40) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=True, color_system=None)
    console.print(fleet_table(fleet, now_s, rows))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_the_latest_of_each_kind_is_kept_and_bytes_are_counted_by_kind() -> None:
    fleet = Fleet()
    contents: list[tuple[Kind, Content]] = [
        (Kind.AVAILABILITY, Availability.ONLINE),
        (Kind.INFO, INFO),
        (Kind.UPDATE, UpdateState("1.0.0", "1.1.0")),
        (Kind.ATTR, payload()),
        (Kind.ATTR, payload(face=False, attributes={"Smiling": None})),
        (Kind.EVENT, visit(STREAM, seq=4)),
        (Kind.HEALTH, health(STREAM, 9, waiting=3)),
    ]
    for at_s, (kind, content) in enumerate(contents):
        fleet.take(received(kind, content), at_s)
    (device,) = fleet.in_order()
    assert device.answers == {"face": False, "Smiling": None}
    assert [moment.at_s for moment in device.history] == [3, 4]
    assert (device.backlog, device.heard_s, device.availability) == (3, 6, Availability.ONLINE)
    assert device.bytes_by_kind[Kind.ATTR] == 200
    assert device.messages_by_kind[Kind.EVENT] == 1
    assert (device.info, device.update, device.visit) == (INFO, contents[2][1], contents[5][1])


def test_what_is_missing_is_counted_down_when_it_comes_or_is_gone() -> None:
    fleet = Fleet()
    for first, last, state in [(3, 7, GapState.MISSING), (4, 4, GapState.FILLED), (5, 6, GapState.GONE)]:
        fleet.take(Gap("hall1", STREAM, first, last, state), 0)
    assert fleet.devices["hall1"].missing == 2


def test_a_retained_message_does_not_make_a_device_look_alive() -> None:
    fleet = Fleet()
    fleet.take(received(Kind.AVAILABILITY, Availability.OFFLINE, retained=True), 5)
    assert fleet.devices["hall1"].heard_s == 0
    assert "never" in drawn(fleet)


def test_invented_devices_and_long_histories_do_not_fill_the_memory() -> None:
    fleet = Fleet()
    for number in range(MAX_DEVICES + 5):
        fleet.take(received(Kind.AVAILABILITY, Availability.ONLINE, f"d{number}"), 0)
    for number in range(HISTORY + 5):
        fleet.take(received(Kind.ATTR, payload(), "d1"), number)
        fleet.take(Rejected("t", 1, "r"), number)
    assert (len(fleet.devices), fleet.unknown_devices) == (MAX_DEVICES, 5)
    assert len(fleet.devices["d1"].history) == HISTORY
    assert (fleet.rejected_count, len(fleet.rejected)) == (HISTORY + 5, 100)


def test_the_table_shows_answers_backlog_and_age() -> None:
    fleet = Fleet()
    fleet.take(received(Kind.AVAILABILITY, Availability.ONLINE), 1)
    fleet.take(received(Kind.ATTR, payload()), 2)
    fleet.take(received(Kind.EVENT, visit(STREAM, seq=4)), 3)
    fleet.take(received(Kind.HEALTH, health(STREAM, 9, waiting=37)), 4)
    fleet.take(Gap("hall1", STREAM, 1, 21, GapState.MISSING), 5)
    row = next(line for line in drawn(fleet).splitlines() if "hall1" in line)
    words = ["online", "yes", "Smiling yes", "Eyeglasses no", "start 12:00:00", "37", "21", "400", "6 s ago"]
    assert [word for word in words if word not in row] == []


def test_the_table_says_what_it_does_not_show_and_what_was_rejected() -> None:
    fleet = Fleet()
    for number in range(5):
        fleet.take(received(Kind.AVAILABILITY, Availability.ONLINE, f"d{number}"), 0)
    fleet.take(Rejected("t", 1, "a bad \x1b[2Jpayload"), 0)
    shown = drawn(fleet, rows=3)
    assert "d2" in shown
    assert "d3" not in shown
    assert "2 not shown" in shown
    assert "1 messages rejected" in shown
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ((), True),
        (("Smiling=yes",), True),
        (("Smiling=no",), False),
        (("Smiling=yes", "Eyeglasses=no"), True),
        (("Smiling=yes", "Eyeglasses=-"), False),
        (("face=yes",), True),
        (("Wearing_Hat=-",), False),
    ],
)
def test_conditions_select_by_answer(conditions: tuple[str, ...], passes: bool) -> None:
    wanted = ListenFilter(tuple(map(Where.parse, conditions)))
    assert wanted(received(Kind.ATTR, payload())) is passes
    assert wanted(received(Kind.INFO, INFO))
    assert wanted(Rejected("t", 1, "r"))


def test_a_visit_has_a_face() -> None:
    event = received(Kind.EVENT, visit(STREAM, seq=4, number=2))
    assert ListenFilter((Where("face", True), Where("Smiling", True), Where("Eyeglasses", None)))(event)


@pytest.mark.parametrize("text", ["Smiling", "Smiling=maybe", "=yes", ""])
def test_a_condition_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AppConfigError, match="no condition"):
        Where.parse(text)


def test_equal_answers_are_kept_once_and_cannot_be_changed() -> None:
    fleet = Fleet()
    for number in range(6):
        for name in ("hall1", "hall2"):
            live = payload(device_id=name, seq=number + 1, attributes={"Smiling": number % 2 == 0})
            fleet.take(received(Kind.ATTR, live, name), float(number))
    histories = [moment.answers for device in fleet.in_order() for moment in device.history]
    assert len(histories) == 12
    assert len({id(answers) for answers in histories}) == 2
    assert histories[:2] == [{"face": True, "Smiling": True}, {"face": True, "Smiling": False}]
    assert isinstance(histories[0], MappingProxyType)
