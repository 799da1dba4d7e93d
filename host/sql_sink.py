"""``SqlSink``: records in SQLite or PostgreSQL, upserted on (device, stream, seq), one commit for a batch."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from host.seq_ranges import SeqRange, SeqRanges
from host.sink import MAX_QUARANTINED, Key, Quarantined, SinkRow, Stored, once_each, utc_now
from host.sql_batch import insert_what_is_new, rows_insert, rows_parameter, values_of
from host.sql_tables import ATTR, GONE, METADATA, QUARANTINE, RECORD, STREAM
from lsi.errors import SinkError
from lsi.topics import ROOT, Kind

Result = TypeVar("Result")

BUSY_TIMEOUT_S: Final = 30
"""How long SQLite waits for another process that writes."""

ONE_MAKER: Final = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(7107170)"}
"""Workers that start together find no tables and all make them: from here to the commit one works, the
others wait. ``CREATE TABLE IF NOT EXISTS`` alone fails in PostgreSQL when two run at one moment. The number
is ours, and any would do."""

_FILE_HINT: Final = "a folder that exists and may be written to, with room on the disk."
POOL_OPTIONS: Final = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}


class SqlSink:
    """One database. Several processes may write to one PostgreSQL; the key decides who was first.

    Args:
        url: Where; a password in it is never shown.

    Raises:
        SinkError: The database cannot be opened.
    """

    def __init__(self, url: URL) -> None:
        self._name = url.render_as_string(hide_password=True)
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._engine = _engine(url, is_sqlite=self._is_sqlite)
        self._quarantined = self._run(self._prepare)

    def write(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        """Keep a batch; see ``Sink``."""
        try:
            return self._write_batch(rows, quarantined)
        except SinkError as error:
            if not isinstance(error.__cause__, DataError | IntegrityError):
                raise
            return self._write_one_by_one(rows, quarantined)

    def missing(self, device_id: str, stream: str, upto: int | None) -> Sequence[SeqRange]:
        """What is neither here nor given up; see ``Sink``."""
        return self._run(lambda connection: self._missing(connection, (device_id, stream), upto))

    def give_up(self, device_id: str, stream: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Note holes for good; see ``Sink``."""
        rows = [
            {"device": device_id, "stream": stream, "first_seq": first, "last_seq": last}
            for first, last in ranges
        ]
        if rows:
            insert = self._insert(GONE).on_conflict_do_nothing()
            self._run(lambda connection: connection.execute(insert, rows))

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _prepare(self, connection: Connection) -> int:
        connection.exec_driver_sql(ONE_MAKER[connection.dialect.name])
        METADATA.create_all(connection)
        return connection.execute(select(func.count()).select_from(QUARANTINE)).scalar_one()

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        """One transaction."""
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (SQLAlchemyError, OSError) as cause:
            # The driver's own words name no value; SQLAlchemy's would repeat the statement with all of them.
            said = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip().partition("\n")[0]
            hint = _hint(cause, is_sqlite=self._is_sqlite)
            raise SinkError(f"{self._name}: {said[:200]}", hint=hint) from cause

    def _write_batch(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        """As a rule nothing in a batch was there before; only where something was, copies are counted."""
        try:
            return self._run(lambda connection: self._write(connection, rows, quarantined, _all_new))
        except _CopiesError:
            return self._run(lambda connection: self._write(connection, rows, quarantined, self._upsert))

    def _write(
        self,
        connection: Connection,
        rows: Sequence[SinkRow],
        quarantined: Sequence[Quarantined],
        keep: Callable[[Connection, Table, Sequence[SinkRow]], Stored],
    ) -> Stored:
        each, stored = once_each(rows)
        for table, wanted in ((RECORD, False), (ATTR, True)):
            found = [row for row in each if (row.kind is Kind.ATTR) is wanted]
            if found:
                stored += keep(connection, table, found)
        room = max(0, MAX_QUARANTINED - self._quarantined)
        if quarantined[:room]:
            connection.execute(QUARANTINE.insert(), [_quarantine_row(each) for each in quarantined[:room]])
            self._quarantined += len(quarantined[:room])
        return stored

    def _upsert(self, connection: Connection, table: Table, rows: Sequence[SinkRow]) -> Stored:
        insert: Any = sqlite.insert(table) if self._is_sqlite else rows_insert(table)
        upsert = insert.on_conflict_do_update(
            index_elements=["device", "stream", "seq"],
            set_={
                "copies": table.c.copies + 1,
                "contradicted": or_(table.c.contradicted, table.c.digest != insert.excluded.digest),
            },
        ).returning(table.c.device, table.c.stream, table.c.seq, table.c.copies, table.c.digest)
        received = utc_now()
        parameters: Any = (
            [values_of(row, received) for row in rows] if self._is_sqlite else rows_parameter(rows, received)
        )
        found = connection.execute(upsert, parameters).all()
        sent = {row.key: row.digest for row in rows}
        again = sum(copies > 1 for *_, copies, _ in found)
        contradicting = sum(bytes(kept) != sent[Key(*key)] for *key, _, kept in found)
        return Stored(len(rows) - again, again, contradicting)

    def _write_one_by_one(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        """A batch with a row that the database refuses: that one goes to quarantine, the others stay."""
        stored = self._write_batch((), quarantined)
        for row in rows:
            stored += self._write_one(row)
        return stored

    def _write_one(self, row: SinkRow) -> Stored:
        try:
            return self._write_batch([row], ())
        except SinkError as error:
            if not isinstance(error.__cause__, DataError | IntegrityError):
                raise
            reason = f"the database does not take it: {error.found}"
            topic = f"{ROOT}/{row.key.device_id}/{row.kind}"
        refused = Quarantined(topic, len(row.payload), reason, row.payload.encode())
        self._write_batch((), [refused])
        return Stored(unstorable=1)

    def _missing(
        self, connection: Connection, stream: tuple[str, str], upto: int | None
    ) -> Sequence[SeqRange]:
        settled_to = connection.execute(
            select(STREAM.c.settled_to).where(*_is(STREAM, stream))
        ).scalar_one_or_none()
        start = (settled_to or 0) + 1
        held = SeqRanges(_islands(connection, stream, start))
        last = held.highest if upto is None else upto
        gone = select(GONE.c.first_seq, GONE.c.last_seq).where(*_is(GONE, stream), GONE.c.last_seq >= start)
        for first_gone, last_gone in connection.execute(gone):
            held.add(first_gone, last_gone)
        missing = list(held.missing(start, last))
        now_settled_to = missing[0].first - 1 if missing else last
        if now_settled_to >= start:
            self._settle(connection, stream, now_settled_to)
        return missing

    def _settle(self, connection: Connection, stream: tuple[str, str], settled_to: int) -> None:
        insert = self._insert(STREAM)
        moved = insert.on_conflict_do_update(
            index_elements=["device", "stream"],
            set_={"settled_to": insert.excluded.settled_to},
            where=STREAM.c.settled_to < insert.excluded.settled_to,
        )
        device, name = stream
        connection.execute(moved, {"device": device, "stream": name, "settled_to": settled_to})

    def _insert(self, table: Table) -> Any:  # noqa: ANN401 - one of two dialects' own insert
        return sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)


class _CopiesError(Exception):
    """Some of a batch were there before: nothing of it is kept yet."""


def _all_new(connection: Connection, table: Table, rows: Sequence[SinkRow]) -> Stored:
    if insert_what_is_new(connection, table, rows, utc_now()) < len(rows):
        raise _CopiesError
    return Stored(len(rows))


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        return create_engine(url, **POOL_OPTIONS, connect_args={"connect_timeout": 10})
    if url.database:
        _make_private(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _durable)
    return engine


def _make_private(path: Path) -> None:
    """Records are personal data: a new file is for its owner alone."""
    try:
        path.touch(mode=0o600)
    except OSError as cause:
        raise SinkError(f"{path}: {cause.strerror}.", hint=_FILE_HINT) from cause


def _durable(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    """Readers beside the writer, and a commit that survives a power cut: the broker forgets after it."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _quarantine_row(each: Quarantined) -> dict[str, object]:
    # PostgreSQL's text holds no NUL.
    topic, reason = (text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in (each.topic, each.reason))
    return {
        "received": utc_now(),
        "topic": topic,
        "size_bytes": each.size_bytes,
        "reason": reason,
        "payload": each.payload,
    }


def _is(table: Table, stream: tuple[str, str]) -> tuple[Any, Any]:
    device, name = stream
    return table.c.device == device, table.c.stream == name


def _islands(connection: Connection, stream: tuple[str, str], start: int) -> Iterable[tuple[int, int]]:
    """The runs of numbers that are there."""
    seq = RECORD.c.seq
    numbered = (
        select(seq, (seq - func.row_number().over(order_by=seq)).label("island"))
        .where(*_is(RECORD, stream), seq >= start)
        .subquery()
    )
    runs = select(func.min(numbered.c.seq), func.max(numbered.c.seq)).group_by(numbered.c.island)
    return [(first, last) for first, last in connection.execute(runs)]


def _hint(cause: Exception, *, is_sqlite: bool) -> str:
    if is_sqlite:
        return _FILE_HINT
    if isinstance(cause, OperationalError):
        return "check that the server runs, and address, user and password (PGPASSFILE, ~/.pgpass)."
    return "a database in which this user may create tables."
