"""What a training of the latent path leaves behind: one ``.npz`` without pickle, readable without PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.attributes import AttributeSchema
from lsi.frozen import frozen_array
from lsi.latent import LatentForm
from lsi.npz_file import META, meta_of, npz_arrays, says_of_itself
from lsi.patterns import PatternSet
from lsi.whole_file import whole_file
from training.latent.latent_shape import LatentEncoderShape

FORMAT: Final = "lsi.latent-checkpoint/1"
_WEIGHT: Final = "encoder."

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, repr=False)
class LatentCheckpoint:
    """Masks, latent encoder, the latent space it was trained for, decision thresholds and ranges.

    ``encoder`` are the weights of ``training.latent.latent_encoder.LatentEncoder`` by name. Shape:
    ``measurement_low`` and ``measurement_high`` (d,) float32. ``record`` is JSON: command, data, figures.
    No measurement and no latent of a picture is kept.
    """

    patterns: PatternSet
    shape: LatentEncoderShape
    encoder: Weights
    space: LatentForm
    attributes: AttributeSchema
    measurement_low: NDArray[np.float32]
    measurement_high: NDArray[np.float32]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        shape = self.shape
        fits = shape.d == len(self.patterns) and (shape.layers, shape.width) == self.space.shape
        if not fits or shape.outputs != len(self.attributes) + 1:
            message = f"{len(self.patterns)} masks, {self.space} and {shape} do not fit together"
            raise ValueError(message)
        for name in ("measurement_low", "measurement_high"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, (shape.d,)))

    def __repr__(self) -> str:
        return f"LatentCheckpoint(d={self.shape.d}, {self.space.name}, attributes={len(self.attributes)})"


def save_latent_checkpoint(checkpoint: LatentCheckpoint, path: Path) -> None:
    """Write ``path`` in one step."""
    schema = checkpoint.attributes
    meta = {
        "format": FORMAT,
        "masks": list(checkpoint.patterns.shape),
        "shape": asdict(checkpoint.shape),
        "space": asdict(checkpoint.space),
        "names": list(schema.names),
        "thresholds": list(schema.thresholds),
        "presence_threshold": schema.presence_threshold,
        "record": dict(checkpoint.record),
    }
    arrays: dict[str, NDArray[Any]] = {
        META: np.array(json.dumps(meta, sort_keys=True)),
        "masks": np.frombuffer(checkpoint.patterns.packed(), np.uint8),
        "measurement_low": checkpoint.measurement_low,
        "measurement_high": checkpoint.measurement_high,
    }
    arrays |= {_WEIGHT + name: values for name, values in checkpoint.encoder.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_latent_checkpoint(path: Path) -> LatentCheckpoint:
    """Read a checkpoint. Nothing in it is executed.

    Raises:
        DataError: No such file, not such a checkpoint, or one whose parts do not fit together.
    """
    hint = "name a checkpoint written by 'lsi train latent'."
    with npz_arrays(path, "checkpoint", "is not a usable latent checkpoint", hint) as arrays:
        return _from_arrays(dict(arrays))


def is_latent_checkpoint(path: Path) -> bool:
    """Whether ``path`` says of itself that it is one."""
    return says_of_itself(path, "format", FORMAT)


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> LatentCheckpoint:
    meta = meta_of(arrays, FORMAT)
    d, height, width = meta["masks"]
    thresholds = tuple(float(value) for value in meta["thresholds"])
    weights = {name: arrays[name] for name in arrays if name.startswith(_WEIGHT)}
    if not all(values.dtype == np.float32 and np.isfinite(values).all() for values in weights.values()):
        message = "weights that are not finite float32"
        raise ValueError(message)
    return LatentCheckpoint(
        patterns=PatternSet.from_packed(arrays["masks"].tobytes(), (d, height, width)),
        shape=LatentEncoderShape(**meta["shape"]),
        encoder={name.removeprefix(_WEIGHT): values for name, values in weights.items()},
        space=LatentForm(**meta["space"]),
        attributes=AttributeSchema(tuple(meta["names"]), thresholds, float(meta["presence_threshold"])),
        measurement_low=arrays["measurement_low"],
        measurement_high=arrays["measurement_high"],
        record=meta["record"],
    )
