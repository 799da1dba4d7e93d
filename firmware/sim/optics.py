"""Light between scene and converter: mirrors, two arms, photodiodes, noise.

The mirrors are those that the simulated controller decoded from the bytes it was sent,
not the masks that the driver was given.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import MirrorState, Shown
from firmware.sim.dlpc900_sequencer import HEIGHT_PX, WIDTH_PX
from firmware.sim.light import LightSource
from lsi.errors import FrameError
from lsi.sensor import SensorModel

FIELD_SIDE: Final = 64
"""Mask pixels across the area that the lens lights, in units of the board's mirror scale."""

_HALF: Final = np.array([0.5, 0.5])
_ALL_MINUS: Final = np.array([0.0, 1.0])
_NEITHER: Final = np.array([0.0, 0.0])
_FLAT_SHARES: Final = {
    MirrorState.PARKED: _NEITHER,
    MirrorState.IDLE: _HALF,
    MirrorState.MOVING: _HALF,
    MirrorState.ALL_OFF: _ALL_MINUS,
}


class Optics:
    """What is on the converter's inputs at any time.

    Args:
        controller: Whose mirrors.
        light: What shines on them; its field covers the lit area.
        sensor: Diodes, amplifiers and converter, one per arm.
        channels: Converter channel of arm + and of arm -; others are at 0 V.
        mirror_scale_px: Mirrors per mask pixel.
        seed: Of the noise.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different part
        self,
        *,
        controller: SimDlpc900,
        light: LightSource,
        sensor: SensorModel,
        channels: tuple[int, int],
        mirror_scale_px: int,
        seed: int,
    ) -> None:
        self._controller = controller
        self._light = light
        self._sensor = sensor
        self._arm_of = {channel: arm for arm, channel in enumerate(channels)}
        self._side_px = FIELD_SIDE * mirror_scale_px
        self._noise = np.random.default_rng(seed)
        self._open = np.zeros((0, 0))
        self._open_key: tuple[int, int] | None = None
        self._shares = np.zeros((0, 2))
        self._shares_key: tuple[int, int] | None = None
        self._inputs: dict[Shown, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def volts_at(self, channel: int, now_ns: int) -> float:
        """Converter input of ``channel`` at ``now_ns``, noise included."""
        arm = self._arm_of.get(channel)
        if arm is None:
            return 0.0
        volts, noise_v = self._input_of(self._controller.showing_at(now_ns))
        return float(volts[arm] + noise_v[arm] * self._noise.standard_normal())

    def _input_of(self, shown: Shown) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        key = (self._controller.revision, self._light.revision)
        if key != self._shares_key:
            self._shares = self._plane_shares()
            self._shares_key = key
            self._inputs.clear()
        if shown not in self._inputs:
            power_nw = self._sensor.power_nw * self._share_of(shown)
            self._inputs[shown] = (self._sensor.volts(power_nw), self._sensor.noise_v(power_nw))
        return self._inputs[shown]

    def _share_of(self, shown: Shown) -> NDArray[np.float64]:
        """Share of white light on each arm, shape (2,)."""
        if shown.state is MirrorState.PLANE and shown.plane is not None:
            plane: NDArray[np.float64] = self._shares[shown.plane]
            return plane
        return _FLAT_SHARES[shown.state] * float(self._light.field.mean())

    def _plane_shares(self) -> NDArray[np.float64]:
        """Shares (n, 2) of every loaded pattern under the present light, as one product."""
        field = self._light.field.astype(np.float64)
        fractions = self._open_fractions(field.shape[0], field.shape[1])
        plus = fractions @ field.reshape(-1) / field.size
        return np.stack([plus, field.mean() - plus], axis=1)

    def _open_fractions(self, height: int, width: int) -> NDArray[np.float64]:
        if height != width or self._side_px % height:
            found = f"A light field of {height} x {width} does not cover a square of {self._side_px} mirrors."
            raise FrameError(found, hint=f"a square field whose side divides {self._side_px}.")
        key = (self._controller.revision, height)
        if key != self._open_key:
            origin_px = ((HEIGHT_PX - self._side_px) // 2, (WIDTH_PX - self._side_px) // 2)
            scale_px = self._side_px // height
            fractions = self._controller.open_fraction((height, width), origin_px, scale_px)
            self._open = fractions.reshape(len(fractions), -1).astype(np.float64)
            self._open_key = key
        return self._open
