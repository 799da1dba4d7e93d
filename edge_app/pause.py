"""``Pause``: no scan for a while, because somebody asked for it."""

from firmware.interfaces import Clock
from lsi.units import NS_PER_S


class Pause:
    """Set by the command ``pause``, obeyed by the loop and told in health."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_ns = clock.now_ns()

    def begin(self, seconds: int) -> None:
        """No scan for ``seconds`` from now; 0 goes on."""
        self._until_ns = self._clock.now_ns() + seconds * NS_PER_S

    @property
    def until_ns(self) -> int:
        """When scans go on, on the clock; in the past where they do."""
        return self._until_ns

    @property
    def left_s(self) -> int:
        """Seconds that are left, rounded up; 0 while scans are made."""
        return max(0, -(-(self._until_ns - self._clock.now_ns()) // NS_PER_S))
