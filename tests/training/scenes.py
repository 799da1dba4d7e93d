"""Tiny drawn scenes in the layout of the data files. Nothing here resembles a person."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat", "Extra")


def drawn_face(answers: NDArray[np.bool_], brightness: float, size_px: int = 64) -> NDArray[np.uint8]:
    """A disc with marks at fixed places, one per true answer."""
    unit = size_px // 16
    y, x = np.mgrid[:size_px, :size_px] / size_px - 0.5
    picture = np.where(x**2 + y**2 < 0.16, 150.0, 60.0)
    for index, answer in enumerate(answers):
        top, left = 3 * unit + 2 * index * unit, (4 + index) * unit
        picture[top : top + 2 * unit, left : left + 3 * unit] += 80.0 if answer else -50.0
    rgb = np.clip(picture[:, :, None] * brightness, 0, 255)
    return np.broadcast_to(rgb, (size_px, size_px, 3)).astype(np.uint8)


def texture(generator: np.random.Generator, size_px: int = 64) -> NDArray[np.uint8]:
    """Coarse random blocks."""
    coarse = generator.integers(20, 250, (8, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((size_px // 8, size_px // 8, 1), np.uint8))


def webp(picture: NDArray[np.uint8]) -> bytes:
    """The picture as a lossless WebP stream."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def write_faces(path: Path, rows: int, seed: int) -> Path:
    """A data file of drawn faces; two rows share one identity."""
    generator = np.random.default_rng(seed)
    answers = generator.random((rows, len(NAMES))) < 0.5
    brightness = generator.uniform(0.7, 1.0, rows)
    streams = [webp(drawn_face(row, gain)) for row, gain in zip(answers, brightness, strict=True)]
    attributes = np.where(answers, 1, -1).astype(np.int8)
    identity = np.arange(rows) // 2 + 1000 * seed
    return _write(path, streams, attributes=attributes, attribute_names=np.array(NAMES), identity=identity)


def write_textures(path: Path, rows: int, seed: int) -> Path:
    """A data file of textures, without attributes."""
    generator = np.random.default_rng(seed)
    return _write(path, [webp(texture(generator)) for _ in range(rows)], source=np.arange(rows) // 3)


def _write(path: Path, streams: list[bytes], **fields: NDArray[np.generic]) -> Path:
    offsets = np.cumsum([0, *map(len, streams)])
    image_bytes = np.frombuffer(b"".join(streams), np.uint8)
    np.savez(path, allow_pickle=False, image_bytes=image_bytes, offsets=offsets, **fields)
    return path
