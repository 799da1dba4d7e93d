"""The inbox: where bundles arrive before anybody has looked at them.

    STATE/inbox/*.lsib             put there on a mounted card; installed and tried at the next start
    STATE/inbox/DIGEST.part        came over the network so far; the next try goes on where this ends
    STATE/inbox/DIGEST.received    came whole; waits for ``lsi-edge bundle install``

A file that was installed or refused is removed. There is room for one that is under way.
"""

import contextlib
import hashlib
import logging
import os
import re
import select
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from edge_app.bundles.changeover import Rules
from edge_app.bundles.device_slots import running_bundle
from edge_app.bundles.installation import install
from edge_app.bundles.slot_files import DiskFiles
from edge_app.bundles.slot_lock import install_lock
from edge_app.bundles.slot_store import SUFFIX, SlotStore
from edge_app.disclosure.disclosure_change import lets_out_more
from lsi.archive import MAX_ARCHIVE_BYTES
from lsi.bundle import contents_of, open_archive
from lsi.errors import BundleError, FlashError, LsiError, SlotError

logger = logging.getLogger(__name__)

INBOX: Final = "inbox"
PART: Final = ".part"
RECEIVED: Final = ".received"
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
BLOCK_BYTES: Final = 65_536
SILENCE_S: Final = 20.0


class Source(Protocol):
    """Where the bytes of a transfer come from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none when no more will come."""
        ...


class Inbox:
    """The inbox in the state folder of a device."""

    def __init__(self, state: Path) -> None:
        self._folder = state / INBOX
        self._files = DiskFiles()

    def waiting(self) -> list[Path]:
        """Bundles that somebody put onto the card, by name."""
        return [self._folder / name for name in self._files.names(self._folder) if name.endswith(SUFFIX)]

    def begun(self, digest: str) -> int:
        """How many bytes of the file with that SHA-256 are here; leftovers of others are removed.

        Raises:
            SlotError: The folder cannot be written to.
        """
        try:
            self._files.make_folder(self._folder)
            for name in self._files.names(self._folder):
                if name.endswith((PART, RECEIVED)) and not name.startswith(digest):
                    self._files.unlink(self._folder / name)
            whole = self._path(digest, RECEIVED)
            return (whole if whole.exists() else self._part(digest)).stat().st_size
        except OSError as cause:
            raise self._failed(cause) from cause

    def take(self, digest: str, size: int, source: Source) -> Path:
        """Append what ``source`` gives until ``size`` bytes are here.

        Args:
            digest: SHA-256 of the whole file.
            size: Of the whole file.
            source: The rest of it.

        Returns:
            Where the whole file is.

        Raises:
            FlashError: The source ended first, or gave something else.
            SlotError: The disk is full or cannot be written.
        """
        whole = self._path(digest, RECEIVED)
        if whole.exists():
            return whole
        part = self._part(digest)
        try:
            with part.open("ab") as file:
                _append(file, size, source)
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            raise self._failed(cause) from cause
        return self._checked(part, digest, size)

    def received(self, digest: str) -> Path:
        """The whole file with that SHA-256.

        Raises:
            SlotError: It is not here.
        """
        path = self._path(digest, RECEIVED)
        if not path.exists():
            raise SlotError(f"No file {digest[:8]} is in the inbox.", hint="lsi flash, which sends it.")
        return path

    def remove(self, path: Path) -> None:
        """Done with it."""
        with contextlib.suppress(OSError):
            self._files.unlink(path)
            self._files.sync_folder(self._folder)

    def _checked(self, part: Path, digest: str, size: int) -> Path:
        content = part.read_bytes()
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            self.remove(part)
            raise FlashError("What was received is not what was sent.", hint="the same command again.")
        whole = self._path(digest, RECEIVED)
        part.replace(whole)
        self._files.sync_folder(self._folder)
        return whole

    def _part(self, digest: str) -> Path:
        path = self._path(digest, PART)
        if not path.exists():
            with self._files.create(path):
                pass
        return path

    def _path(self, digest: str, suffix: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise SlotError("A digest has 64 digits, 0 to 9 and a to f.", hint="lsi flash, which knows it.")
        return self._folder / f"{digest}{suffix}"

    def _failed(self, cause: OSError) -> SlotError:
        found = f"{self._folder} cannot be written ({cause.strerror})."
        return SlotError(found, hint="free space, a disk that can be written, and the user of the service.")


def _append(file: BinaryIO, size: int, source: Source) -> None:
    here = file.seek(0, os.SEEK_END)
    while here < size:
        block = source.read(min(BLOCK_BYTES, size - here))
        if not block:
            found = f"The transfer ended after {here} of {size} bytes."
            raise FlashError(found, hint="the same command again: it goes on from there.")
        file.write(block)
        here += len(block)


class PatientReader:
    """A pipe that is given up after a silence: who holds the install lock must not wait for ever."""

    def __init__(self, descriptor: int, silence_s: float = SILENCE_S) -> None:
        self._descriptor = descriptor
        self._silence_s = silence_s

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes as soon as there are some; none at the end, or after the silence."""
        ready, _, _ = select.select([self._descriptor], [], [], self._silence_s)
        return os.read(self._descriptor, size) if ready else b""


def read_bundle_file(path: Path) -> bytes:
    """The bytes at ``path``, no more than a bundle may have.

    Raises:
        BundleError: Not readable, or longer.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as cause:
        raise BundleError(f"{path} cannot be read ({cause.strerror}).", hint="a .lsib file.") from cause
    if len(content) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{path.name} has more than {MAX_ARCHIVE_BYTES} bytes.", hint="a smaller bundle.")
    return content


def take_in(state: Path, store: SlotStore, rules: Rules) -> None:
    """Install what somebody put onto the card, and have it tried. Never fails: the history tells."""
    inbox = Inbox(state)
    for path in inbox.waiting():
        try:
            with install_lock(state):
                _install_and_activate(path, store, rules)
        except LsiError as error:
            logger.warning("%s is not installed: %s", path.name, error)
            with contextlib.suppress(LsiError):
                store.refuse(path.name, error.found)
            if isinstance(error, SlotError):
                continue  # the disk's fault, not the file's
        inbox.remove(path)


def _install_and_activate(path: Path, store: SlotStore, rules: Rules) -> None:
    content = read_bundle_file(path)
    installed = install(content, path, store, rules)
    if not installed.is_new:
        logger.info("%s is in slot %s already.", path.name, installed.slot)
        return
    try:
        running = running_bundle(store, rules).bundle
    except LsiError:
        running = None  # the first one: there is nothing that it could be wider than
    more = (
        []
        if running is None
        else lets_out_more(rules.policy, running, contents_of(open_archive(content, path)))
    )
    if more:
        found = f"It would let out more: {', '.join(more)}."
        raise BundleError(found, hint="it is staged: lsi-edge bundle activate, on the device.")
    store.activate(offline_ok=False)
