"""How long a link waits for what, and ``Liveness``: whether the far end still answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SILENCE_FACTOR: Final = 1.5
"""A broker gives up on a client after this many keepalives (MQTT 5, 3.1.2.10); so do we on a broker."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Bounds in seconds, and the clock that they are measured on.

    A broker that knows no MQTT 5 may wait for the rest of a CONNECT that it misread, hence
    ``connack_s``. A connection that lasted ``steady_s`` proves that the broker is well; one that lasted
    ``conflict_over_s`` outlived every pause of another client with our id.
    """

    connect_s: float = 5.0
    connack_s: float = 4.0
    acknowledge_s: float = 15.0
    farewell_s: float = 2.0
    stop_s: float = 8.0
    steady_s: float = 10.0
    conflict_over_s: float = 300.0
    now_s: Callable[[], float] = time.monotonic


class Liveness:
    """Judges a connection by what came back, never by what its socket says.

    Args:
        keepalive_s: The interval of pings; 0 for none.
        acknowledge_s: Longest wait for an acknowledgement.
        now_s: Start of the connection.
    """

    def __init__(self, keepalive_s: float, acknowledge_s: float, now_s: float) -> None:
        self.keepalive_s = keepalive_s
        self._acknowledge_s = acknowledge_s
        self._heard_s = now_s

    def heard(self, now_s: float) -> None:
        """Something came from the broker."""
        self._heard_s = now_s

    def fault(self, now_s: float, oldest_sent_s: float | None) -> str | None:
        """Why the connection must be given up, in words, or ``None``.

        Args:
            now_s: The time.
            oldest_sent_s: When the oldest unacknowledged message was sent.
        """
        if oldest_sent_s is not None and now_s - oldest_sent_s >= self._acknowledge_s:
            return f"nothing acknowledged for {self._acknowledge_s:g} s"
        silent_s = SILENCE_FACTOR * self.keepalive_s
        if silent_s > 0 and now_s - self._heard_s >= silent_s:
            return f"silent for {silent_s:g} s"
        return None
