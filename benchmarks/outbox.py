"""What the outbox costs: records a second in and out, the time to open a full one, bytes on the disk.

The floor is a table of SQLite with the same pragmas and nothing of ours. Payloads have 600 bytes.
The disk is the one under ``--folder``.

    python -m benchmarks.outbox --json
"""

import argparse
import json
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report
from edge_app.records.drain import Drain, DrainSettings
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import OutboxLimits, Record
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from lsi.units import NS_PER_MS, NS_PER_S
from transport.broker import Message
from transport.outgoing import Outcome, Settled

RECORDS: Final = 5_000
PAYLOAD_BYTES: Final = 600
GOAL_PER_S: Final = 1_000.0
GOAL_OPEN_MS: Final = 1_000.0
GOAL_OVER_LIMIT: Final = 1.25
_FILL: Final = "x" * (PAYLOAD_BYTES - 60)


class Swallow:
    """Accepts every message at once."""

    def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
        """Say at once that the broker has it."""
        del message
        on_settled(Outcome(Settled.ACCEPTED))
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=parsed.folder) as folder:
        figures = [*_in_and_out(Path(folder), parsed.records), *_full(Path(folder))]
    print(report("outbox", figures, as_json=parsed.json))
    return 0


def _in_and_out(folder: Path, records: int) -> list[Figure]:
    floor_per_s = records / _floor_s(folder / "floor.db", records)
    with closing(_outbox(folder / "in-and-out" / "outbox.db")) as outbox:
        added_s = _timed(lambda: _fill(outbox, records))
        slowest_ms = (
            max(_timed(lambda: _fill(outbox, 1)) for _ in range(records // 10)) * NS_PER_S / NS_PER_MS
        )
        drain = Drain(outbox, Swallow(), _may_leave, clock=MonotonicClock(), settings=DrainSettings(1e9))
        drained_s = _timed(lambda: _drain(drain, outbox))
    beside = {"plain_table_per_s": floor_per_s}
    return [
        _goal("inserts_per_s", records / added_s, "1/s", GOAL_PER_S, beside),
        Figure("slowest_insert_ms", slowest_ms, "ms", None, None, {}),
        _goal("drained_per_s", records * 1.1 / drained_s, "1/s", GOAL_PER_S, {"pace_per_s": 20.0}),
    ]


def _full(folder: Path) -> list[Figure]:
    """An outbox at its limit: its size, opening it, wiping all of it."""
    path = folder / "full" / "outbox.db"
    limit = OutboxLimits().max_bytes
    outbox = _outbox(path)
    _fill(outbox, round(1.1 * limit / PAYLOAD_BYTES))
    rows = outbox.status().rows
    outbox.close()
    over = path.stat().st_size / limit
    opened_ms = _timed(lambda: _outbox(path).close()) * NS_PER_S / NS_PER_MS
    outbox = _outbox(path)
    wiped_ms = _timed(outbox.wipe) * NS_PER_S / NS_PER_MS
    return [
        Figure(
            "file_over_limit",
            over,
            "1",
            f"at most {GOAL_OVER_LIMIT:g}",
            over <= GOAL_OVER_LIMIT,
            {"rows": rows},
        ),
        Figure(
            "open_full_ms",
            opened_ms,
            "ms",
            f"at most {GOAL_OPEN_MS:g}",
            opened_ms <= GOAL_OPEN_MS,
            {
                "open_empty_ms": _timed(lambda: _outbox(folder / "empty" / "o.db").close())
                * NS_PER_S
                / NS_PER_MS
            },
        ),
        Figure("wipe_full_ms", wiped_ms, "ms", None, None, {}),
    ]


def _goal(name: str, value: float, unit: str, goal: float, beside: dict[str, float]) -> Figure:
    return Figure(name, value, unit, f"at least {goal:g}", value >= goal, beside)


def _outbox(path: Path) -> Outbox:
    stream = secrets.token_hex(8)
    return Outbox(path, stream, _topic_of, clock=MonotonicClock(), wall_clock=SystemWallClock())


def _topic_of(kind: str) -> str:
    return f"lsi/v1/bench/{kind}"


def _may_leave(_record: Record, _payload: bytes) -> None:
    """Everything: the check's own time is not the outbox's."""


def _fill(outbox: Outbox, count: int) -> None:
    for _ in range(count):
        outbox.add("event", _payload)


def _payload(seq: int) -> bytes:
    return json.dumps({"v": "lsi.event/1", "seq": seq, "fill": _FILL, "hist": False}).encode()


def _drain(drain: Drain, outbox: Outbox) -> None:
    while outbox.status().rows:
        drain.step()


def _floor_s(path: Path, records: int) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("CREATE TABLE record (place INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        sql = "INSERT INTO record (payload) VALUES (?)"
        return _timed(lambda: [db.execute(sql, (_payload(seq),)) for seq in range(records)])


def _timed(work: Callable[[], object]) -> float:
    started_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - started_ns) / NS_PER_S


if __name__ == "__main__":
    sys.exit(main())
