"""The power goes at every operation of every change of the slots: what a device finds at its next start."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge_app.bundles.slot_files import Files
from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import Happened, SlotName, SlotTable, Standing
from lab.power_cut import Fault, PowerCut, SimulatedDisk
from lsi.bundle import open_archive
from lsi.errors import LsiError
from lsi.rollback import RollbackReason

FOLDER: Final = Path("/state/bundles")
NOW: Final = "2026-01-01T12:00:00.000Z"

Disk = dict[Path, bytes]
Step = Callable[[SlotStore], object]
Check = Callable[[bytes], object]
"""Raises an ``LsiError`` for a bundle that a device would not run."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Changes one after another, on a disk with ``start`` on it."""

    name: str
    start: Mapping[Path, bytes]
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Point:
    """One way for the power to go, and what is wrong afterwards; nothing should be."""

    scenario: str
    operation: str
    wrong: tuple[str, ...]


def store_on(files: Files) -> SlotStore:
    """The slots on a simulated disk."""
    return SlotStore(FOLDER, files, lambda: NOW, contextlib.nullcontext)


def installing(content: bytes) -> Step:
    """The step that installs ``content``."""
    manifest = open_archive(content, Path("simulated.lsib")).manifest
    return lambda store: store.install(content, manifest)


def activating(store: SlotStore) -> object:
    """The step that has the staged bundle tried."""
    return store.activate(offline_ok=False)


def failing(store: SlotStore) -> object:
    """The step in which a try fails."""
    return store.fail_try(RollbackReason.SELF_TEST, "full-on")


def rolling_back(store: SlotStore) -> object:
    """The step that goes back to the active bundle."""
    return store.roll_back(RollbackReason.SELF_TEST, "full-on")


def scenarios(old: bytes, new: bytes, newest: bytes) -> list[Scenario]:
    """Install, activate, commit, rollback and the start, from every state that they can begin in."""
    to_active: list[Step] = [installing(old), activating, SlotStore.begin_try, SlotStore.commit]
    passing: list[Step] = [installing(new), activating, SlotStore.begin_try, SlotStore.commit]
    trying: list[Step] = [SlotStore.begin_try, failing] * 3
    rejecting: list[Step] = [installing(new), activating, *trying, rolling_back]
    one = after({}, to_active)
    two = after(one, passing)
    return [
        Scenario("the first install", {}, to_active),
        Scenario("an update", one, passing),
        Scenario("an update over the previous bundle", two, [installing(newest), activating]),
        Scenario("three tries and a rollback", one, rejecting),
        Scenario("an update after a rollback", after(one, rejecting), [installing(newest)]),
        Scenario("a staged bundle replaced", after(one, passing[:1]), [installing(newest)]),
        Scenario("a stop in mid-trial", after(one, passing[:3]), [SlotStore.give_back, SlotStore.begin]),
        Scenario("back to the previous bundle", two, [SlotStore.switch, SlotStore.switch]),
        Scenario("a start without a table", _without_table(two), [SlotStore.begin]),
        Scenario("a start with a damaged slot", _damaged(two, SlotName.B), [SlotStore.begin]),
        Scenario("a refused bundle", two, [lambda store: store.refuse("x", "not signed")]),
    ]


def after(start: Mapping[Path, bytes], steps: Sequence[Step]) -> Disk:
    """The disk after ``steps``."""
    disk = SimulatedDisk(start)
    for step in steps:
        step(store_on(disk))
    return disk.contents


def sweep(scenario: Scenario, check: Check) -> Iterator[Point]:
    """Every point at which the power can go, and every disk that it can leave, looked at after a start."""
    tables = _tables(scenario)
    for number, operation in enumerate(_operations(scenario)):
        disk = SimulatedDisk(scenario.start, Fault(number))
        done = _run_until_cut(scenario, disk)
        allowed = _allowed(tables[done], tables[done + 1])
        for left in disk.remains():
            yield Point(scenario.name, f"{number} {operation}", tuple(_wrong(left, allowed, check)))


def _operations(scenario: Scenario) -> list[str]:
    disk = SimulatedDisk(scenario.start)
    for step in scenario.steps:
        step(store_on(disk))
    return disk.operations


def _tables(scenario: Scenario) -> list[SlotTable]:
    """What a start would find before the first step and after each."""
    disks = [after(scenario.start, scenario.steps[:count]) for count in range(len(scenario.steps) + 1)]
    return [store_on(SimulatedDisk(disk)).begin() for disk in disks]


def _run_until_cut(scenario: Scenario, disk: SimulatedDisk) -> int:
    """How many steps were done when the power went."""
    done = 0
    with contextlib.suppress(PowerCut):
        for step in scenario.steps:
            step(store_on(disk))
            done += 1
    return done


def _allowed(before: SlotTable, following: SlotTable) -> list[SlotTable]:
    """What was done stays done; what was under way is done, or not, or its slot is empty."""
    emptied = [
        replace(before, a=None) if slot is SlotName.A else replace(before, b=None)
        for slot, held in before.held()
        if held.standing not in {Standing.ACTIVE, Standing.TRIAL}
    ]
    return [before, following, *emptied]


def _wrong(left: Disk, allowed: Sequence[SlotTable], check: Check) -> Iterator[str]:
    disk = SimulatedDisk(left)
    store = store_on(disk)
    table = store.begin()
    if all((table.a, table.b) != (each.a, each.b) for each in allowed):
        yield f"the slots are neither as before nor as afterwards: {table.a} {table.b}"
    if any(each.highest_epoch > table.highest_epoch for each in allowed[:1]):
        yield "the highest epoch went down"
    if _damages(table) > max(map(_damages, allowed)):
        yield "a power cut is taken for a damaged card"
    for slot in SlotName:
        yield from _wrong_in(slot, table, disk, store, check)
    if store_on(SimulatedDisk(disk.contents)).begin() != table:
        yield "the next start finds something else"


def _damages(table: SlotTable) -> int:
    return sum(line.what is Happened.DAMAGED for line in table.history)


def _wrong_in(
    slot: SlotName, table: SlotTable, disk: SimulatedDisk, store: SlotStore, check: Check
) -> Iterator[str]:
    if table[slot] is None:
        if disk.read(store.path(slot)) is not None:
            yield f"slot {slot} is marked empty and holds a file"
        return
    try:
        check(store.content(slot))
    except LsiError as error:
        yield f"slot {slot}: {error}"


def _without_table(start: Mapping[Path, bytes]) -> Disk:
    return {path: content for path, content in start.items() if path.suffix != ".json"}


def _damaged(start: Mapping[Path, bytes], slot: SlotName) -> Disk:
    path = store_on(SimulatedDisk()).path(slot)
    return {**start, path: bytes(len(start[path]))}
