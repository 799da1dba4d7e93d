"""``Outbox``: keeps records until the broker has them, through outage, crash and power cut.

Live state never comes here. A record's key is ``(stream, seq)``: the stream is drawn anew at every
start and ``seq`` counts in memory, so a row that a power cut takes away never lends its key to
another content. A key that could not be kept is spent too: the gap shows at the sink.
"""

import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge_app.records.outbox_records import (
    DropReason,
    OutboxLimits,
    OutboxStatus,
    Record,
    RecordKey,
    SentAgain,
)
from edge_app.records.outbox_schema import (
    ROW_BYTES,
    State,
    crc_of,
    discard_damaged,
    erase_damaged,
    is_set_aside,
)
from edge_app.records.outbox_store import Store
from edge_app.records.outbox_time import MS_PER_S, OutboxTime, TimeMark, boot_id
from edge_app.wall_clock import WallClock
from firmware.interfaces import Clock

STREAM: Final = re.compile(r"[0-9a-f]{16}")
MAX_STREAMS: Final = 16
"""Earlier starts of which the highest seq is remembered."""
MAX_DEAD_ROWS: Final = 1_000

_ROW: Final = "stream, seq, kind, topic, created, payload, expires, tries, state, crc"
_EVICTION_ORDER: Final = (State.ACCEPTED, State.AGAIN, State.DEAD, State.WAITING)
"""What the broker has goes first, what it never had last."""


class Outbox:
    """Records of one device in one SQLite file. Every method may be called from any thread.

    A disk that is full, read-only or damaged is never an error of the caller: records are then
    counted as dropped and ``status`` says why, until the disk works again.

    Args:
        path: The file; its folder is made, readable by its owner alone.
        stream: The random id of this start, 16 hexadecimal digits.
        topic_of: The topic of a kind.
        clock: Monotonic time, by which age is judged.
        wall_clock: Tells how long the device was off.
        limits: How much is kept and for how long.
        boot: Names the boot of the machine; replaced in tests.

    Raises:
        ValueError: The stream was used before, or is no such id.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        path: Path,
        stream: str,
        topic_of: Callable[[str], str],
        *,
        clock: Clock,
        wall_clock: WallClock,
        limits: OutboxLimits | None = None,
        boot: str | None = None,
    ) -> None:
        if not STREAM.fullmatch(stream):
            message = f"stream {stream!r} must match {STREAM.pattern}"
            raise ValueError(message)
        self._path = path
        self._stream = stream
        self._topic_of = topic_of
        self._limits = limits or OutboxLimits()
        self._time = OutboxTime(clock, wall_clock, boot or boot_id())
        self._lock = threading.RLock()
        self._seq = 0
        self._highest: dict[str, int] = {}
        self._dropped: Counter[DropReason] = Counter()
        self._traces = False
        self._on_work: Callable[[], None] = lambda: None
        self._store = Store(path, clock, self._load)
        with self._lock:
            self._store.read(lambda _: True)
            if stream in self._highest:
                self._store.close()
                message = f"stream {stream} was used by an earlier start"
                raise ValueError(message)

    @property
    def stream(self) -> str:
        """The id of this start."""
        return self._stream

    def listen(self, on_work: Callable[[], None]) -> None:
        """Have ``on_work`` called after every change that gives something to send; it may not block."""
        self._on_work = on_work

    def add(self, kind: str, payload_of: Callable[[int], bytes]) -> RecordKey:
        """Keep a record under the next key.

        Args:
            kind: The kind of its topic.
            payload_of: Makes the payload for its ``seq``; when it raises, no key is spent.

        Returns:
            The key; spent also where the record could not be kept.
        """
        with self._lock:
            key = RecordKey(self._stream, self._seq + 1)
            topic, payload = self._topic_of(kind), payload_of(key.seq)
            self._seq = key.seq
            gone = self._store.write(lambda db: self._insert(db, key, (kind, topic), payload))
            self._dropped.update({DropReason.FAULT: 1} if gone is None else gone)
        self._on_work()
        return key

    def take(self, count: int, busy: Collection[RecordKey] = ()) -> Sequence[Record]:
        """Up to ``count`` records that are due and not ``busy``: oldest first, replayed ones last."""
        found: list[Record] = []
        with self._lock:
            rows = self._store.read(lambda db: self._due(db, count, busy))
            for row in rows or ():
                record = self._record(row)
                if record is None:
                    self._drop_damaged(row)
                else:
                    found.append(record)
        return found

    def accept(self, keys: Iterable[RecordKey]) -> None:
        """The broker has these: keep them a while for a replay, never longer than before."""
        sql = "UPDATE record SET state = ?, expires = min(expires, ?) WHERE stream = ? AND seq = ?"
        with self._lock:
            until_ms = self._time.now_ms() + round(self._limits.keep_accepted_s * MS_PER_S)
            rows = [(State.ACCEPTED, until_ms, key.stream, key.seq) for key in keys]
            self._store.write(lambda db: db.executemany(sql, rows))

    def postpone(self, key: RecordKey, delay_s: float) -> None:
        """The broker refused this one: count a try, and offer it again after ``delay_s``."""
        sql = "UPDATE record SET tries = tries + 1, due = ? WHERE stream = ? AND seq = ?"
        with self._lock:
            due_ms = self._time.now_ms() + round(delay_s * MS_PER_S)
            self._store.write(lambda db: db.execute(sql, (due_ms, key.stream, key.seq)))

    def bury(self, key: RecordKey) -> None:
        """The broker will never take this one: keep it as a dead letter until its time is over."""
        sql = "UPDATE record SET state = ? WHERE stream = ? AND seq = ?"
        with self._lock:
            changed = self._store.write(
                lambda db: db.execute(sql, (State.DEAD, key.stream, key.seq)).rowcount
            )
            self._dropped[DropReason.DEAD] += changed or 0

    def withhold(self, key: RecordKey) -> None:
        """The policy in force does not let this one out: erase it, so that no replay brings it back."""
        sql = "DELETE FROM record WHERE stream = ? AND seq = ?"
        with self._lock:
            self._traces = True
            gone = self._store.write(lambda db: db.execute(sql, (key.stream, key.seq)).rowcount)
            self._dropped[DropReason.POLICY] += gone or 0

    def send_again(self, stream: str, first: int, last: int) -> SentAgain:
        """Send what is kept of ``first`` to ``last`` once more, dead letters too."""
        with self._lock:
            done = self._store.write(lambda db: self._revive(db, stream, first, last))
        self._on_work()
        return done or SentAgain((), ())

    def highest(self) -> Mapping[str, int]:
        """The highest seq of this stream and of earlier ones that are still known, oldest first."""
        with self._lock:
            return MappingProxyType({**self._highest, self._stream: self._seq})

    def status(self) -> OutboxStatus:
        """Counters and codes for ``health``."""
        with self._lock:
            found = self._store.read(lambda db: db.execute("SELECT state, rows, bytes FROM total").fetchall())
            rows = {state: (count, size) for state, count, size in found or ()}
            waiting, again = (rows.get(state, (0, 0)) for state in (State.WAITING, State.AGAIN))
            return OutboxStatus(
                rows=waiting[0] + again[0],
                size=waiting[1] + again[1],
                kept=rows.get(State.ACCEPTED, (0, 0))[0],
                dead=rows.get(State.DEAD, (0, 0))[0],
                dropped=MappingProxyType({reason: self._dropped[reason] for reason in DropReason}),
                fault=self._store.fault,
                set_aside=is_set_aside(self._path),
            )

    def sweep(self) -> None:
        """Delete what has had its time, and its traces on the disk. To be called about once a minute."""
        with self._lock:
            self._time.learn_gap()
            gone = self._store.write(self._expire)
            self._dropped.update(gone or {})
            if self._traces and gone is not None:
                self._traces = not self._store.leave_no_trace()

    def close(self) -> None:
        """Write the time and end; later records are counted as dropped."""
        with self._lock:
            self._store.write(self._keep_mark)
            self._store.close()

    def wipe(self) -> None:
        """End, and leave nothing on the disk.

        Raises:
            OSError: A file cannot be removed.
        """
        with self._lock:
            self._store.erase()
            self._highest.clear()

    def _load(self, db: sqlite3.Connection) -> None:
        damaged = discard_damaged(db)
        self._dropped[DropReason.DAMAGED] += damaged
        mark = db.execute("SELECT boot, outbox_ms, clock_ms, wall_ms, crc FROM mark").fetchone()
        newest_ms = db.execute("SELECT coalesce(max(created), 0) FROM record").fetchone()[0]
        whole = mark is not None and crc_of(*mark[:-1]) == mark[-1]
        self._time.resume(TimeMark(*mark[:-1]) if whole else None, newest_ms)
        self._keep_mark(db)
        self._highest = {
            stream: seq
            for stream, seq in db.execute("SELECT stream, highest FROM stream ORDER BY place")
            if STREAM.fullmatch(stream)  # a bit may have flipped
        }
        for stream, seq in db.execute(
            "SELECT stream, max(seq) FROM record GROUP BY stream ORDER BY min(place)"
        ):
            self._highest[stream] = max(seq, self._highest.get(stream, 0))
        if self._seq:
            self._highest.pop(self._stream, None)
        self._traces = True  # whoever had the file before may not have come to this

    def _insert(
        self, db: sqlite3.Connection, key: RecordKey, kind_and_topic: tuple[str, str], payload: bytes
    ) -> Mapping[DropReason, int]:
        kind, topic = kind_and_topic
        size = len(topic.encode()) + len(payload) + ROW_BYTES
        if size > self._limits.max_bytes:
            return {DropReason.SIZE: 1}
        dropped = self._make_room(db, self._limits.max_bytes - size)
        created_ms = self._time.now_ms()
        expires_ms = created_ms + round(self._limits.max_age_s * MS_PER_S)
        crc = crc_of(key.stream, key.seq, kind, topic, created_ms, payload=payload)
        db.execute(
            f"INSERT INTO record ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",  # noqa: S608 - a constant
            (key.stream, key.seq, kind, topic, created_ms, payload, expires_ms, crc),
        )
        return {DropReason.SIZE: dropped}

    def _make_room(self, db: sqlite3.Connection, max_bytes: int) -> int:
        """Delete what is least missed until ``max_bytes`` hold the rest; how many were waiting."""
        dropped = 0
        for state in _EVICTION_ORDER:
            while db.execute("SELECT coalesce(sum(bytes), 0) FROM total").fetchone()[0] > max_bytes:
                oldest = "SELECT place FROM record WHERE state = ? ORDER BY place LIMIT 1"
                found = db.execute(oldest, (state,)).fetchone()
                if found is None:
                    break
                db.execute("DELETE FROM record WHERE place = ?", found)
                self._traces = True
                dropped += state is State.WAITING
        return dropped

    def _due(
        self, db: sqlite3.Connection, count: int, busy: Collection[RecordKey]
    ) -> list[tuple[object, ...]]:
        now_ms = self._time.now_ms()
        where = "state = ? AND due <= ? AND expires > ? ORDER BY place LIMIT ?"
        found: list[tuple[object, ...]] = []
        for state in (State.WAITING, State.AGAIN):
            bound = (state, now_ms, now_ms, count + len(busy))
            rows = db.execute(f"SELECT {_ROW} FROM record WHERE {where}", bound).fetchall()  # noqa: S608 - same
            found += [row for row in rows if RecordKey(row[0], row[1]) not in busy]
        return found[:count]

    def _record(self, row: tuple[object, ...]) -> Record | None:
        """The record in ``row``, or ``None`` where a bit of it is not what was written."""
        stream, seq, kind, topic, created_ms, payload, expires_ms, tries, state, crc = row
        match (stream, seq, kind, topic, created_ms, payload, expires_ms, tries):
            case (str(), int(), str(), str(), int(), bytes(), int(), int()):
                key = RecordKey(stream, seq)
            case _:
                return None
        if crc_of(stream, seq, kind, topic, created_ms, payload=payload) != crc:
            return None
        now_ms = self._time.now_ms()
        age_s, left_s = (now_ms - created_ms) / MS_PER_S, (expires_ms - now_ms) / MS_PER_S
        return Record(key, kind, topic, payload, age_s, left_s, tries, again=state == State.AGAIN)

    def _drop_damaged(self, row: tuple[object, ...]) -> None:
        sql = "DELETE FROM record WHERE stream = ? AND seq = ?"
        self._traces = True
        self._dropped[DropReason.DAMAGED] += (
            self._store.write(lambda db: db.execute(sql, row[:2]).rowcount) or 0
        )

    def _revive(self, db: sqlite3.Connection, stream: str, first: int, last: int) -> SentAgain:
        where = "stream = ? AND seq BETWEEN ? AND ? AND expires > ? ORDER BY seq"
        bound = (stream, first, last, self._time.now_ms())
        found = db.execute(f"SELECT seq, state FROM record WHERE {where}", bound).fetchall()  # noqa: S608 - same
        again = tuple(seq for seq, state in found if state in {State.ACCEPTED, State.DEAD})
        db.executemany(
            "UPDATE record SET state = ?, tries = 0, due = 0 WHERE stream = ? AND seq = ?",
            [(State.AGAIN, stream, seq) for seq in again],
        )
        return SentAgain(again, tuple(seq for seq, state in found if state in {State.WAITING, State.AGAIN}))

    def _expire(self, db: sqlite3.Connection) -> Mapping[DropReason, int]:
        now_ms = self._time.now_ms()
        # By created too: a bit that flipped in expires must not keep a row for ever.
        over = (now_ms, now_ms - round(self._limits.max_age_s * MS_PER_S))
        late = "SELECT count(*) FROM record WHERE state = 0 AND (expires <= ? OR created <= ?)"
        dropped: int = db.execute(late, over).fetchone()[0]
        self._remember_streams(db)
        gone = db.execute("DELETE FROM record WHERE expires <= ? OR created <= ?", over).rowcount
        surplus = "SELECT place FROM record WHERE state = ? ORDER BY place DESC LIMIT -1 OFFSET ?"
        bound = (State.DEAD, MAX_DEAD_ROWS)
        gone += db.execute(f"DELETE FROM record WHERE place IN ({surplus})", bound).rowcount  # noqa: S608 - same
        self._traces = self._traces or gone > 0
        self._keep_mark(db)
        self._age_damaged(db, now_ms)
        return {DropReason.AGE: dropped}

    def _remember_streams(self, db: sqlite3.Connection) -> None:
        known = list(self.highest().items())[-MAX_STREAMS:]
        self._highest = {stream: seq for stream, seq in known if stream != self._stream}
        db.execute("DELETE FROM stream")
        db.executemany("INSERT INTO stream (stream, highest) VALUES (?, ?)", known)

    def _keep_mark(self, db: sqlite3.Connection) -> bool:
        fields = astuple(self._time.mark())
        db.execute(
            "INSERT INTO mark (one, boot, outbox_ms, clock_ms, wall_ms, crc) VALUES (1, ?, ?, ?, ?, ?)"
            " ON CONFLICT (one) DO UPDATE SET boot = excluded.boot, outbox_ms = excluded.outbox_ms,"
            " clock_ms = excluded.clock_ms, wall_ms = excluded.wall_ms, crc = excluded.crc",
            (*fields, crc_of(*fields)),
        )
        return True

    def _age_damaged(self, db: sqlite3.Connection, now_ms: int) -> None:
        """A file that was set aside holds records too: it goes when they would have gone."""
        if not is_set_aside(self._path):
            db.execute("UPDATE mark SET damaged_ms = NULL")
            return
        db.execute("UPDATE mark SET damaged_ms = coalesce(damaged_ms, ?)", (now_ms,))
        since_ms: int = db.execute("SELECT damaged_ms FROM mark").fetchone()[0]
        if now_ms - since_ms >= self._limits.max_age_s * MS_PER_S:
            erase_damaged(self._path)
