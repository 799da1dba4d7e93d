"""What the simulated mirrors do at any time, past and planned."""

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MOVE_NS: Final = 12_500
"""4.5 us from reset to motion, 8 us until complete (TI E2E 1075252, DLP9500)."""
_KEPT_EVENTS: Final = 8_192


class MirrorState(Enum):
    """What all mirrors do together.

    ``PARKED``: flat, power down; the light goes to neither arm.
    ``IDLE``: flipped every 105 us, half the time to each side (TI DLPU018J, "DMD Idle
    Mode"; TI E2E 845747).
    ``ALL_OFF``: black, everything to arm -.
    ``MOVING``: on the way to ``Shown.plane``.
    ``PLANE``: ``Shown.plane`` is shown.
    """

    PARKED = auto()
    IDLE = auto()
    ALL_OFF = auto()
    MOVING = auto()
    PLANE = auto()


@dataclass(frozen=True, slots=True)
class Shown:
    """State of the mirrors; ``plane`` is the entry of the active look-up table, if any."""

    state: MirrorState
    plane: int | None = None


PARKED: Final = Shown(MirrorState.PARKED)
IDLE: Final = Shown(MirrorState.IDLE)
ALL_OFF: Final = Shown(MirrorState.ALL_OFF)


class MirrorTimeline:
    """States by the time at which they begin; the latest few thousand are kept."""

    def __init__(self, start_ns: int, shown: Shown) -> None:
        self._times_ns = [start_ns]
        self._shown = [shown]

    def change(self, at_ns: int, shown: Shown) -> None:
        """From ``at_ns`` on ``shown``; whatever was planned for then or later is dropped."""
        keep = bisect_right(self._times_ns, at_ns - 1)
        self._times_ns[keep:] = [at_ns]
        self._shown[keep:] = [shown]
        if len(self._times_ns) > 2 * _KEPT_EVENTS:
            del self._times_ns[:_KEPT_EVENTS], self._shown[:_KEPT_EVENTS]

    def at(self, time_ns: int) -> Shown:
        """The state at ``time_ns``; before the first one kept, that one."""
        return self._shown[max(bisect_right(self._times_ns, time_ns) - 1, 0)]

    def changes_until(self, start_ns: int, end_ns: int) -> list[tuple[int, Shown]]:
        """The state at ``start_ns`` and every change before ``end_ns``, as (time, state)."""
        first = bisect_right(self._times_ns, start_ns)
        last = bisect_right(self._times_ns, end_ns - 1)
        later = zip(self._times_ns[first:last], self._shown[first:last], strict=True)
        return [(start_ns, self.at(start_ns)), *later]
