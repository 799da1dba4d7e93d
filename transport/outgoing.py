"""Messages on their way out of one connection: waiting, sent, settled exactly once."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from transport.broker import Message

logger = logging.getLogger(__name__)

WINDOW: Final = 10
"""Messages in flight: the smallest Receive Maximum of public brokers."""

LIVE_ROOM: Final = 2 * WINDOW
"""Messages that may be unsettled when one is published live: records alone never shut live state out."""

PACKET_TOO_LARGE: Final = 0x95
PAYLOAD_FORMAT_INVALID: Final = 0x99
_PASSING: Final = frozenset({0x80, 0x83, 0x88, 0x89, 0x91, 0x97})
"""Unspecified, implementation specific, unavailable, busy, identifier in use, quota: a later try may do."""


class Settled(StrEnum):
    """How the sending of a message ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: ``reason`` in words, ``code`` is the MQTT 5 reason code.

    ACCEPTED means that the broker has it, not that anybody reads it. LOST means that
    nobody knows: the connection went before the broker answered.
    """

    settled: Settled
    reason: str = ""
    code: int = 0

    @property
    def may_pass_later(self) -> bool:
        """Whether the same message may be taken on another try."""
        return self.settled is Settled.LOST or (self.settled is Settled.REFUSED and self.code in _PASSING)


OnSettled = Callable[[Outcome], None]


@dataclass(slots=True)
class Delivery:
    """One message and who wants to know what becomes of it."""

    message: Message
    on_settled: OnSettled | None = None
    sent_s: float = 0.0

    def settle(self, outcome: Outcome) -> None:
        """Tell the owner. An error of the owner's is logged and ends nothing."""
        if self.on_settled is None:
            return
        try:
            self.on_settled(outcome)
        except Exception:  # an escaping error would end the connection
            logger.exception("The outcome of a message on %s could not be handled.", self.message.topic)


class Outgoing:
    """The messages of one connection. ``offer`` may be called from any thread.

    Everything else belongs to the network thread. Order is kept: a message that must wait
    for room in the window holds back those behind it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Delivery] = deque()
        self._sent: dict[int, Delivery] = {}
        self._is_open = False
        self.window = WINDOW

    def offer(self, delivery: Delivery, room: int) -> bool:
        """Take ``delivery`` unless the connection is not open or ``room`` messages are unsettled."""
        with self._lock:
            if not self._is_open or len(self._waiting) + len(self._sent) >= room:
                return False
            self._waiting.append(delivery)
            return True

    def put(self, message: Message) -> None:
        """Take ``message`` whatever the state."""
        with self._lock:
            self._waiting.append(Delivery(message))

    def open(self) -> None:
        """Take offers from now on."""
        with self._lock:
            self._is_open = True

    def take(self) -> Delivery | None:
        """The next message, if the window has room for it."""
        with self._lock:
            if not self._waiting:
                return None
            if self._waiting[0].message.qos > 0 and self._in_flight() >= self.window:
                return None
            return self._waiting.popleft()

    def sent(self, mid: int, delivery: Delivery, now_s: float) -> None:
        """Note that ``delivery`` went to the socket under packet identifier ``mid``."""
        delivery.sent_s = now_s
        with self._lock:
            self._sent[mid] = delivery

    def settle(self, mid: int, outcome: Outcome) -> None:
        """End the delivery ``mid``; nothing happens when there is none (a second acknowledgement)."""
        with self._lock:
            delivery = self._sent.pop(mid, None)
        if delivery is not None:
            delivery.settle(outcome)

    def close(self, reason: str) -> None:
        """Refuse every offer from now on and settle all that is left as lost, oldest first."""
        with self._lock:
            self._is_open = False
            left = [*self._sent.values(), *self._waiting]
            self._sent.clear()
            self._waiting.clear()
        for delivery in left:
            delivery.settle(Outcome(Settled.LOST, reason))

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is unacknowledged."""
        with self._lock:
            return not self._waiting and not self._sent

    @property
    def oldest_sent_s(self) -> float | None:
        """When the oldest unacknowledged message was sent."""
        with self._lock:
            return next((delivery.sent_s for delivery in self._sent.values()), None)

    def _in_flight(self) -> int:
        return sum(delivery.message.qos > 0 for delivery in self._sent.values())
