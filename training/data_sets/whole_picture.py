"""Whole colour pictures as the teacher and the ridge baseline see them: small, gamma-coded."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data_sets.data import DataFile

PICTURE_PX: Final = 64
"""Height and width of the pictures that the teacher sees."""


def pictures_of(data: DataFile, size_px: int = PICTURE_PX) -> NDArray[np.uint8]:
    """Every picture of a source as sRGB codes, (n, size, size, 3): area means where it was larger.

    Raises:
        DataError: A picture cannot be read.
    """
    return np.stack([small_picture(data.picture(row), size_px) for row in range(len(data))])


def small_picture(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """A picture at ``size_px`` x ``size_px``, area means of the coded values: (size, size, 3) uint8."""
    resized = Image.fromarray(rgb).resize((size_px, size_px), Image.Resampling.BOX)
    return np.asarray(resized, np.uint8)
