"""A mounted card: the bundle goes into the device's inbox, and the device installs it at its next start."""

import os
from pathlib import Path
from typing import Final

from lsi.errors import FlashError
from lsi.whole_file import whole_file

STATE: Final = Path("var/lib/lsi")
INBOX: Final = "inbox"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


def put_on_card(card: Path, name: str, content: bytes, *, dry_run: bool = False) -> Path:
    """Write ``content`` into the inbox of the device whose root file system is mounted at ``card``.

    It is on the card, whole, when this returns; files get the owner of the device's state folder.

    Returns:
        Where it is.

    Raises:
        FlashError: No device's file system, or one that cannot be written.
    """
    state = card / STATE
    if not state.is_dir() or state.is_symlink():
        found = f"{card} holds no {STATE}: it is no root file system of a device with lsi-edge."
        raise FlashError(found, hint="mount the larger partition of the card, and install lsi-edge first.")
    target = state / INBOX / name
    if dry_run:
        return target
    try:
        _write(state, target, content)
    except OSError as cause:
        found = f"{target} cannot be written ({cause.strerror or cause})."
        raise FlashError(found, hint="sudo; a card that is not locked, full or pulled.") from cause
    return target


def _write(state: Path, target: Path, content: bytes) -> None:
    owner = state.stat()
    inbox = target.parent
    if inbox.is_symlink():
        raise OSError(0, "a link where a folder should be")
    inbox.mkdir(_FOLDER_MODE, exist_ok=True)
    _own(inbox, owner)
    with whole_file(target) as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        _own(file.fileno(), owner)
        file.write(content)
    for folder in (inbox, state):
        _sync(folder)


def _own(made: int | Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(made, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
