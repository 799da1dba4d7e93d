"""Scenes by which presence is judged: faces that count as present, and kinds of scenes that do not.

In between (a face shifted by 4 to 16 of 64 mirrors, turned by 10 to 45 degrees) nothing is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.data_sets.augmentation import (
    DARKEST,
    displaced,
    hidden,
    missized,
    plain_fields,
    turned,
    widely_jittered,
)

SCENE_SEED: Final = 20_001
PICTURES: Final = "pictures without a face"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of scene without a face in its place.

    Kinds with ``counts`` false are shown, but the worst kind is not looked for among them.
    """

    name: str
    counts: bool
    make: Callable[[Tensor, Tensor, torch.Generator], Tensor]


def present_faces(faces: Tensor) -> Tensor:
    """Each of ``faces`` (n, H, W) once, uniformly anywhere that still counts as present."""
    return widely_jittered(faces, torch.Generator().manual_seed(SCENE_SEED))


def scenes_of(kind: Kind, faces: Tensor, others: Tensor) -> Tensor:
    """Scenes of ``kind`` made of ``faces`` (n, H, W) and ``others`` (m, H, W); the same in every run."""
    return kind.make(faces, others, torch.Generator().manual_seed(SCENE_SEED + 1))


def _pictures(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    del faces, generator
    return others


def _covers(faces: Tensor, others: Tensor) -> Tensor:
    return others[torch.arange(len(faces)) % len(others)]


def _shifted(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    return displaced(faces, _covers(faces, others), generator)


def _turned(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    del others
    return turned(faces, generator)


def _hidden(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    return hidden(faces, _covers(faces, others), generator)


def _missized(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    return missized(faces, _covers(faces, others), generator)


def _flat(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform and sloping fields: the first two of each four that ``plain_fields`` makes."""
    del others
    fields = plain_fields(2 * len(faces) + 2, faces.shape[-1], generator)
    return fields[torch.arange(len(fields)) % 4 < 2][: len(faces)]  # noqa: PLR2004 - two of four


def textures(faces: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Half cloudy and grainy fields, half spectra of ``others`` with random phases. Shape as ``faces``."""
    fields = plain_fields(2 * len(faces) + 2, faces.shape[-1], generator)
    fields = fields[torch.arange(len(fields)) % 4 >= 2][: len(faces)]  # noqa: PLR2004 - two of four
    pictures = _covers(faces, others)
    noise = torch.rand(pictures.shape, generator=generator)
    # Phases of real noise make a real picture. Uniform noise is positive on average, so that the phase of
    # its mean is 0 and the mean of the picture stays.
    phases = torch.fft.rfft2(noise).angle()
    scrambled = torch.fft.irfft2(
        torch.polar(torch.fft.rfft2(pictures).abs(), phases), s=list(pictures.shape[1:])
    ).clamp(DARKEST, 1.0)
    is_field = (torch.arange(len(fields)) % 4 < 2)[:, None, None]  # noqa: PLR2004 - half, cloudy and grainy
    return torch.where(is_field, fields, scrambled)


KINDS: Final = (
    Kind(PICTURES, True, _pictures),
    Kind("textures", True, textures),
    Kind("flat and sloping fields", True, _flat),
    Kind("faces shifted by 25 to 60 % of the field", True, _shifted),
    Kind("faces turned by 45 to 180 degrees", True, _turned),
    Kind("faces half hidden or more", True, _hidden),
    Kind("faces too near or too far", False, _missized),
)
