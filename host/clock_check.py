"""``ClockCheck``: tells of devices whose clock is days away. Their records are kept all the same.

A record is named by device, stream and seq, none of which rests on a clock, and ``received`` stands beside
``ts``: turning it away would lose what nothing is wrong with but its time.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from host.sink import SinkRow, utc_of

logger = logging.getLogger(__name__)

FAR_OFF_NS: Final = 2 * 86_400 * 10**9
"""A device keeps records for a day, so none is older than that by a clock that is right."""

MAX_TOLD: Final = 1_000
"""Devices that are told of; further ones are counted only."""


class ClockCheck:
    """Counts records from far away in time, and says once of each device that it makes them.

    Args:
        wall_ns: This machine's time since 1970.
    """

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._told: set[str] = set()

    def far_off(self, rows: Iterable[SinkRow]) -> int:
        """How many of ``rows`` claim a time two days or more from ours."""
        now_ns = self._wall_ns()
        earliest, latest = utc_of(now_ns - FAR_OFF_NS), utc_of(now_ns + FAR_OFF_NS)
        found = [row.key.device_id for row in rows if not earliest < row.ts < latest]
        for device_id in set(found) - self._told:
            if len(self._told) < MAX_TOLD:
                self._told.add(device_id)
                logger.warning(
                    "%s sends records whose time is days from ours; they are kept. Try: its clock, ours.",
                    device_id,
                )
        return len(found)
