"""Taking messages with a bound, and telling the broker of each when it is safe."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from transport.broker import Message

MAX_RECEIVE_MAXIMUM: Final = 65_535
"""MQTT 5 writes it in two bytes (3.1.2.11.3)."""

Acknowledge: TypeAlias = Callable[[], None]
"""Says that a message is safe. From any thread, once; does nothing when its connection is gone."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Messages are acknowledged by who keeps them, not on arrival.

    ``receive_maximum`` is how many QoS 1 messages an MQTT 5 broker sends ahead of our acknowledgements;
    3.1.1 has no word for it. ``take`` is called from the network thread, must not block, and gets what to
    call when the message is safe. What is not acknowledged comes again after the next connect, if the
    session was kept.

    Raises:
        ValueError: ``receive_maximum`` outside 1 to 65,535.
    """

    receive_maximum: int
    take: Callable[[Message, Acknowledge], None]

    def __post_init__(self) -> None:
        if not 1 <= self.receive_maximum <= MAX_RECEIVE_MAXIMUM:
            message = f"receive_maximum = {self.receive_maximum} must be from 1 to {MAX_RECEIVE_MAXIMUM}"
            raise ValueError(message)


class Acknowledged:
    """Packet identifiers on their way to the network thread, in the order in which they were said.

    MQTT wants acknowledgements in the order of the messages (MQTT 5, 4.6): who keeps messages in
    batches acknowledges them oldest first.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._waiting: deque[int] = deque()

    def handle(self, mid: int, qos: int) -> Acknowledge:
        """What to call when message ``mid`` is safe; a message of QoS 0 is acknowledged to nobody."""
        return _nothing if qos == 0 else partial(self._put, mid)

    def _put(self, mid: int) -> None:
        with self._lock:
            is_first = not self._waiting
            self._waiting.append(mid)
        if is_first:
            self._ring()

    def take(self) -> list[int]:
        """All that wait, oldest first."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken


def _nothing() -> None:
    pass
