"""How much light each block of the field sends: an 8 x 8 map of a white card, dim and dead blocks."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.calibration.patterns import BLOCKS, centres, walsh_signs
from lsi.errors import RigCalibrationError
from lsi.frozen import frozen_array

DIM: Final = 0.8
"""A block with less than this part of the light that its neighbours let expect is dim."""
DEAD: Final = 0.2
"""And with less than this part dead."""
MAX_ODD_BLOCKS: Final = 12
"""Of 64. A card is smooth; where more blocks stand out it was no white card, or the DMD is broken."""
MIN_EDGE: Final = 0.2
"""The least light that lens and lamp may leave anywhere, in parts of the mean."""
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, repr=False)
class Throughput:
    """The light of each block, in parts of the mean.

    Shape: ``blocks`` (8, 8) float64, row 0 on top of the field. ``expected`` (8, 8) is the
    quadratic surface that lens and lamp make of it, dim blocks left out.
    """

    blocks: NDArray[np.float64]
    expected: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, shape in (("blocks", (8, 8)), ("expected", (8, 8)), ("coefficients", (6,))):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float64, shape))

    @property
    def dim(self) -> tuple[int, ...]:
        """Blocks, row by row from 0, that are dim or dead."""
        return tuple(np.flatnonzero(self.blocks < DIM * self.expected).tolist())

    @property
    def dead(self) -> tuple[int, ...]:
        """Blocks, row by row from 0, that send hardly any light."""
        return tuple(np.flatnonzero(self.blocks < DEAD * self.expected).tolist())

    def over_field(self, side_px: int) -> NDArray[np.float64]:
        """The light at each pixel, (N, N): the surface, and dim blocks as dim as they are."""
        smooth = _surface(*centres(side_px)) @ self.coefficients
        dimming = np.ones(BLOCKS**2)
        odd = list(self.dim)
        dimming[odd] = (self.blocks / self.expected).reshape(-1)[odd]
        pixels = side_px // BLOCKS
        enlarged = dimming.reshape(BLOCKS, BLOCKS).repeat(pixels, axis=0).repeat(pixels, axis=1)
        light: NDArray[np.float64] = np.maximum(smooth * enlarged, 0)
        return light

    def __repr__(self) -> str:
        return f"Throughput(dim={len(self.dim)}, dead={len(self.dead)})"


def throughput(open_shares: NDArray[np.float64]) -> Throughput:
    """The map from the share of light on arm + under each block pattern.

    Shape: (64,), as ``walsh_signs`` orders them.

    Raises:
        RigCalibrationError: It is not the map of a white card.
    """
    signs = walsh_signs()
    light = signs.T @ (2 * open_shares - 1)
    light *= BLOCKS**2 / light.sum()
    coefficients = _robust_fit(light)
    smooth = _block_surface() @ coefficients
    shape = (BLOCKS, BLOCKS)
    found = Throughput(light.reshape(shape), smooth.reshape(shape), coefficients)
    _check_card(found)
    return found


def _check_card(found: Throughput) -> None:
    apart = np.abs(found.blocks / np.maximum(found.expected, MIN_EDGE) - 1) > 1 - DIM
    if int(apart.sum()) > MAX_ODD_BLOCKS or float(found.expected.min()) < MIN_EDGE:
        reason = f"{int(apart.sum())} of {BLOCKS**2} blocks are not what a smooth surface lets expect."
        hint = "white paper without print or shadow that fills the view; then look at lamp and lens."
        raise RigCalibrationError(f"This is not an evenly lit white card: {reason}", hint=hint)


def _robust_fit(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the surface through the blocks that are not dim, found in a few rounds."""
    surface = _block_surface()
    # A dead block must not bend the first surface.
    kept = light > light.max() * DEAD
    coefficients = np.zeros(surface.shape[1])
    for _ in range(_ROUNDS):
        coefficients = np.linalg.lstsq(surface[kept], light[kept], rcond=None)[0]
        expected = surface @ coefficients
        closest = np.abs(light - expected) <= (1 - DIM) * np.abs(expected)
        if closest.sum() <= surface.shape[1]:
            break
        kept = closest
    return coefficients


def _block_surface() -> NDArray[np.float64]:
    x, y = centres(BLOCKS)
    return _surface(x.reshape(-1), y.reshape(-1))


def _surface(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The terms of a quadratic surface, in a last axis of 6."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
