"""Pictures as light: sRGB decoded, BT.709 luminance, area means. All in linear light.

Ref: IEC 61966-2-1 (transfer curve of sRGB), ITU-R BT.709-6, item 3.2 (luminance weights).
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError

FIELD_PX: Final = 64
"""Height and width of the field that the default masks cover."""

LUMINANCE_WEIGHTS: Final = (0.2126, 0.7152, 0.0722)
_LINEAR_PART: Final = 0.04045
_RGB: Final = 3


@cache
def _decoding_table() -> NDArray[np.float32]:
    code = np.arange(256) / 255.0
    curve = np.where(code <= _LINEAR_PART, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    table: NDArray[np.float32] = curve.astype(np.float32)
    table.flags.writeable = False
    return table


def luminance_of_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear luminance in 0..1 of an sRGB picture.

    Args:
        rgb: Shape (..., 3) uint8, gamma-coded.

    Returns:
        Shape (...) float32.

    Raises:
        DataError: Not uint8, or not three channels.
    """
    if rgb.dtype != np.uint8 or rgb.ndim < 1 or rgb.shape[-1] != _RGB:
        found = f"A picture must be uint8 with 3 channels last, found {rgb.dtype} of shape {rgb.shape}."
        raise DataError(found, hint="Image.open(...).convert('RGB') gives such a picture.")
    luminance: NDArray[np.float32] = _decoding_table()[rgb] @ np.array(LUMINANCE_WEIGHTS, np.float32)
    return luminance


def area_resize(luminance: NDArray[np.float32], size_px: int = FIELD_PX) -> NDArray[np.float32]:
    """The mean light in each of ``size_px`` x ``size_px`` equal areas of the picture.

    Whole blocks where the sizes divide; otherwise pixels count by the part that lies inside.

    Args:
        luminance: Shape (..., H, W), linear light.
        size_px: Height and width of the result.
    """
    height, width = luminance.shape[-2:]
    if height % size_px == 0 and width % size_px == 0:
        # Not as a product: threads of BLAS cost more on matrices this small than they bring.
        split = (*luminance.shape[:-2], size_px, height // size_px, size_px, width // size_px)
        means: NDArray[np.float32] = luminance.reshape(split).mean(axis=(-3, -1), dtype=np.float32)
        return means
    rows = _area_weights(luminance.shape[-2], size_px)
    columns = _area_weights(luminance.shape[-1], size_px)
    resized: NDArray[np.float32] = (rows @ luminance @ columns.T).astype(np.float32, copy=False)
    return resized


def field_of_picture(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the sensor's field sees of a square picture: shape (64, 64), linear, 0..1.

    Args:
        rgb: Shape (N, N, 3) uint8 sRGB, of any size N.

    Raises:
        DataError: Not a square RGB picture of 8 bits.
    """
    if rgb.ndim != _RGB or rgb.shape[0] != rgb.shape[1] or not rgb.size:
        found = f"A field needs a square picture (N, N, 3), found shape {rgb.shape}."
        raise DataError(found, hint="cut the picture to a square first.")
    return area_resize(luminance_of_rgb(rgb))


@cache
def _area_weights(source_px: int, target_px: int) -> NDArray[np.float32]:
    """Row t: which part of target interval t each source pixel covers; rows sum to 1."""
    edges = np.arange(target_px + 1) * (source_px / target_px)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source_px)[None, :]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0.0, 1.0)
    weights: NDArray[np.float32] = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False
    return weights
