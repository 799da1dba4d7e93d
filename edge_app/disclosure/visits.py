"""``Visits``: presence that lasts, told as start, updates and end.

Nothing is kept on disk: a start of the service draws a new stream, and whoever reads it knows that
visits of the one before are over.
"""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from edge_app.disclosure.debounce import Agreement, Quorum
from edge_app.disclosure.live_state import origin_of
from edge_app.disclosure.policy import Disclosed
from firmware.interfaces import Clock
from lsi.errors import AppConfigError
from lsi.events import UNNUMBERED, EventPayload, Phase, ScanBucket
from lsi.units import NS_PER_S

VisitEvent: TypeAlias = EventPayload
"""An event of a visit, named for those who may not build one."""

MAX_PAUSE_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class VisitRules:
    """When a visit begins, is told again and ends.

    It begins when ``quorum`` sees a face, is told again at most every ``update_s``, and ends
    ``absence_s`` after the last scan that saw one.

    Raises:
        AppConfigError: A time outside 1 s to a day.
    """

    quorum: Quorum = field(default_factory=Quorum)
    absence_s: float = 10.0
    update_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("absence_s", "update_s"):
            duration_s = getattr(self, name)
            if not 1 <= duration_s <= MAX_PAUSE_S:
                found = f"Visits with {name} = {duration_s}."
                raise AppConfigError(found, hint=f"{name} from 1 to {MAX_PAUSE_S:.0f}.")

    def at_interval(self, interval_s: float) -> "VisitRules":
        """These rules where scans are ``interval_s`` apart: absence takes a full quorum of scans."""
        least_s = min(MAX_PAUSE_S, self.quorum.of * interval_s)
        return replace(self, absence_s=max(self.absence_s, least_s))


@dataclass(slots=True, eq=False, repr=False)
class _Visit:
    """One visit so far. ``told`` is what the last event said, ``told_ns`` when."""

    visit: str
    first: Disclosed
    first_ns: int
    last: Disclosed
    last_ns: int
    told_ns: int
    scans: int = 0
    votes: dict[str, Counter[bool | None]] = field(default_factory=dict)
    told: tuple[ScanBucket, Mapping[str, bool | None]] | None = None

    def count(self, payload: Disclosed, now_ns: int) -> None:
        self.last, self.last_ns = payload, now_ns
        self.scans += 1
        for name, answer in payload.attributes.items():
            self.votes.setdefault(name, Counter())[answer] += 1

    def findings(self) -> tuple[ScanBucket, Mapping[str, bool | None]]:
        answers = {name: _majority(votes, self.scans) for name, votes in self.votes.items()}
        return ScanBucket.of(self.scans), answers

    def event(self, phase: Phase, duration_s: int | None = None) -> EventPayload:
        scans, answers = self.told = self.findings()
        return EventPayload(
            device_id=self.last.device_id,
            stream=self.last.stream,
            seq=UNNUMBERED,
            ts=self.last.ts,
            clock=self.last.clock,
            bundle=self.last.bundle,
            phase=phase,
            visit=self.visit,
            began=self.first.ts,
            scans=scans,
            attributes=answers,
            duration_s=duration_s,
        )


class Visits:
    """Turns scans into events. Safe to be called from several threads.

    Args:
        rules: When a visit begins, is told again and ends.
        clock: Monotonic time, by which absence and duration are judged.
    """

    def __init__(self, rules: VisitRules, *, clock: Clock) -> None:
        self._rules = rules
        self._absence_ns = round(rules.absence_s * NS_PER_S)
        self._update_ns = round(rules.update_s * NS_PER_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._visits = 0
        self._scan_ns = 0
        self._visit: _Visit | None = None
        self._origin: tuple[object, ...] | None = None
        self._forget()

    def scan(self, payload: Disclosed) -> tuple[EventPayload, ...]:
        """Take in what the policy let out of one scan.

        Returns:
            Events for the outbox in order, each still without its ``seq`` (``encode_as`` takes it).
        """
        with self._lock:
            now_ns = self._clock.now_ns()
            events = self._end_before(payload, now_ns)
            self._scan_ns = now_ns
            self._recent.append((payload, now_ns))
            is_present = self._presence.vote(payload.face) is True
            if not (is_present and payload.face is True):
                return events
            return events + (self._start(now_ns) if self._visit is None else self._go_on(self._visit))

    def tick(self) -> tuple[EventPayload, ...]:
        """To be called when a scan failed or none was made: a visit may be over all the same."""
        with self._lock:
            return self._end() if self._is_absent(self._clock.now_ns()) else ()

    def close(self) -> tuple[EventPayload, ...]:
        """The service stops: an open visit ended with the last scan that saw it."""
        with self._lock:
            return self._end()

    def _end_before(self, payload: Disclosed, now_ns: int) -> tuple[EventPayload, ...]:
        """What ends before this scan counts: a visit of other questions, or one that was left."""
        origin = origin_of(payload)
        is_another, self._origin = origin != self._origin, origin
        if self._visit is not None:
            return self._end() if is_another or self._is_absent(now_ns) else ()
        if is_another or now_ns - self._scan_ns >= self._absence_ns:
            self._forget()
        return ()

    def _is_absent(self, now_ns: int) -> bool:
        return self._visit is not None and now_ns - self._visit.last_ns >= self._absence_ns

    def _start(self, now_ns: int) -> tuple[EventPayload, ...]:
        """The scans that made the quorum belong to the visit."""
        seen = [(payload, seen_ns) for payload, seen_ns in self._recent if payload.face is True]
        self._visits += 1
        first, first_ns = seen[0]
        visit = _Visit(f"{first.stream}-{self._visits}", first, first_ns, first, first_ns, told_ns=now_ns)
        for payload, seen_ns in seen:
            visit.count(payload, seen_ns)
        self._visit = visit
        return (visit.event(Phase.START),)

    def _go_on(self, visit: _Visit) -> tuple[EventPayload, ...]:
        payload, now_ns = self._recent[-1]
        visit.count(payload, now_ns)
        if now_ns - visit.told_ns < self._update_ns or visit.findings() == visit.told:
            return ()
        visit.told_ns = now_ns
        return (visit.event(Phase.UPDATE),)

    def _end(self) -> tuple[EventPayload, ...]:
        visit, self._visit = self._visit, None
        self._forget()
        if visit is None:
            return ()
        return (visit.event(Phase.END, (visit.last_ns - visit.first_ns) // NS_PER_S),)

    def _forget(self) -> None:
        quorum = self._rules.quorum
        self._presence = Agreement(quorum, decided=False)
        self._recent: deque[tuple[Disclosed, int]] = deque(maxlen=quorum.of)


def _majority(votes: Mapping[bool | None, int], scans: int) -> bool | None:
    """What more than half of ``scans`` answered; scans that were not sure count against both."""
    for answer in (True, False):
        if 2 * votes.get(answer, 0) > scans:
            return answer
    return None
