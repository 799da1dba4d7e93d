"""The one place that opens a board: its controller, converter and trigger wires."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from firmware.board import SIMULATED_BOARD, Board, Simulation
from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.scan import ScanParts, run_scan
from firmware.sequence import sequence_of
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import LightSource, LightStream, StillLight, smooth_field
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.optics import Optics
from firmware.sim.spi import SimSpi, VoltsAt
from firmware.sim.trigger import SimTriggerLine
from firmware.stepped import SteppedAcquisition
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
        parts = self.parts
        sequence = sequence_of(patterns, parts.layout)
        parts.modulator.load(sequence, self.board.plan.exposure_ns, parts.acquisition.advance)

    def is_loaded(self, patterns: PatternSet) -> bool:
        """Whether the controller is known to hold these masks."""
        return self.parts.modulator.loaded_digest == sequence_of(patterns, self.parts.layout).digest

    def scan(self, patterns: PatternSet) -> tuple[RawScan, DarkReference]:
        """One scan of masks that are loaded; see ``run_scan``."""
        return run_scan(patterns, self.parts)

    def next_scene(self) -> bool:
        """Move simulated light to its next scene; ``False`` at its end. Always true in real light."""
        return self.light is None or self.light.advance()


Amplifier = Callable[[int, float], float]
"""What stands between optics and converter: (channel, volts in) to volts out."""


def open_rig(board: Board, light: LightSource | None = None, amplifier: Amplifier | None = None) -> Rig:
    """Open ``board``.

    Args:
        board: What to open.
        light: What shines on a simulated board; a smooth field by default.
        amplifier: What a simulated board has between its optics and its converter; nothing by default.

    Raises:
        BoardConfigError: A board with real buses: their adapters are not part of this
            version. Or light for a board that is not simulated.
    """
    if board.simulation is None:
        found = f"Board '{board.name}' is not simulated, and this version has no adapters for real buses."
        raise BoardConfigError(found, hint=f'--simulate, or board = "{SIMULATED_BOARD}".')
    return _simulated(board, board.simulation, light or StillLight(smooth_field()), amplifier)


def _simulated(board: Board, simulation: Simulation, light: LightSource, amplifier: Amplifier | None) -> Rig:
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
    chip = Mcp3208Chip(_amplified(optics.volts_at, amplifier), board.sensor)
    spi = SimSpi(chip, clock, board.converter.spi_hz, simulation.spi_overhead_ns)
    acquisition = SteppedAcquisition(
        plan=board.plan,
        modulator=Dlpc900(controller, board.modulator.dmd, mirror_scale_px=scale_px),
        detector=Mcp3208Detector(spi, channels, board.sensor.vref_v),
        trigger=SimTriggerLine(controller, clock),
        clock=clock,
    )
    return Rig(board, ScanParts(acquisition.modulator, acquisition, clock), light)


def _amplified(volts_at: VoltsAt, amplifier: Amplifier | None) -> VoltsAt:
    if amplifier is None:
        return volts_at
    return lambda channel, now_ns: amplifier(channel, volts_at(channel, now_ns))
