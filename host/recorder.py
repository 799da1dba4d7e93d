"""``Recorder``: batches from the broker into a sink, acknowledged only after the sink has them for good.

The network thread lays messages into a queue; the thread of ``run`` reads, checks, writes and
acknowledges. While the sink is away nothing is acknowledged: the broker keeps what comes, within
its limits.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from host.clock_check import ClockCheck
from host.gap_keeper import GapKeeper
from host.sink import Quarantined, Sink, SinkRow, Stored
from host.subscriber import Rejected, read_message
from host.subscription import replay_message
from lsi.command_documents import AckPayload, Command
from lsi.errors import PayloadError, SinkError
from lsi.status import HealthPayload
from transport.backoff import Backoff
from transport.broker import Message
from transport.intake import Acknowledge

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 20_000
"""Messages of QoS 0 beyond this are dropped: ``health`` comes again."""

SINK_FIRST_S: Final = 0.5
SINK_LONGEST_S: Final = 15.0
IDLE_S: Final = 1.0
"""Longest sleep of the loop: reports and stops are looked at this often."""

Arrival: TypeAlias = tuple[Message, Acknowledge]


@dataclass(frozen=True, slots=True)
class Batching:
    """A batch is written when it has ``rows`` messages, or ``flush_s`` after its first."""

    rows: int = 500
    flush_s: float = 0.1


@dataclass(slots=True)
class Counts:
    """What a recorder did since it started."""

    stored: Stored = field(default_factory=Stored)
    rejected: int = 0
    asked: int = 0
    given_up: int = 0
    sink_faults: int = 0
    dropped: int = 0
    far_off: int = 0


@dataclass(slots=True)
class _Batch:
    """What one batch brings, sorted by what is to be done with it."""

    rows: list[SinkRow] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    healths: list[HealthPayload] = field(default_factory=list)
    answers: list[AckPayload] = field(default_factory=list)


class Recorder:
    """Keeps what comes.

    Args:
        sink: Where.
        keeper: Looks after gaps.
        ask: Sends a command to a device; may drop it.
        batching: How much at once.
        now_s: Monotonic time.
        backoff: Pauses while the sink is away.
        clocks: Tells of records that claim a time far away.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        sink: Sink,
        keeper: GapKeeper,
        ask: Callable[[Message], object],
        *,
        batching: Batching | None = None,
        now_s: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
        clocks: ClockCheck | None = None,
    ) -> None:
        self.counts = Counts()
        self._sink = sink
        self._keeper = keeper
        self._ask = ask
        self._batching = batching or Batching()
        self._now_s = now_s
        self._backoff = backoff or Backoff(first_s=SINK_FIRST_S, longest_s=SINK_LONGEST_S)
        self._clocks = clocks or ClockCheck()
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._stopping = threading.Event()

    def take(self, message: Message, acknowledge: Acknowledge) -> None:
        """Lay a message ready; called from the network thread."""
        if message.qos == 0 and self._arrivals.qsize() >= MAX_WAITING:
            self.counts.dropped += 1
        else:
            self._arrivals.put((message, acknowledge))

    def stop(self) -> None:
        """End ``run`` after the batch it is at; from any thread or signal handler."""
        self._stopping.set()
        self._arrivals.put(None)

    def run(self, on_round: Callable[[], None] = lambda: None) -> None:
        """Write batches until stopped. ``on_round`` is called after each, and about every second."""
        while not self._stopping.is_set():
            arrivals = self._collect()
            if arrivals:
                self._keep(arrivals)
            self._look_after_gaps()
            on_round()

    def _collect(self) -> Sequence[Arrival]:
        """The next batch, or nothing when none came within a moment."""
        arrivals: list[Arrival] = []
        until_s = self._now_s() + IDLE_S
        while len(arrivals) < self._batching.rows and not self._stopping.is_set():
            try:
                arrival = self._arrivals.get(timeout=max(0.0, until_s - self._now_s()))
            except queue.Empty:
                break
            if arrival is None:
                break
            if not arrivals:
                until_s = self._now_s() + self._batching.flush_s
            arrivals.append(arrival)
        return arrivals

    def _keep(self, arrivals: Sequence[Arrival]) -> None:
        batch = _read(message for message, _ in arrivals)
        if not self._insist(lambda: self._write(batch)):
            return
        for _, acknowledge in arrivals:
            acknowledge()
        for health in batch.healths:
            self._keeper.health(health, self._now_s())

    def _write(self, batch: _Batch) -> None:
        if batch.rows or batch.quarantined:
            self.counts.stored += self._sink.write(batch.rows, batch.quarantined)
        self.counts.rejected += len(batch.quarantined)
        self.counts.far_off += self._clocks.far_off(batch.rows)
        for answer in batch.answers:
            self.counts.given_up += self._keeper.answer(answer)

    def _insist(self, work: Callable[[], None]) -> bool:
        """Do it again until the sink takes it; ``False`` when told to stop first."""
        while not self._stopping.is_set():
            try:
                work()
            except SinkError as error:
                self._say_fault(error)
                self._stopping.wait(self._backoff.delay_s())
            else:
                self._backoff.reset()
                return True
        return False

    def _look_after_gaps(self) -> None:
        try:
            for replay in self._keeper.check(self._now_s()):
                self.counts.asked += 1
                self._ask(replay_message(replay))
        except SinkError as error:
            self._say_fault(error)

    def _say_fault(self, error: SinkError) -> None:
        self.counts.sink_faults += 1
        logger.warning("Nothing is kept and nothing acknowledged now: %s", error)


def _read(messages: Iterable[Message]) -> _Batch:
    batch = _Batch()
    for message in messages:
        if message.topic.endswith(f"/ack/{Command.REPLAY}"):
            _read_answer(message, batch)
            continue
        event = read_message(message)
        if isinstance(event, Rejected):
            batch.quarantined.append(Quarantined.of(event))
        elif isinstance(event.content, HealthPayload):
            batch.healths.append(event.content)
        elif (row := SinkRow.of(event)) is not None:
            batch.rows.append(row)
    return batch


def _read_answer(message: Message, batch: _Batch) -> None:
    try:
        batch.answers.append(AckPayload.decode(message.payload))
    except PayloadError as error:
        rejected = Rejected(message.topic, len(message.payload), error.found, message.payload)
        batch.quarantined.append(Quarantined.of(rejected))
