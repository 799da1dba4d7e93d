"""``lsi-edge calibrate``: from a wired rig to a signed calibration, step by step at the bench."""

import argparse
import contextlib
import datetime as dt
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.cli_commands.calibration_plots import write_plots
from edge_app.cli_commands.command_parts import add_board, board_of
from edge_app.rig.device_rig import COUNT_NAME, KEY_NAME, calibration_path, shown_patterns
from edge_app.rig.rig_lock import rig_lock
from firmware.boards.board import Board
from firmware.calibration.bench_light import BenchLight
from firmware.calibration.procedure import CalibrationPlan, CalibrationResult, Step, run_calibration
from firmware.drivers.mirror_field import MirrorField, dmd_named
from firmware.factory import Rig, open_rig
from lsi.errors import ConfigError, RigCalibrationError
from lsi.key_files import KEY_SUFFIX, read_secret_key, write_key_pair
from lsi.measurement import DarkReference, RawScan
from lsi.minisign import SecretKey
from lsi.patterns import PatternSet
from lsi.rig_calibration import (
    DEFAULT_LIMITS,
    BlockMap,
    Electronics,
    FitQuality,
    RigCalibration,
    check_quality,
    write_rig_calibration,
)
from lsi.whole_file import whole_file

_DIGITS: Final = 6
"""More would write down noise."""

_INSTRUCTIONS: Final = {
    Step.COVERED: "Cover the lens with its cap or with thick black card.",
    Step.WHITE_CARD: "Uncover the lens. Fill its view with an evenly lit white card: paper without print.",
    Step.TARGET: "Hold the printed target upright where faces will be: its frame is what the masks will see.",
}


def add_calibrate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    calibrate = commands.add_parser(
        "calibrate",
        help="find where the field lies on the mirrors and how even the arms are, and sign the result",
        description="Guided: covered lens, white card, printed target (hardware/targets). Shows a fixed list "
        "of patterns; no picture is made, only parameters and residuals are kept. Stop the service first.",
        epilog="Example: lsi-edge calibrate --board pi-dlpc900-mcp3208",
    )
    add_board(calibrate)
    calibrate.add_argument(
        "--scans", type=_positive, default=8, metavar="N", help="scans of each step (default: %(default)s)"
    )
    calibrate.add_argument(
        "--mask-side",
        type=_positive,
        default=64,
        metavar="PIXELS",
        help="side of the bundle's masks (default: %(default)s)",
    )
    calibrate.add_argument(
        "--paper", action="store_true", help="also fit volts to the scale of the paper's bundles"
    )
    calibrate.add_argument("--yes", action="store_true", help="do not wait; on simulated boards only")
    calibrate.set_defaults(command=_calibrate)


def _calibrate(parsed: argparse.Namespace) -> int:
    board = board_of(parsed)
    ask = _asking(board, without_waiting=parsed.yes)
    plan = CalibrationPlan(parsed.mask_side, board.modulator.mirror_scale_px, parsed.scans, parsed.paper)
    state: Path = parsed.state
    with rig_lock(state):
        key = _device_key(state / KEY_NAME)
        with _counted_rig(board, state) as counted:
            result = run_calibration(counted, plan, _preparing(counted.rig, ask))
        calibration = _calibration(board, plan, result, counted.patterns_shown)
        path = calibration_path(state, board.name)
        check_quality(calibration, DEFAULT_LIMITS, "This calibration")
        MirrorField(
            dmd_named(board.modulator.dmd),
            plan.side_px,
            plan.side_px,
            plan.mirror_scale_px,
            calibration.placement,
        )
        write_rig_calibration(path, calibration, key)
        plots = write_plots(state / f"calibration-{board.name}", result)
    print(_report(calibration))
    print(f"Signed by {key.public_key.name}: {path}")
    print(f"Drawn: {', '.join(str(plot) for plot in plots)}")
    return 0


def _asking(board: Board, *, without_waiting: bool) -> Callable[[str], None]:
    """How a step waits for the person.

    Raises:
        ConfigError: Nobody is there to be asked, or a real board is to be calibrated unattended.
    """
    if without_waiting:
        if not board.simulated:
            found = f"Board '{board.name}' is not simulated: somebody has to hold card and target."
            raise ConfigError(found, hint="calibrate without --yes, at the rig.")
        return print
    if not sys.stdin.isatty():
        found = "Nobody can be asked: standard input is not a terminal."
        raise ConfigError(found, hint="run it in a terminal on the device; --yes for a simulated board.")
    return _wait_for_enter


def _wait_for_enter(instruction: str) -> None:
    print(f"{instruction}\nThen press Enter (Ctrl-C gives up).", flush=True)
    if not sys.stdin.readline():
        found = "The terminal was closed before the calibration had ended."
        raise RigCalibrationError(found, hint="start again; nothing was written.")


def _preparing(rig: Rig, ask: Callable[[str], None]) -> Callable[[Step], None]:
    """Ask, then let simulated light follow."""
    steps = list(Step)

    def prepare(step: Step) -> None:
        ask(f"[{steps.index(step) + 1}/{len(steps)}] {_INSTRUCTIONS[step]}")
        rig.next_scene()

    return prepare


@dataclass(slots=True)
class _CountedRig:
    """A rig, and how many patterns it has been made to show."""

    rig: Rig
    patterns_shown: int = 0

    def load(self, patterns: PatternSet) -> None:
        self.rig.load(patterns)

    def scan(self, patterns: PatternSet) -> tuple[RawScan, DarkReference]:
        self.patterns_shown += len(self.rig.parts.sequence_of(patterns))
        return self.rig.scan(patterns)


@contextlib.contextmanager
def _counted_rig(board: Board, state: Path) -> Iterator[_CountedRig]:
    """Open ``board``; what it shows is added to the device's count, also after a failure."""
    before = shown_patterns(state)
    with open_rig(board, BenchLight() if board.simulated else None) as rig:
        counted = _CountedRig(rig)
        try:
            yield counted
        finally:
            with whole_file(state / COUNT_NAME) as file:
                file.write(f"{before + counted.patterns_shown}\n".encode())


def _device_key(stem: Path) -> SecretKey:
    """The device's key; made, with mode 0600, when there is none.

    Raises:
        KeyFileError: It cannot be read or written, or is open to others.
    """
    path = stem.with_name(stem.name + KEY_SUFFIX)
    if not path.exists():
        write_key_pair(SecretKey.generate(), stem)
    return read_secret_key(path)


def _calibration(
    board: Board, plan: CalibrationPlan, result: CalibrationResult, patterns_shown: int
) -> RigCalibration:
    geometry, light = result.geometry, result.throughput
    worst = max(map(abs, geometry.residuals))
    return RigCalibration(
        board=board.name,
        simulated=board.simulated,
        taken_at=dt.datetime.now(dt.UTC).replace(microsecond=0),
        mask_side_px=plan.side_px,
        mirror_scale_px=plan.mirror_scale_px,
        patterns_shown=patterns_shown,
        placement=geometry.placement,
        placement_error=geometry.error,
        fit=FitQuality(
            round(geometry.rms, _DIGITS),
            tuple(round(value, _DIGITS) for value in geometry.direction_rms()),
            round(worst, _DIGITS),
            round(geometry.black, _DIGITS),
        ),
        electronics=Electronics(
            result.balance, result.linearity.worst, result.stray_shares, result.drift_share
        ),
        throughput=BlockMap(tuple(light.blocks.round(3).reshape(-1).tolist()), light.dim, light.dead),
        paper=result.paper,
    )


def _report(calibration: RigCalibration) -> str:
    """What a person reads at the end."""
    electronics, light = calibration.electronics, calibration.throughput
    balance, stray = electronics.balance, electronics.stray_shares
    lines = {
        **_placement_lines(calibration),
        "fit": f"leaves {calibration.fit.rms:.5f}, at worst {calibration.fit.worst:.5f}",
        "arm -": f"times {balance.minus_factor:.4f} +- {balance.minus_factor_error:.4f}",
        "linearity": f"within {electronics.linearity_worst:.4f} of all-open",
        "stray light": f"{stray[0]:.3f} and {stray[1]:.3f} of all-open",
        "drift": f"{electronics.drift_share:.4f} of the light",
        "throughput": f"{min(light.blocks):.2f} to {max(light.blocks):.2f} of the mean",
        "blocks": f"{len(light.dim)} of {len(light.blocks)} dim, {len(light.dead)} of them dead",
        "patterns shown": f"{calibration.patterns_shown}",
    }
    if calibration.paper is not None:
        lines["paper's scale"] = f"{calibration.paper.per_v:.1f} a volt {calibration.paper.offset:+.1f}"
    return "\n".join(f"{name:16} {value}" for name, value in lines.items())


def _placement_lines(calibration: RigCalibration) -> dict[str, str]:
    place, error = calibration.placement, calibration.placement_error
    degrees, degrees_error = math.degrees(place.rotation_rad), math.degrees(error.rotation_rad)
    exchanged = ", left and right exchanged" if place.is_flipped else ""
    return {
        "shift right": f"{place.shift_x_px:.2f} +- {error.shift_x_px:.2f} mirrors",
        "shift down": f"{place.shift_y_px:.2f} +- {error.shift_y_px:.2f} mirrors",
        "scale": f"{place.scale:.4f} +- {error.scale:.4f}",
        "rotation": f"{degrees:.2f} +- {degrees_error:.2f} degrees{exchanged}",
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"{number} is not 1 or more"
        raise argparse.ArgumentTypeError(message)
    return number
