"""``SensorModel``: the detector's physics as one set of constants.

The simulator of the board and the forward model of the training read the same
values, so that what is trained is what is measured.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.units import nw_to_w

ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
BOLTZMANN_J_PER_K: Final = 1.380649e-23
SINGLE_POLE_NOISE_BANDWIDTH: Final = math.pi / 2
"""Equivalent noise bandwidth of one pole, in units of its -3 dB frequency."""


@dataclass(frozen=True, slots=True)
class SensorModel:
    """One photodiode, transimpedance amplifier and converter per arm.

    ``power_nw`` is the optical power on both diodes together when the scene is
    white everywhere (luminance 1 in every pixel): the light axis of every figure.
    ``stray_nw`` reaches each diode whatever the mirrors do. ``offset_v`` keeps a
    single-supply converter away from 0 in the dark. ``read_noise_v`` is everything
    that is neither photon nor Johnson noise, per conversion.
    """

    adc_bits: int
    vref_v: float
    responsivity_a_per_w: float
    transimpedance_ohm: float
    voltage_gain: float
    bandwidth_hz: float
    temperature_k: float
    read_noise_v: float
    offset_v: float
    stray_nw: float
    power_nw: float

    @property
    def full_scale_counts(self) -> int:
        """The highest code of the converter."""
        return int(2**self.adc_bits - 1)

    @property
    def counts_per_v(self) -> float:
        """Converter codes per volt at its input."""
        return float(2**self.adc_bits / self.vref_v)

    @property
    def counts_per_nw(self) -> float:
        """Converter codes per nanowatt on one diode."""
        amps = self.responsivity_a_per_w * nw_to_w(1.0)
        return amps * self.transimpedance_ohm * self.voltage_gain * self.counts_per_v

    def volts(self, power_nw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Noise-free converter input for the scene's power on one diode, in nW."""
        amps = self.responsivity_a_per_w * nw_to_w(1.0) * (power_nw + self.stray_nw)
        return amps * self.transimpedance_ohm * self.voltage_gain + self.offset_v

    def noise_v(self, power_nw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation of one conversion: photon, Johnson and read noise.

        Shot noise 2qI and Johnson noise 4kT/R, both over the noise bandwidth of the
        amplifier's pole (``reference`` in ``docs/explanation/sensor-model.md``).
        """
        band_hz = SINGLE_POLE_NOISE_BANDWIDTH * self.bandwidth_hz
        amps = self.responsivity_a_per_w * nw_to_w(1.0) * (power_nw + self.stray_nw)
        shot = 2 * ELEMENTARY_CHARGE_C * amps * band_hz
        thermal = 4 * BOLTZMANN_J_PER_K * self.temperature_k * band_hz
        current_a = np.sqrt(shot + thermal / self.transimpedance_ohm)
        front_end_v = current_a * self.transimpedance_ohm * self.voltage_gain
        total: NDArray[np.float64] = np.hypot(front_end_v, self.read_noise_v)
        return total

    def counts(self, volts: NDArray[np.float64]) -> NDArray[np.uint16]:
        """What an ideal converter of this width returns, clipped at both ends."""
        codes = np.floor(volts * self.counts_per_v)
        return np.clip(codes, 0, self.full_scale_counts).astype(np.uint16)
