"""Keys, order, limits, age and what is left on the disk."""

import threading
from pathlib import Path

import pytest

from edge_app.records.outbox import MAX_DEAD_ROWS, MAX_STREAMS
from edge_app.records.outbox_records import DropReason, OutboxLimits, RecordKey
from edge_app.records.outbox_schema import ROW_BYTES
from edge_app.records.outbox_store import REWRITE_NS, REWRITE_PAGES
from lsi.units import NS_PER_S
from tests.edge_app.records.outbox_bench import DAY_S, A, B, Bench, C, fill, held, marker, payload_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "outbox" / "outbox.db")


def test_keys_count_from_one_and_records_come_back_in_order_and_unchanged(bench: Bench) -> None:
    with bench.opened() as outbox:
        assert fill(outbox, 3) == [RecordKey(A, 1), RecordKey(A, 2), RecordKey(A, 3)]
        records = outbox.take(10)
    assert [record.key.seq for record in records] == [1, 2, 3]
    assert records[1].payload == payload_of(A)(2)
    assert (records[0].kind, records[0].topic) == ("event", "lsi/v1/hall/event")


def test_what_one_start_did_not_send_the_next_one_has_first(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 2)
    with bench.opened(B) as outbox:
        fill(outbox, 1)
        assert held(outbox) == [RecordKey(A, 1), RecordKey(A, 2), RecordKey(B, 1)]
        assert dict(outbox.highest()) == {A: 2, B: 1}


def test_a_stream_is_never_used_twice_and_is_an_id(bench: Bench) -> None:
    with bench.opened(A) as outbox:
        fill(outbox, 1)
    with pytest.raises(ValueError, match="earlier start"):
        bench.start(A)
    with pytest.raises(ValueError, match="must match"):
        bench.start("short")


def test_a_payload_that_cannot_be_made_spends_no_key(bench: Bench) -> None:
    def broken(_seq: int) -> bytes:
        raise RuntimeError

    with bench.opened() as outbox:
        with pytest.raises(RuntimeError):
            outbox.add("event", broken)
        assert fill(outbox, 1) == [RecordKey(A, 1)]


def test_an_accepted_record_is_kept_for_ten_minutes_and_not_offered_again(bench: Bench) -> None:
    with bench.opened() as outbox:
        first, second = fill(outbox, 2)
        outbox.accept([first])
        assert held(outbox) == [second]
        assert (outbox.status().rows, outbox.status().kept) == (1, 1)
        bench.pass_s(599)
        outbox.sweep()
        assert outbox.status().kept == 1
        bench.pass_s(2)
        outbox.sweep()
        assert (outbox.status().rows, outbox.status().kept) == (1, 0)
        assert outbox.status().dropped[DropReason.AGE] == 0


def test_who_accepts_twice_keeps_no_longer(bench: Bench) -> None:
    with bench.opened() as outbox:
        keys = fill(outbox, 1)
        outbox.accept(keys)
        bench.pass_s(400)
        outbox.accept(keys)
        bench.pass_s(201)
        outbox.sweep()
        assert outbox.status().kept == 0


def test_a_record_that_nobody_took_is_dropped_after_a_day_and_counted(bench: Bench) -> None:
    with bench.opened() as outbox:
        fill(outbox, 2)
        bench.pass_s(DAY_S - 1)
        fill(outbox, 1)
        outbox.sweep()
        assert len(held(outbox)) == 3
        bench.pass_s(1)
        assert held(outbox) == [RecordKey(A, 3)]  # also before the next sweep
        outbox.sweep()
        assert outbox.status().dropped[DropReason.AGE] == 2
        assert outbox.status().rows == 1


def test_a_full_outbox_drops_the_oldest_and_counts_it(bench: Bench) -> None:
    size = len(payload_of(A)(1)) + len("lsi/v1/hall/event") + ROW_BYTES
    with bench.opened(limits=OutboxLimits(max_bytes=6 * size)) as outbox:
        fill(outbox, 6)
        assert outbox.status().dropped[DropReason.SIZE] == 0
        assert outbox.status().size == 6 * size
        fill(outbox, 3)
        assert held(outbox) == [RecordKey(A, seq) for seq in range(4, 10)]
        assert outbox.status().dropped[DropReason.SIZE] == 3


def test_what_the_broker_has_is_dropped_before_what_it_never_had(bench: Bench) -> None:
    size = len(payload_of(A)(1)) + len("lsi/v1/hall/event") + ROW_BYTES
    with bench.opened(limits=OutboxLimits(max_bytes=4 * size)) as outbox:
        keys = fill(outbox, 4)
        outbox.bury(keys[1])
        outbox.accept([keys[3]])
        fill(outbox, 2)
        assert held(outbox) == [RecordKey(A, seq) for seq in (1, 3, 5, 6)]
        assert outbox.status().dropped[DropReason.SIZE] == 0
        assert (outbox.status().kept, outbox.status().dead) == (0, 0)


def test_a_record_larger_than_the_outbox_is_dropped_alone(bench: Bench) -> None:
    with bench.opened(limits=OutboxLimits(max_bytes=2_000)) as outbox:
        fill(outbox, 2)
        assert outbox.add("latent", lambda _: bytes(3_000)) == RecordKey(A, 3)
        assert held(outbox) == [RecordKey(A, 1), RecordKey(A, 2)]
        assert outbox.status().dropped[DropReason.SIZE] == 1


@pytest.mark.parametrize("size", [0, 300, 1_500])
def test_the_file_stays_within_a_quarter_above_the_limit(bench: Bench, size: int) -> None:
    limit = 512 * 1024
    with bench.opened(limits=OutboxLimits(max_bytes=limit)) as outbox:
        fill(outbox, 2 * limit // (size + 300), size)
        assert outbox.status().dropped[DropReason.SIZE] > 0
    assert bench.path.stat().st_size < 1.25 * limit


def test_postponed_records_wait_for_their_time_and_let_others_pass(bench: Bench) -> None:
    with bench.opened() as outbox:
        first, second = fill(outbox, 2)
        outbox.postpone(first, 5)
        assert held(outbox) == [second]
        bench.pass_s(5)
        assert [record.tries for record in outbox.take(2)] == [1, 0]


def test_dead_letters_are_bounded_and_counted(bench: Bench) -> None:
    with bench.opened() as outbox:
        for key in fill(outbox, MAX_DEAD_ROWS + 5):
            outbox.bury(key)
        outbox.bury(RecordKey(C, 1))  # not ours: not counted
        outbox.sweep()
        assert outbox.status().dead == MAX_DEAD_ROWS
        assert outbox.status().dropped[DropReason.DEAD] == MAX_DEAD_ROWS + 5
        assert outbox.send_again(A, 1, 6).again == (6,)


def test_the_highest_seq_outlives_its_records_and_the_list_is_bounded(bench: Bench) -> None:
    streams = [f"{number:016x}" for number in range(MAX_STREAMS + 3)]
    for stream in streams:
        with bench.opened(stream) as outbox:
            fill(outbox, 2)
            bench.pass_s(DAY_S)
            outbox.sweep()
            assert outbox.status().rows == 0
    with bench.opened(A) as outbox:
        outbox.sweep()
        assert list(outbox.highest()) == [*streams[-MAX_STREAMS + 1 :], A]
        assert set(outbox.highest().values()) == {2, 0}


def test_folder_and_files_are_the_owners_alone(bench: Bench) -> None:
    with bench.opened() as outbox:
        fill(outbox, 1)
        assert bench.path.parent.stat().st_mode & 0o777 == 0o700
        names = {file.name: file.stat().st_mode & 0o777 for file in bench.path.parent.iterdir()}
        assert names == {"outbox.db": 0o600, "outbox.db-wal": 0o600}


def test_files_that_were_open_to_others_are_closed_to_them(bench: Bench) -> None:
    bench.start().close()
    bench.path.chmod(0o644)
    bench.path.parent.chmod(0o755)
    bench.start(B).close()
    assert bench.path.stat().st_mode & 0o777 == 0o600
    assert bench.path.parent.stat().st_mode & 0o777 == 0o700


def test_wiping_leaves_nothing_in_the_folder_and_later_records_are_counted(bench: Bench) -> None:
    outbox = bench.start()
    fill(outbox, 5)
    for suffix in ("-wal", "-shm", ".damaged"):
        bench.path.with_name(bench.path.name + suffix).write_bytes(b"left")
    outbox.wipe()
    assert list(bench.path.parent.iterdir()) == []
    fill(outbox, 1)
    assert outbox.status().dropped[DropReason.FAULT] == 1
    assert list(bench.path.parent.iterdir()) == []


@pytest.mark.parametrize("order", ["first", "mixed"])
@pytest.mark.parametrize("size", [0, 700, 9_000])
def test_wiped_records_are_nowhere_in_the_files(bench: Bench, size: int, order: str) -> None:
    with bench.opened() as outbox:
        keys = fill(outbox, 300, size)
        done = keys[:200] if order == "first" else keys[::2] + keys[1::4]
        for key in done:
            outbox.accept([key])
        bench.pass_s(300)
        assert marker(*_pair(done[0])) in bench.disk()
        bench.pass_s(301)
        outbox.sweep()
        if bench.path.stat().st_size > REWRITE_PAGES * 4096:  # a large file is rewritten more rarely
            bench.pass_s(REWRITE_NS / NS_PER_S)
            outbox.sweep()
        disk = bench.disk()
        assert [key for key in done if marker(*_pair(key)) in disk] == []
        assert all(marker(*_pair(key)) in disk for key in keys if key not in done)


def test_a_small_file_is_rewritten_without_what_was_wiped(bench: Bench) -> None:
    with bench.opened() as outbox:
        outbox.accept(fill(outbox, 1_000))
        outbox.sweep()
        before = bench.path.stat().st_size
        bench.pass_s(601)
        outbox.sweep()
        assert bench.path.stat().st_size < before / 4


def test_in_a_large_file_wiped_records_are_overwritten_before_it_is_rewritten(bench: Bench) -> None:
    with bench.opened(limits=OutboxLimits(keep_accepted_s=10)) as outbox:
        keys = fill(outbox, 300, 9_000)
        outbox.accept(keys[:50])
        bench.pass_s(11)
        outbox.sweep()
        assert bench.path.stat().st_size > 300 * 9_000  # not rewritten
        disk = bench.disk()
    assert [key for key in keys[:50] if marker(*_pair(key)) in disk] == []


def test_wiping_overwrites_before_it_removes(bench: Bench) -> None:
    outbox = bench.start()
    keys = fill(outbox, 5)
    outbox.sweep()
    with bench.path.open("rb") as held_open:
        assert marker(*_pair(keys[0])) in held_open.read()
        outbox.wipe()
        held_open.seek(0)
        assert set(held_open.read()) == {0}


def test_records_that_were_dropped_or_expired_before_a_crash_are_gone_after_the_next_sweep(
    bench: Bench,
) -> None:
    outbox = bench.start(limits=OutboxLimits(max_bytes=20_000))
    keys = fill(outbox, 200)
    assert outbox._store._db is not None
    outbox._store._db.close()  # as a kill would leave it
    with bench.opened(B) as other:
        other.sweep()
        kept = held(other)
        disk = bench.disk()
    assert 0 < len(kept) < 200
    assert [key for key in keys if key not in kept and marker(*_pair(key)) in disk] == []


def test_no_plaintext_is_in_the_repr(bench: Bench) -> None:
    with bench.opened() as outbox:
        fill(outbox, 1)
        assert "mark" not in repr(outbox.take(1)[0])


def test_threads_may_add_take_and_accept_at_once(bench: Bench) -> None:
    with bench.opened() as outbox:
        workers = [threading.Thread(target=fill, args=(outbox, 50)) for _ in range(4)]
        for worker in workers:
            worker.start()
        accepted: set[RecordKey] = set()
        while len(accepted) < 200:
            keys = [record.key for record in outbox.take(20)]
            outbox.accept(keys)
            accepted |= set(keys)
        for worker in workers:
            worker.join()
        assert accepted == {RecordKey(A, seq) for seq in range(1, 201)}
        assert (outbox.status().rows, outbox.status().kept) == (0, 200)


def test_a_listener_hears_of_new_records_and_of_replays(bench: Bench) -> None:
    heard: list[str] = []
    with bench.opened() as outbox:
        outbox.listen(lambda: heard.append("work"))
        outbox.accept(fill(outbox, 1))
        assert heard == ["work"]
        outbox.send_again(A, 1, 1)
        assert heard == ["work"] * 2


def _pair(key: RecordKey) -> tuple[str, int]:
    return key.stream, key.seq
