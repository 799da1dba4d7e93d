"""From scenes to measurements, differentiable in the masks: optics, detector, ratio.

Letters: B scenes, d masks, H x W field, S samples per mask and arm. The last axis of
``light`` and ``counts`` is the arm, + first. The physics is ``lsi.sensor.SensorModel``;
this is what the firmware's simulator does, in PyTorch and without its bytes.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from lsi.errors import ConfigError
from lsi.sensor import SensorModel

HEADROOM: Final = 0.95
"""Part of the converter's range that the brightest arm may fill; a saturated scan is dropped."""
FEWEST_COUNTS: Final = 4.0
"""Both arms together, after dark subtraction: least divisor of a ratio, so that darkness stays finite."""
LOW_LIGHT_SIGMAS: Final = 20.0
"""The device refuses a scan with less light than this many deviations of its dark noise,"""
LOW_LIGHT_COUNTS: Final = 8.0
"""or than this many counts, both arms together (``firmware.acquisition.correction``)."""
LEAST_DITHER_CODES: Final = 0.5
"""Noise of one conversion from which on rounding is noise of its own.

The mean of a rounded normal is then at most 0.0023 codes from the truth and its variance within 3 % of
``noise**2 + 1/12``: both errors shrink as ``exp(-2 (pi noise)**2)``.
"""
_ROUNDING_VARIANCE: Final = 1 / 12


class TwoArms(Protocol):
    """What a measurement needs of a detector.

    Its light axis has a unit of its own: nW of a white scene on both arms, or photons of one.
    """

    @property
    def nominal_power(self) -> float:
        """The light that the detector is made for."""
        ...

    @property
    def least_counts(self) -> float:
        """Both arms together; with less in any mask the device refuses the scan."""
        ...

    def most_power(self, light: Tensor, /) -> Tensor:
        """The light at which the brightest arm of each scene fills the usable range. Shape (B,)."""
        ...

    def read(
        self, light: Tensor, power: Tensor, generator: torch.Generator | None, /
    ) -> tuple[Tensor, Tensor]:
        """Net counts (B, d, 2), and which scans have a clipped conversion, (B,) bool.

        Args:
            light: (B, d, 2), parts of a white scene's light.
            power: (B,), light of a white scene in the detector's unit.
            generator: Source of the noise; ``None`` gives the noise-free mean, unquantised.
        """
        ...


@dataclass(frozen=True, slots=True)
class Detector:
    """Two arms of one ``SensorModel`` as the training sees them.

    ``samples`` is S, conversions per mask and arm; the dark reference averages as many.
    ``averaged`` draws the mean of the S conversions at once, with their mean and variance, but without
    clipping: for training, where ``measure`` keeps the light inside the range.

    Raises:
        ConfigError: No samples, or an averaged detector whose noise does not dither the converter.
    """

    sensor: SensorModel
    samples: int
    averaged: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            found = f"The detector has samples = {self.samples} per mask and arm."
            raise ConfigError(found, hint="at least 1.")
        if self.averaged and not self.dithers:
            codes = math.sqrt(self._variance_codes(0.0))
            found = (
                f"The detector's noise in the dark is {codes:.2f} codes, too little to be averaged at once."
            )
            raise ConfigError(found, hint=f"averaged=False, or noise of {LEAST_DITHER_CODES} codes or more.")

    @property
    def dithers(self) -> bool:
        """Whether its noise in the dark hides the converter's steps in the mean of many conversions."""
        return math.sqrt(self._variance_codes(0.0)) >= LEAST_DITHER_CODES

    @property
    def nominal_power(self) -> float:
        """Optical power of a white scene on both arms, in nW."""
        return self.sensor.power_nw

    @property
    def least_counts(self) -> float:
        """What the device's correction asks of both arms together in every mask."""
        dark_codes = math.sqrt(4 * (self._variance_codes(0.0) + _ROUNDING_VARIANCE) / self.samples)
        return max(LOW_LIGHT_COUNTS, LOW_LIGHT_SIGMAS * dark_codes)

    def most_power(self, light: Tensor) -> Tensor:
        """The power in nW at which the brightest arm of each scene fills the usable range. Shape (B,)."""
        usable_v = HEADROOM * self.sensor.vref_v - _volts(self.sensor, 0.0)
        return usable_v / _v_per_nw(self.sensor) / light.amax(dim=(1, 2)).clamp_min(1e-6)

    def most_power_nw(self, light: Tensor) -> Tensor:
        """:meth:`most_power` by its unit."""
        return self.most_power(light)

    def net_counts(self, light: Tensor, power_nw: Tensor, generator: torch.Generator | None) -> Tensor:
        """Counts of both arms after dark subtraction, with every noise of the sensor.

        All masks of one scan share one dark reference and so its error.

        Args:
            light: (B, d, 2), parts of a white scene's light.
            power_nw: (B,), optical power of a white scene, both arms.
            generator: Source of the noise; ``None`` gives the noise-free mean, unquantised.
        """
        return self.read(light, power_nw, generator)[0]

    def read(
        self, light: Tensor, power_nw: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Net counts, and which scans have a clipped conversion; see :meth:`TwoArms.read`."""
        arm_nw = light * power_nw[:, None, None]
        if generator is None or self.averaged:
            net = arm_nw * self.sensor.counts_per_nw
            clipped = self._clipped(_volts(self.sensor, 0.0) * self.sensor.counts_per_v + net.detach())
            return (net if generator is None else net + self._mean_noise(arm_nw, generator)), clipped
        dark = self._conversions(torch.zeros_like(arm_nw[:, :1]), generator)
        shown = self._conversions(arm_nw, generator)
        clipped = self._clipped(shown.detach()) | self._clipped(dark.detach())
        return shown.mean(dim=-1) - dark.mean(dim=-1), clipped

    def _conversions(self, arm_nw: Tensor, generator: torch.Generator) -> Tensor:
        """S codes of each arm as the converter gives them, in a last axis of their own."""
        mean_v = _volts(self.sensor, 0.0) + _v_per_nw(self.sensor) * arm_nw
        noise = torch.randn((*arm_nw.shape, self.samples), generator=generator, device=arm_nw.device)
        volts = mean_v[..., None] + _noise_v(self.sensor, arm_nw)[..., None] * noise
        return quantise(volts * self.sensor.counts_per_v, self.sensor.full_scale_counts)

    def _mean_noise(self, arm_nw: Tensor, generator: torch.Generator) -> Tensor:
        """Noise of the mean of S rounded conversions less that of the scan's dark reference, in counts."""
        dark_nw = torch.zeros_like(arm_nw[:, :1])
        shown, dark = (
            torch.randn(power_nw.shape, generator=generator, device=arm_nw.device)
            * self._deviation_counts(power_nw)
            for power_nw in (arm_nw, dark_nw)
        )
        return shown - dark

    def _deviation_counts(self, arm_nw: Tensor) -> Tensor:
        """Standard deviation of the mean of S conversions."""
        noise_codes = _noise_v(self.sensor, arm_nw) * self.sensor.counts_per_v
        return ((noise_codes.square() + _ROUNDING_VARIANCE) / self.samples).sqrt()

    def _variance_codes(self, power_nw: float) -> float:
        return (float(self.sensor.noise_v(np.array(power_nw))) * self.sensor.counts_per_v) ** 2

    def _clipped(self, codes: Tensor) -> Tensor:
        """Which scans (the first axis) hold a code at an end of the converter's range."""
        return ((codes <= 0) | (codes >= self.sensor.full_scale_counts)).flatten(1).any(dim=1)


@dataclass(frozen=True, slots=True, repr=False)
class Scans:
    """Scans at the light they were given, and whether the device would use them.

    Shape: ``measurements`` (B, d); ``saturated`` and ``too_dark`` (B,) bool. The measurement of a scan
    that the device drops is there, but means nothing.
    """

    measurements: Tensor
    saturated: Tensor
    too_dark: Tensor

    @property
    def dropped(self) -> Tensor:
        """Scans that the device refuses. Shape (B,) bool."""
        return self.saturated | self.too_dark

    def __repr__(self) -> str:
        scans, d = self.measurements.shape
        return f"Scans({scans} of d = {d}, {int(self.dropped.sum())} dropped)"


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
    detector: TwoArms,
    power_nw: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Measurements of ``scenes`` through ``masks``, shape (B, d).

    Light that would saturate an arm is dimmed to where it does not. ``power_nw`` (B,) is in the
    detector's unit: photons for an ``IdealDetector``.
    """
    return measure_light(arm_light(scenes, masks), detector, power_nw, generator)


def measure_light(
    light: Tensor,
    detector: TwoArms,
    power: Tensor,
    generator: torch.Generator | None,
    offset_counts: Tensor | float = 0.0,
) -> Tensor:
    """:func:`measure` from the light of the arms (B, d, 2) on; ``offset_counts`` is added to its counts."""
    usable = torch.minimum(power, detector.most_power(light.detach()))
    net, _ = detector.read(light, usable, generator)
    return ratio_of_arms(net + offset_counts)


def scan_light(
    light: Tensor,
    detector: TwoArms,
    power: Tensor,
    generator: torch.Generator | None,
    offset_counts: Tensor | float = 0.0,
) -> Scans:
    """:func:`measure_light` without dimming: what the device gets at this light, refused scans included."""
    net, saturated = detector.read(light, power, generator)
    counts = net + offset_counts
    too_dark = (counts.detach().sum(dim=-1) < detector.least_counts).any(dim=1)
    return Scans(ratio_of_arms(counts), saturated, too_dark)


def random_power_nw(count: int, bounds_nw: tuple[float, float], generator: torch.Generator) -> Tensor:
    """``count`` powers, log-uniform within ``bounds_nw``. Shape (count,)."""
    low, high = np.log(bounds_nw[0]), np.log(bounds_nw[1])
    return torch.exp(low + (high - low) * torch.rand(count, generator=generator, device=generator.device))


def _volts(sensor: SensorModel, power_nw: float) -> float:
    return float(sensor.volts(np.array(power_nw)))


def _v_per_nw(sensor: SensorModel) -> float:
    return _volts(sensor, 1.0) - _volts(sensor, 0.0)


def _noise_v(sensor: SensorModel, arm_nw: Tensor) -> Tensor:
    """``SensorModel.noise_v`` for tensors: shot noise makes the variance affine in power."""
    at_0, at_1 = (float(sensor.noise_v(np.array(power_nw))) ** 2 for power_nw in (0.0, 1.0))
    return (at_0 + (at_1 - at_0) * arm_nw.clamp_min(0.0)).sqrt()
