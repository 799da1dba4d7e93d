"""Masks as pictures for a page: what the mirrors show, never what the sensor sees."""

import base64
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsi.patterns import PatternSet

MOST: Final = 64
"""Masks shown of one bank."""


def mask_pictures(patterns: PatternSet) -> list[str]:
    """``<img>`` elements of the first masks, white where light goes to arm +; PNG within the page."""
    return [_picture(mask, index) for index, mask in enumerate(patterns.masks[:MOST])]


def _picture(mask: NDArray[np.bool_], index: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG", optimize=True)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    height, width = mask.shape
    return (
        f'<img alt="mask {index + 1}, {100 * mask.mean():.0f} % open" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{text}">'
    )
