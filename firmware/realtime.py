"""Hygiene of a thread that must not wait: memory locked, fixed priority, no collector inside a frame.

Each is an improvement and none a condition: what the system does not permit is said in a
warning, and the scan goes on with more jitter, which ``stepped`` mode tolerates.
"""

import contextlib
import ctypes
import gc
import logging
import os
import resource
from collections.abc import Iterator
from typing import Final

_log = logging.getLogger(__name__)

PRIORITY: Final = 20
"""Of SCHED_FIFO: above everything that a user starts, below the kernel's threaded interrupt handlers (50)."""
_MCL_CURRENT_AND_FUTURE: Final = 1 | 2


@contextlib.contextmanager
def realtime_thread(priority: int = PRIORITY) -> Iterator[None]:
    """Lock the process's memory and run the calling thread, and no other, at a fixed priority.

    Threads and processes that it starts get the normal priority (SCHED_RESET_ON_FORK).
    Undone at the end.
    """
    is_locked, is_fifo = _lock_memory(), _raise_priority(priority)
    try:
        yield
    finally:
        if is_fifo:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        if is_locked:
            ctypes.CDLL(None).munlockall()


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside; what was on before is on again afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _lock_memory() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # Under a limit, locking what is yet to come would make a later allocation fail.
    if soft == resource.RLIM_INFINITY and ctypes.CDLL(None).mlockall(_MCL_CURRENT_AND_FUTURE) == 0:
        return True
    _log.warning("Memory is not locked. Try: LimitMEMLOCK=infinity in the systemd unit.")
    return False


def _raise_priority(priority: int) -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        _log.warning("Scans run at normal priority. Try: LimitRTPRIO=%d in the systemd unit.", priority)
        return False
    return True
