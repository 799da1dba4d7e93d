"""What can be wrong with a running sensor, as codes that a health payload may carry."""

from enum import StrEnum
from typing import Final

from lsi.errors import (
    ExposureError,
    LowLightError,
    LsiError,
    RigError,
    SaturationError,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
    UnsteadySceneError,
)


class Problem(StrEnum):
    """One code per thing a person would do something different about."""

    SATURATED = "saturated"
    LOW_LIGHT = "low_light"
    MASK_MISSING = "mask_missing"
    CONVERSION_OUTSIDE_EXPOSURE = "conversion_outside_exposure"
    UNSTEADY = "unsteady"
    CONTROLLER = "controller"
    CONVERTER = "converter"
    TRIGGER = "trigger"
    COPROCESSOR = "coprocessor"
    MODULATOR_OR_CONVERTER = "modulator_or_converter"
    SCAN_FAILED = "scan_failed"
    CLIENT_ID_CONFLICT = "client_id_conflict"
    OUTBOX = "outbox"
    CERTIFICATE = "certificate"
    LEDGER = "ledger"
    POWER = "power"
    HOT = "hot"
    BUNDLE_ROLLBACK = "bundle_rollback"


ADVICE: Final = {
    Problem.SATURATED: "less light, or a lower transimpedance or gain.",
    Problem.LOW_LIGHT: "switch the light on, uncover the lens, or raise the exposure.",
    Problem.MASK_MISSING: "check the two trigger wires between host and DMD controller.",
    Problem.CONVERSION_OUTSIDE_EXPOSURE: "raise scan.exposure_us or lower scan.samples_per_pattern.",
    Problem.UNSTEADY: "steadier light, a slower scene, or shorter scans.",
    Problem.CONTROLLER: "check power and USB cable of the DMD controller.",
    Problem.CONVERTER: "check power and wires of the converter.",
    Problem.TRIGGER: "check the trigger wires and lsi-edge doctor.",
    Problem.COPROCESSOR: "check the USB cable of the co-processor, then power-cycle it.",
    Problem.MODULATOR_OR_CONVERTER: "check power and cable of DMD controller and converter.",
    Problem.SCAN_FAILED: "read the log of the device.",
    Problem.CLIENT_ID_CONFLICT: "give the other client with this id an id and a certificate of its own.",
    Problem.CERTIFICATE: "read the log of the device: it says why the new certificate is not used.",
    Problem.POWER: "a power supply and a cable that hold 5 V under load.",
    Problem.HOT: "cool the board: a heat sink, air, or a cooler place.",
    Problem.LEDGER: "read the log of the device: without its ledger of epsilon no window is told.",
    Problem.BUNDLE_ROLLBACK: "lsi-edge bundle list says why; install another bundle.",
    Problem.OUTBOX: "free the disk of the device, or mount it writable; records are lost until then.",
}
"""What to try, for each problem."""

_BY_ERROR: Final[tuple[tuple[type[LsiError], Problem], ...]] = (
    (SaturationError, Problem.SATURATED),
    (LowLightError, Problem.LOW_LIGHT),
    (TriggerTimeoutError, Problem.MASK_MISSING),
    (TriggerCountError, Problem.MASK_MISSING),
    (ExposureError, Problem.CONVERSION_OUTSIDE_EXPOSURE),
    (UnsteadySceneError, Problem.UNSTEADY),
    (RigError, Problem.MODULATOR_OR_CONVERTER),
    (ScanError, Problem.SCAN_FAILED),
)


def problem_of(error: LsiError) -> Problem:
    """The code under which ``error`` is reported; leaves before their parents."""
    if isinstance(error, RigError) and error.part is not None:
        return Problem(error.part)
    for kind, problem in _BY_ERROR:
        if isinstance(error, kind):
            return problem
    return Problem.SCAN_FAILED
