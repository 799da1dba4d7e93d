"""What every baseline shares with ours: two arms, the sensor's noise, scenes normalised by their light.

Letters: n scenes, d masks, P pixels. A mask m in 0..1 gives the ratio ``sum((2 m - 1) x) / sum(x)``, so it
says something of the scene over its own mean, ``z = x / mean(x)``, whose mean is 1 without a measurement.
"""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from training.latent.latent_exam import NOISE_SEED, ROWS_AT_ONCE
from training.light.forward_model import TwoArms, measure

Floats = NDArray[np.float32]
PHASES_RAD: Final = (0.0, np.pi / 2)
"""Two of the four phases of Fourier single-pixel imaging; the other two are what arm - sees."""


def measured(fields: Floats, masks: Tensor, detector: TwoArms) -> Tensor:
    """Ratios of arms (n, d) of fields (n, H, W) at the detector's own light: the exam that our banks take."""
    generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
    parts = []
    for part in torch.split(torch.tensor(fields), ROWS_AT_ONCE):
        power = torch.full((len(part),), detector.nominal_power)
        parts.append(measure(part, masks, detector, power, generator))
    return torch.cat(parts)


def operator(masks: Tensor) -> Tensor:
    """The matrix (d + 1, P) whose rows are the constant and the signed masks, all over the root of P.

    Rows of binary masks have length 1. It takes z to ``sqrt(P)`` times (1, the ratios).
    """
    signed = 2 * masks.flatten(1) - 1
    return torch.cat((torch.ones_like(signed[:1]), signed)) / math.sqrt(signed.shape[1])


def told(ratios: Tensor, pixels: int) -> Tensor:
    """What :func:`operator` is told of each scene, (n, d + 1): the known mean, then the ratios."""
    return torch.cat((torch.ones_like(ratios[:, :1]), ratios), dim=1) * math.sqrt(pixels)


def fourier_masks(d: int, size_px: int) -> NDArray[np.bool_]:
    """Cosines and sines of lowest frequency as halftones, (d, H, W): each coefficient takes two masks.

    Ordered by the length of the wave vector; of opposite vectors one. The halftone is Floyd and Steinberg's,
    as in Zhang et al., "Fast Fourier single-pixel imaging via binary illumination", 2017, but at the masks'
    own size.
    """
    waves = sorted(
        (
            (row, column)
            for row in range(size_px // 2)
            for column in range(1 - size_px // 2, size_px // 2)
            if row > 0 or column > 0
        ),
        key=lambda wave: (wave[0] ** 2 + wave[1] ** 2, wave),
    )
    chosen = [(wave, phase) for wave in waves[: (d + 1) // 2] for phase in PHASES_RAD]
    return np.stack([_halftone(*each, size_px) for each in chosen[:d]])


def _halftone(wave: tuple[int, int], phase_rad: float, size_px: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:size_px, :size_px] + 0.5
    angle = 2 * np.pi * (wave[0] * rows + wave[1] * columns) / size_px - phase_rad
    grey = Image.fromarray(np.rint(127.5 * (1 + np.cos(angle))).astype(np.uint8))
    return np.asarray(grey.convert("1", dither=Image.Dither.FLOYDSTEINBERG), np.bool_)
