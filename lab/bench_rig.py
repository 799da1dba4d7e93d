"""The device's own path on a bench: light in, logits out, through the simulated board."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.encoder import TfliteEncoder
from firmware.acquisition.correction import correct
from firmware.boards.board import Board
from firmware.factory import open_rig
from firmware.sim.light import LightSequence
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.errors import LowLightError, SaturationError
from lsi.measurement import Measurement

Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class Answered:
    """One scan that was not dropped. Shape: ``measurement`` (d,)."""

    measurement: NDArray[np.float32]
    logits: AttributeLogits


def with_power(board: Board, power_nw: float) -> Board:
    """The same board in other light."""
    return replace(board, sensor=replace(board.sensor, power_nw=power_nw))


def chain_logits(
    bundle: Bundle, board: Board, fields: Iterable[Field]
) -> Iterator[NDArray[np.float32] | None]:
    """Logits (K + 1,) of each field through optics, wires, drivers, correction and TFLite.

    ``None`` stands for a scan that was dropped because of too much or too little light.
    """
    for answered in chain_answers(bundle, board, fields):
        yield None if answered is None else answered.logits.values


def chain_answers(bundle: Bundle, board: Board, fields: Iterable[Field]) -> Iterator[Answered | None]:
    """:func:`chain_logits` with the measurement that the device never shows to anyone."""
    encoder = TfliteEncoder(bundle)
    with open_rig(board, LightSequence(fields)) as rig:
        rig.load(bundle.patterns)
        while rig.next_scene():
            raw, dark = rig.scan(bundle.patterns)
            try:
                measurement = correct(raw, dark)
                yield Answered(measurement.values, encoder.encode(measurement))
            except (LowLightError, SaturationError):
                yield None


def ideal_logits(bundle: Bundle, fields: Iterable[Field]) -> Iterator[NDArray[np.float32] | None]:
    """Logits of the bundle's model for exact ratios: no noise, no converter, no drivers."""
    encoder = TfliteEncoder(bundle)
    signs = np.where(bundle.patterns.masks, 1.0, -1.0).reshape(len(bundle.patterns), -1)
    for field in fields:
        light = field.reshape(-1).astype(np.float64)
        if not light.any():
            yield None
            continue
        ratio = (signs @ light / light.sum()).astype(np.float32)
        yield encoder.encode(Measurement(ratio, bundle.patterns.digest, 0, 0)).values
