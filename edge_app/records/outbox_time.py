"""Time as the outbox counts it: forward only, across starts, deaf to a wall clock that jumps.

Within one boot it follows the monotonic clock, also from one start to the next. Across boots the
wall clock tells how long the device was off, once it follows a server at both ends; until then
that time counts as nothing, because a Raspberry Pi starts with the time of its last stop.
"""

import datetime as dt
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.wall_clock import WallClock
from firmware.interfaces import Clock
from lsi.units import NS_PER_MS

MS_PER_S: Final = 1_000
TRUSTED: Final = "ntp"
NO_BOOT: Final = ""
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class TimeMark:
    """One moment on three clocks; ``wall_ms`` (since 1970) is ``None`` where it could not be trusted."""

    boot: str
    outbox_ms: int
    clock_ms: int
    wall_ms: int | None


def boot_id() -> str:
    """The kernel's name for this boot; a random one where it is out of reach."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex(16)


class OutboxTime:
    """Milliseconds since the outbox file was made.

    Args:
        clock: Monotonic, the same for every start within one boot.
        wall_clock: Asked across boots only.
        boot: Names this boot.
    """

    def __init__(self, clock: Clock, wall_clock: WallClock, boot: str) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._boot = boot
        self._ahead_ms = -self._clock_ms()
        self._before: TimeMark | None = None  # of another boot, until the time off is known

    def now_ms(self) -> int:
        """The time now; never goes back."""
        return self._clock_ms() + self._ahead_ms

    def resume(self, mark: TimeMark | None, newest_ms: int) -> None:
        """Go on from ``mark``, not before ``newest_ms``, the youngest row of the file."""
        clock_ms = self._clock_ms()
        self._before = None
        self._ahead_ms = newest_ms - clock_ms
        if mark is None:
            return
        # The monotonic clock never goes back within a boot; if it seems to, it was another boot.
        if mark.boot == self._boot and clock_ms >= mark.clock_ms:
            self._ahead_ms = max(self._ahead_ms, mark.outbox_ms - mark.clock_ms)
            return
        self._ahead_ms = max(self._ahead_ms, mark.outbox_ms - clock_ms)
        self._before = mark
        self.learn_gap()

    def learn_gap(self) -> None:
        """Add the time that the device was off, as soon as the wall clock can tell it."""
        wall_ms = self._wall_ms()
        if self._before is None or self._before.wall_ms is None or wall_ms is None:
            return
        should_be_ms = self._before.outbox_ms + wall_ms - self._before.wall_ms
        self._ahead_ms += max(0, should_be_ms - self.now_ms())
        self._before = None

    def mark(self) -> TimeMark:
        """This moment, to be kept in the file.

        While the time off is not known, the mark carries the wall time of the one before it on, in
        the name of no boot: another start must not make that time forgotten.
        """
        now_ms = self.now_ms()
        if self._before is not None and self._before.wall_ms is not None:
            wall_ms = self._before.wall_ms + now_ms - self._before.outbox_ms
            return TimeMark(NO_BOOT, now_ms, self._clock_ms(), wall_ms)
        return TimeMark(self._boot, now_ms, self._clock_ms(), self._wall_ms())

    def _clock_ms(self) -> int:
        return self._clock.now_ns() // NS_PER_MS

    def _wall_ms(self) -> int | None:
        if self._wall_clock.source() != TRUSTED:
            return None
        return round(dt.datetime.fromisoformat(self._wall_clock.timestamp()).timestamp() * MS_PER_S)
