"""Heads of one bank in a file: what reads landmarks and classes per pixel out of its offsets."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from host.decoder.decoder import Decoder
from host.decoder.linear_head import LinearHead
from host.decoder.segmentation_head import SegmentationHead, segmented
from host.decoder.weights import load_weights
from lsi.errors import ShapeMismatchError
from lsi.latent import LatentForm, LatentSpace
from lsi.npz_file import META, meta_of, npz_arrays
from lsi.whole_file import whole_file

FORMAT: Final = "lsi.heads/1"
_HINT: Final = "a file written by 'lsi lab heads'."
_LANDMARKS: Final = "landmarks."
_SEGMENTATION: Final = "segmentation."
_PARTS: Final = ("mean", "scale", "weights", "bias")
_AXES: Final = 2
"""A point has x and y."""

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, repr=False)
class Heads:
    """Heads that were fitted to the offsets of one bank.

    ``space`` is the latent space, ``patterns`` the digest of the bank's masks. ``landmarks`` gives x and y
    of each point in a frame of ``frame_px`` pixels; ``segmentation`` are weights of a ``SegmentationHead``
    for ``classes``. Either may be missing. ``record`` is JSON: command, data, figures.
    """

    space: LatentForm
    patterns: str
    landmarks: LinearHead | None
    frame_px: int
    segmentation: Weights | None
    classes: tuple[str, ...]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        inputs = self.space.layers * self.space.width
        head, weights = self.landmarks, self.segmentation
        fits = head is None or (len(head.mean) == inputs and not len(head.bias) % _AXES)
        last = "layers.2.bias"
        if not fits or (weights is not None and len(weights[last]) != len(self.classes)):
            message = f"heads that do not fit {self.space} and {len(self.classes)} classes"
            raise ValueError(message)

    def check(self, space: LatentSpace) -> None:
        """Refuse offsets of another latent space.

        Raises:
            ShapeMismatchError: The heads belong to another generator.
        """
        if self.space != space.form:
            found = f"The heads belong to {self.space}, the offsets to {space!r}."
            raise ShapeMismatchError(found, hint="the heads that were trained for this generator.")

    def points(self, offsets: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Landmarks (n, P, 2), x first, in the frame; ``None`` without that head."""
        if self.landmarks is None:
            return None
        return self.landmarks.predict(offsets).reshape(len(offsets), -1, _AXES)

    def pixels(self, decoder: Decoder, offsets: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """The likeliest class of each pixel (n, R, R); ``None`` without that head.

        Raises:
            DataError: The head reads the features of another generator.
        """
        if self.segmentation is None:
            return None
        channels = len(self.segmentation["norm.weight"])
        head = SegmentationHead(channels, len(self.classes), decoder.size_px)
        load_weights(head, self.segmentation, "the segmentation head")
        return segmented(head.eval(), decoder, offsets)

    def __repr__(self) -> str:
        return f"Heads({self.space.name}, landmarks={self.landmarks!r}, classes={len(self.classes)})"


def save_heads(heads: Heads, path: Path) -> None:
    """Write ``path`` in one step."""
    meta = {
        "format": FORMAT,
        "space": asdict(heads.space),
        "patterns": heads.patterns,
        "frame_px": heads.frame_px,
        "classes": list(heads.classes),
        "record": dict(heads.record),
    }
    arrays: dict[str, NDArray[Any]] = {META: np.array(json.dumps(meta, sort_keys=True))}
    if heads.landmarks is not None:
        arrays |= {_LANDMARKS + name: getattr(heads.landmarks, name) for name in _PARTS}
    if heads.segmentation is not None:
        arrays |= {_SEGMENTATION + name: values for name, values in heads.segmentation.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_heads(path: Path) -> Heads:
    """Read heads. Nothing in the file is executed.

    Raises:
        DataError: No such file, or no heads of ours.
    """
    with npz_arrays(path, "heads", "holds no heads", _HINT) as arrays:
        return _from_arrays(dict(arrays))


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Heads:
    meta = meta_of(arrays, FORMAT)
    kinds = {prefix: _named(arrays, prefix) for prefix in (_LANDMARKS, _SEGMENTATION)}
    return Heads(
        space=LatentForm(**meta["space"]),
        patterns=str(meta["patterns"]),
        landmarks=LinearHead(**kinds[_LANDMARKS]) if kinds[_LANDMARKS] else None,
        frame_px=int(meta["frame_px"]),
        segmentation=kinds[_SEGMENTATION] or None,
        classes=tuple(str(name) for name in meta["classes"]),
        record=meta["record"],
    )


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[np.float32]]:
    found = {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}
    if not all(np.isfinite(values).all() for values in found.values()):
        message = f"weights of {prefix[:-1]} that are not finite"
        raise ValueError(message)
    return found
