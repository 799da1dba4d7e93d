"""Logs as the journal wants them: a priority per line, whose they are, no flood and no measured value.

Ref: sd-daemon(3) for the prefixes ``<0>`` to ``<7>``, the manual page systemd.exec for ``JOURNAL_STREAM``.

    <4>edge_app.service: The broker is away. (12 more in the last 60 s) device=hall1 stream=5f0c...
"""

import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

import numpy as np

from firmware.interfaces import Clock
from lsi.units import NS_PER_S

PLAIN_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JOURNAL_FORMAT: Final = "%(name)s: %(message)s"
REPEAT_NS: Final = 60 * NS_PER_S
MAX_REMEMBERED: Final = 256
"""Different warnings whose repetition is watched; the ones longest unheard are forgotten first."""

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Of syslog(3): critical, error, warning, informational."""
_DEBUG_PRIORITY: Final = 7
_NUMBERS: Final = re.compile(r"\d+")
_REPEATED: Final = "lsi_repeated"


@dataclass(slots=True)
class LogFields:
    """Whose log it is; both are known only some time after the first line."""

    device: str = ""
    stream: str = ""

    def __str__(self) -> str:
        named = (("device", self.device), ("stream", self.stream))
        return "".join(f" {name}={value}" for name, value in named if value)


class JournalFormatter(logging.Formatter):
    """One line per line of the message, each with its priority where the journal reads it.

    Args:
        fields: Told at the end of the first line.
        to_journal: Whether prefixes are understood; else time and level are written out.
    """

    def __init__(self, fields: LogFields, *, to_journal: bool) -> None:
        super().__init__(JOURNAL_FORMAT if to_journal else PLAIN_FORMAT)
        self._fields = fields
        self._to_journal = to_journal

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The message, what it stands for, and whose it is."""
        repeated = getattr(record, _REPEATED, 0)
        more = f" ({repeated} more in the last {REPEAT_NS // NS_PER_S} s)" if repeated else ""
        return f"{super().formatMessage(record)}{more}{self._fields}"

    def format(self, record: logging.LogRecord) -> str:
        """The whole record; a prefix at every line, for each is a record of the journal."""
        text = super().format(record)
        if not self._to_journal:
            return text
        prefix = f"<{priority_of(record.levelno)}>"
        return "\n".join(f"{prefix}{line}" for line in text.splitlines() or [""])


class NoValues(logging.Filter):
    """The last fence: arrays, their elements and bytes are logged as what they are, not what they hold."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace such arguments; the record always passes."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_shown, record.args))
        elif isinstance(record.args, Mapping):
            record.args = {name: _shown(value) for name, value in record.args.items()}
        if not _is_well_formed(record):
            record.msg, record.args = f"{record.msg} (with arguments that are not logged)", ()
        return True


class RepeatLimit(logging.Filter):
    """Lets a warning or error that repeats through once a minute, with the number it stands for.

    Messages that differ in numbers alone count as the same.
    """

    def __init__(self, clock: Clock, level: int = logging.WARNING) -> None:
        super().__init__()
        self._clock = clock
        self._level = level
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, int, str], tuple[int, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        if record.levelno < self._level:
            return True
        key = (record.name, record.levelno, _NUMBERS.sub("#", record.getMessage()))
        now_ns = self._clock.now_ns()
        with self._lock:
            written_ns, held_back = self._seen.pop(key, (now_ns - REPEAT_NS, 0))
            passes = now_ns - written_ns >= REPEAT_NS
            self._seen[key] = (now_ns, 0) if passes else (written_ns, held_back + 1)
            while len(self._seen) > MAX_REMEMBERED:
                self._seen.popitem(last=False)
        if passes:
            setattr(record, _REPEATED, held_back)
        return passes


def set_up_logging(level: str, environ: Mapping[str, str], stream: TextIO, clock: Clock) -> LogFields:
    """Send all logs of this process to ``stream``, in the journal's form where it is the journal.

    Replaces the handlers of the root logger.

    Returns:
        The fields to fill in when device and stream are known.
    """
    fields = LogFields()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter(fields, to_journal=is_journal(environ, stream)))
    handler.addFilter(NoValues())
    handler.addFilter(RepeatLimit(clock))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    return fields


def is_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether ``stream`` is the connection that ``JOURNAL_STREAM`` names (device:inode).

    The variable alone proves nothing: a child inherits it with another standard error.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def priority_of(level: int) -> int:
    """The syslog priority of a level of ``logging``."""
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG_PRIORITY)


def _is_well_formed(record: logging.LogRecord) -> bool:
    """Whether arguments and template fit: a number that was replaced no longer fits ``%d``."""
    try:
        record.getMessage()
    except (TypeError, ValueError, KeyError):
        return False
    return True


def _shown(value: Any) -> Any:  # noqa: ANN401 - what callers log
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>"
    if isinstance(value, np.generic):
        return f"<{value.dtype}>"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return value
