"""What a rig in use adds to the forward model: movement, drift, imbalance, dead mirrors, timing.

Letters as in ``training.light.forward_model``. Evaluation disturbs every scene by the same strength
(:func:`disturbed`), training draws a strength for each (:func:`randomly_disturbed`). Both are
differentiable in the masks and stay in linear light.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor

from lsi.errors import ConfigError
from training.data_sets.augmentation import Motion
from training.light.forward_model import (
    Scans,
    TwoArms,
    arm_light,
    measure,
    measure_light,
    random_power_nw,
    scan_light,
)

FIELD_PX: Final = 64.0
"""Shifts and paths count mask pixels of a field this wide, whatever the masks' own size."""
KEYFRAMES_PER_PX: Final = 4
"""Moved pictures per mask pixel of path; masks between two see a mixture of both."""
_BELOW_ONE: Final = ("scale", "gain", "arm_imbalance", "light_drift")
_AT_MOST_ONE: Final = ("dead_mirrors", "jitter")


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How a scene and a rig differ from a still scene on a perfect rig; all 0 is that rig.

    Directions and signs are random per scene. ``shift_px`` and ``motion_px`` count mask pixels of a field
    of 64. What enters at the edges is the mirrored scene.

    ``scale`` is a relative change of size; ``motion_px`` the path during one scan at constant speed, centred
    on its middle; ``gain`` a relative change of light, both arms together; ``arm_imbalance`` the relative
    difference of the arms that correction missed; ``offset_counts`` what a stale dark reference leaves on
    each arm (photons for an ``IdealDetector``); ``light_drift`` the relative change of light from the first
    mask to the last. ``dead_mirrors`` is the share of mask pixels that are stuck, half of them to each arm,
    drawn once per call: all scenes meet the same device. ``jitter`` is the share of each exposure that still
    shows the pattern before; before the first mask all mirrors are on.

    Raises:
        ConfigError: A strength is negative, not finite, or a share larger than the whole.
    """

    shift_px: float = 0.0
    scale: float = 0.0
    turn_deg: float = 0.0
    motion_px: float = 0.0
    gain: float = 0.0
    arm_imbalance: float = 0.0
    offset_counts: float = 0.0
    light_drift: float = 0.0
    dead_mirrors: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _check(asdict(self).items())


@dataclass(frozen=True, slots=True)
class DisturbanceRange:
    """The strongest disturbances that training meets; units as in :class:`Disturbance`.

    Each scene gets its own, uniform between none and these, signs at random. Dead mirrors and the direction
    (not the speed) of motion are drawn once per call. Static shift, scale and turn are the
    work of ``training.data_sets.augmentation``.

    Raises:
        ConfigError: As for :class:`Disturbance`.
    """

    motion_px: float = 2.0
    gain: float = 0.3
    arm_imbalance: float = 0.06
    offset_counts: float = 0.5
    light_drift: float = 0.1
    dead_mirrors: float = 0.01
    jitter: float = 0.02

    def __post_init__(self) -> None:
        _check(asdict(self).items())


def disturbed(  # noqa: PLR0913, PLR0917 - the arguments of measure and what disturbs it
    scenes: Tensor,
    masks: Tensor,
    detector: TwoArms,
    power_nw: Tensor | None,
    disturbance: Disturbance,
    generator: torch.Generator,
) -> Tensor:
    """Measurements of ``scenes`` under ``disturbance``, dimmed like ``measure``. Shape (B, d).

    Directions and signs are the first that ``generator`` gives and do not depend on the strengths: with
    the same seed, a curve over a strength shows the same directions at every point.

    Args:
        scenes: (B, H, W), linear luminance 0..1.
        masks: (d, H, W).
        detector: Both arms; decides the unit of ``power_nw``.
        power_nw: (B,), light of a white scene; ``None`` is the nominal light without noise.
        disturbance: The same strength for every scene.
        generator: Source of directions, signs, dead mirrors and noise.
    """
    drawn = _Drawn.of(scenes, generator)
    light = drawn.light(scenes, masks, disturbance)
    offset = disturbance.offset_counts * drawn.offset_signs[:, None]
    return measure_light(light, detector, *_exposure(scenes, detector, power_nw, generator), offset)


def disturbed_scans(  # noqa: PLR0913, PLR0917 - the arguments of measure and what disturbs it
    scenes: Tensor,
    masks: Tensor,
    detector: TwoArms,
    power_nw: Tensor | None,
    disturbance: Disturbance,
    generator: torch.Generator,
) -> Scans:
    """:func:`disturbed` without dimming: scans that the device drops are marked."""
    drawn = _Drawn.of(scenes, generator)
    light = drawn.light(scenes, masks, disturbance)
    offset = disturbance.offset_counts * drawn.offset_signs[:, None]
    return scan_light(light, detector, *_exposure(scenes, detector, power_nw, generator), offset)


def measured_in_use(  # noqa: PLR0913, PLR0917 - the arguments of measure and what disturbs it
    scenes: Tensor,
    masks: Tensor,
    detector: TwoArms,
    bounds_nw: tuple[float, float] | None,
    limits: DisturbanceRange | None,
    generator: torch.Generator,
) -> Tensor:
    """Measurements (B, d) as training sees them: each scene at a power and with disturbances of its own.

    Without ``bounds_nw`` there is neither noise nor disturbance but the light that the detector is made for,
    as in the figures without noise; without ``limits`` there is noise alone.
    """
    if bounds_nw is None:
        # In less light the divisor of a dark scene's ratio would be its least one, not its own light.
        return measure(scenes, masks, detector, *_exposure(scenes, detector, None, generator))
    power_nw = random_power_nw(len(scenes), bounds_nw, generator)
    if limits is None:
        return measure(scenes, masks, detector, power_nw, generator)
    return randomly_disturbed(scenes, masks, detector, power_nw, limits, generator)


def randomly_disturbed(  # noqa: PLR0913, PLR0917 - the arguments of measure and what disturbs it
    scenes: Tensor,
    masks: Tensor,
    detector: TwoArms,
    power_nw: Tensor,
    limits: DisturbanceRange,
    generator: torch.Generator,
) -> Tensor:
    """``measure`` with every disturbance of ``limits`` in strengths of each scene's own. Shape (B, d).

    Masks move instead of scenes: they are few. Each is taken at a few places on a line, and a
    polynomial between them gives the light at each scene's speed. Light of stuck mirrors is
    in the dark reference; here they simply do not count.
    """
    strengths = 2 * torch.rand(7, len(scenes), 1, generator=generator, device=generator.device) - 1
    speed, late, gain, imbalance, drift, *offsets = strengths.unbind()
    plus, everything = _moving_light(scenes, masks, limits, speed, generator)
    before = torch.cat((everything[:, :1], plus[:, :-1]), dim=1)
    plus = plus + limits.jitter * late.abs() * (before - plus)
    brightness = (1 + limits.gain * gain) * (1 + limits.light_drift * drift * _ramp(len(masks), masks))
    lean = limits.arm_imbalance / 2 * imbalance
    light = torch.stack(
        (brightness * (1 + lean) * plus, brightness * (1 - lean) * (everything - plus)), dim=-1
    )
    offset = limits.offset_counts * torch.stack(offsets, dim=-1)
    return measure_light(light, detector, power_nw, generator, offset)


@dataclass(frozen=True, slots=True, repr=False)
class _Drawn:
    """Everything random about a disturbance but its strength.

    Shape: angles and signs (B,), ``offset_signs`` (B, 2), ``fate`` and ``stuck_on`` (H, W). A mirror is
    dead at every share above its ``fate``, so that dead mirrors only get more.
    """

    shift_rad: Tensor
    motion_rad: Tensor
    scale_sign: Tensor
    turn_sign: Tensor
    gain_sign: Tensor
    imbalance_sign: Tensor
    drift_sign: Tensor
    offset_signs: Tensor
    fate: Tensor
    stuck_on: Tensor

    @classmethod
    def of(cls, scenes: Tensor, generator: torch.Generator) -> "_Drawn":
        count, height, width = scenes.shape
        each = torch.rand(9, count, generator=generator, device=generator.device)
        mirrors = torch.rand(2, height, width, generator=generator, device=generator.device)
        shift_rad, motion_rad = (2 * math.pi * each[:2]).unbind()
        scale, turn, gain, imbalance, drift, plus, minus = _coin(each[2:]).unbind()
        return cls(
            shift_rad=shift_rad,
            motion_rad=motion_rad,
            scale_sign=scale,
            turn_sign=turn,
            gain_sign=gain,
            imbalance_sign=imbalance,
            drift_sign=drift,
            offset_signs=torch.stack((plus, minus), dim=1),
            fate=mirrors[0],
            stuck_on=(1 + _coin(mirrors[1])) / 2,
        )

    def light(self, scenes: Tensor, masks: Tensor, disturbance: Disturbance) -> Tensor:
        """Light of the arms after dark subtraction, (B, d, 2), in parts of an undisturbed white scene's."""
        dead = (self.fate < disturbance.dead_mirrors).to(masks.dtype)
        shown = torch.cat((torch.ones_like(masks[:1]), masks)) * (1 - dead) + dead * self.stuck_on
        late = shown[1:] + disturbance.jitter * (shown[:-1] - shown[1:])
        drift = disturbance.light_drift * self.drift_sign[:, None] * _ramp(len(masks), masks)
        light = self._seen(scenes, late, disturbance) * (1 + drift)[..., None]
        if disturbance.dead_mirrors:
            light = light - self._dark_light(scenes, dead, disturbance)
        imbalance = (
            disturbance.arm_imbalance / 2 * torch.stack((self.imbalance_sign, -self.imbalance_sign), 1)
        )
        gain = 1 + disturbance.gain * self.gain_sign
        return light * (gain[:, None] * (1 + imbalance))[:, None]

    def _dark_light(self, scenes: Tensor, dead: Tensor, disturbance: Disturbance) -> Tensor:
        """What stuck mirrors send to each arm while its dark reference is read, before the first mask."""
        moved = self._motion(disturbance, -0.5).applied(scenes, "reflection")
        each = torch.stack((dead * self.stuck_on, dead * (1 - self.stuck_on)))
        return arm_light(moved, each)[..., 0][:, None]

    def _seen(self, scenes: Tensor, masks: Tensor, disturbance: Disturbance) -> Tensor:
        """``arm_light`` of scenes that stand wrong and move, at the time of each mask."""
        if not (disturbance.shift_px or disturbance.scale or disturbance.turn_deg or disturbance.motion_px):
            return arm_light(scenes, masks)
        if not disturbance.motion_px:
            return arm_light(self._motion(disturbance, 0.0).applied(scenes, "reflection"), masks)
        light = torch.zeros((), device=masks.device)
        for time, weight in _keyframes(disturbance.motion_px, masks):
            moved = self._motion(disturbance, time).applied(scenes, "reflection")
            light = light + weight[:, None] * arm_light(moved, masks)
        return light

    def _motion(self, disturbance: Disturbance, time: float) -> Motion:
        """Where the scenes are at ``time``, from -0.5 at the start of a scan to 0.5 at its end."""
        place_px = disturbance.shift_px * _direction(self.shift_rad)
        place_px = place_px + time * disturbance.motion_px * _direction(self.motion_rad)
        return Motion(
            shift=place_px / FIELD_PX,
            turn_rad=math.radians(disturbance.turn_deg) * self.turn_sign,
            scale=1 + disturbance.scale * self.scale_sign,
            mirror=torch.ones_like(self.turn_sign),
        )


def _exposure(
    scenes: Tensor, detector: TwoArms, power: Tensor | None, generator: torch.Generator
) -> tuple[Tensor, torch.Generator | None]:
    """Light and source of noise of each scan."""
    if power is None:
        return scenes.new_full((len(scenes),), detector.nominal_power), None
    return power, generator


def _moving_light(
    scenes: Tensor, masks: Tensor, limits: DisturbanceRange, speed: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Light on arm +, and on both, at the time of each mask. Shape (B, d) each.

    ``speed`` (B, 1) is that of the scene, -1..1, along a line drawn for all.
    """
    share, turn = torch.rand(2, generator=generator, device=generator.device).tolist()
    fate = torch.rand(masks.shape[1:], generator=generator, device=generator.device)
    alive = fate >= limits.dead_mirrors * share
    bank = torch.cat((torch.ones_like(masks[:1]), masks)) * alive
    most = math.ceil(limits.motion_px / 2)
    knots_px = [limits.motion_px / 2 * knot / max(most, 1) for knot in range(-most, most + 1)]
    angle_rad = math.pi * turn
    places = [_bank_at(bank, knot * math.cos(angle_rad), knot * math.sin(angle_rad)) for knot in knots_px]
    each = torch.cat(places).flatten(1) @ scenes.flatten(1).T / bank[0].numel()
    each = each.T.reshape(len(scenes), len(places), len(bank))
    weights = _interpolation(limits.motion_px * speed * _scan_time(masks), knots_px)
    return (weights * each[..., 1:]).sum(dim=1), (weights * each[..., :1]).sum(dim=1)


def _bank_at(bank: Tensor, across_px: float, down_px: float) -> Tensor:
    """Masks that see of a still scene what ``bank`` sees of one that was moved."""
    if across_px == down_px == 0:
        return bank
    height, width = bank.shape[1:]
    across = bank @ _shifting(width, across_px * width / FIELD_PX, bank)
    return _shifting(height, down_px * height / FIELD_PX, bank).T @ across


def _shifting(size_px: int, shift_px: float, like: Tensor) -> Tensor:
    """The matrix that moves a line of pixels by ``shift_px``; beyond its ends lies its mirror image.

    It is what ``grid_sample`` does with ``reflection`` and bilinear weights.
    """
    whole = math.floor(-shift_px)
    part = -shift_px - whole
    row = torch.arange(size_px, device=like.device)
    source = (torch.stack((row, row + 1)) + whole) % (2 * size_px)
    inside = torch.minimum(source, 2 * size_px - 1 - source)
    weights = like.new_tensor((1 - part, part))[:, None].expand(2, size_px)
    return like.new_zeros(size_px, size_px).index_put_((row.expand(2, -1), inside), weights, accumulate=True)


def _interpolation(place: Tensor, knots: list[float]) -> Tensor:
    """Lagrange weights of ``place`` (B, d) between K ``knots``. Shape (B, K, d)."""
    weights = []
    for own in knots:
        others = [other for other in knots if other != own]
        scale = math.prod(own - other for other in others)
        weights.append(math.prod((place - other for other in others), start=torch.ones_like(place)) / scale)
    return torch.stack(weights, dim=1)


def _keyframes(motion_px: float, masks: Tensor) -> Iterable[tuple[float, Tensor]]:
    """Times of the moved pictures, and how much each mask sees of them, (d,): all of one or parts of two."""
    steps = math.ceil(KEYFRAMES_PER_PX * motion_px)
    mask_time = _scan_time(masks)
    if len(masks) <= steps:
        return zip(mask_time.tolist(), torch.eye(len(masks), device=masks.device), strict=True)
    times = [frame / steps - 0.5 for frame in range(steps + 1)]
    return [(time, (1 - (mask_time - time).abs() * steps).clamp_min(0)) for time in times]


def _scan_time(masks: Tensor) -> Tensor:
    """Middle of each exposure, from -0.5 at the start of the scan to 0.5 at its end. Shape (d,)."""
    return (torch.arange(len(masks), device=masks.device) + 0.5) / len(masks) - 0.5


def _coin(uniform: Tensor) -> Tensor:
    """-1 or 1 from numbers in 0..1."""
    return 1.0 - 2.0 * uniform.round()


def _direction(angle_rad: Tensor) -> Tensor:
    """Unit vectors, x first, in a last axis of 2."""
    return torch.stack((angle_rad.cos(), angle_rad.sin()), dim=-1)


def _ramp(d: int, like: Tensor) -> Tensor:
    """0 at the first mask of a scan, 1 at the last. Shape (d,)."""
    return torch.linspace(0, 1, d, device=like.device)


def _check(strengths: Iterable[tuple[str, float]]) -> None:
    for name, strength in strengths:
        most = 1.0 if name in (*_BELOW_ONE, *_AT_MOST_ONE) else math.inf
        if not 0 <= strength <= most or math.isinf(strength) or (strength == 1 and name in _BELOW_ONE):
            found = f"The disturbance has {name} = {strength}."
            bound = "a finite number" if most > 1 else "a part of 1"
            raise ConfigError(found, hint=f"{bound}, not negative; 0 leaves it out.")
