"""What a training run leaves behind: one ``.npz`` without pickle, readable without PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.attributes import AttributeSchema
from lsi.frozen import frozen_array
from lsi.npz_file import META, meta_of, npz_arrays
from lsi.patterns import PatternSet
from lsi.whole_file import whole_file
from training.read_outs.read_out import Dense, ReadOutWeights

FORMAT: Final = "lsi.checkpoint/1"
_RANGES: Final = ("measurement_low", "measurement_high", "activation_low", "activation_high")


@dataclass(frozen=True, slots=True, repr=False)
class Checkpoint:
    """Masks, read-out, decision thresholds, ranges, and how they came about.

    Shape: ``measurement_low`` and ``measurement_high`` (d,), the range per mask that the
    training saw; ``activation_low`` and ``activation_high`` (layers + 1,), the range of the
    standardised input and of each layer's output. All float32. ``record`` is JSON: sensor,
    command, data, seed, figures. No measurement of a picture is kept.
    """

    patterns: PatternSet
    read_out: ReadOutWeights
    attributes: AttributeSchema
    measurement_low: NDArray[np.float32]
    measurement_high: NDArray[np.float32]
    activation_low: NDArray[np.float32]
    activation_high: NDArray[np.float32]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        d, activations = len(self.patterns), len(self.read_out.layers) + 1
        if self.read_out.d != d or self.read_out.outputs != len(self.attributes) + 1:
            message = f"{d} masks and {len(self.attributes)} attributes do not fit the read-out"
            raise ValueError(message)
        for name in _RANGES:
            length = d if name.startswith("measurement") else activations
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float32, (length,)))

    def __repr__(self) -> str:
        return f"Checkpoint(d={len(self.patterns)}, attributes={len(self.attributes)})"


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write ``path`` in one step: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **_arrays(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Nothing in it is executed.

    Raises:
        DataError: No such file, not a checkpoint, or one whose parts do not fit together.
    """
    hint = "name a checkpoint written by 'lsi train attributes'."
    with npz_arrays(path, "checkpoint", "is not a usable checkpoint", hint) as arrays:
        return _from_arrays(dict(arrays))


def _arrays(checkpoint: Checkpoint) -> dict[str, NDArray[Any]]:
    read_out, schema = checkpoint.read_out, checkpoint.attributes
    meta = {
        "format": FORMAT,
        "shape": list(checkpoint.patterns.shape),
        "names": list(schema.names),
        "thresholds": list(schema.thresholds),
        "presence_threshold": schema.presence_threshold,
        "abstain": [list(band) for band in schema.abstain],
        "layers": len(read_out.layers),
        "record": dict(checkpoint.record),
    }
    arrays: dict[str, NDArray[Any]] = {
        META: np.array(json.dumps(meta, sort_keys=True)),
        "masks": np.frombuffer(checkpoint.patterns.packed(), np.uint8),
        "mean": read_out.mean,
        "scale": read_out.scale,
    }
    for index, layer in enumerate(read_out.layers):
        arrays[f"weights_{index}"], arrays[f"bias_{index}"] = layer.weights, layer.bias
    return arrays | {name: getattr(checkpoint, name) for name in _RANGES}


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Checkpoint:
    meta = meta_of(arrays, FORMAT)
    m, h, w = meta["shape"]
    layers = tuple(Dense(arrays[f"weights_{i}"], arrays[f"bias_{i}"]) for i in range(meta["layers"]))
    names, thresholds = tuple(meta["names"]), tuple(meta["thresholds"])
    abstain = tuple((float(low), float(high)) for low, high in meta.get("abstain", []))
    return Checkpoint(
        patterns=PatternSet.from_packed(arrays["masks"].tobytes(), (m, h, w)),
        read_out=ReadOutWeights(arrays["mean"], arrays["scale"], layers),
        attributes=AttributeSchema(names, thresholds, meta["presence_threshold"], abstain),
        record=meta["record"],
        **{name: arrays[name] for name in _RANGES},
    )
