"""What the electronics do to the light: balance of the arms, linearity, stray light, drift."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.calibration.patterns import STEPS, WhitePatterns
from firmware.calibration.readings import Readings
from lsi.measurement import ArmLayout
from lsi.rig_calibration import ArmBalance, PaperScale

ONE_DETECTOR: Final = 1.0
"""Both numbers of a ratio come from the same diode: nothing is to be balanced."""


def arm_balance(white: Readings) -> ArmBalance:
    """The factor that makes both arms together read the same for every pattern.

    A white card sends the same light whatever is shown, ``J+ + f J- = T``: f is the slope
    of the line through J+ over J-, from all patterns between all-off and all-on.
    """
    if white.layout is not ArmLayout.TWO:
        return ArmBalance(ONE_DETECTOR, 0.0)
    plus, minus = white.light_counts.T
    centred = minus - minus.mean()
    factor = -float(centred @ plus / (centred @ centred))
    left = plus - plus.mean() + factor * centred
    variance = float(left @ left) / max(len(left) - 2, 1)
    return ArmBalance(factor, float(np.sqrt(variance / (centred @ centred))))


@dataclass(frozen=True, slots=True)
class Linearity:
    """How far each arm is from reading in proportion to what is open.

    Shape: ``residuals`` holds, per arm, ``STEPS`` differences from the straight line
    through them, in parts of the light of an all-open pattern. With one detector it has
    one entry, that of arm +.
    """

    residuals: tuple[tuple[float, ...], ...]

    @property
    def worst(self) -> float:
        """The largest difference, either way."""
        return max(abs(value) for arm in self.residuals for value in arm)


def linearity(white: Readings, shown: WhitePatterns) -> Linearity:
    """Straight lines through what each arm reads at 1/8 to 8/8 open."""
    light = white.light_counts
    opened = np.arange(1, STEPS + 1) / STEPS
    plus_full = float(light[list(shown.all_on), 0].mean())
    arms = [_off_the_line(opened, light[shown.steps, 0] / plus_full)]
    if white.layout is ArmLayout.TWO:
        minus_full = float(light[list(shown.all_off), 1].mean())
        arms.append(_off_the_line(opened, light[shown.steps, 1] / minus_full))
    return Linearity(tuple(arms))


def _off_the_line(opened: NDArray[np.float64], light: NDArray[np.float64]) -> tuple[float, ...]:
    slope, start = np.polyfit(opened, light, 1)
    return tuple((light - slope * opened - start).tolist())


def stray_shares(white: Readings, covered: Readings, shown: WhitePatterns) -> tuple[float, float]:
    """Per arm, the light that comes whatever the mirrors do, in parts of that of all mirrors.

    Stray light past the DMD and mirrors that are stuck towards the arm: dark reference
    under the white card less that under the covered lens. Both stand in every dark
    reference and go out with it; much of it costs range and noise.
    """
    full = _full_counts(white, shown)
    stray = (white.dark_counts - covered.dark_counts) / full
    return float(stray[0]), float(stray[1])


def drift_share(white: Readings, shown: WhitePatterns) -> float:
    """How far the light of the repeated all-on pattern moves during a scan, in parts of its mean."""
    light = white.light_counts[list(shown.all_on), 0]
    return float((light.max() - light.min()) / light.mean())


def _full_counts(white: Readings, shown: WhitePatterns) -> NDArray[np.float64]:
    light = white.light_counts
    plus = float(light[list(shown.all_on), 0].mean())
    if white.layout is not ArmLayout.TWO:
        return np.array([plus, plus])
    return np.array([plus, float(light[list(shown.all_off), 1].mean())])


PAPER_WHITE: Final = 3.0 * 256 * 256
"""A white picture on the scale of the paper's code: R + G + B, each 1, over 256 x 256 pixels."""


def paper_scale(white: Readings, shown: WhitePatterns) -> PaperScale:
    """The straight line through dark (0) and all-open under a white card (``PAPER_WHITE``)."""
    volts = white.counts[:, 0] * white.v_per_count + white.zero_v
    open_v = float(volts[list(shown.all_on)].mean())
    dark_v = float(white.dark_counts[0] * white.v_per_count + white.zero_v)
    error_v = float(white.error_counts[0]) * white.v_per_count
    per_v = PAPER_WHITE / (open_v - dark_v)
    # The dark is read once a scan, the open pattern as often as it is repeated.
    span_error_v = error_v * math.sqrt(1 + 1 / len(shown.all_on))
    per_v_error = per_v * span_error_v / (open_v - dark_v)
    offset_error = float(np.hypot(per_v * error_v, per_v_error * dark_v))
    return PaperScale(per_v, per_v_error, -per_v * dark_v, offset_error)
