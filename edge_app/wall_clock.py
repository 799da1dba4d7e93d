"""Time of day for people: RFC 3339 UTC, and whether it can be trusted."""

import ctypes
import datetime as dt
from typing import Final, Protocol

_TIMEX_BYTES: Final = 256
"""More than ``struct timex`` has on any Linux (208 bytes on 64 bit)."""
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised to a server."""


class WallClock(Protocol):
    """Where payloads get their time stamp from."""

    def timestamp(self) -> str:
        """RFC 3339 UTC with milliseconds."""
        ...

    def source(self) -> str:
        """``"ntp"`` when the clock follows a server, else ``"unsynced"``."""
        ...


class SystemWallClock:
    """The kernel's clock. A Raspberry Pi has no battery-backed clock of its own."""

    def __init__(self) -> None:
        self._adjtimex = ctypes.CDLL(None).adjtimex

    def timestamp(self) -> str:
        """RFC 3339 UTC with milliseconds."""
        now = dt.datetime.now(dt.UTC)
        return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"

    def source(self) -> str:
        """Ask the kernel (adjtimex with nothing to change)."""
        state = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return "ntp" if 0 <= state < _TIME_ERROR else "unsynced"


def utc_if_synced() -> dt.datetime | None:
    """The time of day, or ``None`` while it cannot be trusted."""
    return dt.datetime.now(dt.UTC) if SystemWallClock().source() == "ntp" else None
