"""An outbox on a bench: virtual time, payloads that tell their key, a sender that answers on command."""

import datetime as dt
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge_app.records.drain import Drain, DrainSettings
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import OutboxLimits, Record, RecordKey
from firmware.sim.clock import SimClock
from lsi.units import NS_PER_S
from transport.backoff import Backoff
from transport.broker import Message
from transport.outgoing import Outcome, Settled

A, B, C = "a" * 16, "b" * 16, "c" * 16
DAY_S = 24 * 3600.0
ACCEPTED = Outcome(Settled.ACCEPTED)
LOST = Outcome(Settled.LOST)


@dataclass
class SetWallClock:
    """A wall clock that the test sets, in seconds since 1970."""

    now_s: float = 1_800_000_000.0
    trusted: bool = True

    def timestamp(self) -> str:
        return dt.datetime.fromtimestamp(self.now_s, dt.UTC).isoformat(timespec="milliseconds")

    def source(self) -> str:
        return "ntp" if self.trusted else "unsynced"


def payload_of(stream: str, kind: str = "event", size: int = 0) -> Callable[[int], bytes]:
    """Payloads that nobody but the record ``(stream, seq)`` has, filled up with ``size`` bytes."""

    def payload(seq: int) -> bytes:
        document = {"v": f"lsi.{kind}/1", "stream": stream, "seq": seq, "mark": marker(stream, seq).decode()}
        return json.dumps({**document, "fill": "x" * size, "hist": False}, separators=(",", ":")).encode()

    return payload


def marker(stream: str, seq: int) -> bytes:
    """Bytes by which a record is found on a disk."""
    return f"<{stream[:4]}{seq:06d}>".encode()


@dataclass
class Bench:
    """A folder, its clocks, and starts of one service on it."""

    path: Path
    clock: SimClock = field(default_factory=lambda: SimClock(5 * NS_PER_S))
    wall: SetWallClock = field(default_factory=SetWallClock)
    boot: str = "boot-1"

    def start(self, stream: str = A, limits: OutboxLimits | None = None) -> Outbox:
        return Outbox(
            self.path,
            stream,
            lambda kind: f"lsi/v1/hall/{kind}",
            clock=self.clock,
            wall_clock=self.wall,
            limits=limits,
            boot=self.boot,
        )

    def opened(self, stream: str = A, limits: OutboxLimits | None = None) -> "closing[Outbox]":
        return closing(self.start(stream, limits))

    def reboot(self, boot: str, off_s: float) -> None:
        """Power off for ``off_s``; the monotonic clock begins anew."""
        self.boot, self.clock = boot, SimClock(NS_PER_S)
        self.wall.now_s += off_s

    def pass_s(self, seconds: float) -> None:
        self.clock.advance(round(seconds * NS_PER_S))
        self.wall.now_s += seconds

    def disk(self) -> bytes:
        """Every byte that lies in the folder."""
        return b"".join(file.read_bytes() for file in sorted(self.path.parent.iterdir()) if file.is_file())


def fill(outbox: Outbox, count: int, size: int = 0, kind: str = "event") -> list[RecordKey]:
    return [outbox.add(kind, payload_of(outbox.stream, kind, size)) for _ in range(count)]


def held(outbox: Outbox) -> list[RecordKey]:
    """Keys of everything that is due, in the order of sending."""
    return [record.key for record in outbox.take(1_000_000)]


@dataclass
class Sender:
    """Answers at once with ``answer``, or keeps the question when that is ``None``."""

    answer: Outcome | None = ACCEPTED
    connected: bool = True
    sent: list[Message] = field(default_factory=list)
    open: list[Callable[[Outcome], None]] = field(default_factory=list)
    by_seq: dict[int, Outcome] = field(default_factory=dict)

    def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
        if not self.connected:
            return False
        self.sent.append(message)
        answer = self.by_seq.get(self.seqs()[-1], self.answer) if message.payload[:1] == b"{" else self.answer
        if answer is None:
            self.open.append(on_settled)
        else:
            on_settled(answer)
        return True

    def seqs(self) -> list[int]:
        return [json.loads(message.payload)["seq"] for message in self.sent]

    def history(self) -> list[bool]:
        return [json.loads(message.payload)["hist"] for message in self.sent]


def may_leave(_record: Record, _payload: bytes) -> None:
    """A check that lets everything pass."""


def drain_of(
    bench: Bench,
    outbox: Outbox,
    sender: Sender,
    settings: DrainSettings | None = None,
    check: Callable[[Record, bytes], None] = may_leave,
) -> Drain:
    backoff = Backoff(lambda _, high: high)
    return Drain(outbox, sender, check, clock=bench.clock, settings=settings, backoff=backoff)


def run_for(bench: Bench, drain: Drain, seconds: float) -> None:
    """Step as the thread would, in virtual time."""
    end_ns = bench.clock.now_ns() + round(seconds * NS_PER_S)
    while bench.clock.now_ns() < end_ns:
        bench.pass_s(max(drain.step(), 0.001))
