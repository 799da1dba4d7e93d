"""The rig of this device: its own to drive, and calibrated where it has been."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge_app.rig.mask_history import MaskHistory
from edge_app.rig.rig_lock import rig_lock
from edge_app.wall_clock import utc_if_synced
from firmware.boards.board import Board
from firmware.factory import LightStream, Rig, open_rig
from lsi.errors import RigCalibrationError
from lsi.key_files import read_public_key
from lsi.placement import CENTRED
from lsi.rig_calibration import RigCalibration, read_rig_calibration

logger = logging.getLogger(__name__)

DEFAULT_STATE: Final = Path("/var/lib/lsi")
KEY_NAME: Final = "device"
COUNT_NAME: Final = "calibration-patterns"
MASK_CACHE: Final = "encoded-masks"


def calibration_path(state: Path, board: str) -> Path:
    """Where the calibration of the board called ``board`` lies: a simulated one never replaces a real one."""
    return state / f"rig-calibration-{board}.json"


def shown_patterns(state: Path) -> int:
    """How many calibration patterns this device has ever shown, broken-off calibrations included.

    Raises:
        RigCalibrationError: The count cannot be read.
    """
    path = state / COUNT_NAME
    try:
        return int(path.read_text("ascii")) if path.exists() else 0
    except (OSError, ValueError) as cause:
        hint = "look who wrote it; remove it to count from 0."
        raise RigCalibrationError(f"{path} is not a count of patterns.", hint=hint) from cause


def read_calibration(state: Path, board: Board) -> RigCalibration | None:
    """The calibration that this device made of ``board``; ``None`` when it made none.

    Raises:
        RigCalibrationError: There is one that cannot be used: too old, too rough, of another board.
        SignatureMismatchError: It was changed.
        UntrustedKeyError: Another device made it.
    """
    path = calibration_path(state, board.name)
    if not path.exists():
        if not board.simulated:
            logger.warning("The rig is not calibrated. Try: lsi-edge calibrate --board %s", board.name)
        return None
    # Without a time of day the age cannot be judged.
    now = utc_if_synced()
    return read_rig_calibration(path, read_public_key(state / f"{KEY_NAME}.pub"), board.name, now)


@contextlib.contextmanager
def device_rig(board: Board, state: Path, light: LightStream | None = None) -> Iterator[Rig]:
    """Open ``board`` with its calibration; a real one is held against other programs.

    Raises:
        BusError: Another program drives the rig, or a bus cannot be opened.
        BoardConfigError: See ``firmware.factory.open_rig``.
        DisclosureError: The list of masks that were ever shown cannot be read.
        RigCalibrationError: See :func:`read_calibration`.
    """
    with contextlib.nullcontext() if board.simulated else rig_lock(state):
        calibration = read_calibration(state, board)
        placement = CENTRED if calibration is None else calibration.placement
        history = MaskHistory(state)
        cache = None if board.simulated else state / MASK_CACHE
        with open_rig(board, light, placement=placement, cache=cache) as rig:
            rig.on_load = history.note
            if calibration is not None:
                rig.arm_minus_factor = calibration.electronics.balance.minus_factor
            yield rig
