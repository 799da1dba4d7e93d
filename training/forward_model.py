"""From scenes to measurements, differentiable in the masks: optics, detector, ratio.

Letters: B scenes, d masks, H x W field, S samples per mask and arm. The last axis of
``light`` and ``counts`` is the arm, + first. The physics is ``lsi.sensor.SensorModel``;
this is what the firmware's simulator does, in PyTorch and without its bytes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from lsi.sensor import SensorModel

HEADROOM: Final = 0.95
"""Part of the converter's range that the brightest arm may fill; a saturated scan is dropped."""
FEWEST_COUNTS: Final = 4.0
"""Both arms together, after dark subtraction; below, the device refuses the scan as too dark."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Two arms of one ``SensorModel`` as the training sees them.

    ``samples`` is S, conversions per mask and arm; the dark reference averages as many.
    """

    sensor: SensorModel
    samples: int

    def __post_init__(self) -> None:
        if self.samples < 1:
            message = f"samples must be at least 1, found {self.samples}"
            raise ValueError(message)

    def most_power_nw(self, light: Tensor) -> Tensor:
        """The power at which the brightest arm of each scene fills the usable range. Shape (B,)."""
        usable_v = HEADROOM * self.sensor.vref_v - _volts(self.sensor, 0.0)
        v_per_nw = _volts(self.sensor, 1.0) - _volts(self.sensor, 0.0)
        return usable_v / v_per_nw / light.amax(dim=(1, 2)).clamp_min(1e-6)

    def net_counts(self, light: Tensor, power_nw: Tensor, generator: torch.Generator | None) -> Tensor:
        """Counts of both arms after dark subtraction, with every noise of the sensor.

        All masks of one scan share one dark reference and so its error.

        Args:
            light: (B, d, 2), parts of a white scene's light.
            power_nw: (B,), optical power of a white scene, both arms.
            generator: Source of the noise; ``None`` gives the noise-free mean, unquantised.
        """
        arm_nw = light * power_nw[:, None, None]
        if generator is None:
            return arm_nw * self.sensor.counts_per_nw
        dark_nw = torch.zeros_like(arm_nw[:, :1])
        return self._mean_counts(arm_nw, generator) - self._mean_counts(dark_nw, generator)

    def _mean_counts(self, arm_nw: Tensor, generator: torch.Generator) -> Tensor:
        """The mean of S conversions of each arm, as the converter gives them."""
        v_per_nw = _volts(self.sensor, 1.0) - _volts(self.sensor, 0.0)
        mean_v = _volts(self.sensor, 0.0) + v_per_nw * arm_nw
        noise = torch.randn((*arm_nw.shape, self.samples), generator=generator)
        volts = mean_v[..., None] + _noise_v(self.sensor, arm_nw)[..., None] * noise
        return quantise(volts * self.sensor.counts_per_v, self.sensor.full_scale_counts).mean(dim=-1)


def quantise(counts: Tensor, full_scale_counts: int) -> Tensor:
    """Whole codes, rounded down and clipped; the gradient passes as if nothing was done.

    Noise of most of a code dithers the steps away in the mean, so the true slope of the
    mean is 1 inside the range.
    """
    codes = counts.detach().floor().clamp(0, full_scale_counts)
    return counts + (codes - counts.detach())


def arm_light(scenes: Tensor, masks: Tensor) -> Tensor:
    """How much of a white scene's light reaches each arm: (B, d, 2), 0..1.

    Args:
        scenes: (B, H, W), linear luminance 0..1.
        masks: (d, H, W), 1 sends a mirror's light to arm +, 0 to arm -.
    """
    flat = scenes.flatten(1)
    plus = flat @ masks.flatten(1).T / flat.shape[1]
    minus = flat.mean(dim=1, keepdim=True) - plus
    return torch.stack((plus, minus), dim=-1)


def ratio_of_arms(net_counts: Tensor) -> Tensor:
    """``(J+ - J-) / (J+ + J-)``: (B, d, 2) to (B, d). The gain of both arms cancels."""
    plus, minus = net_counts.unbind(dim=-1)
    return (plus - minus) / (plus + minus).clamp_min(FEWEST_COUNTS)


def measure(
    scenes: Tensor,
    masks: Tensor,
    detector: Detector,
    power_nw: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Measurements of ``scenes`` through ``masks``, shape (B, d).

    Light that would saturate an arm is dimmed to where it does not.
    """
    light = arm_light(scenes, masks)
    usable_nw = torch.minimum(power_nw, detector.most_power_nw(light.detach()))
    return ratio_of_arms(detector.net_counts(light, usable_nw, generator))


def random_power_nw(count: int, bounds_nw: tuple[float, float], generator: torch.Generator) -> Tensor:
    """``count`` powers, log-uniform within ``bounds_nw``. Shape (count,)."""
    low, high = np.log(bounds_nw[0]), np.log(bounds_nw[1])
    return torch.exp(low + (high - low) * torch.rand(count, generator=generator))


def _volts(sensor: SensorModel, power_nw: float) -> float:
    return float(sensor.volts(np.array(power_nw)))


def _noise_v(sensor: SensorModel, arm_nw: Tensor) -> Tensor:
    """``SensorModel.noise_v`` for tensors: shot noise makes the variance affine in power."""
    at_0, at_1 = (float(sensor.noise_v(np.array(power_nw))) ** 2 for power_nw in (0.0, 1.0))
    return (at_0 + (at_1 - at_0) * arm_nw.clamp_min(0.0)).sqrt()
