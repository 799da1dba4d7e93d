"""The second domain: handwritten digits of scikit-learn (UCI optdigits, CC BY 4.0) as data files.

What the tests train on, and what the documentation may show. The "attributes" are the ten classes; scenes
without a digit are random blocks of light.
"""

import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsi.errors import ConfigError
from lsi.whole_file import whole_file
from training.data_sets.luminance import FIELD_PX

CLASSES: Final = 10
NAMES: Final = tuple(f"digit_{label}" for label in range(CLASSES))
TRAIN_ROWS: Final = 1297
"""The first rows; the last 500 are val. The set does not say who wrote what."""
BRIGHTEST: Final = 16
"""Largest value in the set's 8 x 8 pictures."""
_BLOCKS: Final = 8
_LEVELS: Final = 255


def write_digits(folder: Path, train_rows: int = TRAIN_ROWS, val_rows: int = 500) -> dict[str, Path]:
    """Write ``train``, ``val``, ``nonfaces`` and ``nonfaces-val`` (``.npz``) into ``folder``; their paths.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    pictures, labels = _digits()
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": slice(0, train_rows), "val": slice(TRAIN_ROWS, TRAIN_ROWS + val_rows)}
    written = {}
    for seed, (part, rows) in enumerate(parts.items()):
        written[part] = folder / f"digits_{part}.npz"
        identity = np.arange(len(labels), dtype=np.int64)[rows]
        answers = np.where(labels[rows, None] == np.arange(CLASSES), 1, -1).astype(np.int8)
        _write(written[part], [digit_picture(each) for each in pictures[rows]], identity, answers)
        name = "nonfaces" if part == "train" else "nonfaces-val"
        written[name] = folder / f"blocks_{part}.npz"
        blocks = [_blocks(generator) for generator in np.random.default_rng(seed).spawn(200)]
        _write(written[name], blocks, np.arange(len(blocks), dtype=np.int64), None)
    return written


def digit_picture(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture (64, 64, 3) of values (8, 8) in 0..16: smooth, white on dark."""
    codes = np.clip(values * _LEVELS / BRIGHTEST, 0, _LEVELS).astype(np.uint8)
    large = Image.fromarray(codes).resize((FIELD_PX, FIELD_PX), Image.Resampling.BICUBIC)
    # Not black: a scene without light is refused by the device.
    grey = 24 + np.asarray(large, np.float64) * (_LEVELS - 24) / _LEVELS
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def _digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - an extra of its own
    except ImportError as cause:
        found = "The digits come with scikit-learn, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[digits]'.") from cause
    content = load_digits()
    return np.asarray(content.images, np.float64), np.asarray(content.target, np.int64)


def _blocks(generator: np.random.Generator) -> NDArray[np.uint8]:
    coarse = generator.integers(20, 250, (_BLOCKS, _BLOCKS, 1), dtype=np.uint8)
    side = FIELD_PX // _BLOCKS
    return np.kron(coarse, np.ones((side, side, 3), np.uint8))


def _write(
    path: Path,
    pictures: list[NDArray[np.uint8]],
    identity: NDArray[np.int64],
    answers: NDArray[np.int8] | None,
) -> None:
    streams = [_png(picture) for picture in pictures]
    offsets = np.cumsum([0, *map(len, streams)])
    image_bytes = np.frombuffer(b"".join(streams), np.uint8)
    fields = {} if answers is None else {"attributes": answers, "attribute_names": np.array(NAMES)}
    with whole_file(path) as file:
        np.savez(
            file, allow_pickle=False, image_bytes=image_bytes, offsets=offsets, identity=identity, **fields
        )


def _png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()
