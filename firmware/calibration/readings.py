"""Light on both arms for a set of calibration patterns, from several scans of the same thing."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lsi.errors import LowLightError, SaturationError
from lsi.frozen import frozen_array
from lsi.measurement import ArmLayout, DarkReference, RawScan
from lsi.patterns import PatternSet

LEAST_SIGMAS: Final = 100.0
"""All light of an all-open pattern, in standard deviations of one reading.

Below, a block of 64 could not be told from its neighbour to 10 %.
"""


class Scanner(Protocol):
    """The part of a rig that a calibration needs."""

    def load(self, patterns: PatternSet) -> None:
        """Put the masks into the controller."""
        ...

    def scan(self, patterns: PatternSet) -> tuple[RawScan, DarkReference]:
        """One scan of masks that are loaded."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Readings:
    """Mean over scans of what each pattern and each dark reference read.

    Shape: ``counts`` (M, 2) and ``dark_counts`` (2,) float64; ``error_counts`` (2,) is the
    standard error of one entry of ``counts``. ``v_per_count`` and ``zero_v`` turn counts into volts.
    """

    counts: NDArray[np.float64]
    dark_counts: NDArray[np.float64]
    error_counts: NDArray[np.float64]
    layout: ArmLayout
    v_per_count: float
    zero_v: float

    def __post_init__(self) -> None:
        for name, shape in (("counts", (None, 2)), ("dark_counts", (2,)), ("error_counts", (2,))):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float64, shape))

    @property
    def light_counts(self) -> NDArray[np.float64]:
        """(M, 2): counts above the dark reference of their arm."""
        return self.counts - self.dark_counts

    def open_share(self, arm_minus_factor: float) -> NDArray[np.float64]:
        """(M,): the share of the light that went to arm +, 0 to 1 but for noise.

        Args:
            arm_minus_factor: Of an ``ArmBalance``; counts with two arms only.
        """
        light = self.light_counts
        if self.layout is ArmLayout.ONE_WITH_REFERENCE:
            share: NDArray[np.float64] = light[:, 0] / light[:, 1]
            return share
        factor = arm_minus_factor if self.layout is ArmLayout.TWO else 1.0
        balanced: NDArray[np.float64] = light[:, 0] / (light[:, 0] + factor * light[:, 1])
        return balanced

    def __repr__(self) -> str:
        return f"Readings(shape={self.counts.shape})"


def take_readings(rig: Scanner, patterns: PatternSet, scans: int) -> Readings:
    """Load ``patterns`` and scan them ``scans`` times.

    Raises:
        ScanError: A scan failed; see ``firmware.acquisition.scan.run_scan``.
        BusError: A bus failed.
        SaturationError: A sample sits at an end of the converter's range.
    """
    rig.load(patterns)
    taken = [rig.scan(patterns) for _ in range(scans)]
    for raw, _ in taken:
        _check_range(raw)
    first = taken[0][0]
    spread = np.mean([raw.standard_error_counts**2 for raw, _ in taken], axis=(0, 1)) / scans
    return Readings(
        counts=np.mean([raw.mean_counts for raw, _ in taken], axis=0),
        dark_counts=np.mean([dark.mean_counts for _, dark in taken], axis=0),
        error_counts=np.sqrt(spread),
        layout=first.layout,
        v_per_count=first.scale.v_per_count,
        zero_v=first.scale.zero_v,
    )


def check_light(readings: Readings, what: str) -> None:
    """Refuse readings that hold too little light to calibrate with.

    Raises:
        LowLightError: Less than ``LEAST_SIGMAS`` on both arms together; ``what`` is named.
    """
    light = readings.light_counts
    total = light[:, 1] if readings.layout is ArmLayout.ONE_WITH_REFERENCE else light.sum(axis=1)
    noise = float(np.sqrt(2 * (readings.error_counts**2).sum()))
    if not float(total.min()) > LEAST_SIGMAS * noise:
        found = f"The {what} sends less light than {LEAST_SIGMAS:.0f} times the noise."
        raise LowLightError(found, hint="switch the lamp on, uncover the lens, or raise scan.exposure_us.")


def _check_range(raw: RawScan) -> None:
    clipped = int(raw.saturated.sum())
    if clipped:
        found = f"{clipped} of {len(raw.saturated)} patterns have samples at an end of the converter's range."
        raise SaturationError(found, hint="less light, or a lower transimpedance or gain.")
