"""A folder of one's own pictures with a CSV of labels: file, person and part, and a column per attribute."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError
from training.data_sets.attribute_columns import UNKNOWN, attribute_columns
from training.data_sets.labelled_files import PARTS, LabelledFiles, read_text, repeated, some_of

FILE: Final = "file"
PERSON: Final = "person"
PART: Final = "part"
EXAMPLE: Final = "a first line such as file,person,part,Smiling and commas between columns."

TENTHS_OF_TRAIN: Final = 8
TENTHS_OF_VAL: Final = 1
"""Parts in tenths of the people where no column says more; the last tenth is test."""

_NUMBERED: Final = 10**9
"""Persons called by a number below this keep it; hashes of other names lie above."""


@dataclass(frozen=True, slots=True, repr=False)
class LabelTable:
    """Rows of a label file.

    Shape: ``files`` (n) relative paths; ``persons`` (n) and ``parts`` (n) words, or empty where the file
    lacks the column; ``attributes`` (n, K) int8, +1 yes, -1 no, 0 unknown, for ``names`` (K).
    """

    files: tuple[str, ...]
    persons: tuple[str, ...]
    parts: tuple[str, ...]
    names: tuple[str, ...]
    attributes: NDArray[np.int8]


def open_labelled_folder(path: Path) -> LabelledFiles:
    """All rows of a CSV; its pictures lie below the folder that it is in.

    Raises:
        DataError: The CSV cannot be used; names line or column.
    """
    table = parse_labels(read_text(path), str(path))
    identity = _identity(table)
    part = _assigned(table.parts) if table.parts else _drawn(identity)
    return LabelledFiles(path.parent, table.files, table.attributes, table.names, identity, part, (path,))


def parse_labels(text: str, name: str) -> LabelTable:
    """Read the text of a label file.

    Raises:
        DataError: Not CSV, without header, of one column, with a column or file twice, with a path that
            leaves the folder, with a part or label that means nothing.
    """
    header, rows = _cells(text, name)
    columns = {title: [row[place] for row in rows] for place, title in enumerate(header)}
    files = _files(columns.pop(FILE), name)
    persons = tuple(columns.pop(PERSON, ()))
    parts = tuple(columns.pop(PART, ()))
    _check_parts(parts, name)
    labelled = [attribute_columns(title, words, name) for title, words in columns.items()]
    names = tuple(attribute for titles, _ in labelled for attribute in titles)
    twice = repeated(names)
    if twice:
        raise DataError(f"{name}: two columns stand for {some_of(twice)}.", hint="rename one of them.")
    values = [np.empty((len(files), 0), np.int8), *(column for _, column in labelled)]
    return LabelTable(files, persons, parts, names, np.concatenate(values, axis=1))


def _cells(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows, spaces around words taken off, empty lines left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not header:
                header = row
                _check_header(header, name)
                continue
            if len(row) != len(header):
                found = f"{name}: line {reader.line_num} has {len(row)} cells, the header {len(header)}."
                raise DataError(found, hint="as many commas in every line; quote a cell that holds one.")
            rows.append(row)
    except csv.Error as cause:
        found = f"{name}: line {reader.line_num} is not CSV ({cause})."
        raise DataError(
            found, hint="commas between cells, double quotes around cells that hold one."
        ) from cause
    if not rows:
        raise DataError(f"{name} holds no row below a header.", hint=EXAMPLE)
    return header, rows


def _check_header(header: list[str], name: str) -> None:
    shown = some_of([title[:40] for title in header])
    if FILE not in header:
        found = f"{name}: the first line has no column {FILE!r}; found {shown}."
        raise DataError(found, hint=EXAMPLE)
    if len(header) == 1:
        found = f"{name} has the one column {FILE!r}."
        raise DataError(found, hint=f"add labels; for pictures without labels, a column {PERSON} or {PART}.")
    if "" in header:
        raise DataError(f"{name}: column {header.index('') + 1} has no name.", hint=EXAMPLE)
    twice = repeated(header)
    if twice:
        raise DataError(f"{name} has the column {some_of(twice)} twice.", hint="rename one or take it out.")


def _files(words: Sequence[str], name: str) -> tuple[str, ...]:
    files = [_below(word, name) for word in words]
    twice = repeated(files)
    if twice:
        raise DataError(f"{name} names {some_of(twice)} twice.", hint="one row per picture.")
    return tuple(files)


def _below(word: str, name: str) -> str:
    """The path in its shortest form."""
    path = PurePosixPath(word)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in word or "\0" in word:
        found = f"{name}: {word[:60]!r} is no path below the folder of the list."
        raise DataError(found, hint="paths like pictures/0001.jpg, from the folder in which the list is.")
    return str(path)


def _check_parts(parts: Sequence[str], name: str) -> None:
    others = sorted(set(parts) - set(PARTS))
    if others:
        found = f"{name}: column {PART!r} holds {some_of([word[:40] for word in others])}."
        raise DataError(found, hint=f"{', '.join(PARTS)} in every row, or no such column.")


def _identity(table: LabelTable) -> NDArray[np.int64]:
    """One number per person, the same in every file. A picture of nobody known is its own person."""
    persons = table.persons or ("",) * len(table.files)
    numbers = [
        _number(f"file {file}") if person in UNKNOWN else _number(person)
        for person, file in zip(persons, table.files, strict=True)
    ]
    return np.array(numbers, np.int64)


def _number(person: str) -> int:
    if (
        person.isascii()
        and person.isdecimal()
        and str(int(person[:12])) == person
        and int(person) < _NUMBERED
    ):
        return int(person)
    digest = hashlib.sha256(f"lsi person {person}".encode()).digest()
    return _NUMBERED + int.from_bytes(digest[:7], "big")


def _assigned(parts: Sequence[str]) -> NDArray[np.int8]:
    return np.array([PARTS.index(part) for part in parts], np.int8)


def _drawn(identity: NDArray[np.int64]) -> NDArray[np.int8]:
    """A part for each person by hash: the same in every run, whatever else the file holds."""
    people, row_of = np.unique(identity, return_inverse=True)
    digests = (hashlib.sha256(f"lsi part {person}".encode()).digest() for person in people)
    tenths = np.array([int.from_bytes(digest[:4], "big") % 10 for digest in digests])
    parts = np.digitize(tenths, (TENTHS_OF_TRAIN, TENTHS_OF_TRAIN + TENTHS_OF_VAL)).astype(np.int8)
    drawn: NDArray[np.int8] = parts[row_of]
    return drawn
