"""Named detectors of the figures. The one with the MCP3208 is ``hardware/boards/sim-mcp3208.toml``."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from lsi.errors import ConfigError
from lsi.sensor import SensorModel
from training.light.forward_model import FEWEST_COUNTS, Detector

AD7383_4: Final = Detector(
    SensorModel(
        adc_bits=16,
        vref_v=2.5,
        responsivity_a_per_w=0.3,
        transimpedance_ohm=10e6,
        voltage_gain=2.0,
        bandwidth_hz=8_000.0,
        temperature_k=298.0,
        read_noise_v=42e-6,
        offset_v=0.1,
        stray_nw=1.0,
        power_nw=10.0,
    ),
    samples=24,
)
"""The simulated board's front end with an AD7383-4, which converts both arms at the same time.

Converter: 16 bits of its internal 2.5 V reference, pseudo-differential, so a code is Vref / 2**16 (Linux,
``drivers/iio/adc/ad7380.c``); 42 uV of noise per conversion, 0.3 A/W and 10 MOhm are the values by which the
light limits of a 16-bit board were computed. Chosen here: the pole, stray light and exposure of
``sim-mcp3208``; 24 conversions, one every 54 us of the 1.3 ms after settling, 2.7 time constants apart and
so nearly independent; a gain of 2, with which Johnson noise stays above the converter's and one arm takes
400 nW. No such board was measured.
"""


@dataclass(frozen=True, slots=True)
class IdealDetector:
    """Photon noise and nothing else: no dark, no range, no steps.

    ``photons`` are detected per measurement on both arms together, for a scene that is white everywhere. Its
    light axis is photons: where a ``Detector`` takes nW, this one takes photons of a white scene.

    Raises:
        ConfigError: Not a positive, finite number.
    """

    photons: float

    def __post_init__(self) -> None:
        if not 0 < self.photons < math.inf:
            found = f"The ideal detector has photons = {self.photons}."
            raise ConfigError(found, hint="photons of a white scene on both arms, such as 1e4.")

    @property
    def nominal_power(self) -> float:
        """Photons of a white scene on both arms."""
        return self.photons

    @property
    def least_counts(self) -> float:
        """It has no dark noise; below this a ratio is not formed."""
        return FEWEST_COUNTS

    def most_power(self, light: Tensor) -> Tensor:
        """It never saturates. Shape (B,)."""
        return torch.full_like(light[:, 0, 0], math.inf)

    def read(
        self, light: Tensor, photons: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Photons on each arm, Poisson; see ``training.light.forward_model.TwoArms.read``.

        The gradient is that of a normal variable of the same mean and variance.
        """
        mean = light * photons[:, None, None]
        never = torch.zeros(len(light), dtype=torch.bool, device=light.device)
        if generator is None:
            return mean, never
        mean = mean.clamp_min(0)
        with torch.no_grad():
            found = torch.poisson(mean, generator)
            deviations = (found - mean) / mean.sqrt().clamp_min(1e-3)
        surprise = mean.clamp_min(1e-6).sqrt() * deviations
        return found + (mean + surprise) - (mean + surprise).detach(), never
