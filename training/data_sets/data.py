"""Pictures with labels from any source: a ``.npz`` file, a CSV with a folder, CelebA, CelebA-HQ.

Needs numpy and Pillow only, so that the demo runs without PyTorch. The layouts stand in
``docs/reference/data-layout.md``.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from lsi.frozen import frozen_array
from lsi.npz_file import DAMAGED_NPZ
from training.data_sets.celeba_layout import is_celeba, open_celeba
from training.data_sets.labelled_files import LabelledFiles, check_files, check_part
from training.data_sets.labelled_folder import open_labelled_folder
from training.data_sets.luminance import FIELD_PX
from training.data_sets.pictures import PackedPictures, PictureFiles, PictureSource, field_of_row

PICTURES: Final = ("image_bytes", "offsets")
GROUPS: Final = ("identity", "source")
"""Fields that say which rows belong together, in order of preference."""

DECODED_TOGETHER: Final = 64
"""Rows between two reports of progress, and the work of one thread at a time."""

_HASHED_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, repr=False)
class FaceData:
    """Decoded rows of a data set, ready for the forward model.

    Shape: ``luminance`` (n, 64, 64) float32, linear light 0..1; ``attributes`` (n, K) int8,
    +1 yes, -1 no and 0 unknown, K = 0 where there are none; ``identity`` (n,) int64, equal for rows of one
    person (or of one source picture).
    """

    luminance: NDArray[np.float32]
    attributes: NDArray[np.int8]
    names: tuple[str, ...]
    identity: NDArray[np.int64]

    def __post_init__(self) -> None:
        frozen = _frozen_luminance(self.luminance)
        rows = len(frozen)
        object.__setattr__(self, "luminance", frozen)
        object.__setattr__(self, "identity", frozen_array("identity", self.identity, np.int64, (rows,)))
        shape = (rows, len(self.names))
        if self.attributes.dtype != np.int8 or self.attributes.shape != shape:
            message = f"attributes must be int8 of shape {shape}, found {self.attributes.shape}"
            raise ValueError(message)

    def rows(self, chosen: NDArray[np.bool_]) -> "FaceData":
        """The rows where ``chosen`` (n,) is true."""
        luminance = self.luminance[chosen]
        luminance.flags.writeable = False
        return FaceData(luminance, self.attributes[chosen], self.names, self.identity[chosen])

    def __len__(self) -> int:
        return len(self.luminance)

    def __repr__(self) -> str:
        return f"FaceData(rows={len(self)}, attributes={len(self.names)})"


@dataclass(frozen=True, slots=True, repr=False)
class DataFile:
    """An opened data set. Pictures stay encoded until they are asked for; no file is held open.

    Shape: ``attributes`` (n, K) int8, +1 yes, -1 no, 0 unknown; ``identity`` (n,) int64. ``attribute_names``
    is empty for a source without attributes. ``lists`` are the files that the labels were read from.
    """

    path: Path
    pictures: PictureSource
    attributes: NDArray[np.int8]
    attribute_names: tuple[str, ...]
    identity: NDArray[np.int64]
    lists: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        return f"DataFile({self.path.name}, rows={len(self)})"

    def digest(self) -> str:
        """SHA-256 of the bytes of ``lists``, 64 hexadecimal digits.

        That is all of a ``.npz``; of the other sources it covers the labels, not the pictures.

        Raises:
            DataError: A file is no longer there.
        """
        digest = hashlib.sha256()
        try:
            for path in self.lists:
                with path.open("rb") as file:
                    while block := file.read(_HASHED_BYTES):
                        digest.update(block)
        except OSError as cause:
            found = f"{path} cannot be read any more ({cause.strerror})."
            raise DataError(found, hint="keep the data in place while it is in use.") from cause
        return digest.hexdigest()

    def picture(self, row: int) -> NDArray[np.uint8]:
        """The RGB picture of one row, (H, W, 3) uint8, decoded now.

        Raises:
            DataError: No such row, or its bytes are no picture.
        """
        self._check_row(row)
        return self.pictures.picture(row)

    def field(self, row: int) -> NDArray[np.float32]:
        """Linear luminance of one row at the size of the field, (64, 64).

        Raises:
            DataError: No such row, or a picture that is damaged, not square or smaller than the field.
        """
        self._check_row(row)
        return field_of_row(self.pictures, row)

    def faces(
        self,
        names: Sequence[str] = (),
        rows: NDArray[np.integer[Any]] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
        workers: int = 1,
    ) -> FaceData:
        """Decode ``rows`` (all by default) with the attributes ``names``, in that order.

        Args:
            names: Attributes of the source.
            rows: Row numbers, any order.
            progress: Told (rows done, rows in all) now and then, from the calling thread.
            workers: Threads that decode; the result does not depend on it.

        Raises:
            ConfigError: The source does not have one of the attributes, or fewer than one worker.
            DataError: A picture cannot be read, or no row is asked for.
        """
        columns = [self._column(name) for name in names]
        if workers < 1:
            raise ConfigError(f"workers is {workers}.", hint="at least 1.")
        chosen = np.arange(len(self)) if rows is None else rows
        if not len(chosen):
            raise DataError(f"No row of {self.path} is asked for.", hint="at least one row.")
        luminance = np.empty((len(chosen), FIELD_PX, FIELD_PX), np.float32)
        for done in self._decoded(chosen, luminance, workers):
            if progress is not None:
                progress(done, len(chosen))
        luminance.flags.writeable = False
        return FaceData(luminance, self.attributes[chosen][:, columns], tuple(names), self.identity[chosen])

    def _decoded(
        self, rows: NDArray[np.integer[Any]], into: NDArray[np.float32], workers: int
    ) -> Iterator[int]:
        """Fill ``into`` piece by piece; yields how many rows are there."""

        def fill(start: int) -> int:
            end = min(start + DECODED_TOGETHER, len(rows))
            for place in range(start, end):
                into[place] = self.field(int(rows[place]))
            return end

        starts = range(0, len(rows), DECODED_TOGETHER)
        if workers == 1:
            yield from map(fill, starts)
            return
        pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        try:
            yield from pool.map(fill, starts)
        finally:
            pool.shutdown(cancel_futures=True)

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self):
            raise DataError(f"{self.path} has no row {row}.", hint=f"a row in 0..{len(self) - 1}.")

    def _column(self, name: str) -> int:
        if name in self.attribute_names:
            return self.attribute_names.index(name)
        known = ", ".join(self.attribute_names) or "none at all"
        raise ConfigError(f"{self.path} has no attribute {name!r}.", hint=f"one of: {known}.")


def open_data(path: Path, part: str | None = None) -> DataFile:
    """Open a data set; no picture is decoded yet.

    Args:
        path: A ``.npz`` of the data layout, a ``.csv`` beside its pictures, or a folder in the layout of
            CelebA or CelebA-HQ.
        part: "train", "val" or "test" keeps those rows of a CSV or folder. A ``.npz`` is one part already
            and is opened whole.

    Raises:
        ConfigError: Another ``part``.
        DataError: Nothing there, another layout, or something in it is missing or malformed.
    """
    check_part(part)
    if path.is_dir():
        if not is_celeba(path):
            found = f"{path} is a folder, but not of CelebA or CelebA-HQ."
            hint = (
                "the folder that holds img_align_celeba or CelebA-HQ-img; for your own pictures, their .csv."
            )
            raise DataError(found, hint=hint)
        return _files_of(path, open_celeba(path), part)
    if path.suffix.lower() == ".csv":
        return _files_of(path, open_labelled_folder(path), part)
    return _open_packed(path)


def tune_rows(identity: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows belong to the *tune* half; the others are *report*. Shape (n,) bool.

    All rows of one person fall on one side, the same one in every run and every file.
    """
    people, row_of = np.unique(identity, return_inverse=True)
    halves = [hashlib.sha256(f"lsi split {person}".encode()).digest()[0] % 2 == 0 for person in people]
    return np.array(halves, np.bool_)[row_of]


def check_two_classes(faces: FaceData) -> None:
    """See that every attribute has rows of both answers; nothing can be learned or measured otherwise.

    Raises:
        DataError: One answer only; says how many rows of each.
    """
    yes, no = (faces.attributes > 0).sum(axis=0), (faces.attributes < 0).sum(axis=0)
    single = np.flatnonzero((yes == 0) | (no == 0))
    if len(single):
        counts = [f"{faces.names[k]} ({yes[k]} yes, {no[k]} no)" for k in single[:3]]
        found = f"{len(single)} of {len(faces.names)} attributes have one answer only: {', '.join(counts)}."
        raise DataError(found, hint="leave them out, or add pictures with the other answer.")


def _files_of(path: Path, labelled: LabelledFiles, part: str | None) -> DataFile:
    kept = labelled.of_part(part)
    check_files(kept.folder, kept.files)
    pictures = PictureFiles(kept.folder, kept.files, kept.crop)
    return DataFile(path, pictures, kept.attributes, kept.names, kept.identity, kept.lists)


def _open_packed(path: Path) -> DataFile:
    fields = _fields(path)
    missing = [name for name in PICTURES if name not in fields]
    if missing:
        found = f"{path} lacks the field {', '.join(missing)}; found {', '.join(sorted(fields))}."
        raise DataError(found, hint="a data file with image_bytes and offsets.")
    image_bytes, offsets = fields["image_bytes"], _whole_numbers(path, "offsets", fields["offsets"])
    if image_bytes.dtype != np.uint8 or image_bytes.ndim != 1:
        found = (
            f"{path}: image_bytes is {image_bytes.dtype} of shape {image_bytes.shape}, not (bytes,) uint8."
        )
        raise DataError(found, hint="encoded pictures end to end.")
    _check_offsets(path, offsets, len(image_bytes))
    rows = len(offsets) - 1
    attributes, names = _labels(path, fields, rows)
    pictures = PackedPictures(path, image_bytes, offsets)
    return DataFile(path, pictures, attributes, names, _groups(path, fields, rows), (path,))


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


def _whole_numbers(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind not in "iu":
        raise DataError(f"{path}: {name} holds {values.dtype}, not whole numbers.", hint="int64.")
    return values.astype(np.int64)


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
    names = tuple(str(name) for name in np.ravel(fields.get("attribute_names", np.array([]))))
    attributes = _whole_numbers(path, "attributes", fields["attributes"])
    if attributes.shape != (rows, len(names)) or not np.isin(attributes, (-1, 0, 1)).all():
        found = f"{path}: attributes must be +1, -1 or 0, ({rows}, {len(names)}); found {attributes.shape}."
        raise DataError(found, hint="attributes (n, K) with K attribute_names.")
    if (attributes == 0).any() and not (attributes == -1).any():
        found = f"{path}: attributes holds 0, which stands for unknown, but no -1."
        raise DataError(found, hint="write -1 for no.")
    return attributes.astype(np.int8), names


def _groups(path: Path, fields: dict[str, NDArray[Any]], rows: int) -> NDArray[np.int64]:
    for name in GROUPS:
        if name in fields:
            group = _whole_numbers(path, name, fields[name])
            if group.shape != (rows,):
                raise DataError(f"{path}: {name} has shape {group.shape}, not ({rows},).")
            return group
    return np.arange(rows, dtype=np.int64)


def _frozen_luminance(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read-only luminance, without a copy of what nobody can write to: a large set fills the memory once."""
    shape = (None, FIELD_PX, FIELD_PX)
    if luminance.flags.writeable or luminance.base is not None or not luminance.flags.c_contiguous:
        return frozen_array("luminance", luminance, np.float32, shape)
    frozen_array("luminance", luminance[:1], np.float32, shape)
    return luminance
