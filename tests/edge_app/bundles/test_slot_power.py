"""Power cuts and disks that fail, at every operation of every change of the slots."""

import errno
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from edge_app.bundles import slot_changes, slot_files, slot_store
from edge_app.bundles.slot_files import Files, put, unfinished_of
from edge_app.bundles.slot_table import Held, SlotTable, Standing, encode_table
from lab.power_cut import Fault, PowerCut, SimulatedDisk
from lab.power_cut_sweep import FOLDER, Point, Scenario, after, scenarios, store_on, sweep
from lab.signed_copy import release_of
from lsi.bundle import contents_of, open_archive
from lsi.errors import SlotError
from lsi.minisign import SecretKey
from lsi.trust import check_signature
from tests.bundles import small_bundle

KEY = SecretKey(b"12345678", bytes(range(32)))
SMALL = open_archive(small_bundle(encoder=bytes(range(256)) * 50), Path("small.lsib"))
OLD, NEW, NEWEST = (
    release_of(SMALL, KEY, version=version, security_epoch=epoch)
    for version, epoch in (("1.0.0", 3), ("1.1.0", 4), ("2.0.0", 5))
)
SCENARIOS = scenarios(OLD, NEW, NEWEST)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small bundle takes several writes."""
    monkeypatch.setattr(slot_files, "BLOCK_BYTES", 8_000)


@cache
def whole_and_signed(content: bytes) -> None:
    file = open_archive(content, Path("slot.lsib"))
    check_signature(file, [KEY.public_key])
    contents_of(file)


@cache
def points_of(name: str) -> list[Point]:
    return list(sweep(BY_NAME[name], whole_and_signed))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_wherever_the_power_goes_the_device_starts_with_a_whole_bundle(scenario: Scenario) -> None:
    points = points_of(scenario.name)
    assert [point for point in points if point.wrong] == []
    assert len(points) >= 10


def test_hundreds_of_points_are_tried() -> None:
    points = [point for scenario in SCENARIOS for point in points_of(scenario.name)]
    assert len(points) >= 500
    kinds = Counter(point.operation.split()[1] for point in points)
    assert set(kinds) == {"create", "write", "sync", "rename", "unlink"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_once_leaves_the_slots_as_they_were_or_as_they_should_be(
    scenario: Scenario, error: int
) -> None:
    count = len(operations(scenario))
    for number in range(count):
        disk = SimulatedDisk(scenario.start, Fault(number, error))
        for done, step in enumerate(scenario.steps):
            wanted = slots_after(scenario, done + 1)
            try:
                step(store_on(disk))
            except SlotError:
                store_on(disk).begin()
                assert not [name for name in disk.names(FOLDER) if name.endswith(".new")]
                if slots_of(disk) != wanted:  # the fault is over: the same again, as a person would
                    assert in_use(slots_of(disk)) == in_use(slots_after(scenario, done))
                    step(store_on(disk))
            assert slots_of(disk) == wanted, (number, done)


def operations(scenario: Scenario) -> list[str]:
    disk = SimulatedDisk(scenario.start)
    for step in scenario.steps:
        step(store_on(disk))
    return disk.operations


Slots = tuple[Held | None, Held | None]


def slots_of(disk: SimulatedDisk) -> Slots:
    table = store_on(disk).begin()
    return table.a, table.b


@cache
def slots_after_(name: str, steps: int) -> Slots:
    scenario = BY_NAME[name]
    return slots_of(SimulatedDisk(after(scenario.start, scenario.steps[:steps])))


def slots_after(scenario: Scenario, steps: int) -> Slots:
    return slots_after_(scenario.name, steps)


def in_use(slots: Slots) -> list[Held]:
    return [held for held in slots if held and held.standing in {Standing.ACTIVE, Standing.TRIAL}]


class TestTheSweepGoesRed:
    """Each care that the store takes, left out on purpose."""

    @staticmethod
    def found() -> bool:
        return any(point.wrong for scenario in SCENARIOS[1:3] for point in sweep(scenario, whole_and_signed))

    def test_without_the_sync_of_a_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SimulatedDisk, "sync", lambda *_: None)
        assert self.found()

    def test_without_the_sync_of_the_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SimulatedDisk, "sync_folder", lambda *_: None)
        assert self.found()

    def test_with_a_table_that_is_written_in_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def in_place(files: Files, path: Path, content: bytes) -> None:
            files.unlink(path)
            with files.create(path) as file:
                file.write(content)
                file.sync()
            files.sync_folder(path.parent)

        monkeypatch.setattr(slot_store, "put", in_place)
        assert self.found()

    def test_with_a_slot_that_is_written_before_the_table_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(slot_changes, "emptied", lambda table, _slot: table)
        assert self.found()


def hasty_put(files: Files, path: Path, content: bytes) -> None:
    with files.create(unfinished_of(path)) as file:
        file.write(content)
    files.rename(unfinished_of(path), path)


class TestTheSimulatedDisk:
    """The disk itself: it has to be as unkind as it says."""

    @staticmethod
    def cut_at(number: int, *, synced: bool = True) -> list[dict[Path, bytes]]:
        disk = SimulatedDisk({FOLDER / "x": b"old"}, Fault(number))
        with pytest.raises(PowerCut):
            (put if synced else hasty_put)(disk, FOLDER / "x", b"new content")
        return list(disk.remains())

    def test_a_synced_file_has_its_old_or_its_new_content(self) -> None:
        seen = {left.get(FOLDER / "x") for number in range(5) for left in self.cut_at(number)}
        assert seen == {b"old", b"new content"}

    def test_a_file_that_was_not_synced_can_be_renamed_without_its_content(self) -> None:
        seen = {left.get(FOLDER / "x") for left in self.cut_at(2, synced=False)}
        assert seen == {b"old", b"", bytes(11), b"new c", b"new content"}

    def test_a_full_disk_takes_a_part(self) -> None:
        disk = SimulatedDisk({}, Fault(1, errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            put(disk, FOLDER / "x", b"new content")
        assert disk.contents == {FOLDER / "x.new": b"new c"}


def test_a_table_with_a_flipped_byte_is_made_anew() -> None:
    whole = after({}, SCENARIOS[0].steps)
    path = FOLDER / "slots.json"
    for position in range(0, len(whole[path]), 7):
        flipped = bytearray(whole[path])
        flipped[position] ^= 1
        table = store_on(SimulatedDisk({**whole, path: bytes(flipped)})).begin()
        active = table.of(Standing.ACTIVE)
        assert active is not None
        assert (active.version, table.highest_epoch) == ("1.0.0", 3)
        assert table.history[-1].what == "rebuilt"


def all_files(disk: SimulatedDisk) -> Iterator[str]:
    yield from disk.names(FOLDER)


def test_what_no_slot_owns_is_removed_at_the_start() -> None:
    whole = after({}, SCENARIOS[0].steps)
    disk = SimulatedDisk({**whole, FOLDER / "b.lsib": b"stray", FOLDER / "a.lsib.new": b"half"})
    store_on(disk).begin()
    assert list(all_files(disk)) == ["a.lsib", "slots.json"]


def test_a_device_that_never_had_a_bundle_is_left_alone() -> None:
    disk = SimulatedDisk()
    assert store_on(disk).begin() == SlotTable()
    assert disk.operations == []


def test_a_card_that_cannot_be_read_does_not_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimulatedDisk(after({}, SCENARIOS[0].steps))

    def gone(_: SimulatedDisk, path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(SimulatedDisk, "read", gone)
    assert store_on(disk).begin() == SlotTable()


def test_a_table_of_the_largest_size_can_be_read_again() -> None:
    assert len(encode_table(SlotTable())) < 200
