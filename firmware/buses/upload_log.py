"""Tells in the log how an upload of masks goes on: it can take a minute."""

import logging
from typing import Final

from firmware.drivers.dlpc900_upload import Progress

_log = logging.getLogger(__name__)

STEP_PERCENT: Final = 25
"""How often a line is written; the first one comes before the first byte."""


class UploadLog:
    """A progress sink of ``Dlpc900``."""

    def __init__(self) -> None:
        self._told_percent = 0

    def __call__(self, progress: Progress) -> None:
        """Write a line at the start and after every quarter."""
        percent = 100 * progress.bytes_done // max(progress.bytes_total, 1)
        if progress.bytes_done == 0:
            self._told_percent = 0
        elif percent < self._told_percent + STEP_PERCENT:
            return
        self._told_percent = percent // STEP_PERCENT * STEP_PERCENT
        _log.info("Masks to the DMD: %d %%, about %.0f s left.", percent, progress.seconds_left)
