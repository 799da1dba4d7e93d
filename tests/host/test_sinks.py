"""One contract for every sink: JSON lines, SQLite and a real PostgreSQL."""

import json
import secrets
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

import host.jsonl_sink
import host.sql_sink
from host.jsonl_sink import JsonLinesSink
from host.open_sink import open_sink
from host.sealed_record import SealedRecord
from host.seq_ranges import SeqRange
from host.sink import Quarantined, Sink, SinkRow, Stored
from host.subscriber import Received, Rejected, read_message
from lab.postgres import LocalPostgres
from lsi.aggregate import AggPayload
from lsi.errors import SinkError
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.topics import Kind, Topic
from tests.host.devices import visit
from tests.payloads import payload
from tests.sealed import header
from transport.broker import Message

KINDS = ["jsonl", "sqlite", "postgres"]
OPENED_AT_ONCE = 8
Opening = Callable[[], Sink]


@pytest.fixture(params=KINDS)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens one and the same sink, as often as it is called."""
    if request.param == "postgres":
        server: LocalPostgres = request.getfixturevalue("postgres")
        return lambda: open_sink(server.url)
    name = "records.jsonl" if request.param == "jsonl" else "records.db"
    return lambda: open_sink(str(tmp_path / name))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nobody has opened before."""
    if request.param == "sqlite":
        yield str(tmp_path / "records.db")
        return
    server: LocalPostgres = request.getfixturevalue("postgres")
    name = f"empty_{secrets.token_hex(4)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server.url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def stream() -> str:
    return secrets.token_hex(8)


def row(stream: str, seq: int, *, number: int = 1, hist: bool = False) -> SinkRow:
    content = replace(visit(stream, seq=seq, number=number), hist=hist)
    return of(Kind.EVENT, content)


def event_row(stream: str, seq: int, *, device_id: str, ts: str) -> SinkRow:
    """The row of an event of another device or time."""
    return of(Kind.EVENT, replace(visit(stream, device_id, seq), ts=ts))


def of(kind: Kind, content: EventPayload | AggPayload | AttributePayload) -> SinkRow:
    event = read_message(Message(f"lsi/v1/{content.device_id}/{kind}", content.encode()))
    assert isinstance(event, Received)
    found = SinkRow.of(event)
    assert found is not None
    return found


def sealed_row(stream: str, seq: int, sealed: bytes) -> SinkRow:
    content = SealedRecord(header(stream=stream, seq=seq), sealed)
    found = SinkRow.of(Received(Topic("hall1", Kind.LATENT), 1, retained=False, content=content))
    assert found is not None
    return found


def test_a_key_is_kept_once_however_often_and_however_late_it_comes(opening: Opening, stream: str) -> None:
    sink = opening()
    assert sink.write([row(stream, 1), row(stream, 2)], ()) == Stored(new=2)
    assert sink.write([row(stream, 2, hist=True), row(stream, 3)], ()) == Stored(new=1, again=1)
    assert sink.write([row(stream, 4), row(stream, 4), row(stream, 4)], ()) == Stored(new=1, again=2)
    sink.close()
    sink = opening()
    assert sink.write([row(stream, seq) for seq in (1, 2, 3, 4, 5)], ()) == Stored(new=1, again=4)
    assert sink.missing("hall1", stream, 5) == []
    sink.close()


def test_another_content_under_a_known_key_is_told_and_changes_nothing(opening: Opening, stream: str) -> None:
    sink = opening()
    sink.write([row(stream, 1), row(stream, 2)], ())
    stored = sink.write([row(stream, 1), row(stream, 2, number=2), row(stream, 3)], ())
    assert stored == Stored(new=1, again=2, contradicting=1)
    assert sink.write([row(stream, 4), row(stream, 4, number=2)], ()) == Stored(1, 1, 1)
    sink.close()


def test_gaps_and_tails_are_told_until_they_are_filled_or_given_up(opening: Opening, stream: str) -> None:
    sink = opening()
    assert sink.missing("hall1", stream, None) == []
    assert sink.missing("hall1", stream, 3) == [SeqRange(1, 3)]
    sink.write([row(stream, seq) for seq in (2, 3, 7)], ())
    assert sink.missing("hall1", stream, None) == [SeqRange(1, 1), SeqRange(4, 6)]
    assert sink.missing("hall1", stream, 9) == [SeqRange(1, 1), SeqRange(4, 6), SeqRange(8, 9)]
    sink.give_up("hall1", stream, [(1, 1), (4, 5)])
    sink.give_up("hall1", stream, [(4, 5)])
    sink.give_up("hall1", stream, [])
    assert sink.missing("hall1", stream, 9) == [SeqRange(6, 6), SeqRange(8, 9)]
    sink.write([row(stream, seq) for seq in (6, 8, 9, 11)], ())
    assert sink.missing("hall1", stream, 9) == []
    sink.close()
    sink = opening()
    assert sink.missing("hall1", stream, 12) == [SeqRange(10, 10), SeqRange(12, 12)]
    sink.write([row(stream, seq) for seq in (10, 12)], ())
    assert sink.missing("hall1", stream, 12) == []
    assert sink.missing("hall2", stream, 1) == [SeqRange(1, 1)]
    sink.close()


def test_a_batch_longer_than_a_statement_of_sqlite_may_be(opening: Opening, stream: str) -> None:
    sink = opening()
    sink.write([row(stream, 2_400)], ())
    assert sink.write([row(stream, seq) for seq in range(1, 2_400)], ()) == Stored(new=2_399)
    assert sink.write([row(stream, seq) for seq in range(2_300, 4_700)], ()) == Stored(2_299, 101)
    assert sink.missing("hall1", stream, 4_699) == []
    sink.close()


def test_a_copy_that_is_spelled_otherwise_contradicts_nothing(opening: Opening, stream: str) -> None:
    document = json.loads(visit(stream, seq=1).encode())
    turned = json.dumps({key: document[key] for key in reversed(document)} | {"hist": True}, indent=1)
    event = read_message(Message("lsi/v1/hall1/event", turned.encode()))
    assert isinstance(event, Received)
    copy = SinkRow.of(event)
    assert copy is not None
    sink = opening()
    assert sink.write([row(stream, 1)], ()) == Stored(new=1)
    assert sink.write([copy], ()) == Stored(again=1)
    sink.close()


def test_live_attributes_have_keys_of_their_own_and_leave_no_gaps(opening: Opening, stream: str) -> None:
    sink = opening()
    live = of(Kind.ATTR, payload(stream=stream, seq=3))
    assert sink.write([live, row(stream, 3)], ()) == Stored(new=2)
    assert sink.write([live], ()) == Stored(again=1)
    assert sink.missing("hall1", stream, 3) == [SeqRange(1, 2)]
    sink.close()


def test_sealed_latents_are_kept_as_they_came(opening: Opening, stream: str) -> None:
    sink = opening()
    sealed = sealed_row(stream, 1, b"\x00\xff sealed")
    assert sink.write([sealed, row(stream, 2)], ()) == Stored(new=2)
    assert sink.missing("hall1", stream, 2) == []
    sink.close()


def test_what_was_turned_away_is_kept_with_its_reason_and_bounded(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.jsonl_sink, "MAX_QUARANTINED", 3)
    monkeypatch.setattr(host.sql_sink, "MAX_QUARANTINED", 3)
    bad = Quarantined.of(Rejected("lsi/v1/x\0/event", 9_000, "why\0", b"\x00" * 9_000))
    assert len(bad.payload) == 4_096
    for _ in range(5):
        sink = opening()
        assert sink.write([], [bad]) == Stored()
        sink.close()


def test_a_password_never_shows(postgres: LocalPostgres) -> None:
    url = postgres.url.replace("lsi@", "lsi:secret-word@").replace("/postgres?", "/nothing?")
    with pytest.raises(SinkError) as caught:
        open_sink(url)
    assert "secret-word" not in str(caught.value)
    assert 'database "nothing" does not exist' in str(caught.value)


def test_a_user_finds_attributes_with_plain_sql(postgres: LocalPostgres, stream: str) -> None:
    sink = open_sink(postgres.url)
    sink.write([row(stream, 1, number=2), row(stream, 2, number=3)], ())
    sink.close()
    sql = "SELECT seq, copies FROM lsi_record WHERE stream = %s AND payload->'a'->>'Smiling' = 'true'"
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute(sql, [stream]).fetchall() == [(1, 1)]


def test_a_row_that_the_database_refuses_goes_to_quarantine_and_the_others_stay(
    postgres: LocalPostgres, stream: str
) -> None:
    sink = open_sink(postgres.url)
    # PostgreSQL's JSON cannot hold NUL; no schema of ours lets one through: it stands for the next surprise.
    bad = replace(row(stream, 2), payload='{"a": "\\u0000"}')
    assert sink.write([row(stream, 1), bad, row(stream, 3)], ()) == Stored(new=2, unstorable=1)
    assert sink.missing("hall1", stream, 3) == [SeqRange(2, 2)]
    sink.close()
    with psycopg.connect(postgres.url) as connection:
        sql = "SELECT topic FROM lsi_quarantine WHERE reason LIKE 'the database does not take it%'"
        assert connection.execute(sql).fetchall() == [("lsi/v1/hall1/event",)]


def test_a_file_of_records_is_for_its_owner_alone(tmp_path: Path, stream: str) -> None:
    for name in ("records.jsonl", "records.db"):
        sink = open_sink(str(tmp_path / name))
        sink.write([row(stream, 1)], ())
        sink.close()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes) == {"records.jsonl", "records.jsonl.quarantine", "records.db"}
    assert set(modes.values()) == {0o600}


def test_a_line_of_the_file_is_what_was_published(tmp_path: Path, stream: str) -> None:
    sink = open_sink(str(tmp_path / "r.jsonl"))
    sink.write([row(stream, 1, hist=True), sealed_row(stream, 2, b"\x01")], ())
    sink.give_up("hall1", stream, [(3, 4)])
    sink.close()
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()
    ]
    assert lines[0]["payload"] == json.loads(visit(stream, seq=1).encode())
    assert (lines[1]["kind"], lines[1]["sealed"]) == ("latent", "01")
    assert (lines[2]["kind"], lines[2]["from"], lines[2]["to"]) == ("gone", 3, 4)


def test_a_line_that_a_power_cut_left_half_written_is_cut_off(tmp_path: Path, stream: str) -> None:
    path = tmp_path / "r.jsonl"
    sink = open_sink(str(path))
    sink.write([row(stream, 1), row(stream, 2)], ())
    sink.close()
    whole = path.read_bytes()
    for cut in (1, 40, len(whole.splitlines()[1])):
        path.write_bytes(whole[:-cut])
        sink = open_sink(str(path))
        assert sink.missing("hall1", stream, 2) == [SeqRange(2, 2)]
        assert sink.write([row(stream, 2)], ()) == Stored(new=1)
        sink.close()
        assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    for text in ("hello\n", '{"kind": "event"}\n', "[]\n"):
        path = tmp_path / "r.jsonl"
        path.write_text(text)
        with pytest.raises(SinkError, match="no record"):
            JsonLinesSink(path)
        assert path.read_text() == text


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path: Path, stream: str) -> None:
    sink = JsonLinesSink(tmp_path / "r.jsonl")
    sink.write([row(stream, 1)], ())
    file = sink._file

    class Full:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a file's attributes
            return getattr(file, name)

        def write(self, content: bytes) -> int:
            file.write(content[:10])
            raise OSError(28, "No space left on device")

    sink._file = Full()  # type: ignore[assignment] # a file that is full
    with pytest.raises(SinkError, match="No space left"):
        sink.write([row(stream, 2)], ())
    sink._file = file
    assert sink.write([row(stream, 2)], ()) == Stored(new=1)
    sink.close()
    assert len([json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]) == 2


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("mysql://x/y", "no sink for mysql"),
        ("records.txt", "is no sink"),
        ("nowhere/records.db", "nowhere"),
        ("nowhere/records.jsonl", "No such file"),
        ("postgresql://lsi@/postgres?host=/nowhere", "check that the server runs"),
        ("::", "is no sink"),
    ],
)
def test_a_sink_that_is_none_is_refused_with_what_to_try(
    where: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match=said):
        open_sink(where)


def test_two_processes_may_write_to_one_sqlite_file(tmp_path: Path, stream: str) -> None:
    first, second = open_sink(str(tmp_path / "r.db")), open_sink(str(tmp_path / "r.db"))
    first.write([row(stream, 1)], ())
    assert second.write([row(stream, 1), row(stream, 2)], ()) == Stored(new=1, again=1)
    first.close()
    second.close()
    with sqlite3.connect(tmp_path / "r.db") as connection:
        assert connection.execute("SELECT seq, copies FROM lsi_record").fetchall() == [(1, 2), (2, 1)]
    connection.close()


def test_sinks_opened_at_one_moment_in_an_empty_database_agree_on_its_tables(
    empty_database: str, stream: str
) -> None:
    at_once = threading.Barrier(OPENED_AT_ONCE)

    def open_and_write(seq: int) -> Stored:
        at_once.wait()
        sink = open_sink(empty_database)
        stored = sink.write([row(stream, seq)], ())
        sink.close()
        return stored

    with ThreadPoolExecutor(OPENED_AT_ONCE) as pool:
        stored = list(pool.map(open_and_write, range(1, OPENED_AT_ONCE + 1)))
    assert stored == [Stored(new=1)] * OPENED_AT_ONCE
