"""Reader of data files: WebP pictures end to end in one ``.npz``, labels beside them.

Needs numpy and Pillow only, so that the demo runs without PyTorch. Layout: ``image_bytes``
(uint8) and ``offsets``; optional ``attributes`` (n, K) of +1 and -1 with
``attribute_names``; ``identity`` (who) or ``source`` (which picture it was cut from).
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lsi.errors import ConfigError, DataError
from lsi.frozen import frozen_array
from training.damaged_npz import DAMAGED_NPZ
from training.luminance import FIELD_PX, field_of_picture

PICTURES: Final = ("image_bytes", "offsets")
GROUPS: Final = ("identity", "source")
"""Fields that say which rows belong together, in order of preference."""


@dataclass(frozen=True, slots=True, repr=False)
class FaceData:
    """Decoded rows of a data file, ready for the forward model.

    Shape: ``luminance`` (n, 64, 64) float32, linear light 0..1; ``attributes`` (n, K) int8,
    +1 yes and -1 no, K = 0 where there are none; ``identity`` (n,) int64, equal for rows of one person
    (or of one source picture).
    """

    luminance: NDArray[np.float32]
    attributes: NDArray[np.int8]
    names: tuple[str, ...]
    identity: NDArray[np.int64]

    def __post_init__(self) -> None:
        frozen = frozen_array("luminance", self.luminance, np.float32, (None, FIELD_PX, FIELD_PX))
        rows = len(frozen)
        object.__setattr__(self, "luminance", frozen)
        object.__setattr__(self, "identity", frozen_array("identity", self.identity, np.int64, (rows,)))
        shape = (rows, len(self.names))
        if self.attributes.dtype != np.int8 or self.attributes.shape != shape:
            message = f"attributes must be int8 of shape {shape}, found {self.attributes.shape}"
            raise ValueError(message)

    def rows(self, chosen: NDArray[np.bool_]) -> "FaceData":
        """The rows where ``chosen`` (n,) is true."""
        return FaceData(self.luminance[chosen], self.attributes[chosen], self.names, self.identity[chosen])

    def __len__(self) -> int:
        return len(self.luminance)

    def __repr__(self) -> str:
        return f"FaceData(rows={len(self)}, attributes={len(self.names)})"


@dataclass(frozen=True, slots=True, repr=False)
class DataFile:
    """An opened data file. Pictures stay compressed until they are asked for.

    ``attribute_names`` is empty for a file without attributes.
    """

    path: Path
    image_bytes: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    attributes: NDArray[np.int8]
    attribute_names: tuple[str, ...]
    identity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"DataFile({self.path.name}, rows={len(self)})"

    def picture(self, row: int) -> NDArray[np.uint8]:
        """The RGB picture of one row, (H, W, 3) uint8, decoded now.

        Raises:
            DataError: No such row, or its bytes are no picture.
        """
        if not 0 <= row < len(self):
            raise DataError(f"{self.path} has no row {row}.", hint=f"a row in 0..{len(self) - 1}.")
        stream = self.image_bytes[self.offsets[row] : self.offsets[row + 1]].tobytes()
        try:
            with Image.open(io.BytesIO(stream)) as image:
                return np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as cause:
            found = f"{self.path}: row {row} is not a readable picture."
            raise DataError(found, hint="copy the data file again; Pillow needs WebP support.") from cause

    def field(self, row: int) -> NDArray[np.float32]:
        """Linear luminance of one row at the size of the field, (64, 64)."""
        return field_of_picture(self.picture(row))

    def faces(self, names: Sequence[str] = (), rows: NDArray[np.integer[Any]] | None = None) -> FaceData:
        """Decode ``rows`` (all by default) with the attributes ``names``, in that order.

        Raises:
            ConfigError: The file does not have one of the attributes.
            DataError: A picture cannot be read.
        """
        columns = [self._column(name) for name in names]
        chosen = np.arange(len(self)) if rows is None else rows
        luminance = np.stack([self.field(int(row)) for row in chosen])
        return FaceData(luminance, self.attributes[chosen][:, columns], tuple(names), self.identity[chosen])

    def _column(self, name: str) -> int:
        if name in self.attribute_names:
            return self.attribute_names.index(name)
        known = ", ".join(self.attribute_names) or "none at all"
        raise ConfigError(f"{self.path} has no attribute {name!r}.", hint=f"one of: {known}.")


def open_data(path: Path) -> DataFile:
    """Open a data file; no picture is decoded yet.

    Raises:
        DataError: No such file, not a ``.npz``, or a field is missing or malformed.
    """
    fields = _fields(path)
    missing = [name for name in PICTURES if name not in fields]
    if missing:
        found = f"{path} lacks the field {', '.join(missing)}; found {', '.join(sorted(fields))}."
        raise DataError(found, hint="a data file with image_bytes and offsets.")
    offsets = fields["offsets"].astype(np.int64)
    _check_offsets(path, offsets, len(fields["image_bytes"]))
    rows = len(offsets) - 1
    attributes, names = _labels(path, fields, rows)
    return DataFile(path, fields["image_bytes"], offsets, attributes, names, _groups(path, fields, rows))


def tune_rows(identity: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to the *tune* half; the others are *report*. Shape (n,) bool.

    All rows of one person fall on one side, the same one in every run and every file.
    """
    people, row_of = np.unique(identity, return_inverse=True)
    halves = [hashlib.sha256(f"lsi split {person}".encode()).digest()[0] % 2 == 0 for person in people]
    return np.array(halves, np.bool_)[row_of]


def _fields(path: Path) -> dict[str, NDArray[Any]]:
    wanted = (*PICTURES, "attributes", "attribute_names", *GROUPS)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted if name in archive}
    except OSError as cause:
        found = f"No readable data file at {path} ({cause.strerror or 'not a .npz'})."
        raise DataError(found, hint="name a .npz file of the data layout.") from cause
    except DAMAGED_NPZ as cause:
        found = f"{path} is not a data file ({type(cause).__name__})."
        raise DataError(found, hint="name a .npz file of the data layout.") from cause


def _check_offsets(path: Path, offsets: NDArray[np.int64], size_bytes: int) -> None:
    rows = offsets.ndim == 1 and len(offsets) > 1
    if not rows or offsets[0] != 0 or offsets[-1] != size_bytes or bool((np.diff(offsets) <= 0).any()):
        found = f"{path}: offsets do not cut image_bytes ({size_bytes} bytes) into pictures."
        raise DataError(found, hint="copy the data file again.")


def _labels(
    path: Path, fields: dict[str, NDArray[Any]], rows: int
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    if "attributes" not in fields:
        return np.empty((rows, 0), np.int8), ()
    names = tuple(str(name) for name in fields.get("attribute_names", np.array([])))
    attributes = fields["attributes"].astype(np.int8)
    if attributes.shape != (rows, len(names)) or not np.isin(attributes, (-1, 1)).all():
        found = f"{path}: attributes must be +1 or -1, ({rows}, {len(names)}); found {attributes.shape}."
        raise DataError(found, hint="attributes (n, K) with K attribute_names.")
    return attributes, names


def _groups(path: Path, fields: dict[str, NDArray[Any]], rows: int) -> NDArray[np.int64]:
    for name in GROUPS:
        if name in fields:
            group = fields[name].astype(np.int64)
            if group.shape != (rows,):
                raise DataError(f"{path}: {name} has shape {group.shape}, not ({rows},).")
            return group
    return np.arange(rows, dtype=np.int64)
