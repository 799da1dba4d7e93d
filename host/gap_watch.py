"""``GapWatch``: which records a reader has not got, and when to ask for them again.

A gap is a number that was passed over, a tail one that only ``health`` tells of. Both get a
while to come by themselves, since backlogs overtake each other, and are then asked for with growing
pauses until they are there or the device says that they are gone. Pure: time comes in, requests go out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from host.seq_ranges import SeqRange, SeqRanges
from lsi.command_documents import Accepted, AckPayload, ReplayArguments
from lsi.status import HealthPayload

MAX_RANGES: Final = 10
"""Ranges asked for at once; a device takes 20 requests and then one a second."""

MAX_STREAMS: Final = 4
"""Streams followed of one device. A device that restarts all the time shall not fill our memory."""

MAX_HELD_RANGES: Final = 1_000
REPLAY_ID: Final = re.compile(r"([1-9][0-9]{0,15})-([1-9][0-9]{0,15})")
"""The ``id`` of our replays: first and last number asked for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a gap may fill by itself, and the pauses between two requests for it.

    A device sends 20 records a second, so a hundred in ``grace_s``.
    """

    grace_s: float = 5.0
    first_pause_s: float = 15.0
    longest_pause_s: float = 600.0


class GapState(StrEnum):
    """What is known of records that did not come."""

    MISSING = "missing"
    FILLED = "filled"
    GONE = "gone"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Gap:
    """Records ``first`` to ``last`` of one stream, both included.

    MISSING: not here, and asked for. Later each of them is FILLED (came after all), GONE (the device does
    not have it any more) or, in a stream with more than a thousand holes, ABANDONED.
    """

    device_id: str
    stream: str
    first: int
    last: int
    state: GapState


@dataclass(frozen=True, slots=True)
class Replay:
    """A request to one device."""

    device_id: str
    arguments: ReplayArguments

    @property
    def request_id(self) -> str:
        """What comes back with the answer, which names no range itself; see ``REPLAY_ID``."""
        return f"{self.arguments.first}-{self.arguments.last}"


@dataclass(slots=True)
class _Stream:
    """One start of one device: what came, what was told, what is asked for.

    ``settled`` holds what came or will never come.
    """

    device_id: str
    name: str
    first: int
    patience: Patience
    settled: SeqRanges = field(default_factory=SeqRanges)
    asked: SeqRanges = field(default_factory=SeqRanges)
    told: int = 0
    due_s: float = 0.0
    pause_s: float = 0.0

    def holes(self) -> list[SeqRange]:
        return list(self.settled.missing(self.first, max(self.settled.highest, self.told)))

    def settle(self, first: int, last: int, state: GapState) -> Iterator[Gap]:
        """Note that these came or never will; tells of those that were said to be missing."""
        for part in _common(self.asked, first, last):
            yield self._gap(part, state)
        self.asked.remove(first, last)
        self.settled.add(first, last)

    def ask(self, now_s: float) -> tuple[list[Gap], list[Replay]]:
        holes = self.holes()[:MAX_RANGES]
        new = [part for hole in holes for part in self.asked.missing(*hole)]
        for part in new:
            self.asked.add(*part)
        patience = self.patience
        self.pause_s = min(2 * self.pause_s, patience.longest_pause_s) or patience.first_pause_s
        self.due_s = now_s + self.pause_s
        replays = [Replay(self.device_id, ReplayArguments(self.name, *hole)) for hole in holes]
        return [self._gap(part, GapState.MISSING) for part in new], replays

    def abandon_oldest(self) -> Iterator[Gap]:
        oldest = next(self.settled.missing(self.first, self.settled.highest))
        yield from self.settle(*oldest, GapState.ABANDONED)

    def _gap(self, part: SeqRange, state: GapState) -> Gap:
        return Gap(self.device_id, self.name, *part, state)


class GapWatch:
    """Follows the records of every device from the first that a reader sees.

    Earlier records of a stream already under way are not missed: the reader was not there. A start
    that comes after one that was followed is followed from its first record.

    Args:
        patience: When to ask.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._devices: dict[str, dict[str, _Stream]] = {}
        self._waiting: dict[tuple[str, str], _Stream] = {}

    def record(self, device_id: str, stream: str, seq: int, now_s: float) -> list[Gap]:
        """A record came. Tells what it filled."""
        followed = self._follow(device_id, stream, seq)
        found = list(followed.settle(seq, seq, GapState.FILLED))
        if len(followed.settled) > MAX_HELD_RANGES:
            found += followed.abandon_oldest()
        self._wait_for(followed, now_s)
        return found

    def health(self, health: HealthPayload, now_s: float) -> None:
        """A device told how far its streams go. A backlog still to come is no tail."""
        if health.outbox is None or health.outbox.rows:
            return
        for stream, highest in health.highest.items():
            followed = self._devices.get(health.device_id, {}).get(stream)
            if followed is None and stream == health.stream:
                followed = self._follow(health.device_id, stream, int(highest) + 1)
            if followed is not None:
                followed.told = max(followed.told, int(highest))
                self._wait_for(followed, now_s)

    def answer(self, ack: AckPayload, now_s: float) -> list[Gap]:
        """A device answered a replay, ours or another's. Tells what is gone for good."""
        report = ack.reply.replay if isinstance(ack.reply, Accepted) else None
        followed = self._devices.get(ack.device_id, {}).get(report.stream) if report else None
        if report is None or followed is None:
            return []
        lost = [
            part
            for first, last in report.gone
            for hole in followed.holes()
            for part in _cut(hole, first, last)
        ]
        found = [gap for part in lost for gap in followed.settle(*part, GapState.GONE)]
        self._wait_for(followed, now_s)
        return found

    def due_s(self) -> float | None:
        """When there is something to ask next, or ``None``."""
        return min((followed.due_s for followed in self._waiting.values()), default=None)

    def due(self, now_s: float) -> tuple[list[Gap], list[Replay]]:
        """What is newly missing, and what to ask now."""
        gaps, replays = list[Gap](), list[Replay]()
        for followed in self._waiting.values():
            if followed.due_s <= now_s:
                new, wanted = followed.ask(now_s)
                gaps += new
                replays += wanted
        return gaps, replays

    def _wait_for(self, followed: _Stream, now_s: float) -> None:
        """Start waiting where something is missing, stop where nothing is."""
        key = (followed.device_id, followed.name)
        if not followed.holes():
            self._waiting.pop(key, None)
            followed.pause_s = 0.0
        elif key not in self._waiting:
            followed.due_s = now_s + self._patience.grace_s
            self._waiting[key] = followed

    def _follow(self, device_id: str, stream: str, seq: int) -> _Stream:
        streams = self._devices.setdefault(device_id, {})
        if stream not in streams:
            streams[stream] = _Stream(device_id, stream, 1 if streams else seq, self._patience)
            for oldest in list(streams)[:-MAX_STREAMS]:
                del streams[oldest]
                self._waiting.pop((device_id, oldest), None)
        return streams[stream]


def _cut(hole: SeqRange, first: int, last: int) -> Iterator[SeqRange]:
    low, high = max(hole.first, first), min(hole.last, last)
    if low <= high:
        yield SeqRange(low, high)


def _common(ranges: SeqRanges, first: int, last: int) -> list[SeqRange]:
    return [part for held in ranges for part in _cut(held, first, last)]
