"""One program at a time drives the rig: the service, or a command at the bench."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lsi.errors import BusError, BusErrorKind

LOCK_NAME: Final = "rig.lock"


@contextlib.contextmanager
def rig_lock(state: Path) -> Iterator[None]:
    """Hold the rig of the device whose state is in the folder ``state``.

    The kernel lets go of it when the program ends, however it ends. The file stays.

    Raises:
        BusError: Another program holds it, or the folder cannot be written to.
    """
    path = state / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as cause:
        found = f"{path} cannot be opened ({cause.strerror})."
        hint = "the user of the service; or --state with a folder that is yours."
        raise BusError(found, kind=BusErrorKind.PERMISSION, hint=hint) from cause
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        found = f"Another program drives the rig: it holds {path}."
        hint = "stop the service: sudo systemctl stop lsi-edge"
        raise BusError(found, kind=BusErrorKind.REFUSED, hint=hint) from cause
