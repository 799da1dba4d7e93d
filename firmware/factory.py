"""The one place that chooses between a real board and a simulated one."""

from pathlib import Path

from firmware.boards.board import Board
from firmware.rig import Rig
from firmware.sim.light import LightSource, LightStream
from firmware.sim.spi import Amplifier
from lsi.placement import CENTRED, Placement

__all__ = ["Amplifier", "LightStream", "Rig", "open_rig"]


def open_rig(
    board: Board,
    light: LightSource | None = None,
    amplifier: Amplifier | None = None,
    placement: Placement = CENTRED,
    cache: Path | None = None,
) -> Rig:
    """Open ``board``.

    Args:
        board: What to open.
        light: What shines on a simulated board; a smooth field by default.
        amplifier: What a simulated board has between its optics and its converter; nothing by default.
        placement: Where the field lies on the mirrors, from the calibration.
        cache: Folder in which a real board keeps masks as they were encoded; nowhere by default.

    Raises:
        BoardConfigError: Parts that do not fit together, or a package of the extra ``pi`` is missing.
        BusError: A bus of a real board cannot be opened.
    """
    # Only the kind that is asked for is read: packages of real buses are not there on a machine
    # that only simulates, and a real device starts sooner without the simulator.
    if board.simulation is not None:
        from firmware.sim.rig import SimulatedSurroundings, simulated_rig  # noqa: PLC0415

        return simulated_rig(board, SimulatedSurroundings(board.simulation, light, amplifier), placement)
    from firmware.buses.rig import real_rig  # noqa: PLC0415

    return real_rig(board, placement, cache)
