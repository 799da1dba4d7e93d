"""``GapKeeper``: has devices send again what a sink has not got.

The sink itself knows what is there, so workers that share a subscription need not know of each
other: whoever gets a device's ``health`` looks after its gaps. A check waits a while, since other
workers and the device's own backlog may still bring what is missing.

A hole may also be a kind of record that we may not read: a sealed latent has a number among the
others. What a device sent again twice and what still did not come is asked for no more.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from host.gap_watch import MAX_RANGES, REPLAY_ID, Patience, Replay
from host.seq_ranges import SeqRange, SeqRanges
from host.sink import Sink
from lsi.command_documents import Accepted, AckPayload, ReplayArguments
from lsi.status import HealthPayload

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

SINK_PATIENCE: Final = Patience(grace_s=10.0, first_pause_s=30.0, longest_pause_s=3600.0)
MAX_STREAMS: Final = 100_000
"""Streams of which we remember that they are complete, or when we asked; the sink knows the rest."""


@dataclass(slots=True)
class _Asked:
    """When we asked for a stream last, for what, and how long to wait with the same question."""

    ranges: list[SeqRange]
    next_s: float
    pause_s: float


@dataclass(slots=True)
class _SentAgain:
    """Numbers that a device sent again on our word, and those of them that it sent twice."""

    once: SeqRanges = field(default_factory=SeqRanges)
    twice: SeqRanges = field(default_factory=SeqRanges)

    def note(self, first: int, last: int) -> None:
        repeated = SeqRanges([(first, last)])
        for hole in self.once.missing(first, last):
            repeated.remove(*hole)
        for held in repeated:
            self.twice.add(*held)
        self.once.add(first, last)

    def wanted(self, missing: Iterable[SeqRange]) -> list[SeqRange]:
        """What of ``missing`` it makes sense to ask for."""
        return [hole for each in missing for hole in self.twice.missing(*each)]


class GapKeeper:
    """Compares what devices told with what a sink holds.

    Args:
        sink: Asked for gaps, told what is gone.
        patience: When to look and when to ask again.
    """

    def __init__(self, sink: Sink, patience: Patience = SINK_PATIENCE) -> None:
        self._sink = sink
        self._patience = patience
        self._due: OrderedDict[tuple[str, str], tuple[float, int | None]] = OrderedDict()
        self._complete: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._asked: OrderedDict[tuple[str, str], _Asked] = OrderedDict()
        self._sent_again: OrderedDict[tuple[str, str], _SentAgain] = OrderedDict()
        self._is_told = False
        self.missing_rows = 0

    def health(self, health: HealthPayload, now_s: float) -> None:
        """A device told how far its streams go; with a backlog only gaps below what came are looked for."""
        has_backlog = health.outbox is None or health.outbox.rows > 0
        for stream, told in health.highest.items():
            key, highest = (health.device_id, stream), int(told)
            if self._complete.get(key, 0) < highest and key not in self._due:
                self._due[key] = (now_s + self._patience.grace_s, None if has_backlog else highest)

    def answer(self, ack: AckPayload) -> int:
        """A device answered a replay: what it has no more is given up. Returns how many records.

        Raises:
            SinkError: It could not be noted.
        """
        report = ack.reply.replay if isinstance(ack.reply, Accepted) else None
        if report is None:
            return 0
        if report.again and (asked := REPLAY_ID.fullmatch(ack.request_id or "")):
            self._note_sent((ack.device_id, report.stream), *map(int, asked.groups()))
        if not report.gone:
            return 0
        self._sink.give_up(ack.device_id, report.stream, report.gone)
        self._asked.pop((ack.device_id, report.stream), None)
        return sum(last - first + 1 for first, last in report.gone)

    def next_s(self) -> float | None:
        """When there is something to look at, or ``None``."""
        return next((due_s for due_s, _ in self._due.values()), None)

    def check(self, now_s: float) -> Iterator[Replay]:
        """Look at what is due, and tell what to ask for now.

        Raises:
            SinkError: The sink cannot be asked now; what was not looked at stays due.
        """
        while self._due:
            key, (due_s, upto) = next(iter(self._due.items()))
            if due_s > now_s:
                return
            missing = self._sink.missing(*key, upto)
            del self._due[key]
            self.missing_rows = sum(hole.rows for hole in missing)
            wanted = self._sent_again.get(key, _SentAgain()).wanted(missing)
            self._tell_withheld(key[0], missing, wanted)
            if wanted:
                yield from self._ask(key, wanted[:MAX_RANGES], now_s)
            elif upto is not None and not missing:
                self._asked.pop(key, None)
                _remember(self._complete, key, upto)

    def _note_sent(self, key: tuple[str, str], first: int, last: int) -> None:
        if last >= first:
            _remember(self._sent_again, key, self._sent_again.get(key, _SentAgain()))
            self._sent_again[key].note(first, last)

    def _tell_withheld(self, device_id: str, missing: Sequence[SeqRange], wanted: Sequence[SeqRange]) -> None:
        """Say once that something is kept from us; of which device the first was."""
        rows = sum(hole.rows for hole in missing) - sum(hole.rows for hole in wanted)
        if rows and not self._is_told:
            self._is_told = True
            logger.warning(
                "%s sent %d records again, twice, and none came: they are of a kind that we may not read. "
                "They are asked for no more. Try: read access to lsi/v1/+/latent, if latents are wanted.",
                device_id, rows,
            )  # fmt: skip

    def _ask(self, key: tuple[str, str], ranges: list[SeqRange], now_s: float) -> Iterator[Replay]:
        asked = self._asked.get(key)
        if asked is not None and asked.ranges == ranges:
            if now_s < asked.next_s:
                return
            pause_s = min(2 * asked.pause_s, self._patience.longest_pause_s)
        else:
            pause_s = self._patience.first_pause_s
        _remember(self._asked, key, _Asked(ranges, now_s + pause_s, pause_s))
        device_id, stream = key
        for hole in ranges:
            yield Replay(device_id, ReplayArguments(stream, *hole))


def _remember(memory: OrderedDict[tuple[str, str], Value], key: tuple[str, str], value: Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MAX_STREAMS:
        memory.popitem(last=False)
