"""``Placement``: where the field lies on the mirrors of a DMD."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_SHIFT_PX: Final = 2_000.0
MIN_SCALE: Final = 0.25
MAX_SCALE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Placement:
    """How the field has to be moved to lie where its light falls.

    Both planes are measured in mirrors from the middle of the centred mask area, x to the
    right and y down. A place q of the field lies on mirror p = shift + scale * turn(flip(q)).
    A mirror image up-down is ``is_flipped`` with half a turn.

    Attributes:
        shift_x_px: Mirrors to the right.
        shift_y_px: Mirrors down.
        scale: 1 when a mask pixel's light falls on ``mirror_scale_px`` mirrors.
        rotation_rad: Clockwise as seen with y down, within -pi..pi.
        is_flipped: Left and right exchanged, before the turn.
    """

    shift_x_px: float = 0.0
    shift_y_px: float = 0.0
    scale: float = 1.0
    rotation_rad: float = 0.0
    is_flipped: bool = False

    def __post_init__(self) -> None:
        numbers = (self.shift_x_px, self.shift_y_px, self.scale, self.rotation_rad)
        within = (
            all(map(math.isfinite, numbers))
            and max(abs(self.shift_x_px), abs(self.shift_y_px)) <= MAX_SHIFT_PX
            and MIN_SCALE <= self.scale <= MAX_SCALE
            and abs(self.rotation_rad) <= math.pi
        )
        if not within:
            message = f"no placement has shift, scale and rotation {numbers}"
            raise ValueError(message)

    @property
    def is_upright(self) -> bool:
        """Whether rows of masks stay rows of mirrors: nothing is turned."""
        return self.rotation_rad == 0.0

    def to_field(
        self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The places (x, y) of the field whose light falls on mirrors at ``x_px``, ``y_px``.

        Shape: both broadcast together; the results have the common shape.
        """
        cos, sin = math.cos(self.rotation_rad), math.sin(self.rotation_rad)
        right, down = (x_px - self.shift_x_px) / self.scale, (y_px - self.shift_y_px) / self.scale
        field_x, field_y = cos * right + sin * down, cos * down - sin * right
        return (-field_x if self.is_flipped else field_x), field_y

    def to_mirrors(
        self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mirrors (x, y) on which the light of places of the field falls; undoes ``to_field``."""
        cos, sin = math.cos(self.rotation_rad), math.sin(self.rotation_rad)
        x_px = -x_px if self.is_flipped else x_px
        right, down = cos * x_px - sin * y_px, sin * x_px + cos * y_px
        return self.shift_x_px + self.scale * right, self.shift_y_px + self.scale * down


@dataclass(frozen=True, slots=True)
class PlacementError:
    """Standard errors of a ``Placement``, in its units."""

    shift_x_px: float
    shift_y_px: float
    scale: float
    rotation_rad: float


CENTRED: Final = Placement()
"""Where masks lie without a calibration."""
