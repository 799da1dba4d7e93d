"""From masks to mirrors: where on a DMD a mask lies and how large its pixels are."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsi.errors import BoardConfigError, ShapeMismatchError

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Dmd:
    """What a DMD type can show.

    Attributes:
        name: As TI writes it.
        width_px: Mirrors in a row.
        height_px: Rows.
        lut_entries: Patterns of one sequence (TI DLPU018J, 0x1A31).
    """

    name: str
    width_px: int
    height_px: int
    lut_entries: int


DMDS: Final = {"DLP6500": Dmd("DLP6500", width_px=1920, height_px=1080, lut_entries=400)}
"""Types with one controller; those with two need each image cut into halves."""


def dmd_named(name: str) -> Dmd:
    """The DMD called ``name``.

    Raises:
        BoardConfigError: No such type here.
    """
    if name not in DMDS:
        raise BoardConfigError(f"No DMD called {name!r}.", hint=f"one of {', '.join(sorted(DMDS))}.")
    return DMDS[name]


@dataclass(frozen=True, slots=True)
class MirrorField:
    """The mirrors a mask is shown on: centred, each mask pixel a square of mirrors.

    Attributes:
        dmd: The DMD.
        mask_height: Rows of a mask.
        mask_width: Columns of a mask.
        mirror_scale_px: Mirrors per mask pixel, both ways.

    Raises:
        BoardConfigError: A scale below 1.
        ShapeMismatchError: A mask of that size does not fit on the DMD.
    """

    dmd: Dmd
    mask_height: int
    mask_width: int
    mirror_scale_px: int

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

    @property
    def size_px(self) -> tuple[int, int]:
        """Mirrors used: (rows, columns)."""
        return self.mask_height * self.mirror_scale_px, self.mask_width * self.mirror_scale_px

    @property
    def origin_px(self) -> tuple[int, int]:
        """Row and column of the first mirror used; an odd rest goes below and to the right."""
        height, width = self.size_px
        return (self.dmd.height_px - height) // 2, (self.dmd.width_px - width) // 2

    def spread(self, mask: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """A mask, or an image of packed masks, on all mirrors; zero outside the field.

        Shape: (mask_height, mask_width) to (height_px, width_px), dtype kept.

        Raises:
            ShapeMismatchError: Another shape.
        """
        if mask.shape != (self.mask_height, self.mask_width):
            found = f"A mask of shape {mask.shape}, expected {(self.mask_height, self.mask_width)}."
            raise ShapeMismatchError(found)
        (top, left), (height, width) = self.origin_px, self.size_px
        mirrors = np.zeros((self.dmd.height_px, self.dmd.width_px), mask.dtype)
        enlarged = mask.repeat(self.mirror_scale_px, axis=0).repeat(self.mirror_scale_px, axis=1)
        mirrors[top : top + height, left : left + width] = enlarged
        return mirrors
