"""The one place that opens a board: its controller, converter and trigger wires."""

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from firmware.board import SIMULATED_BOARD, Board, Simulation
from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.mcp3208 import TwoArmMcp3208
from firmware.scan import ScanParts, run_scan, with_dark_references
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import LightSource, LightStream, StillLight, smooth_field
from firmware.sim.mcp3208_chip import Mcp3208Chip, SimSpi
from firmware.sim.optics import Optics
from firmware.sim.trigger import SimTriggerLine
from lsi.errors import BoardConfigError, LsiError
from lsi.measurement import DarkReference, RawScan
from lsi.patterns import PatternSet

__all__ = ["LightStream", "Rig", "open_rig"]


@dataclass(slots=True)
class Rig:
    """An open board. Leaving the context stops the modulator: the mirrors idle."""

    board: Board
    parts: ScanParts
    light: LightSource | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A failure to stop must not hide why the board is being closed.
        with contextlib.suppress(LsiError) if error is not None else contextlib.nullcontext():
            self.parts.modulator.stop()

    def load(self, patterns: PatternSet) -> None:
        """Put the masks and the dark patterns into the controller.

        Raises:
            BusError: The controller refuses or does not answer.
            ShapeMismatchError: More or larger masks than the DMD can show.
        """
        self.parts.modulator.load(with_dark_references(patterns), self.board.plan.exposure_ns)

    def is_loaded(self, patterns: PatternSet) -> bool:
        """Whether the controller is known to hold these masks."""
        return self.parts.modulator.loaded_digest == with_dark_references(patterns).digest

    def scan(self, patterns: PatternSet) -> tuple[RawScan, DarkReference]:
        """One scan of masks that are loaded; see ``run_scan``."""
        return run_scan(self.board.plan, patterns, self.parts)

    def next_scene(self) -> bool:
        """Move simulated light to its next scene; ``False`` at its end. Always true in real light."""
        return self.light is None or self.light.advance()


def open_rig(board: Board, light: LightSource | None = None) -> Rig:
    """Open ``board``.

    Args:
        board: What to open.
        light: What shines on a simulated board; a smooth field by default.

    Raises:
        BoardConfigError: A board with real buses: their adapters are not part of this
            version. Or light for a board that is not simulated.
    """
    if board.simulation is None:
        found = f"Board '{board.name}' is not simulated, and this version has no adapters for real buses."
        raise BoardConfigError(found, hint=f'--simulate, or board = "{SIMULATED_BOARD}".')
    return _simulated(board, board.simulation, light or StillLight(smooth_field()))


def _simulated(board: Board, simulation: Simulation, light: LightSource) -> Rig:
    clock = SimClock()
    controller = SimDlpc900(clock, waiting=simulation.waiting)
    channels = (board.converter.arm_plus_channel, board.converter.arm_minus_channel)
    scale_px = board.modulator.mirror_scale_px
    optics = Optics(
        controller=controller,
        light=light,
        sensor=board.sensor,
        channels=channels,
        mirror_scale_px=scale_px,
        seed=simulation.seed,
    )
    chip = Mcp3208Chip(optics.volts_at, board.sensor)
    spi = SimSpi(chip, clock, board.converter.spi_hz, simulation.spi_overhead_ns)
    parts = ScanParts(
        modulator=Dlpc900(controller, board.modulator.dmd, mirror_scale_px=scale_px),
        detector=TwoArmMcp3208(spi, clock, channels),
        trigger=SimTriggerLine(controller, clock),
        clock=clock,
    )
    return Rig(board, parts, light)
