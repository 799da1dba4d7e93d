"""Exposures of the simulated controller, and what its mirrors do meanwhile."""

import pytest

from firmware.sim.dlpc900_mirrors import MOVE_NS, MirrorState, MirrorTimeline, Shown
from firmware.sim.dlpc900_sequencer import Waiting
from tests.firmware.sim.dlpc900_host import START, STOP, US, Host, configuration, definition, image


@pytest.fixture
def host() -> Host:
    return Host()


# Exposures


def test_the_exposure_begins_105_us_after_the_trigger(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    now_ns = host.clock.now_ns()
    assert host.chip.trigger_in(now_ns) == now_ns + 105 * US


def test_delays_of_both_triggers_add_to_the_edge(host: Host) -> None:
    host.do(0x1A35, bytes.fromhex("2C 01 00"))
    host.do(0x1A1E, bytes.fromhex("00 0A 00 1E 00"))
    host.load()
    host.do(0x1A24, START)
    now_ns = host.clock.now_ns()
    assert host.chip.trigger_in(now_ns) == now_ns + 310 * US
    assert host.state(after_ns=300 * US) == Shown(MirrorState.MOVING, 0)


def test_a_pattern_that_disables_the_output_gives_no_edge_but_is_shown(host: Host) -> None:
    host.enter_on_the_fly()
    data = bytearray(definition(0))
    data[9] = 1
    host.do(0x1A34, bytes(data))
    host.do(0x1A31, configuration(1, 1))
    host.upload(image())
    host.do(0x1A31, configuration(1, 1))
    host.do(0x1A24, START)
    assert host.chip.trigger_in(host.clock.now_ns()) is None
    assert host.state(after_ns=200 * US) == Shown(MirrorState.PLANE, 0)


@pytest.mark.parametrize(
    ("waiting", "afterwards"), [("hold", Shown(MirrorState.PLANE, 0)), ("dark", Shown(MirrorState.ALL_OFF))]
)
def test_one_exposure_from_black_to_black(waiting: Waiting, afterwards: Shown) -> None:
    host = Host(waiting)
    host.load(exposure_us=500)
    host.do(0x1A24, START)
    edge_ns = host.chip.trigger_in(host.clock.now_ns())
    assert edge_ns is not None
    at = host.chip.showing_at
    assert at(edge_ns - 1) == Shown(MirrorState.ALL_OFF)
    assert at(edge_ns) == Shown(MirrorState.MOVING, 0)
    assert at(edge_ns + MOVE_NS - 1) == Shown(MirrorState.MOVING, 0)
    assert at(edge_ns + MOVE_NS) == Shown(MirrorState.PLANE, 0)
    assert at(edge_ns + 500 * US - 1) == Shown(MirrorState.PLANE, 0)
    assert at(edge_ns + 500 * US) == afterwards


def test_held_masks_are_followed_by_105_us_of_black(host: Host) -> None:
    host.do(0x1A35, bytes.fromhex("2C 01 00"))  # 300 us
    host.load()
    host.do(0x1A24, START)
    first_ns = host.chip.trigger_in(host.clock.now_ns())
    assert first_ns is not None
    host.clock.wait_until_ns(first_ns + 500 * US)
    second_ns = host.chip.trigger_in(host.clock.now_ns())
    assert second_ns is not None
    assert host.chip.changes_until(first_ns + 500 * US, second_ns + 1) == [
        (first_ns + 500 * US, Shown(MirrorState.PLANE, 0)),
        (second_ns - 105 * US, Shown(MirrorState.ALL_OFF)),
        (second_ns, Shown(MirrorState.MOVING, 1)),
    ]


def test_a_trigger_during_an_exposure_is_ignored(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    edge_ns = host.chip.trigger_in(host.clock.now_ns())
    assert edge_ns is not None
    assert host.chip.trigger_in(edge_ns - 1) is None
    assert host.chip.trigger_in(edge_ns + 500 * US - 1) is None
    assert host.chip.trigger_in(edge_ns + 500 * US) == edge_ns + (500 + 105) * US


def test_the_running_bit_falls_when_the_last_exposure_has_ended(host: Host) -> None:
    host.load(count=1, exposure_us=20_000)
    assert host.read(0x1A0C) & 2 == 0
    host.do(0x1A24, START)
    assert host.read(0x1A0C) & 2 == 2
    edge_ns = host.chip.trigger_in(host.clock.now_ns())
    assert edge_ns is not None
    assert host.read(0x1A0C) & 2 == 2
    host.clock.wait_until_ns(edge_ns + 20_000 * US)
    assert host.read(0x1A0C) & 2 == 0
    assert host.chip.trigger_in(host.clock.now_ns()) is None


def test_a_pass_without_end_begins_again(host: Host) -> None:
    host.load(count=2)
    host.do(0x1A31, configuration(2, 0))
    host.do(0x1A24, START)
    planes = []
    for _ in range(5):
        edge_ns = host.chip.trigger_in(host.clock.now_ns())
        assert edge_ns is not None
        host.clock.wait_until_ns(edge_ns + 500 * US)
        planes.append(host.chip.showing_at(edge_ns + MOVE_NS).plane)
    assert planes == [0, 1, 0, 1, 0]


def test_a_stop_ends_the_exposure(host: Host) -> None:
    host.load(exposure_us=50_000)
    host.do(0x1A24, START)
    host.chip.trigger_in(host.clock.now_ns())
    host.do(0x1A24, STOP)
    assert host.state(after_ns=10_000_000) == Shown(MirrorState.ALL_OFF)
    assert host.chip.trigger_in(host.clock.now_ns()) is None


def test_idle_mirrors_call_the_sequencer_running(host: Host) -> None:
    # TI E2E 845747
    host.do(0x0201, b"\x01")
    assert host.read(0x1A0C) & 2 == 2
    host.do(0x1A24, STOP)
    assert host.state() == Shown(MirrorState.IDLE)
    host.do(0x0201, b"\x00")
    assert host.read(0x1A0C) & 2 == 0


def test_standby_parks_the_mirrors(host: Host) -> None:
    host.do(0x0200, b"\x01")
    assert host.read(0x1A0C) == 1
    assert host.state() == Shown(MirrorState.PARKED)
    host.do(0x0200, b"\x00")
    assert host.read(0x1A0C) == 0
    assert host.state() == Shown(MirrorState.ALL_OFF)


# What the mirrors do


def test_a_change_drops_what_was_planned_for_later() -> None:
    timeline = MirrorTimeline(0, Shown(MirrorState.ALL_OFF))
    timeline.change(10, Shown(MirrorState.PLANE, 1))
    timeline.change(20, Shown(MirrorState.PLANE, 2))
    timeline.change(10, Shown(MirrorState.IDLE))
    assert timeline.at(9) == Shown(MirrorState.ALL_OFF)
    assert timeline.at(10) == timeline.at(99) == Shown(MirrorState.IDLE)


def test_the_past_is_bounded_and_the_latest_is_kept() -> None:
    timeline = MirrorTimeline(0, Shown(MirrorState.ALL_OFF))
    for k in range(1, 100_001):
        timeline.change(k, Shown(MirrorState.PLANE, k))
    assert [timeline.at(k).plane for k in (92_000, 99_999, 100_000)] == [92_000, 99_999, 100_000]
    assert len(timeline.changes_until(0, 100_001)) < 20_000
