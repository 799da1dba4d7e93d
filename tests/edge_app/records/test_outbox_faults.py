"""A disk that is full, read-only, locked, damaged or gone is never the scan's problem."""

import logging
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.records.outbox_records import DropReason, OutboxStatus, RecordKey
from edge_app.records.outbox_schema import Fault, damaged_path, fault_of, is_set_aside, set_aside, side_path
from edge_app.records.outbox_store import REOPEN_NS
from lsi.units import NS_PER_S
from tests.edge_app.records.outbox_bench import DAY_S, A, B, Bench, fill, held, marker

REOPEN_S = REOPEN_NS / NS_PER_S


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "outbox" / "outbox.db")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 512 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def dropped(status: OutboxStatus) -> int:
    return status.dropped[DropReason.FAULT]


def test_a_full_disk_is_survived_said_and_left_behind(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(small_disk / "outbox" / "outbox.db")
    with bench.opened() as outbox, caplog.at_level(logging.INFO):
        fill(outbox, 20)
        other = small_disk / "other"
        other.write_bytes(bytes(_free(small_disk)))
        keys = fill(outbox, 60, 4_000)
        status = outbox.status()
        assert status.fault is Fault.DISK_FULL
        assert keys[-1] == RecordKey(A, 80)  # keys go on: the gap shows at the sink
        assert caplog.text.count("make room on the disk") == 1
        assert 20 <= len(held(outbox)) < 80
        assert len(held(outbox)) + dropped(status) == 80
        assert outbox.status().fault is Fault.DISK_FULL  # reading alone is no sign of room
        other.unlink()
        fill(outbox, 1)
        assert outbox.status().fault is None
        assert held(outbox)[-1] == RecordKey(A, 81)
        assert "keeps records again" in caplog.text
    with bench.opened(B) as outbox:  # the file is whole
        assert len(held(outbox)) == 81 - dropped(status)
        assert outbox.status().fault is None


def test_a_disk_that_is_full_from_the_start_is_tried_again(small_disk: Path) -> None:
    bench = Bench(small_disk / "outbox" / "outbox.db")
    other = small_disk / "other"
    other.write_bytes(bytes(_free(small_disk)))
    with bench.opened() as outbox:
        fill(outbox, 3)
        assert outbox.status().fault is not None
        assert dropped(outbox.status()) == 3
        other.unlink()
        bench.pass_s(REOPEN_S)
        fill(outbox, 1)
        assert outbox.status().fault is None
        assert held(outbox) == [RecordKey(A, 4)]


def test_a_read_only_disk_is_survived_and_found_writable_again(small_disk: Path) -> None:
    bench = Bench(small_disk / "outbox" / "outbox.db")
    with bench.opened() as outbox:
        fill(outbox, 3)
    _remount(small_disk, "ro")
    with bench.opened(B) as outbox:
        fill(outbox, 2)
        outbox.accept([RecordKey(A, 1)])
        outbox.sweep()
        assert outbox.take(5) == []
        assert outbox.status().fault is Fault.READ_ONLY
        assert dropped(outbox.status()) == 2
        _remount(small_disk, "rw")
        bench.pass_s(REOPEN_S)
        fill(outbox, 1)
        assert outbox.status().fault is None
        assert held(outbox) == [RecordKey(A, 1), RecordKey(A, 2), RecordKey(A, 3), RecordKey(B, 3)]


def test_a_file_size_limit_stops_records_and_not_the_scan(bench: Bench) -> None:
    with bench.opened() as outbox:
        fill(outbox, 1)
        assert outbox._store._db is not None
        outbox._store._db.execute("PRAGMA max_page_count = 20")
        fill(outbox, 100, 1_000)
        assert outbox.status().fault is Fault.DISK_FULL
        assert dropped(outbox.status()) > 50
        outbox.accept(held(outbox))
        bench.pass_s(601)
        outbox.sweep()
        fill(outbox, 1)
        assert outbox.status().fault is None


def test_a_second_program_is_kept_out_and_comes_in_when_the_first_has_ended(bench: Bench) -> None:
    first = bench.start(A)
    fill(first, 1)
    with bench.opened(B) as second:
        fill(second, 1)
        assert second.status().fault is Fault.LOCKED
        assert dropped(second.status()) == 1
        assert held(first) == [RecordKey(A, 1)]
        first.close()
        bench.pass_s(REOPEN_S)
        fill(second, 1)
        assert held(second) == [RecordKey(A, 1), RecordKey(B, 2)]
        assert dict(second.highest()) == {A: 1, B: 2}


def test_a_folder_that_cannot_be_made_is_a_fault_and_no_error(bench: Bench) -> None:
    bench.path.parent.write_bytes(b"a file where the folder should be")
    with bench.opened() as outbox:
        fill(outbox, 2)
        outbox.sweep()
        assert outbox.status().fault is Fault.UNUSABLE
        assert (outbox.status().rows, dropped(outbox.status())) == (0, 2)
        assert outbox.send_again(A, 1, 2).again == ()
        bench.path.parent.unlink()
        bench.pass_s(REOPEN_S)
        fill(outbox, 1)
        assert held(outbox) == [RecordKey(A, 3)]


def test_a_link_in_place_of_the_file_is_not_followed(bench: Bench) -> None:
    bench.path.parent.mkdir(0o700)
    target = bench.path.with_name("target")
    bench.path.symlink_to(target)
    with bench.opened() as outbox:
        fill(outbox, 1)
        assert outbox.status().fault is Fault.UNUSABLE
    assert not target.exists()


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1_000)


def _short(path: Path) -> None:
    os.truncate(path, 4096 + 17)


def _holes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2 * 4096 :: 97] = b"\xa5" * len(content[2 * 4096 :: 97])
    path.write_bytes(content)


def _other_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def _other_trigger(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"length(new.payload)", b"dength(new.payload)"))


def _other_column(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"  tries INTEGER", b"  trier INTEGER"))


def _broken_text(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CREATE INDEX turn", b"CREATE \xc1NDEX turn"))


DAMAGES = [_garbage, _short, _holes, _other_version, _other_trigger, _other_column, _broken_text]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(
    bench: Bench, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 200)
    damage(bench.path)
    damaged = bench.path.read_bytes()
    with bench.opened(B) as outbox:
        fill(outbox, 1)
        assert held(outbox) == [RecordKey(B, 1)]
        status = outbox.status()
        assert (status.fault, status.set_aside, dropped(status)) == (None, True, 0)
    assert damaged_path(bench.path).read_bytes() == damaged
    assert caplog.text.count("was damaged") == 1


def test_a_file_that_breaks_while_it_is_open_is_set_aside_and_the_record_kept(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 800, 1_500)  # more than SQLite keeps in memory
    with bench.opened(B) as outbox:
        with bench.path.open("r+b") as file:  # under SQLite's feet, as a dying card does
            file.seek(4096)
            file.write(b"\xff" * (bench.path.stat().st_size - 4096))
        assert outbox.take(1) == []
        keys = fill(outbox, 2)
        assert outbox.status().fault is None
        assert outbox.status().set_aside
        assert dropped(outbox.status()) == 0
        assert held(outbox) == keys


def test_one_damaged_file_is_kept_and_goes_after_a_day(bench: Bench) -> None:
    for _ in range(2):
        bench.path.parent.mkdir(exist_ok=True)
        _garbage(bench.path)
        outbox = bench.start(A)
        outbox.sweep()
        outbox.close()
    assert [file.name for file in bench.path.parent.iterdir() if "damaged" in file.name] == [
        "outbox.db.damaged"
    ]
    with bench.opened(B) as outbox:
        bench.pass_s(DAY_S - 1)
        outbox.sweep()
        assert is_set_aside(bench.path)
        bench.pass_s(1)
        outbox.sweep()
        assert not is_set_aside(bench.path)
        assert not outbox.status().set_aside


def test_a_row_whose_content_changed_is_dropped_and_counted_not_sent(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 3)
    content = bench.path.read_bytes()
    assert content.count(b'"seq":2,') == 1
    bench.path.write_bytes(content.replace(b'"seq":2,', b'"seq":3,'))
    with bench.opened(B) as outbox:
        assert outbox.status().rows == 2
        assert outbox.status().dropped[DropReason.DAMAGED] == 1
        assert held(outbox) == [RecordKey(A, 1), RecordKey(A, 3)]


def test_a_row_that_changes_while_the_file_is_open_is_dropped_too(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 800, 1_500)  # more than SQLite keeps in memory
    with bench.opened(B) as outbox:
        where = bench.path.read_bytes().index(marker(A, 2))
        with bench.path.open("r+b") as file:
            file.seek(where)
            file.write(b"X")
        assert [record.key.seq for record in outbox.take(3)] == [1, 3]
        assert [record.key.seq for record in outbox.take(3)] == [1, 3, 4]
        assert outbox.status().dropped[DropReason.DAMAGED] == 1
        assert outbox.status().rows == 799


def test_the_log_of_a_damaged_file_is_not_applied_to_the_new_one(bench: Bench, tmp_path: Path) -> None:
    copy = Bench(tmp_path / "copy" / "outbox.db", bench.clock, bench.wall)
    copy.path.parent.mkdir(mode=0o700)
    with bench.opened(A) as outbox:
        outbox.sweep()  # the log begins anew, and never holds the whole file again
        fill(outbox, 5)
        copy.path.with_name("outbox.db-wal").write_bytes(bench.path.with_name("outbox.db-wal").read_bytes())
    _garbage(copy.path)
    with copy.opened(B) as outbox:
        keys = fill(outbox, 1)
        assert held(outbox) == keys
        damaged_path(copy.path).unlink()
        assert marker(A, 1) not in copy.disk()


def test_what_lies_beside_a_damaged_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for suffix in ("", "-wal", "-shm", "-journal"):
        side_path(path, suffix).write_bytes(b"left")
    set_aside(path)
    assert [file.name for file in tmp_path.iterdir()] == ["outbox.db.damaged"]


def test_a_damaged_file_is_overwritten_before_the_next_one_takes_its_place(bench: Bench) -> None:
    bench.path.parent.mkdir(mode=0o700)
    _garbage(bench.path)
    bench.start(A).close()
    _garbage(bench.path)
    with damaged_path(bench.path).open("rb") as first:
        bench.start(B).close()
        assert set(first.read()) == {0}


def test_an_outbox_that_was_closed_drops_and_says_so(bench: Bench) -> None:
    outbox = bench.start()
    fill(outbox, 1)
    outbox.close()
    fill(outbox, 1)
    outbox.sweep()
    assert outbox.status().fault is Fault.CLOSED
    assert dropped(outbox.status()) == 1


def test_an_error_of_our_own_work_leaves_the_file_as_it_was(bench: Bench) -> None:
    with bench.opened() as outbox:
        fill(outbox, 1)
        with pytest.raises(ZeroDivisionError):
            outbox._store.write(lambda db: (db.execute("DELETE FROM record"), 1 // 0))
        assert held(outbox) == [RecordKey(A, 1)]


def test_an_error_that_sqlite_did_not_raise_is_no_known_fault() -> None:
    assert fault_of(sqlite3.OperationalError("made in Python")) is Fault.UNUSABLE
    assert fault_of(OSError("without a number")) is Fault.UNUSABLE


def test_a_shared_folder_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    bench = Bench(shared / "outbox.db")
    bench.start().close()
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert bench.path.stat().st_mode & 0o777 == 0o600


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)
