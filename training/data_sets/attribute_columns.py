"""Columns of words as yes/no attributes: binary ones as they are, categories as one attribute per word."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.attributes import NAME
from lsi.errors import DataError
from training.data_sets.labelled_files import some_of

UNKNOWN: Final = frozenset({"", "?"})

VOCABULARIES: Final = (("yes", "no"), ("true", "false"), ("1", "0"), ("1", "-1"))
"""Yes and no, in any case of letters. One column keeps to one pair: 0 beside -1 could mean unknown."""

MAX_WORDS: Final = 20
"""More different words than this are a number or a text, not a category."""

Columns = tuple[tuple[str, ...], NDArray[np.int8]]
"""Names (k) of attributes and their values (n, k): +1 yes, -1 no, 0 unknown."""


def attribute_columns(header: str, cells: Sequence[str], name: str) -> Columns:
    """The attributes that one column of a table stands for.

    Args:
        header: Name of the column.
        cells: One word per row, without spaces around it.
        name: What messages call the table.

    Raises:
        DataError: A name that no attribute may have, no known word, too many, or two ways of saying yes.
    """
    known = sorted(set(cells) - UNKNOWN)
    if not known:
        found = f"{name}: column {header!r} labels no row."
        raise DataError(found, hint="fill it or take it out.")
    vocabulary = _vocabulary(header, known, name)
    if vocabulary is not None:
        _check_name(header, header, name)
        return (header,), _binary(cells, *vocabulary)
    return _categories(header, cells, known, name)


def _vocabulary(header: str, known: Sequence[str], name: str) -> tuple[str, str] | None:
    """The pair that the column's words are from; ``None`` for a category."""
    words = {word.lower() for word in known}
    for pair in VOCABULARIES:
        if words <= set(pair):
            return pair
    if words <= {word for pair in VOCABULARIES for word in pair}:
        found = f"{name}: column {header!r} mixes {some_of(known)}."
        raise DataError(found, hint="one pair of words, such as yes and no; leave unknown cells empty.")
    return None


def _binary(cells: Sequence[str], yes: str, no: str) -> NDArray[np.int8]:
    value = {yes: 1, no: -1}
    return np.array([[value.get(cell.lower(), 0)] for cell in cells], np.int8)


def _categories(header: str, cells: Sequence[str], known: Sequence[str], name: str) -> Columns:
    if len(known) > MAX_WORDS:
        found = (
            f"{name}: column {header!r} has {len(known)} different words, over {MAX_WORDS}: {some_of(known)}."
        )
        raise DataError(found, hint="sort numbers into a few words, or take the column out.")
    if len({word.lower() for word in known}) < len(known):
        found = f"{name}: column {header!r} writes a word in two ways: {some_of(known)}."
        raise DataError(found, hint="the same letters, capital or small, for the same word.")
    for word in known:
        _check_name(f"{header}_{word}", word, name)
    column = {word: place for place, word in enumerate(known)}
    values = np.zeros((len(cells), len(known)), np.int8)
    for row, cell in enumerate(cells):
        if cell in column:
            values[row] = -1
            values[row, column[cell]] = 1
    return tuple(f"{header}_{word}" for word in known), values


def _check_name(attribute: str, word: str, name: str) -> None:
    if not NAME.fullmatch(attribute):
        found = f"{name}: {attribute[:60]!r} cannot name an attribute."
        hint = f"rename {word[:60]!r}: letters, digits and _, 48 characters together."
        raise DataError(found, hint=hint)
