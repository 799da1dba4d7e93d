"""``Files``: every change on the disk that installing a bundle makes, one call each.

Not ``lsi.whole_file``: here each step has to be one that a test can cut, tear and reorder, and the
folder is synced too, so that what was said to be done is still done after a power cut.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

UNFINISHED: Final = ".new"
"""Ends the name of a file that is still being written."""
BLOCK_BYTES: Final = 65_536
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class OpenFile(Protocol):
    """A new file that is being written."""

    def write(self, block: bytes) -> None:
        """Append all of ``block``."""
        ...

    def sync(self) -> None:
        """Return when the content is on the disk. The name may still be missing there."""
        ...


class Files(Protocol):
    """A disk. Every method but ``read`` and ``names`` may be the last one before the power goes.

    Methods raise ``OSError`` when the disk is full, read-only or gone.
    """

    def read(self, path: Path) -> bytes | None:
        """The content of ``path``, or ``None`` where there is no such file."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Names in ``folder``; none where there is no such folder."""
        ...

    def make_folder(self, folder: Path) -> None:
        """Make ``folder``, readable by its owner alone, where it is missing."""
        ...

    def create(self, path: Path) -> contextlib.AbstractContextManager[OpenFile]:
        """A new, empty file. It must not be there."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Give ``source`` the name ``target``, in one step, whatever had it before."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove the name ``path``; nothing happens where it is missing."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in ``folder`` are on the disk."""
        ...


def put(files: Files, path: Path, content: bytes) -> None:
    """Write ``path`` whole: after a power cut it has the old content or the new one."""
    lay_down(files, path, content)
    take_up(files, path)


def lay_down(files: Files, path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, under the name of an unfinished file; it is on the disk then."""
    unfinished = unfinished_of(path)
    files.unlink(unfinished)
    with files.create(unfinished) as file:
        for start in range(0, len(content), BLOCK_BYTES):
            file.write(content[start : start + BLOCK_BYTES])
        file.sync()


def take_up(files: Files, path: Path) -> None:
    """Give what was laid down its name."""
    files.rename(unfinished_of(path), path)
    files.sync_folder(path.parent)


def unfinished_of(path: Path) -> Path:
    """Where ``path`` is written before it has its name."""
    return path.with_name(path.name + UNFINISHED)


class DiskFiles:
    """The real disk. What root makes belongs to the owner of the folder: the service has to read it."""

    def read(self, path: Path) -> bytes | None:
        """See ``Files``."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: Path) -> list[str]:
        """See ``Files``."""
        try:
            return sorted(path.name for path in folder.iterdir())
        except FileNotFoundError:
            return []

    def make_folder(self, folder: Path) -> None:
        """See ``Files``."""
        try:
            folder.mkdir(_FOLDER_MODE)
        except FileExistsError:
            return
        _give(folder, folder.parent)
        self.sync_folder(folder.parent)

    @contextlib.contextmanager
    def create(self, path: Path) -> Iterator[OpenFile]:
        """See ``Files``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, _FILE_MODE)
        try:
            _give(descriptor, path.parent)
            yield _Descriptor(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """See ``Files``."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """See ``Files``."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """See ``Files``."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Descriptor:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, block: bytes) -> None:
        left = memoryview(block)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)


def _give(made: int | Path, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)
