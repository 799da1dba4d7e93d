"""Labelled measurement vectors of a bench: one ``.npz`` without pickle, readable by its owner only.

A measurement is image-equivalent for whoever holds a generator. A file of them is kept like the
pictures they were taken of: mode 0600, on the bench, on no device.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError
from lsi.frozen import frozen_array
from lsi.npz_file import META, meta_of, npz_arrays
from lsi.sensor import SensorModel
from lsi.whole_file import whole_file

FORMAT: Final = "lsi.measured_vectors/1"
MODE: Final = 0o600
_ARRAYS: Final = ("measurements", "attributes", "identity", "rows")
_HINT: Final = "a file written by 'lsi lab record'."


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with what the vectors were measured.

    ``content_id`` is the bundle's, ``sensor`` what the board file says, ``data_digest`` that of the data
    whose pictures were shown. ``faults`` is empty but for simulated rigs made wrong on purpose.
    """

    pattern_digest: str
    bundle: str
    content_id: str
    board: str
    sensor: SensorModel
    data: str
    data_digest: str
    part: str
    faults: Mapping[str, float]


@dataclass(frozen=True, slots=True, repr=False)
class MeasuredVectors:
    """Measurements and what was true of the pictures shown.

    Shape: ``measurements`` (n, d) float32, ratios of arms; ``attributes`` (n, K) int8, +1 yes, -1 no and
    0 unknown; ``identity`` (n,) int64; ``rows`` (n,) int64, where in the data each was. n may be 0.
    ``dropped`` holds the rows without a measurement, by the name of the error.
    """

    measurements: NDArray[np.float32]
    attributes: NDArray[np.int8]
    identity: NDArray[np.int64]
    rows: NDArray[np.int64]
    attribute_names: tuple[str, ...]
    dropped: Mapping[str, tuple[int, ...]]
    bench: Bench

    def __post_init__(self) -> None:
        count, d = len(self.rows), self.measurements.shape[-1]
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "measurements": (np.float32, (count, d)),
            "attributes": (np.int8, (count, len(self.attribute_names))),
            "identity": (np.int64, (count,)),
            "rows": (np.int64, (count,)),
        }
        for name, (dtype, shape) in shapes.items():
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), dtype, shape))
        if not np.isfinite(self.measurements).all() or not np.isin(self.attributes, (-1, 0, 1)).all():
            message = "measurements must be finite and attributes one of +1, -1 and 0"
            raise ValueError(message)
        if len(set(self.attribute_names)) != len(self.attribute_names) or len(self.done) != count + sum(
            map(len, self.dropped.values())
        ):
            message = "attribute names and rows must be distinct"
            raise ValueError(message)

    @property
    def d(self) -> int:
        """Numbers in a measurement."""
        return int(self.measurements.shape[1])

    @property
    def done(self) -> frozenset[int]:
        """Rows of the data file that were shown, measured or dropped."""
        return frozenset(self.rows.tolist()).union(*self.dropped.values())

    def chosen(self, rows: NDArray[np.integer[Any]]) -> "MeasuredVectors":
        """The vectors at ``rows`` (positions in this object), in that order; nothing dropped."""
        kept = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return MeasuredVectors(**kept, attribute_names=self.attribute_names, dropped={}, bench=self.bench)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"MeasuredVectors(rows={len(self)}, d={self.d}, attributes={len(self.attribute_names)})"


def save_vectors(vectors: MeasuredVectors, path: Path) -> None:
    """Write ``path`` in one step, readable by its owner only.

    Raises:
        DataError: It cannot be written: no folder, no right, disk full. The old file stays.
    """
    meta = {
        "format": FORMAT,
        "attribute_names": list(vectors.attribute_names),
        "dropped": {reason: list(rows) for reason, rows in vectors.dropped.items()},
        "bench": asdict(vectors.bench),
    }
    arrays: dict[str, NDArray[Any]] = {name: getattr(vectors, name) for name in _ARRAYS}
    arrays[META] = np.array(json.dumps(meta, sort_keys=True))
    try:
        with whole_file(path) as file:
            # Before the first byte: there is no moment in which others could read it.
            os.fchmod(file.fileno(), MODE)
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as cause:
        found = f"{path} cannot be written ({cause.strerror or cause})."
        raise DataError(found, hint="a folder that exists and is yours, on a disk with room.") from cause


def load_vectors(path: Path) -> MeasuredVectors:
    """Read a file of measured vectors. Nothing in it is executed.

    Raises:
        DataError: No such file, not one of measured vectors, or parts that do not fit together.
    """
    with npz_arrays(path, "measurements", "holds no measured vectors", _HINT) as arrays:
        return _from_arrays(dict(arrays))


def is_open_to_others(path: Path) -> bool:
    """Whether group or world may read a file or look into a folder."""
    mode = path.stat().st_mode
    wanted = stat.S_IXGRP | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IRGRP | stat.S_IROTH
    return bool(mode & wanted)


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> MeasuredVectors:
    meta = meta_of(arrays, FORMAT)
    bench = {**meta["bench"], "sensor": SensorModel(**meta["bench"]["sensor"])}
    return MeasuredVectors(
        **{name: arrays[name] for name in _ARRAYS},
        attribute_names=tuple(str(name) for name in meta["attribute_names"]),
        dropped={str(reason): tuple(map(int, rows)) for reason, rows in meta["dropped"].items()},
        bench=Bench(**bench),
    )
