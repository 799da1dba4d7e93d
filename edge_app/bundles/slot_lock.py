"""Locks of the slots: who changes the table, and who installs."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge_app.rig.rig_lock import LOCK_NAME, rig_lock
from lsi.errors import BusError, BusErrorKind, SlotError

TABLE_LOCK: Final = "slots.lock"
INSTALL_LOCK: Final = "install.lock"
_HINT: Final = "the user of the service, and a disk that can be written."


@contextlib.contextmanager
def table_lock(state: Path) -> Iterator[None]:
    """Hold the table of the slots; waits for others, who hold it for moments only.

    Raises:
        SlotError: The folder cannot be written to.
    """
    with _locked(state / TABLE_LOCK, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def install_lock(state: Path) -> Iterator[None]:
    """Be the only one who installs a bundle.

    Raises:
        SlotError: Somebody else does, or the folder cannot be written to.
    """
    try:
        with _locked(state / INSTALL_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError as cause:
        raise SlotError("Another bundle is being installed.", hint="again, when that is done.") from cause


def service_runs(state: Path) -> bool:
    """Whether something drives the rig of this device: the service, as a rule."""
    if not (state / LOCK_NAME).exists():
        return False
    try:
        with rig_lock(state):
            return False
    except BusError as error:
        return error.kind is BusErrorKind.REFUSED


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as cause:
        raise SlotError(f"{path} cannot be opened ({cause.strerror}).", hint=_HINT) from cause
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
