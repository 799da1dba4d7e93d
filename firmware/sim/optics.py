"""Light between scene and converter: mirrors, two arms, photodiodes, noise.

The mirrors are those that the simulated controller decoded from the bytes it was sent,
not the masks that the driver was given.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import MirrorState, Shown
from firmware.sim.light import ChangingLight, LightSource
from lsi.errors import FrameError
from lsi.sensor import SensorModel

FIELD_SIDE: Final = 64
"""Mask pixels across the area that the lens lights, in units of the board's mirror scale."""

TRIGGER_LOW_V, TRIGGER_HIGH_V = 0.05, 0.75
"""Levels of TRIG_OUT_1 behind its divider, in parts of the converter's reference."""
LAMP_SHARE: Final = 0.5
"""Light on the lamp's photodiode, in parts of what a white scene sends to both arms."""

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
        channels: Converter channel of arm + and, where there is one, of arm -.
        mirror_scale_px: Mirrors per mask pixel.
        seed: Of the noise.
        trigger_channel: Where TRIG_OUT_1 is sampled, behind a divider.
        lamp_channel: Where a photodiode is sampled that sees the lamp itself, whatever the scene
            and the mirrors. All other channels are at 0 V.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different part
        self,
        *,
        controller: SimDlpc900,
        light: LightSource,
        sensor: SensorModel,
        channels: tuple[int, ...],
        mirror_scale_px: int,
        seed: int,
        trigger_channel: int | None = None,
        lamp_channel: int | None = None,
    ) -> None:
        self._controller = controller
        self._light = light
        self._sensor = sensor
        self._lamp = light if isinstance(light, ChangingLight) else None
        self._trigger_channel = trigger_channel
        self._lamp_channel = lamp_channel
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
        if arm is not None:
            return self._arm_v(arm, now_ns)
        if channel == self._trigger_channel:
            level = TRIGGER_HIGH_V if self._controller.exposure_level_at(now_ns) else TRIGGER_LOW_V
            return level * self._sensor.vref_v + self._noise.standard_normal() * self._sensor.read_noise_v
        if channel == self._lamp_channel:
            return self._noisy_v(LAMP_SHARE * self._sensor.power_nw * self._factor_at(now_ns))
        return 0.0

    def _arm_v(self, arm: int, now_ns: int) -> float:
        shown = self._controller.showing_at(now_ns)
        if self._lamp is not None:
            self._refresh_shares()
            share = float(self._share_of(shown)[arm])
            return self._noisy_v(share * self._sensor.power_nw * self._factor_at(now_ns))
        volts, noise_v = self._input_of(shown)
        return float(volts[arm] + noise_v[arm] * self._noise.standard_normal())

    def _factor_at(self, now_ns: int) -> float:
        return 1.0 if self._lamp is None else self._lamp.factor_at(now_ns)

    def _noisy_v(self, power_nw: float) -> float:
        power = np.array([power_nw])
        volts, noise_v = self._sensor.volts(power)[0], self._sensor.noise_v(power)[0]
        return float(volts + noise_v * self._noise.standard_normal())

    def _input_of(self, shown: Shown) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self._refresh_shares()
        if shown not in self._inputs:
            power_nw = self._sensor.power_nw * self._share_of(shown)
            self._inputs[shown] = (self._sensor.volts(power_nw), self._sensor.noise_v(power_nw))
        return self._inputs[shown]

    def _refresh_shares(self) -> None:
        key = (self._controller.revision, self._light.revision)
        if key != self._shares_key:
            self._shares = self._plane_shares()
            self._shares_key = key
            self._inputs.clear()

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
            height_px, width_px = self._controller.size_px
            origin_px = ((height_px - self._side_px) // 2, (width_px - self._side_px) // 2)
            scale_px = self._side_px // height
            fractions = self._controller.open_fraction((height, width), origin_px, scale_px)
            self._open = fractions.reshape(len(fractions), -1).astype(np.float64)
            self._open_key = key
        return self._open
