"""Scenes made from scenes: faces slightly moved, and things that only resemble a face.

Everything takes and gives linear luminance of shape (B, H, W).
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

FAR_SHIFT: Final = (0.25, 0.60)
"""Parts of the field by which a face counts as out of place."""
FAR_TURN: Final = (math.radians(45), math.radians(180))
NEAR_AND_FAR: Final = ((1.45, 2.2), (0.4, 0.7))
"""Sizes of a face that is too near or too far for the masks."""
WIDE: Final = (4 / 64, math.radians(10), 0.10)
"""Shift (part of the field), turn and change of size up to which a face still counts as present."""
HIDDEN: Final = (0.5, 0.85)
"""Parts of the field that a patch over a face hides."""
DARKEST: Final = 0.005
"""Lowest luminance of an empty field: below, the device refuses the scan as too dark."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """How far a face in the field may be from its trained place (standard deviations).

    ``shift`` and ``scale`` are parts of the field and of the face. Half a mirror of 64 keeps most of the
    sharpness of the masks; a whole one costs 3 points of macro AUC on faces in their place.
    """

    shift: float = 0.4 / 64
    turn_rad: float = math.radians(1.2)
    scale: float = 0.012

    @classmethod
    def by_shift(cls, shift: float) -> "Jitter":
        """Turn and scale spread with the shift, in the proportion of the defaults."""
        usual = cls()
        part = shift / usual.shift
        return cls(shift, part * usual.turn_rad, part * usual.scale)


@dataclass(frozen=True, slots=True)
class Motion:
    """Mirror, scale, turn and shift, in that order. Shape: ``shift`` (B, 2), x first, the others (B,).

    ``shift`` is in parts of the field, ``mirror`` is 1 or -1.
    """

    shift: Tensor
    turn_rad: Tensor
    scale: Tensor
    mirror: Tensor

    def applied(self, scenes: Tensor, outside: str) -> Tensor:
        """Scenes after the motion; ``outside`` is what ``grid_sample`` does beyond the edges."""
        if not len(scenes):  # grid_sample refuses an empty batch
            return scenes
        # grid_sample asks where each output point comes from, in -1..1: the inverse stands here.
        cos, sin = self.turn_rad.cos() / self.scale, self.turn_rad.sin() / self.scale
        x, y = 2 * self.shift[:, 0], 2 * self.shift[:, 1]
        across = torch.stack((cos, sin, -(cos * x + sin * y)), dim=1) * self.mirror[:, None]
        down = torch.stack((-sin, cos, sin * x - cos * y), dim=1)
        size = [len(scenes), 1, *scenes.shape[1:]]
        grid = functional.affine_grid(torch.stack((across, down), dim=1), size, align_corners=False)
        moved = functional.grid_sample(scenes[:, None], grid, padding_mode=outside, align_corners=False)
        return moved[:, 0]


def jittered(faces: Tensor, jitter: Jitter, generator: torch.Generator) -> Tensor:
    """Each face mirrored or not, a little shifted, turned and scaled."""
    return near_motion(len(faces), jitter, generator).applied(faces, "reflection")


def near_motion(count: int, jitter: Jitter, generator: torch.Generator) -> Motion:
    """What :func:`jittered` does to each of ``count`` faces."""
    return Motion(
        shift=jitter.shift * torch.randn(count, 2, generator=generator).clamp(-3, 3),
        turn_rad=jitter.turn_rad * torch.randn(count, generator=generator),
        scale=1 + jitter.scale * torch.randn(count, generator=generator).clamp(-3, 3),
        mirror=_signs(count, generator),
    )


def widely_jittered(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Each face mirrored or not, and moved anywhere within ``WIDE``, uniformly."""
    count = len(faces)
    shift, turn_rad, scale = WIDE
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    reach = shift * torch.rand(count, generator=generator).sqrt()
    motion = Motion(
        shift=torch.stack((reach * angle.cos(), reach * angle.sin()), dim=1),
        turn_rad=_uniform((-turn_rad, turn_rad), count, generator),
        scale=_uniform((1 - scale, 1 + scale), count, generator),
        mirror=_signs(count, generator),
    )
    return motion.applied(faces, "reflection")


def displaced(faces: Tensor, backgrounds: Tensor, generator: torch.Generator) -> Tensor:
    """Each face shifted by a good part of the field; what it uncovers shows the background."""
    count = len(faces)
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    reach = _uniform(FAR_SHIFT, count, generator)
    shift = torch.stack((reach * angle.cos(), reach * angle.sin()), dim=1)
    motion = Motion(shift, torch.zeros(count), torch.ones(count), torch.ones(count))
    inside = motion.applied(torch.ones_like(faces), "zeros")
    return motion.applied(faces, "zeros") + (1 - inside) * backgrounds


def turned(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Each face turned by 45 to 180 degrees either way."""
    count = len(faces)
    turn_rad = _signs(count, generator) * _uniform(FAR_TURN, count, generator)
    motion = Motion(torch.zeros(count, 2), turn_rad, torch.ones(count), torch.ones(count))
    return motion.applied(faces, "reflection")


def missized(faces: Tensor, backgrounds: Tensor, generator: torch.Generator) -> Tensor:
    """Each face too large or too small; what a small one leaves free shows the background."""
    count = len(faces)
    near, far = (_uniform(bounds, count, generator) for bounds in NEAR_AND_FAR)
    scale = torch.where(_signs(count, generator) > 0, near, far)
    motion = Motion(torch.zeros(count, 2), torch.zeros(count), scale, torch.ones(count))
    inside = motion.applied(torch.ones_like(faces), "zeros")
    return motion.applied(faces, "zeros") + (1 - inside) * backgrounds


def hidden(faces: Tensor, covers: Tensor, generator: torch.Generator) -> Tensor:
    """Each face with half of the field or more covered by its own part of ``covers``."""
    count, height, width = faces.shape
    part = _uniform(HIDDEN, count, generator)
    aspect = torch.exp(0.5 * torch.randn(count, generator=generator))
    tall = (part * aspect).sqrt().clamp(max=1.0).maximum(part)
    rows = _interval(tall, height, generator)
    columns = _interval(part / tall, width, generator)
    return torch.where(rows[:, :, None] & columns[:, None, :], covers, faces)


def plain_fields(count: int, size_px: int, generator: torch.Generator) -> Tensor:
    """Empty fields: a quarter each uniform, sloping, cloudy and grainy, of any brightness."""
    ramps, kind = _ramps(count, size_px, generator), torch.arange(count)[:, None, None] % 4
    uniform, sloping, cloudy = 0, 1, 2
    strength = torch.rand(count, 3, 1, 1, generator=generator)
    shape = 1 + (kind > uniform) * strength[:, 0] * ramps
    shape = shape + 0.6 * (kind > sloping) * strength[:, 1] * _clouds(count, size_px, generator)
    grain = torch.randn(count, size_px, size_px, generator=generator)
    shape = shape + 0.6 * (kind > cloudy) * strength[:, 2] * grain
    brightness = 0.05 + 0.6 * torch.rand(count, 1, 1, generator=generator)
    return (brightness * shape).clamp(DARKEST, 1.0)


def any_view(scenes: Tensor, generator: torch.Generator) -> Tensor:
    """Scenes without an upright: mirrored, turned by quarters, zoomed and shifted."""
    count = len(scenes)
    quarter = torch.randint(0, 4, (count,), generator=generator)
    motion = Motion(
        shift=0.15 * torch.randn(count, 2, generator=generator),
        turn_rad=quarter * (math.pi / 2) + 0.1 * torch.randn(count, generator=generator),
        scale=torch.exp(0.25 * torch.randn(count, generator=generator)),
        mirror=_signs(count, generator),
    )
    return motion.applied(scenes, "reflection")


def _interval(part: Tensor, size_px: int, generator: torch.Generator) -> Tensor:
    """A run of places covering ``part`` (B,) of ``size_px``, anywhere. Shape (B, size_px), bool."""
    start = torch.rand(len(part), generator=generator) * (1 - part)
    place = ((torch.arange(size_px) + 0.5) / size_px)[None, :]
    return (place >= start[:, None]) & (place < (start + part)[:, None])


def _ramps(count: int, size_px: int, generator: torch.Generator) -> Tensor:
    """Planes from -1 to 1 across the field, each in its own direction."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size_px), torch.linspace(-1, 1, size_px), indexing="ij")
    angle = 2 * math.pi * torch.rand(count, 1, 1, generator=generator)
    return x * angle.cos() + y * angle.sin()


def _clouds(count: int, size_px: int, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(count, 1, 5, 5, generator=generator)
    fine = functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic", align_corners=False)
    return fine[:, 0]


def _signs(count: int, generator: torch.Generator) -> Tensor:
    return 2.0 * torch.randint(0, 2, (count,), generator=generator) - 1.0


def _uniform(bounds: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(count, generator=generator)
