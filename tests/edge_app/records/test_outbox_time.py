"""Age is judged by the outbox's own time, whatever the wall clock does."""

from pathlib import Path

import pytest

from edge_app.records import outbox_time
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import DropReason
from edge_app.records.outbox_time import OutboxTime, TimeMark, boot_id
from firmware.sim.clock import SimClock
from lsi.units import NS_PER_MS, NS_PER_S
from tests.edge_app.records.outbox_bench import DAY_S, A, B, Bench, C, SetWallClock, fill, held


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "outbox" / "outbox.db")


def age_s(outbox: Outbox) -> list[float]:
    return [record.age_s for record in outbox.take(100)]


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_wall_clock_that_jumps_changes_neither_order_nor_age(bench: Bench, jump_s: float) -> None:
    with bench.opened() as outbox:
        keys = fill(outbox, 1)
        bench.wall.now_s += jump_s
        bench.pass_s(60)
        keys += fill(outbox, 1)
        outbox.sweep()
        assert held(outbox) == keys
        assert age_s(outbox) == [60, 0]
        bench.pass_s(DAY_S - 60)
        outbox.sweep()
        assert held(outbox) == keys[1:]


@pytest.mark.parametrize("jump_s", [0, DAY_S, -DAY_S])
def test_a_new_start_in_the_same_boot_goes_on_by_the_monotonic_clock(bench: Bench, jump_s: float) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 1)
    bench.pass_s(100)
    bench.wall.now_s += jump_s
    with bench.opened(B) as outbox:
        assert age_s(outbox) == [100]


def test_across_boots_a_trusted_wall_clock_tells_how_long_the_device_was_off(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 1)
    bench.reboot("boot-2", off_s=3600)
    with bench.opened(B) as outbox:
        assert age_s(outbox) == [3600]
    bench.reboot("boot-3", off_s=DAY_S)
    with bench.opened(C) as outbox:
        outbox.sweep()
        assert outbox.status().dropped[DropReason.AGE] == 1


def test_an_earlier_date_after_a_boot_makes_nothing_younger(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 1)
        bench.pass_s(500)
    bench.reboot("boot-2", off_s=-DAY_S)
    with bench.opened(B) as outbox:
        assert age_s(outbox) == [500]


def test_an_unsynced_date_after_a_boot_counts_once_it_is_synced(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 1)
    bench.reboot("boot-2", off_s=3600)
    real_s = bench.wall.now_s
    bench.wall.now_s, bench.wall.trusted = real_s + 30 * DAY_S, False  # nonsense
    with bench.opened(B) as outbox:
        outbox.sweep()
        assert age_s(outbox) == [0]
        bench.pass_s(20)
        outbox.sweep()
        assert age_s(outbox) == [20]
    with bench.opened(C) as outbox:  # a restart in between forgets nothing
        bench.wall.now_s, bench.wall.trusted = real_s + 20, True
        outbox.sweep()
        assert age_s(outbox) == [3620]
        outbox.sweep()
        assert age_s(outbox) == [3620]


def test_without_a_trusted_date_before_the_power_cut_the_time_off_counts_as_nothing(bench: Bench) -> None:
    bench.wall.trusted = False
    with bench.opened(A) as outbox:
        fill(outbox, 1)
    bench.reboot("boot-2", off_s=3600)
    bench.wall.trusted = True
    with bench.opened(B) as outbox:
        outbox.sweep()
        assert age_s(outbox) == [0]


def test_a_boot_that_has_no_name_is_another_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boot_id() == boot_id()
    monkeypatch.setattr(outbox_time, "BOOT_ID", bench.path)
    assert boot_id() != boot_id()


def test_time_never_lies_before_the_youngest_row() -> None:
    time = OutboxTime(SimClock(NS_PER_S), SetWallClock(trusted=False), "boot-2")
    time.resume(TimeMark("boot-1", 5_000, 90_000, None), newest_ms=65_000)
    assert time.now_ms() == 65_000


def test_a_mark_of_this_boot_from_the_future_is_of_another_one() -> None:
    clock = SimClock(10 * NS_PER_S)
    time = OutboxTime(clock, SetWallClock(), "boot-1")
    time.resume(TimeMark("boot-1", 5_000, 90_000, None), newest_ms=0)
    assert time.now_ms() == 5_000
    clock.advance(7 * NS_PER_MS)
    assert time.now_ms() == 5_007
