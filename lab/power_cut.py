"""A disk on which the power can go at any moment, and everything that can be left of it then.

What was written and not synced may survive or not, each piece on its own: a rename without the data that
came before it, a write of which only the beginning, or only its length, got to the disk. That is more
than a journalling file system does to anybody; what holds here holds there.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge_app.bundles.slot_files import OpenFile

MOST_PENDING_TRIED_IN_FULL: Final = 5
"""All subsets of so many unsynced changes are tried; of more, all but one, and one alone."""


class PowerCut(BaseException):
    """The power went. Not an ``Exception``: nobody may go on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Operation number ``at`` (from 0) does not end well: the power goes, or the disk says ``error``."""

    at: int
    error: int | None = None


@dataclass(eq=False, slots=True)
class _Content:
    """A file without its name: what is on the disk, and what was written since."""

    synced: bytes = b""
    writes: list[bytes] = field(default_factory=list)

    @property
    def whole(self) -> bytes:
        return self.synced + b"".join(self.writes)


@dataclass(frozen=True, slots=True)
class _Named:
    """A change of names that was not synced: ``path`` is ``content``, and ``gone`` is not."""

    path: Path | None
    content: _Content | None
    gone: Path | None


@dataclass(frozen=True, slots=True)
class _Written:
    """A block that was not synced."""

    content: _Content
    number: int


class SimulatedDisk:
    """``Files`` in memory.

    Args:
        contents: What is on it.
        fault: Where it fails; nowhere by default.
    """

    def __init__(self, contents: Mapping[Path, bytes] | None = None, fault: Fault | None = None) -> None:
        self._names = {path: _Content(content) for path, content in (contents or {}).items()}
        self._synced_names = dict(self._names)
        self._pending_names: list[_Named] = []
        self._fault = fault
        self.operations: list[str] = []

    @property
    def contents(self) -> dict[Path, bytes]:
        """What a program sees."""
        return {path: content.whole for path, content in self._names.items()}

    def read(self, path: Path) -> bytes | None:
        """See ``Files``."""
        content = self._names.get(path)
        return None if content is None else content.whole

    def names(self, folder: Path) -> list[str]:
        """See ``Files``."""
        return sorted(path.name for path in self._names if path.parent == folder)

    def make_folder(self, folder: Path) -> None:
        """Every folder is there."""

    @contextlib.contextmanager
    def create(self, path: Path) -> Iterator[OpenFile]:
        """See ``Files``."""
        if path in self._names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        content = _Content()
        self._step(f"create {path.name}", lambda: self._name(_Named(path, content, None)))
        yield _SimulatedFile(self, content)

    def rename(self, source: Path, target: Path) -> None:
        """See ``Files``."""
        content = self._names[source]
        self._step(f"rename to {target.name}", lambda: self._name(_Named(target, content, source)))

    def unlink(self, path: Path) -> None:
        """See ``Files``."""
        if path in self._names:
            self._step(f"unlink {path.name}", lambda: self._name(_Named(None, None, path)))

    def sync_folder(self, folder: Path) -> None:
        """See ``Files``; there is only one."""
        self._step(f"sync folder {folder.name}", lambda: None)
        self._synced_names = dict(self._names)
        self._pending_names.clear()

    def remains(self) -> Iterator[dict[Path, bytes]]:
        """Everything that can be on the disk after the power went now; the same disk only once."""
        seen = set()
        for kept in _choices([*self._pending_names, *self._pending_writes()]):
            for torn in (None, *(each for each in kept if isinstance(each, _Written))):
                for rest in (b"", b"half") if torn is not None else (b"",):
                    left = self._left(kept, torn, rest)
                    key = frozenset(left.items())
                    if key not in seen:
                        seen.add(key)
                        yield left

    def write(self, content: _Content, block: bytes) -> None:
        """Append to a file that is open."""
        full = self._fault is not None and self._fault.error == errno.ENOSPC
        at_fault = self._fault is not None and self._fault.at == len(self.operations)
        if full and at_fault:
            content.writes.append(block[: len(block) // 2])  # a full disk takes what it can
        self._step(f"write {len(block)} bytes", lambda: content.writes.append(block))

    def sync(self, content: _Content) -> None:
        """Put the content of a file onto the disk."""
        self._step("sync", lambda: None)
        content.synced, content.writes = content.whole, []

    def _step(self, what: str, act: Callable[[], None]) -> None:
        number = len(self.operations)
        self.operations.append(what)
        fault = self._fault
        if fault is None or fault.at != number:
            act()
        elif fault.error is None:
            act()  # it was under way: it may be among what remains
            raise PowerCut(what)
        else:
            raise OSError(fault.error, os.strerror(fault.error))

    def _name(self, change: _Named) -> None:
        self._pending_names.append(change)
        _rename_in(self._names, change)

    def _pending_writes(self) -> list[_Written]:
        contents = {id(content): content for content in self._all_contents()}.values()
        return [_Written(content, number) for content in contents for number in range(len(content.writes))]

    def _all_contents(self) -> Iterator[_Content]:
        yield from self._names.values()
        yield from self._synced_names.values()
        yield from (change.content for change in self._pending_names if change.content is not None)

    def _left(
        self, kept: Iterable[_Named | _Written], torn: _Written | None, rest: bytes
    ) -> dict[Path, bytes]:
        names = dict(self._synced_names)
        written: dict[int, list[int]] = {}
        for change in kept:
            if isinstance(change, _Named):
                _rename_in(names, change)
            else:
                written.setdefault(id(change.content), []).append(change.number)
        return {
            path: _surviving(content, written.get(id(content), []), torn, rest)
            for path, content in names.items()
        }


class _SimulatedFile:
    def __init__(self, disk: SimulatedDisk, content: _Content) -> None:
        self._disk = disk
        self._content = content

    def write(self, block: bytes) -> None:
        self._disk.write(self._content, block)

    def sync(self) -> None:
        self._disk.sync(self._content)


def _rename_in(names: dict[Path, _Content], change: _Named) -> None:
    if change.gone is not None:
        names.pop(change.gone, None)
    if change.path is not None and change.content is not None:
        names[change.path] = change.content


def _surviving(content: _Content, kept: list[int], torn: _Written | None, rest: bytes) -> bytes:
    """Synced bytes, then each block: there, zeros where a later one is there, torn, or missing."""
    left = content.synced
    for number, block in enumerate(content.writes):
        if number > max(kept, default=-1):
            break
        is_torn = torn is not None and torn.content is content and torn.number == number
        if number not in kept or (is_torn and not rest):
            left += bytes(len(block))
        elif is_torn:
            left += block[: len(block) // 2]
        else:
            left += block
    return left


def _choices(pending: list[_Named | _Written]) -> Iterator[tuple[_Named | _Written, ...]]:
    """Which of the unsynced changes got to the disk; they keep their order."""
    everything = tuple(pending)
    if len(everything) <= MOST_PENDING_TRIED_IN_FULL:
        for count in range(len(everything) + 1):
            yield from itertools.combinations(everything, count)
        return
    yield ()
    yield everything
    yield from ((each,) for each in everything)
    yield from itertools.combinations(everything, len(everything) - 1)
