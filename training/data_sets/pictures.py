"""Where the pictures of a data set lie, and how one is decoded: checked first, in 8 bits, upright."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lsi.errors import DataError
from training.data_sets.luminance import FIELD_PX, field_of_picture

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""No EPS among them: Pillow hands it to an interpreter of programs."""

MAX_PIXELS: Final = 25_000_000
"""5000 x 5000. Decoding to light takes 19 bytes a pixel, half a gigabyte at this size."""

EIGHT_BIT_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
"""Pillow clips deeper modes (``I;16``, ``F``) at 255 when it converts them."""

DAMAGED_PICTURE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's readers raise for bytes that are no whole picture."""


class PictureSource(Protocol):
    """Pictures by row; nothing is read before it is asked for."""

    def __len__(self) -> int:
        """Number of rows."""

    def where(self, row: int) -> str:
        """File and row, for messages."""

    def picture(self, row: int) -> NDArray[np.uint8]:
        """RGB of one row, (H, W, 3) uint8.

        Raises:
            DataError: Not a picture that can be read.
        """


@dataclass(frozen=True, slots=True, repr=False)
class PackedPictures:
    """Encoded pictures end to end in one array; picture i is ``offsets[i]`` to ``offsets[i + 1]``."""

    path: Path
    image_bytes: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"PackedPictures({self.path.name}, rows={len(self)})"

    def where(self, row: int) -> str:
        """File and row, for messages."""
        return f"{self.path}: row {row}"

    def picture(self, row: int) -> NDArray[np.uint8]:
        """RGB of one row."""
        stream = self.image_bytes[self.offsets[row] : self.offsets[row + 1]].tobytes()
        return rgb_picture(io.BytesIO(stream), self.where(row))


@dataclass(frozen=True, slots=True)
class SquareCrop:
    """The square that is cut from pictures of one known size. Pixels, from the top left corner."""

    width_px: int
    height_px: int
    left_px: int
    top_px: int
    side_px: int

    def cut(self, rgb: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
        """The square (side_px, side_px, 3) of ``rgb``.

        Raises:
            DataError: The picture has another size.
        """
        height, width = rgb.shape[:2]
        if (width, height) != (self.width_px, self.height_px):
            found = f"{where} has {width} x {height} pixels, not {self.width_px} x {self.height_px}."
            raise DataError(found, hint="the data set's own pictures, neither cut nor scaled.")
        bottom, right = self.top_px + self.side_px, self.left_px + self.side_px
        return rgb[self.top_px : bottom, self.left_px : right]


@dataclass(frozen=True, slots=True, repr=False)
class PictureFiles:
    """One file for each row, below ``folder``; ``crop`` is cut out where there is one."""

    folder: Path
    files: tuple[str, ...]
    crop: SquareCrop | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"PictureFiles({self.folder.name}, rows={len(self)})"

    def where(self, row: int) -> str:
        """File and row, for messages."""
        return f"{self.folder / self.files[row]}: row {row}"

    def picture(self, row: int) -> NDArray[np.uint8]:
        """RGB of one row, cut to its square where the source has a crop."""
        where = self.where(row)
        try:
            with (self.folder / self.files[row]).open("rb") as file:
                rgb = rgb_picture(file, where)
        except OSError as cause:
            found = f"{where} cannot be read ({cause.strerror or type(cause).__name__})."
            raise DataError(found, hint="check the file and who may read it.") from cause
        return rgb if self.crop is None else self.crop.cut(rgb, where)


def rgb_picture(stream: BinaryIO, where: str) -> NDArray[np.uint8]:
    """Decode one picture, turned upright as its EXIF orientation says.

    Args:
        stream: The encoded picture.
        where: File and row, for messages.

    Returns:
        Shape (H, W, 3) uint8 sRGB. Of an animation the first frame; transparency is ignored.

    Raises:
        DataError: Damaged, of another format than ``FORMATS``, over ``MAX_PIXELS``, or deeper than 8 bits.
    """
    try:
        with Image.open(stream, formats=FORMATS) as image:
            _check_header(image, where)
            ImageOps.exif_transpose(image, in_place=True)
            return np.asarray(image.convert("RGB"))
    except DataError:
        raise
    except DAMAGED_PICTURE as cause:
        found = f"{where} is not a readable picture ({type(cause).__name__})."
        raise DataError(found, hint=f"a whole file, one of {', '.join(FORMATS)}; copy it again.") from cause


def field_of_row(source: PictureSource, row: int) -> NDArray[np.float32]:
    """Linear luminance of one row at the size of the field, (64, 64).

    Raises:
        DataError: Not readable, not square, or smaller than the field.
    """
    rgb = source.picture(row)
    height, width = rgb.shape[:2]
    if height != width:
        found = f"{source.where(row)} has {width} x {height} pixels; a field is square."
        raise DataError(
            found, hint="cut the pictures to squares first, the object in the same place in each."
        )
    if height < FIELD_PX:
        found = f"{source.where(row)} has {width} x {height} pixels, fewer than the field."
        raise DataError(found, hint=f"pictures of at least {FIELD_PX} x {FIELD_PX} pixels.")
    return field_of_picture(rgb)


def _check_header(image: Image.Image, where: str) -> None:
    """Refuse by what the header says, before any memory is taken."""
    if image.width * image.height > MAX_PIXELS:
        found = f"{where} has {image.width} x {image.height} pixels, over {MAX_PIXELS}."
        raise DataError(found, hint=f"scale it down; the sensor sees {FIELD_PX} x {FIELD_PX}.")
    if image.mode not in EIGHT_BIT_MODES:
        found = f"{where} has more than 8 bits a channel (mode {image.mode})."
        raise DataError(found, hint="save it with 8 bits a channel, sRGB.")
