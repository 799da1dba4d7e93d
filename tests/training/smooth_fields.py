"""Generated fields of light: soft blobs, never a picture of anybody."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def smooth_fields(count: int, size_px: int, seed: int) -> Tensor:
    """Soft random clouds of linear luminance 0.05..1, shape (count, size_px, size_px)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, 4, 4, generator=generator)
    size = (size_px, size_px)
    clouds = functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    return (0.4 + 0.2 * clouds[:, 0]).clamp(0.05, 1.0)


def smooth_arrays(count: int, size_px: int, seed: int) -> NDArray[np.float32]:
    """The same in numpy."""
    fields: NDArray[np.float32] = smooth_fields(count, size_px, seed).numpy()
    return fields
