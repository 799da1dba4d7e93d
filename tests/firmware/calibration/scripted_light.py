"""Readings of light that is known, without rig or noise."""

import numpy as np
from numpy.typing import NDArray

from firmware.calibration.readings import Readings
from lsi.measurement import ArmLayout
from lsi.patterns import PatternSet

FULL_COUNTS = 3000.0
DARK_COUNTS = np.array([120.0, 140.0])


def readings_of(  # noqa: PLR0913 - keyword-only, each another property of the rig
    patterns: PatternSet,
    field: NDArray[np.float64],
    *,
    arm_minus_gain: float = 1.0,
    layout: ArmLayout = ArmLayout.TWO,
    noise_counts: float = 0.0,
    seed: int = 0,
) -> Readings:
    """What two arms read of ``field`` (N, N) when its mean is ``FULL_COUNTS``."""
    masks = patterns.masks.reshape(len(patterns), -1).astype(np.float64)
    light = field.reshape(-1) / field.sum() * FULL_COUNTS
    plus, all_light = masks @ light, np.full(len(masks), FULL_COUNTS)
    second = all_light if layout is ArmLayout.ONE_WITH_REFERENCE else all_light - plus
    minus = second * (arm_minus_gain if layout is ArmLayout.TWO else 1.0)
    dark = DARK_COUNTS if layout is ArmLayout.TWO else DARK_COUNTS[[0, 0]]
    noise = np.random.default_rng(seed).normal(0, noise_counts, (len(masks), 2))
    counts = np.stack([plus, minus], axis=1) + dark + noise
    return Readings(counts, dark, np.full(2, noise_counts), layout, 3.3 / 4096, 0.0)
