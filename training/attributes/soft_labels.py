"""A teacher's answers as a file: soft labels for the training faces, scores for the ceiling."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from lsi.frozen import frozen_array
from lsi.npz_file import DAMAGED_NPZ
from lsi.whole_file import whole_file
from training.data_sets.data import DataFile, FaceData

FORMAT: Final = "lsi.teacher/1"
SAMPLED_ROWS: Final = 64
"""Every so many rows one picture goes into the digest: the labels are there whole."""


@dataclass(frozen=True, slots=True, repr=False)
class SoftLabels:
    """Answers of a full-picture network. No weight of it is kept.

    Shape: ``train_soft`` (n, K) float32, probabilities 0..1; ``val_logits`` (m, K) float32, in row order of
    the file that was given as val. ``train_digest`` says which faces the first belong to.
    """

    names: tuple[str, ...]
    train_soft: NDArray[np.float32]
    train_digest: str
    val_logits: NDArray[np.float32]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in ("train_soft", "val_logits"):
            shape = (None, len(self.names))
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, shape))

    def __repr__(self) -> str:
        return f"SoftLabels(rows={len(self.train_soft)}, attributes={len(self.names)})"

    def of(self, faces: FaceData) -> NDArray[np.float32]:
        """Probabilities (n, K') for the attributes of ``faces`` in their order.

        Raises:
            ConfigError: The teacher saw other faces, or was not asked for one of the attributes.
        """
        if digest_of_faces(faces) != self.train_digest:
            found = "The teacher's file belongs to other training faces."
            raise ConfigError(found, hint="run 'lsi train teacher' with the same --data.")
        missing = [name for name in faces.names if name not in self.names]
        if missing:
            found = f"The teacher does not answer {', '.join(missing)}."
            raise ConfigError(found, hint="run 'lsi train teacher' with the same --data.")
        return self.train_soft[:, [self.names.index(name) for name in faces.names]]


def digest_of_faces(faces: FaceData) -> str:
    """A digest of who is on which row, and of some of the pictures; attributes are chosen."""
    return _digest(faces.identity, faces.luminance[::SAMPLED_ROWS])


def digest_of_data(data: DataFile) -> str:
    """The same digest of all rows of a source; decodes only the pictures that it needs."""
    sampled = [data.field(row) for row in range(0, len(data), SAMPLED_ROWS)]
    return _digest(data.identity, np.stack(sampled))


def _digest(identity: NDArray[np.int64], sampled: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(identity.tobytes())
    digest.update(sampled.tobytes())
    return digest.hexdigest()


def save_soft_labels(labels: SoftLabels, path: Path) -> None:
    """Write ``path`` in one step."""
    meta = {
        "format": FORMAT,
        "names": list(labels.names),
        "train_digest": labels.train_digest,
        "record": dict(labels.record),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            meta=np.array(json.dumps(meta, sort_keys=True)),
            train_soft=labels.train_soft.astype(np.float16),
            val_logits=labels.val_logits,
        )


def load_soft_labels(path: Path) -> SoftLabels:
    """Read a teacher's file. Nothing in it is executed.

    Raises:
        DataError: No such file, or not a teacher's.
    """
    hint = "name a file written by 'lsi train teacher'."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _from_arrays(archive)
    except OSError as cause:
        raise DataError(f"No readable teacher's file at {path} ({cause.strerror}).", hint=hint) from cause
    except DAMAGED_NPZ as cause:
        found = f"{path} is not a teacher's file ({type(cause).__name__}: {cause})."
        raise DataError(found, hint=hint) from cause


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> SoftLabels:
    meta = json.loads(str(arrays["meta"]))
    if meta["format"] != FORMAT:
        message = f"format {meta['format']!r}, not {FORMAT!r}"
        raise ValueError(message)
    return SoftLabels(
        names=tuple(meta["names"]),
        train_soft=arrays["train_soft"].astype(np.float32),
        train_digest=meta["train_digest"],
        val_logits=arrays["val_logits"].astype(np.float32),
        record=meta["record"],
    )
