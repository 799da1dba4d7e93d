"""Simulated rigs that are not what their board file says: out of place, uneven, partly dead.

Light is bent before it reaches the simulated mirrors; the arms are made uneven between the optics
and the converter. Controller, drivers, timing and converter are the ones of every scan.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.boards.board import Board
from firmware.factory import Rig, open_rig
from firmware.sim.light import LightSequence
from lsi.errors import BoardConfigError, ConfigError

Field = NDArray[np.float32]

DEAD_SEED: Final = 4242
"""Which mirrors are dead: the same ones in every scan of every run."""


@dataclass(frozen=True, slots=True)
class RigFault:
    """What is wrong with a rig; the defaults are a rig without fault.

    ``shift_px`` (of 64, along the diagonal) and ``scale`` move the scene on the mirrors. ``vignetting`` is
    the part of the light lost in the corners, growing with the square of the distance from the middle.
    ``dead_mirrors`` is the part of the mask's pixels that always send their light one way: what they send
    stands in the dark reference too, so subtraction removes it and what is left is a hole in the field.
    ``arm_minus_gain`` multiplies the signal of arm -; ``stray_factor`` and ``offset_added_v`` change
    ``stray_nw`` and ``offset_v`` against the board's ``SensorModel``.
    """

    shift_px: float = 0.0
    scale: float = 1.0
    vignetting: float = 0.0
    dead_mirrors: float = 0.0
    arm_minus_gain: float = 1.0
    stray_factor: float = 1.0
    offset_added_v: float = 0.0

    def __post_init__(self) -> None:
        bounds = {
            "shift_px": (-32, 32),
            "scale": (0.25, 4),
            "vignetting": (0, 1),
            "dead_mirrors": (0, 0.9),
            "arm_minus_gain": (0.1, 10),
            "stray_factor": (0, 1000),
            "offset_added_v": (-5, 5),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                message = f"{name} must lie in {low}..{high}, found {getattr(self, name)}"
                raise ValueError(message)

    def on(self, field: Field) -> Field:
        """The light that this rig's mirrors get of ``field`` (N, N)."""
        if self.shift_px or self.scale != 1:
            weights = _moved(len(field), self.shift_px * len(field) / 64 / np.sqrt(2), self.scale)
            field = (weights @ field @ weights.T).astype(np.float32)
        return (field * self._transmission(len(field))).astype(np.float32)

    def _transmission(self, side: int) -> Field:
        axis = (np.arange(side) + 0.5) / side * 2 - 1
        radius = (axis[:, None] ** 2 + axis[None, :] ** 2) / 2
        alive = np.random.default_rng(DEAD_SEED).random((side, side)) >= self.dead_mirrors
        transmission: Field = ((1 - self.vignetting * radius) * alive).astype(np.float32)
        return transmission


NAMES: Final = tuple(field.name for field in fields(RigFault))


def parse_faults(words: Sequence[str]) -> RigFault:
    """The fault that words such as ``shift_px=1.5`` describe.

    Raises:
        ConfigError: An unknown name, no number, or one out of range.
    """
    hint = f"NAME=NUMBER with one of {', '.join(NAMES)}."
    values: dict[str, float] = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            values[name] = float(number)
        except ValueError as cause:
            raise ConfigError(f"--fault {word} has no number.", hint=hint) from cause
    unknown = sorted(set(values) - set(NAMES))
    if unknown:
        raise ConfigError(f"There is no fault {', '.join(unknown)}.", hint=hint)
    try:
        return RigFault(**values)
    except ValueError as cause:
        raise ConfigError(f"--fault: {cause}.", hint="a number within the range.") from cause


def open_faulty_rig(board: Board, light: Iterable[Field], fault: RigFault) -> Rig:
    """A simulated ``board`` with ``fault``, under one field of ``light`` after another.

    Raises:
        BoardConfigError: The board is not simulated: a real rig has the faults that it has.
    """
    if board.simulation is None:
        found = f"Board '{board.name}' is not simulated; faults cannot be put into it."
        raise BoardConfigError(found, hint="a simulated board, or no --fault.")
    board = _misread(board, fault)
    arm_minus, offset_v = board.arm_channels[-1], board.sensor.offset_v

    def amplified_v(channel: int, volts: float) -> float:
        return volts if channel != arm_minus else offset_v + fault.arm_minus_gain * (volts - offset_v)

    return open_rig(board, LightSequence(_bent(light, fault)), amplified_v)


def _bent(light: Iterable[Field], fault: RigFault) -> Iterator[Field]:
    return (fault.on(field) for field in light)


def _misread(board: Board, fault: RigFault) -> Board:
    """The board with the sensor that is really there."""
    sensor = board.sensor
    stray_nw, offset_v = sensor.stray_nw * fault.stray_factor, sensor.offset_v + fault.offset_added_v
    return replace(board, sensor=replace(sensor, stray_nw=stray_nw, offset_v=offset_v))


def _moved(side: int, shift_px: float, scale: float) -> NDArray[np.float64]:
    """Row i: how much each source pixel gives to pixel i after scaling and shifting; edges repeat."""
    middle = (side - 1) / 2
    source = np.clip((np.arange(side) - middle - shift_px) / scale + middle, 0, side - 1)
    below = np.minimum(source.astype(int), side - 2)
    weights = np.zeros((side, side))
    weights[np.arange(side), below] = 1 - (source - below)
    weights[np.arange(side), below + 1] += source - below
    return weights
