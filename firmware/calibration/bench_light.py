"""What a person holds in front of the lens, as light for a simulated board."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.calibration.procedure import Step
from firmware.calibration.target import whiteness
from lsi.placement import CENTRED, Placement

Field = NDArray[np.float32]

SIDE_PX: Final = 64
_OVERSAMPLING: Final = 8
_BLACK: Final = 0.04
"""What good print reflects, in parts of the paper's white."""


class BenchLight:
    """One field per step of a calibration, in order; the last one stays.

    Satisfies the simulator's ``LightSource``. ``placement`` is where the field lies, in
    sides of the field: what the calibration has to find.
    """

    def __init__(self, placement: Placement = CENTRED) -> None:
        self._placement = placement
        self._step = -1

    @property
    def field(self) -> Field:
        """Linear luminance, (64, 64); the lens is covered before the first step."""
        step = list(Step)[max(self._step, 0)]
        if step is Step.COVERED:
            return np.zeros((SIDE_PX, SIDE_PX), np.float32)
        if step is Step.WHITE_CARD:
            return np.ones((SIDE_PX, SIDE_PX), np.float32)
        return target_field(self._placement)

    @property
    def revision(self) -> int:
        """Changes with the step."""
        return self._step

    def advance(self) -> bool:
        """Hold up the next thing."""
        if self._step + 1 >= len(Step):
            return False
        self._step += 1
        return True


def target_field(placement: Placement, side_px: int = SIDE_PX) -> Field:
    """The printed target where ``placement`` (in sides of the field) puts it, as light on the mirrors."""
    fine = side_px * _OVERSAMPLING
    axis = (np.arange(fine) + 0.5) / fine - 0.5
    white = whiteness(*placement.to_field(axis[None, :], axis[:, None]), 1 / fine / placement.scale)
    pixels = white.reshape(side_px, _OVERSAMPLING, side_px, _OVERSAMPLING).mean(axis=(1, 3))
    light: Field = (_BLACK + (1 - _BLACK) * pixels).astype(np.float32)
    return light
