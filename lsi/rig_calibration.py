"""``RigCalibration``: what is known about one rig beyond its board file, signed by its device.

The file is one line of canonical JSON (schema ``rig-calibration``) and, below it, a detached
signature in minisign's format over that line, its newline included::

    {"arms":{...},"board":"...", ... }
    untrusted comment: signature of an lsi rig calibration
    <base64: "ED", key id, Ed25519 over BLAKE2b-512>
    trusted comment: lsi rig calibration BOARD TAKEN_AT
    <base64: Ed25519 over signature and trusted comment>

``head -n 1`` and ``tail -n +2`` make of it what ``minisign -V`` reads.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lsi.errors import RigCalibrationError, SignatureMismatchError, UntrustedKeyError
from lsi.minisign import PublicKey, SecretKey, Signature
from lsi.placement import Placement, PlacementError
from lsi.schema import check
from lsi.whole_file import whole_file

SCHEMA: Final = "rig-calibration"
SCHEMA_ID: Final = "lsi.rig-calibration/1"
MAX_FILE_BYTES: Final = 32_768
UNTRUSTED_COMMENT: Final = "signature of an lsi rig calibration"
_AGAIN: Final = "'lsi-edge calibrate' on this device."
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
_CLOCK_SLACK: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ArmBalance:
    """How the light of arm - is brought to the scale of arm +.

    Attributes:
        minus_factor: Multiplies the dark-subtracted light of arm -; 1 with one detector.
        minus_factor_error: Its standard error.
    """

    minus_factor: float
    minus_factor_error: float


@dataclass(frozen=True, slots=True)
class PaperScale:
    """From volts of arm + to the sums that the paper's encoder reads: ``per_v * volts + offset``.

    The paper sums gamma-coded values; light is linear. The map is right at black and at white,
    and nothing but training makes it right in between.
    """

    per_v: float
    per_v_error: float
    offset: float
    offset_error: float


@dataclass(frozen=True, slots=True)
class FitQuality:
    """What the fit of the printed target left, in shares of light.

    Attributes:
        rms: Root mean square over all edges.
        rms_by_direction: The same for each of the four directions.
        worst: The largest residual, either way.
        black: Light of the printed black, in parts of the white.
    """

    rms: float
    rms_by_direction: tuple[float, ...]
    worst: float
    black: float


@dataclass(frozen=True, slots=True)
class Electronics:
    """Arms and converter.

    Attributes:
        balance: Of the arms.
        linearity_worst: Largest distance from a straight line, in parts of all-open.
        stray_shares: Per arm, light that comes whatever the mirrors do, in parts of all-open.
        drift_share: How far the light moved during a scan, in parts of its mean.
    """

    balance: ArmBalance
    linearity_worst: float
    stray_shares: tuple[float, float]
    drift_share: float


@dataclass(frozen=True, slots=True, repr=False)
class BlockMap:
    """Light of a white card by 8 x 8 blocks, row by row, in parts of the mean; which are dim or dead."""

    blocks: tuple[float, ...]
    dim: tuple[int, ...]
    dead: tuple[int, ...]

    def __repr__(self) -> str:
        return f"BlockMap(dim={len(self.dim)}, dead={len(self.dead)})"


@dataclass(frozen=True, slots=True, repr=False)
class RigCalibration:
    """One calibration of one rig.

    ``taken_at`` is UTC in whole seconds. ``patterns_shown`` counts the patterns that the
    DMD showed for it. ``paper`` is ``None`` unless it was asked for.

    Raises:
        RigCalibrationError: A value out of the schema's range.
    """

    board: str
    simulated: bool
    taken_at: dt.datetime
    mask_side_px: int
    mirror_scale_px: int
    patterns_shown: int
    placement: Placement
    placement_error: PlacementError
    fit: FitQuality
    electronics: Electronics
    throughput: BlockMap
    paper: PaperScale | None = None

    def __post_init__(self) -> None:
        document = self.to_document()
        try:
            # Ranges do not stop a NaN.
            json.dumps(document, allow_nan=False)
        except ValueError as cause:
            raise RigCalibrationError("Rig calibration with a number that is none.", hint=_AGAIN) from cause
        check(document, SCHEMA, error=RigCalibrationError, source="Rig calibration")

    def to_document(self) -> dict[str, Any]:
        """As the file has it."""
        arms = asdict(self.electronics)
        balance = arms.pop("balance")
        document = {
            "v": SCHEMA_ID,
            "board": self.board,
            "simulated": self.simulated,
            "taken_at": self.taken_at.strftime(_TIME_FORMAT),
            "mask_side_px": self.mask_side_px,
            "mirror_scale_px": self.mirror_scale_px,
            "patterns_shown": self.patterns_shown,
            "placement": asdict(self.placement),
            "placement_error": asdict(self.placement_error),
            "fit": asdict(self.fit),
            "arms": {**balance, **arms},
            "throughput": asdict(self.throughput),
            "paper": None if self.paper is None else asdict(self.paper),
        }
        lists: dict[str, Any] = _without_tuples(document)
        return lists

    @property
    def trusted_comment(self) -> str:
        """What ``minisign -V`` tells a person about it."""
        return f"lsi rig calibration {self.board} {self.taken_at.strftime(_TIME_FORMAT)}"

    def __repr__(self) -> str:
        return f"RigCalibration({self.board}, {self.taken_at.strftime(_TIME_FORMAT)})"


@dataclass(frozen=True, slots=True)
class CalibrationLimits:
    """How old and how rough a calibration may be that a device uses."""

    max_age_days: int = 365
    max_rms: float = 0.01
    max_balance_error: float = 0.01
    max_linearity: float = 0.02
    max_drift: float = 0.05


DEFAULT_LIMITS: Final = CalibrationLimits()


def encode_rig_calibration(calibration: RigCalibration, key: SecretKey) -> bytes:
    """The content of a calibration file, signed with ``key``."""
    document = calibration.to_document()
    line = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    return line + key.sign(line, calibration.trusted_comment).to_text(UNTRUSTED_COMMENT)


def write_rig_calibration(path: Path, calibration: RigCalibration, key: SecretKey) -> None:
    """Write ``path`` in one step: the old file or the new one, never half of one.

    Raises:
        RigCalibrationError: The folder cannot be written to.
    """
    try:
        with whole_file(path) as file:
            file.write(encode_rig_calibration(calibration, key))
    except OSError as cause:
        found = f"Calibration {path} cannot be written ({cause.strerror})."
        raise RigCalibrationError(found, hint="a folder that exists and is yours.") from cause


def read_rig_calibration(
    path: Path,
    trusted_key: PublicKey,
    board: str,
    now: dt.datetime | None,
    limits: CalibrationLimits = DEFAULT_LIMITS,
) -> RigCalibration:
    """Read a calibration that this device made of this board and that is still good.

    Args:
        path: The file.
        trusted_key: The device's own.
        board: Name of the board in use.
        now: The time, to judge the age by; ``None`` while the clock is not set.
        limits: How old and how rough it may be.

    Raises:
        RigCalibrationError: Not readable, not a calibration, of another board, too old or too rough.
        UntrustedKeyError: Another device signed it.
        SignatureMismatchError: It is not what was signed.
    """
    calibration = parse_rig_calibration(_read(path), trusted_key, str(path))
    if calibration.board != board:
        found = f"{path} is the calibration of board '{calibration.board}', in use is '{board}'."
        raise RigCalibrationError(found, hint=_AGAIN)
    check_quality(calibration, limits, str(path))
    if now is not None:
        _check_age(calibration, limits, now, path)
    return calibration


def parse_rig_calibration(content: bytes, trusted_key: PublicKey, source: str) -> RigCalibration:
    """The calibration in ``content``, once its signature holds; nothing else of it is judged.

    Raises:
        RigCalibrationError: Too long, not JSON, or against the schema; ``source`` is named.
        UntrustedKeyError: Another device signed it.
        SignatureMismatchError: It is not what was signed.
    """
    line, newline, tail = content.partition(b"\n")
    if len(content) > MAX_FILE_BYTES or not newline:
        raise RigCalibrationError(f"{source} is not a calibration of a rig.", hint=_AGAIN)
    signature = Signature.parse(tail, source)
    if signature.key_id != trusted_key.key_id:
        found = f"{source} is signed with key {signature.key_name}; this device's is {trusted_key.name}."
        raise UntrustedKeyError(found, hint=_AGAIN)
    try:
        trusted_key.check(signature, line + newline)
    except SignatureMismatchError as cause:
        raise SignatureMismatchError(f"{source}: {cause.found}", hint=_AGAIN) from cause
    calibration = _from_line(line, source)
    if signature.trusted_comment != calibration.trusted_comment:
        found = f"{source}: the signature is one of '{signature.trusted_comment}'."
        raise SignatureMismatchError(found, hint=_AGAIN)
    return calibration


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as cause:
        raise RigCalibrationError(
            f"Calibration {path} cannot be read ({cause.strerror}).", hint=_AGAIN
        ) from cause


def _from_line(line: bytes, source: str) -> RigCalibration:
    try:
        document = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as cause:
        raise RigCalibrationError(f"{source} is not JSON.", hint=_AGAIN) from cause
    check(document, SCHEMA, error=RigCalibrationError, source=source)
    try:
        return _from_document(document)
    except ValueError as cause:
        # The schema takes the 31st of February.
        raise RigCalibrationError(f"{source}: {cause}.", hint=_AGAIN) from cause


def _from_document(document: Mapping[str, Any]) -> RigCalibration:
    arms, fit, light = document["arms"], document["fit"], document["throughput"]
    balance = ArmBalance(arms["minus_factor"], arms["minus_factor_error"])
    plus, minus = arms["stray_shares"]
    return RigCalibration(
        board=document["board"],
        simulated=document["simulated"],
        taken_at=dt.datetime.strptime(document["taken_at"], _TIME_FORMAT).replace(tzinfo=dt.UTC),
        mask_side_px=document["mask_side_px"],
        mirror_scale_px=document["mirror_scale_px"],
        patterns_shown=document["patterns_shown"],
        placement=Placement(**document["placement"]),
        placement_error=PlacementError(**document["placement_error"]),
        fit=FitQuality(fit["rms"], tuple(fit["rms_by_direction"]), fit["worst"], fit["black"]),
        electronics=Electronics(balance, arms["linearity_worst"], (plus, minus), arms["drift_share"]),
        throughput=BlockMap(tuple(light["blocks"]), tuple(light["dim"]), tuple(light["dead"])),
        paper=None if document["paper"] is None else PaperScale(**document["paper"]),
    )


def check_quality(calibration: RigCalibration, limits: CalibrationLimits, source: str) -> None:
    """Refuse a calibration that is rougher than ``limits``.

    Raises:
        RigCalibrationError: Every figure that is too large, with its limit.
    """
    electronics = calibration.electronics
    figures = {
        "residual of the placement": (calibration.fit.rms, limits.max_rms),
        "error of the arms' balance": (electronics.balance.minus_factor_error, limits.max_balance_error),
        "distance from linearity": (electronics.linearity_worst, limits.max_linearity),
        "drift of the light": (electronics.drift_share, limits.max_drift),
    }
    rough = [
        f"{name} {value:.4f} (at most {limit})" for name, (value, limit) in figures.items() if value > limit
    ]
    if rough:
        raise RigCalibrationError(f"{source} is too rough: {', '.join(rough)}.", hint=_AGAIN)


def _check_age(calibration: RigCalibration, limits: CalibrationLimits, now: dt.datetime, path: Path) -> None:
    age = now - calibration.taken_at
    if age > dt.timedelta(days=limits.max_age_days):
        found = f"{path} is {age.days} days old, at most {limits.max_age_days} are good."
        raise RigCalibrationError(found, hint=_AGAIN)
    if age < -_CLOCK_SLACK:
        found = f"{path} is dated {-age.days} days ahead of this device's clock."
        raise RigCalibrationError(found, hint="set the clock; or " + _AGAIN)


def _without_tuples(value: Any) -> Any:  # noqa: ANN401 - parts of a JSON document
    """Lists where ``asdict`` left tuples: what a reader of the file gets."""
    if isinstance(value, dict):
        return {key: _without_tuples(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_without_tuples(part) for part in value]
    return value


def _no_constant(name: str) -> None:
    """JSON has no NaN and no Infinity, whatever Python's reader says."""
    message = f"{name} is not JSON"
    raise ValueError(message)
