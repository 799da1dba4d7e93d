"""What the lists of a data set say of picture files, before any picture is opened."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from training.data_sets.pictures import SquareCrop

PARTS: Final = ("train", "val", "test")
"""Parts of a data set; their places here are the numbers of CelebA's partition file."""

MAX_TEXT_BYTES: Final = 256 * 2**20
"""CelebA's attribute list, with 202,599 rows, has 26 MB."""

NAMED_IN_MESSAGES: Final = 3


@dataclass(frozen=True, slots=True, repr=False)
class LabelledFiles:
    """Picture files with their labels, row by row.

    Shape: ``files`` (n) relative to ``folder``; ``attributes`` (n, K) int8, +1 yes, -1 no, 0 unknown;
    ``identity`` (n,) int64; ``part`` (n,) int8, a place in ``PARTS``. ``lists`` are the files that said so.
    """

    folder: Path
    files: tuple[str, ...]
    attributes: NDArray[np.int8]
    names: tuple[str, ...]
    identity: NDArray[np.int64]
    part: NDArray[np.int8]
    lists: tuple[Path, ...]
    crop: SquareCrop | None = None

    def __repr__(self) -> str:
        return f"LabelledFiles({self.folder.name}, rows={len(self.files)}, attributes={len(self.names)})"

    def of_part(self, part: str | None) -> "LabelledFiles":
        """The rows of one part, in their order; all rows for ``None``.

        Raises:
            DataError: The part has no row.
        """
        if part is None:
            return self
        rows = np.flatnonzero(self.part == PARTS.index(part))
        if not len(rows):
            counts = ", ".join(f"{name} {int((self.part == i).sum())}" for i, name in enumerate(PARTS))
            found = f"{self.lists[0]} has no row of part {part!r} ({counts})."
            raise DataError(found, hint="another part, or a list that assigns rows to it.")
        files = tuple(self.files[row] for row in rows)
        attributes, identity = self.attributes[rows], self.identity[rows]
        return LabelledFiles(
            self.folder, files, attributes, self.names, identity, self.part[rows], self.lists, self.crop
        )


def check_part(part: str | None) -> None:
    """Refuse what is not the name of a part.

    Raises:
        ConfigError: Neither ``None`` nor one of ``PARTS``.
    """
    if part is not None and part not in PARTS:
        raise ConfigError(f"Part {part!r} does not exist.", hint=f"one of: {', '.join(PARTS)}.")


def check_files(folder: Path, files: Sequence[str]) -> None:
    """See that every file is there and lies below ``folder``, links followed. Opens none of them.

    Raises:
        DataError: Files are missing, or lead out of the folder; names the first few and their number.
    """
    top = _followed(folder)
    missing, strays = [], []
    for parent, names in _by_parent(files).items():
        inside = _followed(top / parent).is_relative_to(top)
        entries = _entries(top / parent) if inside else {}
        for name in names:
            entry = entries.get(name)
            if not inside or (entry is not None and _leads_out(entry, top)):
                strays.append(str(PurePosixPath(parent, name)))
            elif entry is None or not _is_file(entry):
                missing.append(str(PurePosixPath(parent, name)))
    if missing:
        found = f"{folder} lacks {some_of(missing)}, {len(missing)} of {len(files)} files of the list."
        raise DataError(found, hint="unpack the pictures again, or take their rows out of the list.")
    if strays:
        found = f"{some_of(strays)} leads out of {folder} by a link ({len(strays)} of {len(files)} files)."
        raise DataError(found, hint="copy the pictures into the folder.")


def some_of(words: Sequence[str]) -> str:
    """The first few words, for a message."""
    shown = ", ".join(repr(word) for word in words[:NAMED_IN_MESSAGES])
    return shown if len(words) <= NAMED_IN_MESSAGES else f"{shown}, ..."


def read_text(path: Path) -> str:
    """Text of a list, without the byte order mark that spreadsheets write.

    Raises:
        DataError: Not readable, longer than ``MAX_TEXT_BYTES``, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except OSError as cause:
        found = f"{path} cannot be read ({cause.strerror})."
        raise DataError(found, hint="an existing text file.") from cause
    if len(content) > MAX_TEXT_BYTES:
        raise DataError(f"{path} is longer than {MAX_TEXT_BYTES} bytes.", hint="a list, not pictures.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        found = f"{path} is not UTF-8 text (byte {cause.start})."
        raise DataError(found, hint="save it as UTF-8; spreadsheets call it 'CSV UTF-8'.") from cause


def repeated(words: Iterable[str]) -> list[str]:
    """The words that occur more than once."""
    return [word for word, times in Counter(words).items() if times > 1]


def _by_parent(files: Sequence[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for file in files:
        parent, _, name = file.rpartition("/")
        names.setdefault(parent, []).append(name)
    return names


def _entries(folder: Path) -> dict[str, os.DirEntry[str]]:
    """One look at a folder instead of one at each of its files."""
    try:
        with os.scandir(folder) as found:
            return {entry.name: entry for entry in found}
    except OSError:
        return {}


def _leads_out(entry: os.DirEntry[str], top: Path) -> bool:
    return entry.is_symlink() and not _followed(entry.path).is_relative_to(top)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, links followed; a link that leads round in circles is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _followed(path: str | Path) -> Path:
    """Where links lead. ``Path.resolve`` raises on circles before Python 3.13."""
    return Path(os.path.realpath(path))
