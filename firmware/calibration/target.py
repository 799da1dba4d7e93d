"""The printed target: a white L on black, as ``hardware/targets/calibration-target.svg`` shows it.

No turn and no mirror image of it looks like itself, so that one sight of it tells shift,
scale, rotation and flip. All lengths are in sides of the field, from its middle.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Bar:
    """A white rectangle: its middle and half its sides. x to the right, y down."""

    x: float
    y: float
    half_width: float
    half_height: float


BARS: Final = (
    Bar(x=-0.12, y=0.0, half_width=0.10, half_height=0.32),
    Bar(x=0.0, y=0.19, half_width=0.22, half_height=0.13),
)
"""Stem and foot. They overlap at the corner; no corner is farther than 0.4 from the middle."""


def whiteness(x: NDArray[np.float64], y: NDArray[np.float64], ramp: float) -> NDArray[np.float64]:
    """How white the target is, 0 to 1, at places of the field.

    Args:
        x: Places to the right of the middle.
        y: Places below the middle.
        ramp: Width over which an edge goes from black to white: the distance between places.
    """
    white = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for bar in BARS:
        beyond = np.maximum(np.abs(x - bar.x) - bar.half_width, np.abs(y - bar.y) - bar.half_height)
        np.maximum(white, np.clip(0.5 - beyond / ramp, 0, 1), out=white)
    return white
