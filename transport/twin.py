"""``TwinWatch``: whether another client seems to use our id, at a broker that does not say so."""

from typing import Final

ENOUGH: Final = 3


class TwinWatch:
    """Counts connections that the broker closed without a word although it kept our session.

    MQTT 5 has a reason for a client that another one replaced (0x8E); mosquitto 2.0.11 closes
    without any. A broker that crashed closes in the same way, but is away for a while or
    has forgotten the session. The third closing in a row is taken for a twin.

    Args:
        over_s: A connection that lasted this long outlived every pause of a twin.
    """

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._seen = 0
        self._was_closed = False

    def connected(self, *, session_present: bool) -> None:
        """A connection begins; the broker says whether it kept our session."""
        self._seen = self._seen + 1 if self._was_closed and session_present else 0
        self._was_closed = False

    def closed(self, lasted_s: float) -> bool:
        """A connection was closed without a word; returns whether a twin is suspected."""
        if lasted_s >= self._over_s:
            self._seen = 0
        self._was_closed = True
        return self._seen >= ENOUGH - 1

    def ended(self) -> None:
        """Something else happened: the broker was away, gave a reason or did not answer."""
        self._seen = 0
        self._was_closed = False
