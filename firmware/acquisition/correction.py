"""From counts to a ``Measurement``: dark subtraction and the ratio of the arms."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import LowLightError, SaturationError
from lsi.measurement import ArmLayout, DarkReference, Measurement, RawScan

LOW_LIGHT_SIGMAS: Final = 20.0
"""Light of both arms together, in standard deviations of its own dark noise.

Below 20 the ratio's noise (1/20 of its range) is larger than what distinguishes scenes.
"""

LOW_LIGHT_COUNTS: Final = 8.0
"""And never below this many counts: quantization would dominate, however still the dark is."""


def correct(raw: RawScan, dark: DarkReference, arm_minus_factor: float = 1.0) -> Measurement:
    """``y = (J+ - J-) / (J+ + J-)`` per mask, after dark subtraction.

    J is the trimmed mean over samples minus the dark reference of its arm. The ratio does
    not change with the brightness of the light. With one detector and an all-open reference
    J, ``y = 2 J+ / J - 1``: the same mean, more noise, and not immune to light that changes
    during the scan.

    Args:
        raw: The scan.
        dark: What its arms read without light.
        arm_minus_factor: Brings arm - to the scale of arm +; from the rig's calibration.

    Raises:
        SaturationError: A sample sits at an end of the converter's range; clipped values
            are never averaged in.
        LowLightError: Both arms together hold too little light for a ratio.
    """
    clipped = int(raw.saturated.sum())
    if clipped:
        found = f"{clipped} of {len(raw.saturated)} masks have samples at an end of the converter's range."
        raise SaturationError(found, hint="less light, or a lower transimpedance or gain.")
    light = raw.mean_counts - dark.mean_counts
    if raw.layout is ArmLayout.TWO:
        light = balanced(light, arm_minus_factor)
    total = light[:, 1] if raw.layout is ArmLayout.ONE_WITH_REFERENCE else light.sum(axis=1)
    _check_light(total, raw, dark)
    ratio = _ratio(light, raw.layout)
    return Measurement(ratio.astype(np.float32), raw.pattern_digest, raw.started_at_ns, raw.duration_ns)


def balanced(light_counts: NDArray[np.float64], minus_factor: float) -> NDArray[np.float64]:
    """Dark-subtracted light (M, 2) of two arms, both on the scale of arm +; a copy."""
    both: NDArray[np.float64] = light_counts * np.array([1.0, minus_factor])
    return both


def _ratio(light: NDArray[np.float64], layout: ArmLayout) -> NDArray[np.float64]:
    """(J+ - J-) / (J+ + J-); with an all-open reference J, J- is what is missing of it."""
    plus, second = light[:, 0], light[:, 1]
    if layout is ArmLayout.ONE_WITH_REFERENCE:
        return 2 * plus / second - 1
    ratio: NDArray[np.float64] = (plus - second) / (plus + second)
    return ratio


def _check_light(total: NDArray[np.float64], raw: RawScan, dark: DarkReference) -> None:
    samples = raw.counts.shape[2]
    # Mean of the mask and mean of the dark, for two arms.
    noise_counts = float(np.sqrt(2 * np.sum(dark.std_counts**2) / samples))
    floor_counts = max(LOW_LIGHT_SIGMAS * noise_counts, LOW_LIGHT_COUNTS)
    if float(total.min()) < floor_counts:
        dim = int((total < floor_counts).sum())
        found = f"{dim} of {len(total)} masks saw less light than {floor_counts:.0f} counts on both arms."
        raise LowLightError(found, hint="switch the light on, uncover the lens, or raise the exposure.")
