"""Whole colour pictures as the teacher and the ridge baseline see them: small, gamma-coded."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data import DataFile
from training.teacher import PICTURE_PX


def pictures_of(data: DataFile, size_px: int = PICTURE_PX) -> NDArray[np.uint8]:
    """Every picture of a source as sRGB codes, (n, size, size, 3): area means where it was larger.

    Raises:
        DataError: A picture cannot be read.
    """
    return np.stack([_small(data.picture(row), size_px) for row in range(len(data))])


def _small(rgb: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    resized = Image.fromarray(rgb).resize((size_px, size_px), Image.Resampling.BOX)
    return np.asarray(resized, np.uint8)
