"""What stands in front of the sensor: pictures, decoded to light here and nowhere else."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lsi.errors import DataError, SceneError
from training.data_sets.data import open_data
from training.data_sets.luminance import FIELD_PX, field_of_picture

FRAME_PX: Final = 128
PICTURE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

FRAME_EYES: Final = ((48.0, 60.5), (79.0, 60.6))
"""Where CelebA-HQ's alignment puts the eye centres (x, y) in a frame of 128 pixels."""

ASTRONAUT_EYES: Final = ((203.0, 100.7), (247.0, 103.3))
"""Eye centres (x, y) in scikit-image's ``data.astronaut()``, read off the picture."""

NO_FACE: Final = ("coffee", "rocket", "chelsea")
"""Pictures of scikit-image's wheel without a human face."""

MAX_PIXELS: Final = 64_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Scene:
    """One field of light, its name, and what is true of it where that is known.

    Shape: ``luminance`` (64, 64) float32, linear, 0..1.
    """

    name: str
    luminance: NDArray[np.float32]
    truth: Mapping[str, bool] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Scene({self.name})"


def open_scenes(source: Path | None) -> Iterator[Scene]:
    """Scenes without end: those of ``source`` again and again, or the built-in ones.

    Args:
        source: A picture, a folder of pictures, or a ``.npz`` data file.

    Raises:
        SceneError: Nothing there, or nothing that can be shown.
    """
    if source is None:
        return itertools.cycle(_builtin())
    if source.suffix == ".npz":
        return _data_scenes(source)
    return itertools.cycle(_pictures(source))


def aligned(picture: Image.Image, eyes: tuple[tuple[float, float], tuple[float, float]]) -> Image.Image:
    """Turn, scale and cut ``picture`` so that ``eyes`` lie where the training set has them."""
    (fx, fy), (gx, gy) = FRAME_EYES
    (x0, y0), (x1, y1) = eyes
    # A similarity is multiplication by one complex number: frame point to picture point.
    turn = complex(x1 - x0, y1 - y0) / complex(gx - fx, gy - fy)
    shift = complex(x0, y0) - turn * complex(fx, fy)
    # Pillow counts from pixel corners, eyes are counted from pixel centres.
    half = complex(0.5, 0.5)
    shift += half - turn * half
    coefficients = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    size = (FRAME_PX, FRAME_PX)
    return picture.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)


def _builtin() -> list[Scene]:
    try:
        from skimage import data  # noqa: PLC0415 - only the demo needs the extra
    except ImportError as cause:
        raise SceneError(
            "The built-in scenes need scikit-image.", hint="pip install 'lsi-host[demo]', or --scene FILE."
        ) from cause
    portrait = aligned(Image.fromarray(data.astronaut()), ASTRONAUT_EYES)
    mirrored = portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    truth = {
        "face": True,
        "Smiling": True,
        "Mouth_Slightly_Open": True,
        "Eyeglasses": False,
        "Wearing_Hat": False,
    }
    faces = [Scene("portrait", _field(portrait), truth), Scene("portrait, mirrored", _field(mirrored), truth)]
    others = [
        Scene(name, _field(_square(Image.fromarray(getattr(data, name)()))), {"face": False})
        for name in NO_FACE
    ]
    turns = itertools.zip_longest(itertools.islice(itertools.cycle(faces), len(others)), others)
    return [scene for pair in turns for scene in pair]


def _pictures(source: Path) -> list[Scene]:
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        if not files:
            raise SceneError(f"Folder {source} holds no picture.", hint="PNG, JPEG, WebP, BMP, TIFF or GIF.")
    else:
        files = [source]
    return [Scene(path.name, _field(_square(_open(path)))) for path in files]


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height <= MAX_PIXELS:
                return picture.convert("RGB")
    except UnidentifiedImageError as cause:
        found = f"{path} is not a picture that can be read."
        raise SceneError(found, hint="PNG, JPEG, WebP, BMP, TIFF or GIF.") from cause
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as cause:
        found = f"Picture {path} cannot be read ({type(cause).__name__})."
        raise SceneError(found, hint="an existing, whole picture file.") from cause
    raise SceneError(f"Picture {path} has over {MAX_PIXELS} pixels.", hint="a smaller one.")


def _square(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def _field(picture: Image.Image) -> NDArray[np.float32]:
    if min(picture.size) < FIELD_PX:
        picture = picture.resize((FIELD_PX, FIELD_PX), Image.Resampling.BICUBIC)
    return field_of_picture(np.asarray(picture.convert("RGB")))


def _data_scenes(source: Path) -> Iterator[Scene]:
    try:
        data = open_data(source)
    except DataError as cause:
        raise SceneError(cause.found, hint=cause.hint) from cause
    labelled = bool(data.attribute_names)
    return (
        Scene(
            f"row {row}",
            data.field(row),
            {"face": True, **_truth(data.attribute_names, data.attributes[row])} if labelled else {},
        )
        for row in itertools.cycle(range(len(data)))
    )


def _truth(names: tuple[str, ...], values: NDArray[np.int8]) -> dict[str, bool]:
    return {name: bool(value > 0) for name, value in zip(names, values, strict=True) if value}
