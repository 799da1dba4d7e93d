"""Files of arrays, ``.npz``, read so that damage becomes a reason. Nothing in them is executed."""

import contextlib
import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError

META: Final = "meta"
"""The array that holds what is no array, as JSON."""
Arrays = Mapping[str, NDArray[Any]]

DAMAGED_NPZ: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, zipfile and json raise for bytes that are no ``.npz`` of ours, beside ``OSError``. One flipped
bit of a zip directory is enough for most of them."""


@contextlib.contextmanager
def npz_arrays(path: Path, named: str, is_not: str, hint: str) -> Iterator[Arrays]:
    """The arrays in ``path``, each read when it is asked for.

    Args:
        path: The file.
        named: What it should hold: "No readable ``named`` at ...".
        is_not: What is said of one that holds something else: "PATH ``is_not`` (...)".
        hint: What to try.

    Raises:
        DataError: No such file, or what the block finds in it is not what it looks for.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except OSError as cause:
        found = f"No readable {named} at {path} ({cause.strerror or 'not a .npz'})."
        raise DataError(found, hint=hint) from cause
    except DAMAGED_NPZ as cause:
        raise DataError(f"{path} {is_not} ({type(cause).__name__}: {cause}).", hint=hint) from cause


def meta_of(arrays: Arrays, wanted: str) -> dict[str, Any]:
    """What stands beside the arrays in a file of the format ``wanted``.

    Raises:
        ValueError: Another format.
    """
    meta: dict[str, Any] = json.loads(str(arrays[META]))
    if meta["format"] != wanted:
        message = f"format {meta['format']!r}, not {wanted!r}"
        raise ValueError(message)
    return meta


def says_of_itself(path: Path, key: str, value: str) -> bool:
    """Whether the file at ``path`` has ``value`` under ``key`` beside its arrays; reads nothing else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return bool(json.loads(str(archive[META])).get(key) == value)
    except (OSError, *DAMAGED_NPZ):
        return False
