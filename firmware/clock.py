"""``MonotonicClock``: the clock of a real board."""

import time
from collections.abc import Callable
from typing import Final

from lsi.units import NS_PER_S

SPIN_NS: Final = 200_000
"""Last stretch of a wait, spun instead of slept: timers of a Pi wake up some 60 to 100 us late."""


class MonotonicClock:
    """CLOCK_MONOTONIC, on which kernel GPIO events are stamped too.

    Args:
        now_ns: Where the time comes from; replaced in tests.
        sleep: How to wait, in seconds; replaced in tests.
    """

    def __init__(
        self,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now_ns = now_ns
        self._sleep = sleep

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return self._now_ns()

    def wait_until_ns(self, deadline_ns: int) -> None:
        """Sleep while the deadline is far, then spin."""
        while (left_ns := deadline_ns - self._now_ns()) > 0:
            if left_ns > SPIN_NS:
                self._sleep((left_ns - SPIN_NS) / NS_PER_S)
