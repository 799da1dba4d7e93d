"""``Drain``: hands records to the broker at a gentle pace and learns what became of them.

A broker holds a bounded queue for each subscriber and drops what is beyond without a word, so a
backlog is sent slowly: 20 records/s. A record is done when the broker says so; what is in flight
when the power goes is sent once more, under the same key.
"""

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import Record, RecordKey
from firmware.interfaces import Clock
from lsi.errors import EgressError, PayloadError, RecordWithheldError
from lsi.schema import encode_document
from lsi.units import NS_PER_S
from transport.backoff import Backoff
from transport.broker import Message
from transport.outgoing import OnSettled, Outcome, Settled

logger = logging.getLogger(__name__)

SWEEP_NS: Final = 60 * NS_PER_S
IDLE_S: Final = 1.0
"""Longest wait of the thread: postponed records come due without an event."""
ROOM_NS: Final = NS_PER_S // 10
"""Until a connection that was full is asked again; answers come within a round trip."""
FAREWELL_S: Final = 2.0
FIRST_DELAY_S: Final = 4.0
"""Before a refused record is offered again, doubling. Longer than the pause after a refusal (up to
1 s), in which nothing is sent: the records behind it must have their turn first."""
LONGEST_DELAY_S: Final = 300.0
SEALED_KINDS: Final = frozenset({"latent"})
"""Kinds whose payload is not ours to open: signed and sealed before they came here."""


FINAL_REASONS: Final = frozenset(
    {"not authorized", "packet too large", "topic name invalid", "payload format invalid"}
)
"""Refusals that asking again does not change (MQTT 5, section 2.4, names in lower case)."""


class Sender(Protocol):
    """Where messages go."""

    def send(self, message: Message, on_settled: OnSettled) -> bool:
        """Hand ``message`` over; ``False`` without connection or room, and nothing is called then.

        After ``True``, ``on_settled`` is called once, from any thread, at once or later.
        """
        ...


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """Pace and patience. Records older than ``late_s`` say that they are history."""

    rate_hz: float = 20.0
    window: int = 10
    late_s: float = 30.0
    patience_s: float = 60.0
    """Without an answer for this long a message counts as lost."""
    max_tries: int = 10
    """Refusals until a record becomes a dead letter."""


@dataclass(slots=True, eq=False)
class _Attempt:
    record: Record
    sent_ns: int


def plain_message(record: Record, payload: bytes) -> Message:
    """QoS 1, never retained."""
    return Message(record.topic, payload)


def mark_history(payload: bytes) -> bytes:
    """The JSON ``payload`` with ``"hist": true``; every other key and its order stay.

    Raises:
        PayloadError: Not a JSON object, or too long.
    """
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as cause:
        raise PayloadError("A record is not JSON.") from cause
    if not isinstance(document, dict):
        raise PayloadError("A record is not a JSON object.")
    return encode_document({**document, "hist": True})


class Drain:
    """Sends what an outbox holds, with a thread of its own between ``start`` and ``stop``.

    Args:
        outbox: Where records come from.
        sender: Where they go.
        check: Called with each record and its final payload just before it leaves; what it refuses with
            ``PayloadError`` becomes a dead letter, with ``RecordWithheldError`` it is erased.
        clock: Monotonic time.
        settings: Pace and patience.
        backoff: Pauses after a refusal or without a connection.
        message_of: Makes the message; adds properties where the transport has them.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        outbox: Outbox,
        sender: Sender,
        check: Callable[[Record, bytes], None],
        *,
        clock: Clock,
        settings: DrainSettings | None = None,
        backoff: Backoff | None = None,
        message_of: Callable[[Record, bytes], Message] = plain_message,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._check = check
        self._clock = clock
        self._settings = settings or DrainSettings()
        self._backoff = backoff or Backoff()
        self._message_of = message_of
        self._settled: queue.SimpleQueue[tuple[_Attempt, Outcome]] = queue.SimpleQueue()
        self._in_flight: dict[RecordKey, _Attempt] = {}
        self._next_ns = clock.now_ns()
        self._sweep_ns = clock.now_ns()
        self._link_is_new = threading.Event()
        self._said: set[str] = set()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lsi-drain")
        outbox.listen(self._wake.set)

    @property
    def in_flight(self) -> int:
        """Messages that wait for an answer."""
        return len(self._in_flight)

    def start(self) -> None:
        """Send in the background."""
        self._thread.start()

    def connected(self) -> None:
        """The sender has a connection again: do not wait for the end of a pause."""
        self._link_is_new.set()
        self._wake.set()

    def stop(self) -> None:
        """Send nothing more, wait a moment for answers, end the thread. What is unanswered stays."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self) -> float:
        """Take in answers, sweep, send at most one record.

        Returns:
            Seconds until the next step is worth it, unless there is news before.
        """
        self._take_in_answers()
        self._give_up_waiting()
        self._sweep_if_due()
        if self._link_is_new.is_set():
            self._link_is_new.clear()
            self._backoff.reset()
            self._next_ns = self._clock.now_ns()
        if self._clock.now_ns() >= self._next_ns and not self._send_next():
            return IDLE_S
        return min(IDLE_S, max(0.0, (self._next_ns - self._clock.now_ns()) / NS_PER_S))

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_s = self._guarded_step()
            self._wake.wait(wait_s)
            self._wake.clear()
        self._await_answers()

    def _guarded_step(self) -> float:
        try:
            return self.step()
        except EgressError:  # the guard has said why, and the service ends
            return IDLE_S
        except Exception:  # an escaping error would end the thread without a word
            logger.exception("A record could not be sent.")
            return IDLE_S

    def _sweep_if_due(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns >= self._sweep_ns:
            self._sweep_ns = now_ns + SWEEP_NS
            self._outbox.sweep()

    def _send_next(self) -> bool:
        """Send one record; ``False`` where none is due or too many wait for an answer."""
        if len(self._in_flight) >= self._settings.window:
            return False
        records = self._outbox.take(1, self._in_flight)
        if not records:
            return False
        now_ns = self._clock.now_ns()
        self._next_ns = now_ns + round(NS_PER_S / self._settings.rate_hz)
        self._send(records[0], now_ns)
        return True

    def _send(self, record: Record, now_ns: int) -> None:
        try:
            payload = self._final_payload(record)
            self._check(record, payload)
        except PayloadError as cause:
            self._bury(record, cause.found)
            return
        except RecordWithheldError as cause:
            self._withhold(record, cause.found)
            return
        attempt = _Attempt(record, now_ns)
        self._in_flight[record.key] = attempt
        handed_over = False
        try:
            message = self._message_of(record, payload)
            handed_over = self._sender.send(message, lambda told: self._tell(attempt, told))
        finally:
            if not handed_over:
                del self._in_flight[record.key]
                self._wait_for_room()

    def _final_payload(self, record: Record) -> bytes:
        if record.kind in SEALED_KINDS or not self._is_history(record):
            return record.payload
        return mark_history(record.payload)

    def _is_history(self, record: Record) -> bool:
        earlier_start = record.key.stream != self._outbox.stream
        return record.again or earlier_start or record.age_s > self._settings.late_s

    def _tell(self, attempt: _Attempt, outcome: Outcome) -> None:
        """From the sender's thread: nothing here may wait for the disk."""
        self._settled.put((attempt, outcome))
        self._wake.set()

    def _take_in_answers(self) -> None:
        accepted: list[RecordKey] = []
        pause = False
        while not self._settled.empty():
            attempt, outcome = self._settled.get_nowait()
            current = self._in_flight.get(attempt.record.key) is attempt
            if current:
                del self._in_flight[attempt.record.key]
            if outcome.settled is Settled.ACCEPTED:  # counts also after we had given up waiting
                accepted.append(attempt.record.key)
            elif current:
                pause = self._not_accepted(attempt.record, outcome) or pause
        if accepted:
            self._backoff.reset()
            self._outbox.accept(accepted)
        if pause:  # one for all of them: a lost connection answers for the whole window
            self._pause()

    def _not_accepted(self, record: Record, outcome: Outcome) -> bool:
        """Decide about ``record``; whether to pause before the next one."""
        if outcome.settled is Settled.LOST:
            return True
        if outcome.reason.lower() in FINAL_REASONS:
            self._bury(record, outcome.reason)
            return False
        if record.tries + 1 >= self._settings.max_tries:
            self._bury(record, f"{outcome.reason}, {self._settings.max_tries} times")
            return False
        self._outbox.postpone(record.key, min(FIRST_DELAY_S * 2**record.tries, LONGEST_DELAY_S))
        return True

    def _bury(self, record: Record, reason: str) -> None:
        self._outbox.bury(record.key)
        if reason not in self._said:  # once for each reason: a backlog may hold thousands
            self._said.add(reason)
            logger.warning("A record on %s is refused for good: %s", record.topic, reason)

    def _withhold(self, record: Record, reason: str) -> None:
        self._outbox.withhold(record.key)
        if reason not in self._said:
            self._said.add(reason)
            logger.warning("Records of an earlier start are withheld and erased: %s", reason)

    def _give_up_waiting(self) -> None:
        """A sender that never answers must not hold a place in the window for ever."""
        oldest_ns = self._clock.now_ns() - round(self._settings.patience_s * NS_PER_S)
        given_up = [key for key, attempt in self._in_flight.items() if attempt.sent_ns <= oldest_ns]
        for key in given_up:
            del self._in_flight[key]
        if given_up:
            self._pause()

    def _wait_for_room(self) -> None:
        """While others wait for an answer, the connection may be there and only full: no growing pauses."""
        if self._in_flight:
            self._next_ns = self._clock.now_ns() + ROOM_NS
        else:
            self._pause()

    def _pause(self) -> None:
        pause_ns = round(self._backoff.delay_s() * NS_PER_S)
        self._next_ns = max(self._next_ns, self._clock.now_ns() + pause_ns)

    def _await_answers(self) -> None:
        deadline_ns = self._clock.now_ns() + round(FAREWELL_S * NS_PER_S)
        self._take_in_answers()
        while self._in_flight and self._clock.now_ns() < deadline_ns:
            self._wake.wait(FAREWELL_S / 10)
            self._wake.clear()
            self._take_in_answers()
