"""The whole error tree.

Every error says what was found and, where there is something to do, what to try.
``exit_code`` is what a command line returns for it; each is listed in
``docs/reference/exit-codes.md``. No message ever holds a measurement or a logit.
"""

from enum import StrEnum
from typing import ClassVar


class LsiError(Exception):
    """Root of every error that this project raises on purpose.

    Args:
        found: What was asked for and what was found, one sentence.
        hint: What to try; printed after ``Try:``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, *, hint: str = "") -> None:
        super().__init__(f"{found} Try: {hint}" if hint else found)
        self.found = found
        self.hint = hint


class ConfigError(LsiError, ValueError):
    """A configuration that cannot be used; names file and key."""

    exit_code = 3


class BoardConfigError(ConfigError):
    """A board file (``hardware/boards/*.toml``) that cannot be used."""


class AppConfigError(ConfigError):
    """An application configuration that cannot be used."""


class BusErrorKind(StrEnum):
    """What went wrong on a bus, for code that decides about a retry."""

    TIMEOUT = "timeout"
    OVERRUN = "overrun"
    FRAME = "frame"
    NO_DEVICE = "no_device"
    PERMISSION = "permission"
    REFUSED = "refused"
    OTHER = "other"


class Part(StrEnum):
    """The parts of a rig that can fail on their own."""

    CONTROLLER = "controller"
    CONVERTER = "converter"
    TRIGGER = "trigger"
    COPROCESSOR = "coprocessor"


class RigError(LsiError):
    """A part of the rig that does not do what it is asked; ``part`` is set by whoever drives it."""

    exit_code = 4
    part: Part | None = None


class BusError(RigError, OSError):
    """A transfer to a chip or controller failed; ``kind`` tells how."""

    def __init__(self, found: str, *, kind: BusErrorKind, hint: str = "") -> None:
        super().__init__(found, hint=hint)
        self.kind = kind


class FrameError(RigError, ValueError):
    """Bytes that are not what the data sheet promises."""


class ScanError(LsiError):
    """A scan that may not be used. It is dropped whole, never shifted."""

    exit_code = 8


class TriggerTimeoutError(ScanError, TimeoutError):
    """A mask was not shown within the allowed time after its trigger."""

    exit_code = 9


class TriggerCountError(ScanError):
    """The number of masks shown is not the number asked for."""

    exit_code = 10


class ExposureError(ScanError):
    """A conversion was taken outside the exposure of its mask."""

    exit_code = 11


class SaturationError(ScanError):
    """At least one sample sits at an end of the converter's range."""

    exit_code = 12


class LowLightError(ScanError):
    """Too little light on both arms together to form a ratio."""

    exit_code = 13


class UnsteadySceneError(ScanError):
    """The first mask, shown again at the end of the scan, gave another measurement."""

    exit_code = 26


class RigCalibrationError(ConfigError):
    """A calibration of the rig that cannot be used, or could not be made."""

    exit_code = 27


class CertificateError(ConfigError):
    """A certificate that may not be used."""

    exit_code = 29


class SelftestError(LsiError):
    """The rig is not within the limits of its board file."""

    exit_code = 28


class BundleError(LsiError, ValueError):
    """A bundle that cannot be used."""

    exit_code = 5


class BundleNotFoundError(BundleError, FileNotFoundError):
    """No bundle at the given path."""

    exit_code = 14


class DigestMismatchError(BundleError):
    """A bundle whose bytes are not the ones its manifest names."""

    exit_code = 15


class ShapeMismatchError(BundleError):
    """Parts that do not fit together: masks, model, board or measurement."""

    exit_code = 16


class GoldenVectorError(BundleError):
    """The model does not reproduce its golden vectors on this runtime."""

    exit_code = 17


class UnsignedBundleError(BundleError):
    """A bundle without a signature on a device that wants one."""

    exit_code = 21


class UntrustedKeyError(BundleError):
    """A bundle signed with a key that this device does not trust."""

    exit_code = 22


class SignatureMismatchError(BundleError):
    """A signature that does not belong to what it stands beside, or is none."""

    exit_code = 23


class MaskRankError(BundleError):
    """Masks that see more of a scene than the payload mode may."""

    exit_code = 24


class KeyFileError(LsiError, ValueError):
    """A key file that cannot be read, is open to others or would be overwritten."""

    exit_code = 25


class PayloadError(LsiError, ValueError):
    """A payload that breaks its schema or size limit."""

    exit_code = 18


class EgressRuleError(PayloadError):
    """A message that may not leave as it is. Says which rule, and no word of the message."""

    exit_code = 41


class DisclosureError(LsiError, PermissionError):
    """A result asked to leave the device that may not."""

    exit_code = 19


class EgressError(DisclosureError):
    """A message asked to leave the device that no policy lets out: the service ends. Holds no value of it."""

    exit_code = 40


class RecordWithheldError(DisclosureError):
    """A result that the policy in force does not let out, though an earlier one may have."""

    exit_code = 42


class SealError(LsiError, ValueError):
    """A latent that cannot be sealed or opened, or an envelope that is none."""

    exit_code = 44


class LedgerError(LsiError):
    """The ledger of what aggregates have cost cannot be trusted or written: nothing is spent."""

    exit_code = 43


class PublishError(LsiError, ConnectionError):
    """The broker cannot be reached or refuses the connection."""

    exit_code = 6


class SceneError(LsiError, ValueError):
    """A picture or light source that cannot be used as a scene."""

    exit_code = 7


class DataError(LsiError, ValueError):
    """A data file that does not have the expected layout."""

    exit_code = 20


class SlotError(LsiError):
    """The slots for installed bundles cannot do what is asked."""

    exit_code = 50


class DowngradeError(BundleError):
    """A bundle with a lower ``security_epoch`` than one that ran here."""

    exit_code = 51


class ExpiredBundleError(BundleError):
    """A bundle that is installed after its last day."""

    exit_code = 52


class TrialFailedError(LsiError):
    """A bundle did not pass its trial; the device runs the one before."""

    exit_code = 53


class FlashError(LsiError):
    """A device that could not be reached or did not do what it was asked."""

    exit_code = 54


class TrainingError(LsiError, ArithmeticError):
    """A training run whose loss is no longer a number; its last good state is kept."""

    exit_code = 34


class SinkError(LsiError):
    """A sink for records that cannot be opened, or takes none now."""

    exit_code = 60


class AuditError(LsiError):
    """An audit that found a limit broken; its results are written."""

    exit_code = 36


class AuditUndecidedError(LsiError):
    """An audit that broke no limit, but of one tried too little to tell; its results are written."""

    exit_code = 37
