"""The outbox against a plain model of it: lists, dictionaries and no disk."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import DropReason, OutboxLimits, RecordKey
from edge_app.records.outbox_schema import ROW_BYTES, State
from tests.edge_app.records.outbox_bench import Bench, payload_of

LIMITS = OutboxLimits(max_bytes=6_000, max_age_s=1_000, keep_accepted_s=100)
KINDS = ("event", "agg", "latent")
EVICTION_ORDER = (State.ACCEPTED, State.AGAIN, State.DEAD, State.WAITING)


@dataclass
class Row:
    key: RecordKey
    kind: str
    payload: bytes
    created_s: int
    expires_s: int
    due_s: int = 0
    tries: int = 0
    state: State = State.WAITING

    @property
    def size(self) -> int:
        return len(self.payload) + len(f"lsi/v1/hall/{self.kind}") + ROW_BYTES


class OutboxMachine(RuleBasedStateMachine):
    """Rules do the same to both; invariants compare them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lsi-outbox-"))
        self.bench = Bench(self.folder / "state" / "outbox.db")
        self.rows: list[Row] = []
        self.highest: dict[str, int] = {}
        self.dropped = dict.fromkeys(DropReason, 0)
        self.starts = 0
        self.now_s = 0
        self.outbox: Outbox | None = None

    @initialize()
    def first_start(self) -> None:
        self._start()

    @rule(kind=st.sampled_from(KINDS), sizes=st.lists(st.sampled_from([0, 100, 900]), min_size=1, max_size=5))
    def add(self, kind: str, sizes: list[int]) -> None:
        for size in sizes:
            self._add(kind, size)

    @rule()
    def add_what_is_too_large(self) -> None:
        self._add("latent", 7_000)

    @rule()
    def add_to_an_old_backlog(self) -> None:
        self.add("event", [0, 100])
        self.pass_time(30)
        self.add("agg", [0])

    def _add(self, kind: str, size: int) -> None:
        stream = self._outbox.stream
        key = self._outbox.add(kind, payload_of(stream, kind, size))
        assert key == RecordKey(stream, self.highest[stream] + 1)
        self.highest[stream] += 1
        payload = payload_of(stream, kind, size)(key.seq)
        row = Row(key, kind, payload, self.now_s, self.now_s + round(LIMITS.max_age_s))
        if row.size > LIMITS.max_bytes:
            self.dropped[DropReason.SIZE] += 1
            return
        while sum(other.size for other in self.rows) + row.size > LIMITS.max_bytes:
            first = min(self.rows, key=lambda other: EVICTION_ORDER.index(other.state))
            self.rows.remove(first)
            self.dropped[DropReason.SIZE] += first.state is State.WAITING
        self.rows.append(row)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.rows), max_size=3))
        self._outbox.accept([row.key for row in chosen])
        for row in chosen:
            row.state = State.ACCEPTED
            row.expires_s = min(row.expires_s, self.now_s + round(LIMITS.keep_accepted_s))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), delay_s=st.integers(0, 50))
    def postpone(self, data: st.DataObject, delay_s: int) -> None:
        row = data.draw(st.sampled_from(self.rows))
        self._outbox.postpone(row.key, delay_s)
        row.tries, row.due_s = row.tries + 1, self.now_s + delay_s

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.rows))
        self._outbox.bury(row.key)
        row.state = State.DEAD
        self.dropped[DropReason.DEAD] += 1

    @rule(data=st.data(), first=st.integers(1, 12), span=st.integers(0, 6))
    def send_again(self, data: st.DataObject, first: int, span: int) -> None:
        stream = data.draw(st.sampled_from(sorted(self.highest)))
        told = self._outbox.send_again(stream, first, first + span)
        asked = [
            row
            for row in self.rows
            if row.key.stream == stream
            and first <= row.key.seq <= first + span
            and row.expires_s > self.now_s
        ]
        again = [row for row in asked if row.state in {State.ACCEPTED, State.DEAD}]
        assert told.again == tuple(row.key.seq for row in again)
        assert told.waiting == tuple(row.key.seq for row in asked if row not in again)
        for row in again:
            row.state, row.tries, row.due_s = State.AGAIN, 0, 0

    @rule(seconds=st.sampled_from([1, 30, 101, 450]), jump_s=st.sampled_from([0, -86_400, 86_400]))
    def pass_time(self, seconds: int, jump_s: int = 0) -> None:
        self.bench.pass_s(seconds)
        self.bench.wall.now_s += jump_s
        self.now_s += seconds

    @rule()
    def sweep(self) -> None:
        self._outbox.sweep()
        over = [row for row in self.rows if row.expires_s <= self.now_s]
        self.dropped[DropReason.AGE] += sum(row.state is State.WAITING for row in over)
        self.rows = [row for row in self.rows if row not in over]

    @rule(killed=st.booleans(), after_s=st.sampled_from([60, 0]))
    def restart(self, *, killed: bool, after_s: int) -> None:
        self.pass_time(after_s)
        db = self._outbox._store._db
        assert db is not None
        if killed:
            db.close()
        else:
            self._outbox.close()
        self._start()

    @invariant()
    def the_same_records_are_due_in_the_same_order(self) -> None:
        if self.outbox is None:
            return
        due = [
            row
            for state in (State.WAITING, State.AGAIN)
            for row in self.rows
            if row.state is state and row.due_s <= self.now_s < row.expires_s
        ]
        taken = self._outbox.take(1_000)
        assert [(record.key, record.payload, record.tries) for record in taken] == [
            (row.key, row.payload, row.tries) for row in due
        ]
        assert [record.age_s for record in taken] == [self.now_s - row.created_s for row in due]

    @invariant()
    def the_counters_are_the_same(self) -> None:
        if self.outbox is None:
            return
        status = self._outbox.status()
        states = [row.state for row in self.rows]
        sizes = [row.size for row in self.rows if row.state in {State.WAITING, State.AGAIN}]
        assert (status.rows, status.size) == (len(sizes), sum(sizes))
        assert status.kept == states.count(State.ACCEPTED)
        assert status.dead == states.count(State.DEAD)
        assert dict(status.dropped) == self.dropped
        assert status.fault is None
        assert not status.set_aside

    def teardown(self) -> None:
        if self.outbox is not None:
            self.outbox.close()
        shutil.rmtree(self.folder)

    @property
    def _outbox(self) -> Outbox:
        assert self.outbox is not None
        return self.outbox

    def _start(self) -> None:
        self.starts += 1
        stream = f"{self.starts:016x}"
        self.outbox = self.bench.start(stream, LIMITS)
        self.highest[stream] = 0
        self.dropped = dict.fromkeys(DropReason, 0)
        for row in self.rows:
            row.due_s = 0


OutboxMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
TestOutbox = OutboxMachine.TestCase
