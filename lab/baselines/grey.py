"""Light as a screen shows it, without colour: the form in which every method's pictures are compared.

No method measures colour. Ours invents it, baselines have none; so all pictures, true ones too, are made
grey first.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.audit.reconstruction import shown
from training.data_sets.luminance import area_resize, luminance_of_rgb

WHITE: Final = 255
_LINEAR_PART: Final = 0.0031308

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]


def grey_of_light(luminance: Floats, size_px: int) -> Codes:
    """Grey pictures (n, size, size, 3) of linear luminance (n, H, W); what exceeds 0..1 is cut off."""
    codes = np.rint(WHITE * shown(area_resize(luminance.clip(0, 1), size_px))).astype(np.uint8)
    return np.repeat(codes[..., None], 3, axis=-1)


def grey_of_pictures(pictures: Codes) -> Codes:
    """The same pictures (n, R, R, 3) with their luminance alone."""
    return grey_of_light(luminance_of_rgb(pictures), pictures.shape[1])


def screen(light: Tensor) -> Tensor:
    """Linear luminance as a screen codes it (IEC 61966-2-1), 0..1, with a slope beyond both ends."""
    curve = 1.055 * light.clamp_min(_LINEAR_PART) ** (1 / 2.4) - 0.055
    return torch.where(light <= _LINEAR_PART, 12.92 * light, curve)


def light_of_screen(codes: Tensor) -> Tensor:
    """The inverse of :func:`screen`; codes beyond 0..1 are cut off."""
    cut = codes.clamp(0, 1)
    return torch.where(cut <= 12.92 * _LINEAR_PART, cut / 12.92, ((cut + 0.055) / 1.055) ** 2.4)
