"""``Rig``: an open board, real or simulated."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from firmware.acquisition.dark_average import DarkAverage
from firmware.acquisition.scan import ScanParts, run_scan
from firmware.blame import Blame
from firmware.boards.board import Board
from firmware.interfaces import SpiDevice
from firmware.mirror_duty import MirrorDuty
from lsi.errors import LsiError, Part
from lsi.measurement import DarkReference, RawScan
from lsi.patterns import PatternSet


def _real_light() -> bool:
    return True


def _uncounted(_: PatternSet) -> None:
    """A bench, or a calibration, which counts its own."""


@dataclass(slots=True)
class Rig:
    """An open board. Leaving the context stops the modulator, so that the mirrors idle, and closes the buses.

    ``next_scene`` moves simulated light on and is false at its end; real light never ends.
    ``dark`` averages the dark references of passes; ``arm_minus_factor``, of the calibration,
    brings arm - to the scale of arm +.
    ``on_load`` is told which masks are going to be shown, before they are.
    ``spi`` is the converter's bus on this host, if there is one; for the bench.
    """

    board: Board
    parts: ScanParts
    next_scene: Callable[[], bool] = _real_light
    buses: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    spi: SpiDevice | None = None
    arm_minus_factor: float = 1.0
    dark: DarkAverage = field(default_factory=DarkAverage)
    duty: MirrorDuty = field(default_factory=MirrorDuty)
    on_load: Callable[[PatternSet], None] = _uncounted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A failure to stop must not hide why the board is being closed.
        with self.buses, contextlib.suppress(LsiError) if error is not None else contextlib.nullcontext():
            self.parts.modulator.stop()

    def load(self, patterns: PatternSet) -> None:
        """Put the masks and the dark patterns into the controller.

        Raises:
            BusError: The controller refuses or does not answer.
            ShapeMismatchError: More or larger masks than the DMD can show.
        """
        parts = self.parts
        self.on_load(patterns)
        sequence = parts.sequence_of(patterns)
        with Blame(Part.CONTROLLER):
            parts.modulator.load(sequence, self.board.plan.exposure_ns, parts.acquisition.advance)

    def is_loaded(self, patterns: PatternSet) -> bool:
        """Whether the controller is known to hold these masks."""
        return self.parts.modulator.loaded_digest == self.parts.sequence_of(patterns).digest

    def scan(self, patterns: PatternSet) -> tuple[RawScan, DarkReference]:
        """One scan of masks that are loaded; see ``run_scan``."""
        raw, dark = run_scan(patterns, self.parts)
        dark = self.dark.add(dark, raw.counts.shape[2])
        sequence = self.parts.sequence_of(patterns)
        ended_at_ns = raw.started_at_ns + raw.duration_ns
        self.duty.add_pass(sequence, self.board.plan.exposure_ns, raw.started_at_ns, ended_at_ns)
        return raw, dark
