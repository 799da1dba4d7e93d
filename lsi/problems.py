"""What can be wrong with a running sensor, as codes that a health payload may carry."""

from enum import StrEnum
from typing import Final

from lsi.errors import (
    BusError,
    ExposureError,
    FrameError,
    LowLightError,
    LsiError,
    SaturationError,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
)


class Problem(StrEnum):
    """One code per thing a person would do something different about."""

    SATURATED = "saturated"
    LOW_LIGHT = "low_light"
    MASK_MISSING = "mask_missing"
    CONVERSION_OUTSIDE_EXPOSURE = "conversion_outside_exposure"
    MODULATOR_OR_CONVERTER = "modulator_or_converter"
    SCAN_FAILED = "scan_failed"


ADVICE: Final = {
    Problem.SATURATED: "less light, or a lower transimpedance or gain.",
    Problem.LOW_LIGHT: "switch the light on, uncover the lens, or raise the exposure.",
    Problem.MASK_MISSING: "check the two trigger wires between host and DMD controller.",
    Problem.CONVERSION_OUTSIDE_EXPOSURE: "raise scan.exposure_us or lower scan.samples_per_pattern.",
    Problem.MODULATOR_OR_CONVERTER: "check power and cable of DMD controller and converter.",
    Problem.SCAN_FAILED: "read the log of the device.",
}
"""What to try, for each problem."""

_BY_ERROR: Final[tuple[tuple[type[LsiError], Problem], ...]] = (
    (SaturationError, Problem.SATURATED),
    (LowLightError, Problem.LOW_LIGHT),
    (TriggerTimeoutError, Problem.MASK_MISSING),
    (TriggerCountError, Problem.MASK_MISSING),
    (ExposureError, Problem.CONVERSION_OUTSIDE_EXPOSURE),
    (BusError, Problem.MODULATOR_OR_CONVERTER),
    (FrameError, Problem.MODULATOR_OR_CONVERTER),
    (ScanError, Problem.SCAN_FAILED),
)


def problem_of(error: LsiError) -> Problem:
    """The code under which ``error`` is reported; leaves before their parents."""
    for kind, problem in _BY_ERROR:
        if isinstance(error, kind):
            return problem
    return Problem.SCAN_FAILED
