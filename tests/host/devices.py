"""A device for tests of the host: the shipping outbox, replay and commands behind a real link, and no rig."""

import queue
import secrets
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_app.link.command_replies import replaying
from edge_app.link.commands import Commands
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import OutboxLimits, RecordKey
from edge_app.records.replay import replay
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from lsi.command_documents import Command
from lsi.events import UNNUMBERED, EventPayload, Phase, ScanBucket
from lsi.status import Backlog, HealthPayload
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.broker import LinkState, Message
from transport.outgoing import Outcome, Settled


def visit(stream: str, device_id: str = "hall1", seq: int = UNNUMBERED, number: int = 1) -> EventPayload:
    """The start of a visit."""
    return EventPayload(
        device_id=device_id,
        stream=stream,
        seq=seq,
        ts="2026-11-22T12:00:00.250Z",
        clock="ntp",
        bundle="89abcdef",
        phase=Phase.START,
        visit=f"{stream}-{number}",
        began="2026-11-22T12:00:00.250Z",
        scans=ScanBucket.ONES,
        attributes={"Smiling": number % 2 == 0, "Eyeglasses": None},
    )


def health(stream: str, highest: int, device_id: str = "hall1", waiting: int = 0) -> HealthPayload:
    """A device that told how many records it has made."""
    backlog = Backlog(rows=waiting, kept=0, dead=0, dropped=0)
    return HealthPayload(device_id, stream, frozenset(), 1, 0, 0, outbox=backlog, highest={stream: highest})


class Device:
    """Sends what its outbox holds when told to, and answers ``cmd/replay`` by itself.

    ``lose`` names records that the broker takes and nobody gets, the first time.
    """

    def __init__(
        self, port: int, folder: Path, device_id: str = "hall1", keep_accepted_s: float = 600
    ) -> None:
        self.device_id, self.stream = device_id, secrets.token_hex(8)
        self.lose: set[int] = set()
        clock = MonotonicClock()
        topic_of = f"lsi/v1/{device_id}/{{}}".format
        self.outbox = Outbox(
            folder / device_id / "o.db",
            self.stream,
            topic_of,
            clock=clock,
            wall_clock=SystemWallClock(),
            limits=OutboxLimits(keep_accepted_s=keep_accepted_s),
        )
        handlers = {Command.REPLAY: replaying(partial(replay, self.outbox))}
        self._commands = Commands(device_id, self.stream, handlers, clock=clock)
        self._recorder = Recorder()
        self._linked = linked(port, device_id, self._recorder, subscriptions=[self._commands.topic_filter])

    def __enter__(self) -> Self:
        self._link = self._linked.__enter__()
        assert self._recorder.state() is LinkState.ONLINE
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._linked.__exit__(kind, error, trace)
        self.outbox.close()

    def record(self, count: int = 1) -> None:
        """Make records and send all that wait."""
        for _ in range(count):
            self.outbox.add("event", visit(self.stream, self.device_id).encode_as)
        self.drain()

    def drain(self) -> None:
        """Send what waits, and wait for the broker to have it."""
        for record in self.outbox.take(1_000):
            key = RecordKey(record.key.stream, record.key.seq)
            topic = f"lost/{self.device_id}" if key.seq in self.lose else record.topic
            self.lose.discard(key.seq)
            self.send(Message(topic, record.payload))
            self.outbox.accept([key])

    def tell(self) -> None:
        """Say how far the streams go."""
        highest = self.outbox.highest()[self.stream]
        self.send(
            Message(f"lsi/v1/{self.device_id}/health", health(self.stream, highest, self.device_id).encode())
        )

    def send(self, message: Message) -> None:
        """Send one message, and wait for the broker to have it."""
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        assert self._link.send(message, outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED

    def answer(self) -> None:
        """Wait for one command, carry it out and send what it brings."""
        message = self._recorder.message()
        ack = self._commands.handle(message)
        assert ack is not None
        self.drain()
        self.send(ack)
