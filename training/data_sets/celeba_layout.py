"""CelebA and CelebA-HQ as their authors publish them: pictures in a folder, lists beside them.

Ref: CelebA (Liu, Luo, Wang, Tang, ICCV 2015), README of the data set; CelebAMask-HQ (Lee, Liu, Wu, Luo,
CVPR 2020), README of the data set, whose pictures are CelebA-HQ's (Karras et al., ICLR 2018).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.attributes import NAME
from lsi.errors import DataError
from training.data_sets.labelled_files import PARTS, LabelledFiles, read_text, repeated, some_of
from training.data_sets.pictures import SquareCrop

ALIGNED_FOLDERS: Final = ("img_align_celeba", "Img/img_align_celeba")
HQ_FOLDER: Final = "CelebA-HQ-img"
LIST_FOLDERS: Final = ("", "Anno", "Eval")
ATTRIBUTE_LIST: Final = "list_attr_celeba.txt"
PARTITION_LIST: Final = "list_eval_partition.txt"
IDENTITY_LIST: Final = "identity_CelebA.txt"
HQ_MAPPING: Final = "CelebA-HQ-to-CelebA-mapping.txt"
HQ_ATTRIBUTE_LIST: Final = "CelebAMask-HQ-attribute-anno.txt"

ALIGNED_CROP: Final = SquareCrop(width_px=178, height_px=218, left_px=9, top_px=35, side_px=160)
"""The square of an aligned picture that is framed like CelebA-HQ.

CelebA's alignment puts the eyes at (69, 111) and (108, 111) on average. In this square, scaled to 128 pixels,
they lie at (47.9, 60.7) and (79.1, 60.7), where CelebA-HQ has (48.0, 60.5) and (79.0, 60.6).
"""

FIRST_VAL: Final = 162_770
FIRST_TEST: Final = 182_637
"""First original index, counted from 0, of CelebA's val and test parts."""

COPY_AGAIN: Final = "copy the list from the data set again."
_LABEL: Final = {"1": 1, "-1": -1}
_PLAIN_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MAPPING_HEADER: Final = ["idx", "orig_idx", "orig_file"]
_MAX_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, repr=False)
class AttributeList:
    """Rows of an attribute list. Shape: ``files`` (n), ``attributes`` (n, K) int8 of +1 and -1."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    attributes: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class OriginalPicture:
    """The CelebA picture that a CelebA-HQ picture was made of; ``index`` counts from 0."""

    index: int
    file: str


def is_celeba(folder: Path) -> bool:
    """Whether ``folder`` holds pictures where CelebA or CelebA-HQ has them."""
    return any((folder / name).is_dir() for name in (*ALIGNED_FOLDERS, HQ_FOLDER))


def open_celeba(folder: Path) -> LabelledFiles:
    """All rows of a folder in the layout of CelebA or of CelebA-HQ.

    Raises:
        DataError: A list is missing, damaged, or does not fit the others; or both data sets lie there.
    """
    aligned = [folder / name for name in ALIGNED_FOLDERS if (folder / name).is_dir()]
    high = (folder / HQ_FOLDER).is_dir()
    if len(aligned) + high > 1:
        found = f"{folder} holds more than one folder of pictures of CelebA or CelebA-HQ."
        raise DataError(found, hint="a folder of its own for each, with its lists.")
    return _high_quality(folder) if high else _aligned(folder, aligned[0])


def parse_attribute_list(text: str, name: str) -> AttributeList:
    """Read "number of rows, attribute names, rows of file and +1 or -1".

    Raises:
        DataError: Another form; names line and ``name`` of the list.
    """
    lines = text.rstrip().split("\n")
    names = tuple(lines[1].split()) if len(lines) > 1 else ()
    _check_names(names, name)
    rows = [line.split() for line in lines[2:]]
    if lines[0].strip() != str(len(rows)):
        found = f"{name}: line 1 says {lines[0].strip()[:20]!r} rows, {len(rows)} follow."
        raise DataError(found, hint=COPY_AGAIN)
    values = np.empty((len(rows), len(names)), np.int8)
    for number, cells in enumerate(rows):
        labels = [_LABEL.get(cell, 0) for cell in cells[1:]]
        if len(labels) != len(names) or 0 in labels:
            found = f"{name}: line {number + 3} is not a file and {len(names)} labels of 1 or -1."
            raise DataError(found, hint=COPY_AGAIN)
        values[number] = labels
    files = _distinct_files([cells[0] for cells in rows], name)
    return AttributeList(files, names, values)


def parse_numbers(text: str, name: str) -> dict[str, int]:
    """Read rows of "file number", as in the partition and the identity list.

    Raises:
        DataError: Another form.
    """
    rows = [line.split() for line in text.rstrip().split("\n")]
    for number, cells in enumerate(rows, start=1):
        if len(cells) != 2 or not _is_number(cells[1]):  # noqa: PLR2004 - file and number
            raise DataError(f"{name}: line {number} is not a file and a number.", hint=COPY_AGAIN)
    files = _distinct_files([cells[0] for cells in rows], name)
    return {file: int(cells[1]) for file, cells in zip(files, rows, strict=True)}


def parse_mapping(text: str, name: str) -> dict[str, OriginalPicture]:
    """Read CelebA-HQ's mapping: file of CelebA-HQ to the CelebA picture it was made of.

    Raises:
        DataError: Another form, or an index and a file that name different pictures.
    """
    header, *lines = text.rstrip().split("\n")
    columns = header.split()
    if columns[:3] != _MAPPING_HEADER:
        found = f"{name} does not begin with the columns {' '.join(_MAPPING_HEADER)}."
        raise DataError(found, hint=COPY_AGAIN)
    mapping: dict[str, OriginalPicture] = {}
    for number, line in enumerate(lines, start=2):
        cells = line.split()
        if len(cells) != len(columns) or not all(map(_is_number, cells[:2])):
            raise DataError(f"{name}: line {number} is not a row of the mapping.", hint=COPY_AGAIN)
        file, index = f"{int(cells[0])}.jpg", int(cells[1])
        # CelebA numbers its files from 1, the mapping counts from 0.
        if file in mapping or cells[2] != f"{index + 1:06d}.jpg":
            found = f"{name}: line {number} repeats a picture, or its index and file do not fit."
            raise DataError(found, hint=COPY_AGAIN)
        mapping[file] = OriginalPicture(index, cells[2])
    return mapping


def _aligned(folder: Path, pictures: Path) -> LabelledFiles:
    labels, partition = _needed(folder, ATTRIBUTE_LIST), _needed(folder, PARTITION_LIST)
    listed = parse_attribute_list(read_text(labels), str(labels))
    parts = parse_numbers(read_text(partition), str(partition))
    strangers = sorted(parts.keys() - set(listed.files))
    if strangers:
        found = f"{partition} names {some_of(strangers)}, which {labels.name} lacks ({len(strangers)} rows)."
        raise DataError(found, hint="both lists from the same data set.")
    others = sorted(set(parts.values()) - set(range(len(PARTS))))
    if others:
        found = f"{partition} holds the part {others[0]}; parts are 0 (train), 1 (val) and 2 (test)."
        raise DataError(found, hint=COPY_AGAIN)
    part = _in_order(listed.files, parts, str(partition)).astype(np.int8)
    identity, people = _people(folder, listed.files)
    lists = (labels, partition, *people)
    return _with_train(
        LabelledFiles(
            pictures, listed.files, listed.attributes, listed.names, identity, part, lists, ALIGNED_CROP
        )
    )


def _high_quality(folder: Path) -> LabelledFiles:
    path = _needed(folder, HQ_MAPPING)
    mapping = parse_mapping(read_text(path), str(path))
    own = _found(folder, HQ_ATTRIBUTE_LIST)
    labels = own or _needed(folder, ATTRIBUTE_LIST, HQ_ATTRIBUTE_LIST)
    listed = parse_attribute_list(read_text(labels), str(labels))
    if own is None:
        listed = _through_mapping(listed, mapping, labels)
    strangers = [file for file in listed.files if file not in mapping]
    if strangers:
        found = f"{path} lacks {some_of(strangers)} of {labels.name} ({len(strangers)} rows)."
        raise DataError(found, hint="both lists from the same data set.")
    originals = [mapping[file] for file in listed.files]
    part = np.digitize([each.index for each in originals], (FIRST_VAL, FIRST_TEST)).astype(np.int8)
    identity, people = _people(folder, [each.file for each in originals])
    lists = (labels, path, *people)
    pictures = folder / HQ_FOLDER
    return _with_train(
        LabelledFiles(pictures, listed.files, listed.attributes, listed.names, identity, part, lists)
    )


def _with_train(labelled: LabelledFiles) -> LabelledFiles:
    if not (labelled.part == PARTS.index("train")).any():
        raise DataError(f"{labelled.lists[1]} puts no picture into train.", hint=COPY_AGAIN)
    return labelled


def _through_mapping(
    listed: AttributeList, mapping: Mapping[str, OriginalPicture], path: Path
) -> AttributeList:
    """CelebA's rows for the pictures of CelebA-HQ."""
    row_of = {file: row for row, file in enumerate(listed.files)}
    originals = {file: each.file for file, each in mapping.items()}
    missing = [file for file in originals.values() if file not in row_of]
    if missing:
        found = f"{path} lacks {some_of(missing)} of the mapping ({len(missing)} rows)."
        raise DataError(found, hint=COPY_AGAIN)
    rows = [row_of[file] for file in originals.values()]
    return AttributeList(tuple(originals), listed.names, listed.attributes[rows])


def _people(folder: Path, files: Sequence[str]) -> tuple[NDArray[np.int64], tuple[Path, ...]]:
    """Identity numbers of CelebA's ``files``; without the list every picture counts as its own person."""
    path = _found(folder, IDENTITY_LIST)
    if path is None:
        return np.arange(len(files), dtype=np.int64), ()
    return _in_order(files, parse_numbers(read_text(path), str(path)), str(path)), (path,)


def _in_order(files: Sequence[str], numbers: Mapping[str, int], name: str) -> NDArray[np.int64]:
    missing = [file for file in files if file not in numbers]
    if missing:
        found = f"{name} lacks {some_of(missing)} of the attribute list ({len(missing)} rows)."
        raise DataError(found, hint=COPY_AGAIN)
    return np.array([numbers[file] for file in files], np.int64)


def _found(folder: Path, name: str) -> Path | None:
    places = (folder / place / name for place in LIST_FOLDERS)
    return next((path for path in places if path.is_file()), None)


def _needed(folder: Path, *names: str) -> Path:
    for name in names:
        path = _found(folder, name)
        if path is not None:
            return path
    found = f"{folder} lacks {' or '.join(names)}."
    raise DataError(found, hint="the list from the data set, beside the pictures or in Anno/ or Eval/.")


def _check_names(names: tuple[str, ...], name: str) -> None:
    if not names or len(set(names)) != len(names) or not all(map(NAME.fullmatch, names)):
        found = f"{name}: line 2 does not name the attributes, each once."
        raise DataError(found, hint=COPY_AGAIN)


def _distinct_files(files: list[str], name: str) -> tuple[str, ...]:
    """The files themselves; a name with a folder in it could lead anywhere."""
    strange = [file for file in files if not _PLAIN_FILE.fullmatch(file)]
    if strange:
        found = f"{name} names {some_of([file[:40] for file in strange])}, which is no plain file name."
        raise DataError(found, hint=COPY_AGAIN)
    twice = repeated(files)
    if twice:
        raise DataError(f"{name} names {some_of(twice)} twice.", hint=COPY_AGAIN)
    return tuple(files)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _MAX_DIGITS
