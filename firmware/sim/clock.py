"""``SimClock``: virtual time that moves only when somebody waits or transfers."""


class SimClock:
    """Integer nanoseconds from ``start_ns``; nothing in a simulation reads another clock."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The virtual time."""
        return self._now_ns

    def wait_until_ns(self, deadline_ns: int) -> None:
        """Jump to ``deadline_ns``, never back."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, duration_ns: int) -> None:
        """Let ``duration_ns`` pass.

        Raises:
            ValueError: A negative duration.
        """
        if duration_ns < 0:
            message = f"time does not go back: {duration_ns} ns"
            raise ValueError(message)
        self._now_ns += duration_ns
