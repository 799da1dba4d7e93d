"""What the commands of ``lsi-edge`` share: which board is meant, and what shines on it."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge_app.rig.device_rig import DEFAULT_STATE, device_rig
from edge_app.settings.config import DEFAULT_CONFIG
from firmware.boards.board import SIMULATED_BOARD, Board, find_board
from firmware.factory import LightStream, Rig
from lsi.errors import SceneError


def add_board(parser: argparse.ArgumentParser) -> None:
    """Add ``--board`` and ``--simulate``."""
    parser.add_argument(
        "--board",
        metavar="NAME_OR_FILE",
        default=SIMULATED_BOARD,
        help="a shipped board or a .toml file (default: %(default)s)",
    )
    add_simulate(parser)
    add_state(parser)


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """Add ``--simulate``."""
    parser.add_argument("--simulate", action="store_true", help=f"use the simulated board {SIMULATED_BOARD}")


def board_of(parsed: argparse.Namespace) -> Board:
    """The board that :func:`add_board`'s options name.

    Raises:
        BoardConfigError: There is none, or its file cannot be used.
    """
    return find_board(SIMULATED_BOARD if parsed.simulate else parsed.board)


def add_state(parser: argparse.ArgumentParser) -> None:
    """Add ``--state``."""
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="FOLDER",
        help="where the device keeps key and calibration (default: %(default)s)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s"
    )


def add_light(parser: argparse.ArgumentParser) -> None:
    """Add ``--light``."""
    parser.add_argument(
        "--light",
        metavar="FILE",
        help="light frames for the simulated board; - reads standard input; default: a smooth field",
    )


@contextlib.contextmanager
def open_board(board: Board, state: Path, light: str | None = None) -> Iterator[Rig]:
    """Open ``board`` under the light frames of a file, of standard input (``-``), or none.

    Raises:
        BoardConfigError: See ``firmware.factory.open_rig``.
        BusError: A bus of a real board cannot be opened, or another program drives it.
        RigCalibrationError: The rig's calibration cannot be used.
        SceneError: The file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        source = None
        if light == "-":
            source = LightStream(sys.stdin.buffer)
        elif light is not None:
            source = LightStream(stack.enter_context(_light_file(Path(light))))
        yield stack.enter_context(device_rig(board, state, source))


def _light_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as cause:
        found = f"Light {path} cannot be read ({cause.strerror})."
        raise SceneError(found, hint="a file of light frames, or - for standard input.") from cause
