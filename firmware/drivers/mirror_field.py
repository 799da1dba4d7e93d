"""From masks to mirrors: where on a DMD a mask lies and how large its pixels are."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.dmds import DMDS, Dmd, dmd_named
from lsi.errors import BoardConfigError, ShapeMismatchError
from lsi.placement import CENTRED, Placement

__all__ = ["DMDS", "MAX_LOST_SHARE", "Dmd", "MirrorField", "dmd_named"]

MAX_LOST_SHARE: Final = 0.05
"""Of a mask's pixels, how many a placement may push over the edge of the DMD.

A scene at the edge of the field is dim and dull; more than three of 64 rows are not.
"""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class MirrorField:
    """The mirrors a mask is shown on: centred, each mask pixel a square of mirrors, then placed.

    Attributes:
        dmd: The DMD.
        mask_height: Rows of a mask.
        mask_width: Columns of a mask.
        mirror_scale_px: Mirrors per mask pixel, both ways, before ``placement``.
        placement: Where the field lies; centred without a calibration.

    Raises:
        BoardConfigError: A scale below 1.
        ShapeMismatchError: A mask of that size does not fit on the DMD, or is placed such that
            more than ``MAX_LOST_SHARE`` of it lies beside the mirrors.
    """

    dmd: Dmd
    mask_height: int
    mask_width: int
    mirror_scale_px: int
    placement: Placement = CENTRED

    def __post_init__(self) -> None:
        if self.mirror_scale_px < 1:
            raise BoardConfigError(f"mirror_scale_px is {self.mirror_scale_px}.", hint="1 or more.")
        height, width = self.size_px
        fits = 1 <= height <= self.dmd.height_px and 1 <= width <= self.dmd.width_px
        if not fits:
            masks = (
                f"Masks of {self.mask_height} x {self.mask_width} at {self.mirror_scale_px} mirrors a pixel"
            )
            found = (
                f"{masks} do not fit on the {self.dmd.height_px} x {self.dmd.width_px} of a {self.dmd.name}."
            )
            raise ShapeMismatchError(found, hint="a smaller mirror_scale_px in the board file.")
        if self.lost_share > MAX_LOST_SHARE:
            found = f"Where the field lies, {self.lost_share:.0%} of a mask is beside the {self.dmd.name}."
            raise ShapeMismatchError(found, hint="move the lens, then 'lsi-edge calibrate' again.")

    @property
    def size_px(self) -> tuple[int, int]:
        """Mirrors used when centred: (rows, columns)."""
        return self.mask_height * self.mirror_scale_px, self.mask_width * self.mirror_scale_px

    @property
    def origin_px(self) -> tuple[int, int]:
        """Row and column of the first mirror used when centred; an odd rest goes below and to the right."""
        height, width = self.size_px
        return (self.dmd.height_px - height) // 2, (self.dmd.width_px - width) // 2

    @property
    def lost_share(self) -> float:
        """The share of a mask's pixels whose middle the placement puts beside the DMD."""
        if self.placement == CENTRED:
            return 0.0
        (top, left), (height, width) = self.origin_px, self.size_px
        y, x = np.indices((self.mask_height, self.mask_width)) + 0.5
        x_px, y_px = self.placement.to_mirrors(
            x * self.mirror_scale_px - width / 2, y * self.mirror_scale_px - height / 2
        )
        column, row = x_px + left + width / 2, y_px + top + height / 2
        is_on = (column >= 0) & (column < self.dmd.width_px) & (row >= 0) & (row < self.dmd.height_px)
        return float(1 - is_on.mean())

    def spread(self, mask: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """A mask, or an image of packed masks, on all mirrors; zero outside the field.

        Shape: (mask_height, mask_width) to (height_px, width_px), dtype kept.

        Raises:
            ShapeMismatchError: Another shape.
        """
        if mask.shape != (self.mask_height, self.mask_width):
            found = f"A mask of shape {mask.shape}, expected {(self.mask_height, self.mask_width)}."
            raise ShapeMismatchError(found)
        if self.placement != CENTRED:
            # One more entry, zero, for the mirrors that show no pixel of the mask.
            return np.append(mask.reshape(-1), mask.dtype.type(0))[_pixel_of_mirror(self)]
        (top, left), (height, width) = self.origin_px, self.size_px
        mirrors = np.zeros((self.dmd.height_px, self.dmd.width_px), mask.dtype)
        enlarged = mask.repeat(self.mirror_scale_px, axis=0).repeat(self.mirror_scale_px, axis=1)
        mirrors[top : top + height, left : left + width] = enlarged
        return mirrors


@lru_cache(maxsize=2)
def _pixel_of_mirror(field: MirrorField) -> NDArray[np.intp]:
    """Which pixel each mirror shows, counted row by row; one past the last for none.

    Shape: (height_px, width_px). Remembered: all images of an upload have the same.
    """
    (top, left), (height, width) = field.origin_px, field.size_px
    x_px = np.arange(field.dmd.width_px, dtype=np.float64) + (0.5 - left - width / 2)
    y_px = _lines(field) - (top + height / 2)
    x, y = _snapped(field).to_field(x_px[None, :], y_px[:, None])
    column = np.floor((x + width / 2) / field.mirror_scale_px).astype(np.intp)
    row = np.floor((y + height / 2) / field.mirror_scale_px).astype(np.intp)
    is_inside = (column >= 0) & (column < field.mask_width) & (row >= 0) & (row < field.mask_height)
    pixels = np.where(is_inside, row * field.mask_width + column, field.mask_height * field.mask_width)
    pixels.flags.writeable = False
    return pixels


def _lines(field: MirrorField) -> NDArray[np.float64]:
    """The y for which each line of mirrors is computed.

    Turned masks share lines by twos where a mask pixel has 16 mirrors: half a mirror of
    error, and an upload of half the size, because a line that repeats costs four bytes.
    """
    middle = np.arange(field.dmd.height_px, dtype=np.float64) + 0.5
    shared = 1 if _snapped(field).is_upright else max(1, field.mirror_scale_px // 8)
    first = np.arange(field.dmd.height_px) // shared * shared
    lines: NDArray[np.float64] = middle[first] + (shared - 1) / 2
    return lines


def _snapped(field: MirrorField) -> Placement:
    """The placement without a turn that moves no corner by half a mirror: upright rows upload faster."""
    turn_px = abs(field.placement.rotation_rad) * max(field.size_px) / 2 * field.placement.scale
    return replace(field.placement, rotation_rad=0.0) if turn_px < 1 / 2 else field.placement
