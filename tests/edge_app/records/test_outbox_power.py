"""Killed processes and power cuts: a record is there unchanged, or missing; never different."""

import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import Record, RecordKey
from tests.edge_app.records.outbox_bench import A, B, Bench, fill, held, payload_of

KILLS = 40
ROOT = Path(__file__).parents[3]
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
PAGE_BYTES = 4096

# Forks a writer per line "stream seconds", kills it and tells the last key that its add() had returned.
NURSERY = """
import os, pathlib, signal, sys, time
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from tests.edge_app.records.outbox_bench import payload_of
from edge_app.records.outbox import Outbox

path = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    stream, life_s = line.split()
    told, tell = os.pipe()
    writer = os.fork()
    if writer == 0:
        outbox = Outbox(path, stream, str, clock=MonotonicClock(), wall_clock=SystemWallClock())
        while True:
            key = outbox.add("event", payload_of(stream, size=400))
            os.write(tell, b"%d " % key.seq)
            if key.seq % 7 == 0:
                outbox.accept([record.key for record in outbox.take(3)])
            if key.seq % 50 == 0:
                outbox.sweep()
    os.close(tell)
    answer = os.read(told, 1)  # it runs
    time.sleep(float(life_s))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    while more := os.read(told, 65536):
        answer += more
    os.close(told)
    print(answer.split()[-1].decode(), flush=True)
"""


def is_whole(record: Record) -> bool:
    return record.payload in {
        payload_of(record.key.stream, size=size)(record.key.seq) for size in (0, 200, 400)
    }


def all_records(outbox: Outbox, streams: list[str]) -> dict[RecordKey, Record]:
    """Everything that is kept, accepted records too."""
    for stream in streams:
        outbox.send_again(stream, 1, 10**6)
    return {record.key: record for record in outbox.take(10**6)}


def test_forty_kills_lose_no_record_that_add_returned_for(tmp_path: Path) -> None:
    bench, rng = Bench(tmp_path / "outbox" / "outbox.db"), random.Random(20261122)  # noqa: S311 - repeatable
    returned: dict[str, int] = {}
    command = [sys.executable, "-c", NURSERY, str(bench.path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(KILLS):
            stream = f"{rng.getrandbits(64):016x}"
            nursery.stdin.write(f"{stream} {rng.uniform(0, 0.02):.6f}\n")
            nursery.stdin.flush()
            returned[stream] = int(nursery.stdout.readline())
    outbox = Outbox(bench.path, A, str, clock=bench.clock, wall_clock=bench.wall, boot="another")
    with closing(outbox):
        assert not outbox.status().set_aside
        records = all_records(outbox, list(returned))
    assert sum(returned.values()) > 10 * KILLS
    assert all(
        RecordKey(stream, seq) in records for stream in returned for seq in range(1, returned[stream] + 1)
    )
    assert all(is_whole(record) for record in records.values())
    assert len(records) <= sum(returned.values()) + KILLS  # at most the one that was being added


def power_cuts(path: Path, folder: Path) -> Iterator[Path]:
    """Copies of the outbox whose log ends at and within each frame."""
    log = path.with_name(path.name + "-wal").read_bytes()
    frame = FRAME_HEADER_BYTES + PAGE_BYTES
    frames = (len(log) - WAL_HEADER_BYTES) // frame
    assert frames > 20
    ends = [0, 7, *(WAL_HEADER_BYTES + number * frame for number in range(frames + 1))]
    ends += [WAL_HEADER_BYTES + number * frame + 1_000 for number in range(0, frames, 5)]
    for end in ends:
        copy = folder / f"cut-{end}" / "outbox.db"
        copy.parent.mkdir(parents=True, mode=0o700)
        shutil.copy(path, copy)
        copy.with_name("outbox.db-wal").write_bytes(log[:end])
        yield copy


def test_a_power_cut_at_any_frame_of_the_log_never_gives_one_key_two_contents(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "outbox" / "outbox.db")
    lengths = set()
    with bench.opened(A) as outbox:
        sent = fill(outbox, 3)
        outbox.sweep()  # these are in the file itself
        sent += fill(outbox, 8)
        outbox.accept(sent[2:5])
        outbox.postpone(sent[6], 0)
        sent += fill(outbox, 6, 200)
        for copy in power_cuts(bench.path, tmp_path):
            other = Bench(copy, bench.clock, bench.wall)
            with other.opened(B) as restarted:
                new = fill(restarted, 4)
                records = all_records(restarted, [A])
                assert not restarted.status().set_aside
            old = sorted(key for key in records if key.stream == A)
            assert old == sent[: len(old)]  # what is missing is the tail
            assert len(old) >= 3
            assert (
                [key for key in records if key.stream == B]
                == new
                == [RecordKey(B, seq) for seq in range(1, 5)]
            )
            assert all(is_whole(record) for record in records.values())
            lengths.add(len(old))
            shutil.rmtree(copy.parent)
    assert lengths == set(range(3, 18))


def test_a_log_of_which_a_middle_part_never_reached_the_disk_ends_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "outbox" / "outbox.db")
    with bench.opened(A) as outbox:
        sent = fill(outbox, 12)
        for copy in power_cuts(bench.path, tmp_path):
            log = copy.with_name("outbox.db-wal")
            content = bytearray(log.read_bytes())
            middle = WAL_HEADER_BYTES + (len(content) // 2 // 4120) * 4120
            content[middle : middle + 4120] = bytes(len(content[middle : middle + 4120]))
            log.write_bytes(content)
            with Bench(copy, bench.clock, bench.wall).opened(B) as restarted:
                old = held(restarted)
            assert old == sent[: len(old)]
            shutil.rmtree(copy.parent)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = Bench(tmp_path_factory.mktemp("filled") / "outbox.db")
    with bench.opened(A) as outbox:
        outbox.accept(fill(outbox, 40, 200)[:10])
    return bench.path


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=8)
)
def test_bits_that_flip_on_the_card_never_change_a_record(
    filled: Path, tmp_path: Path, flips: list[tuple[float, int]]
) -> None:
    bench = Bench(tmp_path / "flipped" / "outbox.db")
    shutil.rmtree(bench.path.parent, ignore_errors=True)
    bench.path.parent.mkdir(mode=0o700)
    content = bytearray(filled.read_bytes())
    for where, bit in flips:
        content[int(where * len(content))] ^= 1 << bit
    bench.path.write_bytes(content)
    with bench.opened(B) as outbox:
        outbox.sweep()
        new = fill(outbox, 1)
        records = all_records(outbox, [A])
        outbox.status()
        outbox.sweep()
    assert set(new) <= set(records)
    assert all(is_whole(record) for record in records.values())


def test_the_log_is_as_the_cuts_suppose(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "outbox" / "outbox.db")
    with bench.opened() as outbox:
        fill(outbox, 1)
        header = bench.path.with_name("outbox.db-wal").read_bytes()[:WAL_HEADER_BYTES]
    magic, _version, page_bytes = struct.unpack(">III", header[:12])
    assert magic & ~1 == 0x377F0682
    assert page_bytes == PAGE_BYTES
    assert sqlite3.sqlite_version_info >= (3, 37)  # STRICT tables
