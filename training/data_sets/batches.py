"""Batches of scenes for training: faces in place, then everything that is not one."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.data_sets.augmentation import (
    Jitter,
    any_view,
    displaced,
    hidden,
    jittered,
    missized,
    plain_fields,
    turned,
    widely_jittered,
)

SHARES: Final = 10
"""Negatives come in tenths: five of other scenes, one each displaced, turned, missized, hidden, empty."""


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Scenes of one step. Shape: ``scenes`` (near + wide + negatives, H, W); ``rows`` (near + wide,).

    The first ``near`` scenes are faces in their place, then faces that stand further off, then scenes
    without a face in its place. ``rows`` says which faces they are.
    """

    scenes: Tensor
    rows: Tensor
    near: int


class SceneSource:
    """Draws batches from faces and other scenes, both (n, H, W) linear luminance."""

    def __init__(self, faces: Tensor, others: Tensor, jitter: Jitter, generator: torch.Generator) -> None:
        self.faces = faces
        self.others = others
        self.jitter = jitter
        self.generator = generator

    def batch(self, rows: Tensor, wide: int, negatives: int) -> Batch:
        """The faces of ``rows`` slightly moved, the first ``wide`` of them far moved, other scenes."""
        faces = self.faces[rows]
        scenes = (
            jittered(faces, self.jitter, self.generator),
            widely_jittered(faces[:wide], self.generator),
            self.negatives(negatives),
        )
        return Batch(torch.cat(scenes), torch.cat((rows, rows[:wide])), len(rows))

    def negatives(self, count: int) -> Tensor:
        """``count`` scenes without a face in its place, in the order of ``SHARES``.

        Raises:
            ValueError: Fewer than one of each kind.
        """
        if count < SHARES:
            message = f"at least {SHARES} negatives are needed, one of each kind, not {count}"
            raise ValueError(message)
        share = count // SHARES
        return torch.cat(
            (
                any_view(self._drawn(self.others, count - 5 * share), self.generator),
                displaced(self._drawn(self.faces, share), self._covers(share), self.generator),
                turned(self._drawn(self.faces, share), self.generator),
                missized(self._drawn(self.faces, share), self._covers(share), self.generator),
                hidden(self._drawn(self.faces, share), self._covers(share), self.generator),
                plain_fields(share, self.faces.shape[-1], self.generator),
            )
        )

    def _drawn(self, scenes: Tensor, count: int) -> Tensor:
        return scenes[torch.randint(0, len(scenes), (count,), generator=self.generator)]

    def _covers(self, count: int) -> Tensor:
        """Backgrounds and covers: half texture, half plain."""
        texture = any_view(self._drawn(self.others, count), self.generator)
        plain = plain_fields(count, self.faces.shape[-1], self.generator)
        is_plain = torch.rand(count, 1, 1, generator=self.generator) < 0.5  # noqa: PLR2004 - half of them
        return torch.where(is_plain, plain, texture)
