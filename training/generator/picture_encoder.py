"""``PictureEncoder``: whole pictures to latents; the teacher of the measurement encoder, on the host only."""

import itertools
from math import log2
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from host.decoder.synthesis import START_PX, SynthesisShape

SQUEEZED: Final = 64
"""Channels of the last map, 4 x 4, before the dense layer: keeps that layer at a million weights."""
_GROUPS: Final = 8
_COLOURS: Final = 3


class PictureEncoder(nn.Module):
    """Pictures (B, 3, R, R), about -1..1, to latents (B, L, D).

    Normalised by groups of channels, not by the batch: a picture's latent does not depend on its company,
    in training or later.

    Args:
        shape: What the synthesis reads.
        widths: Channels at R, R / 2, ... 4 pixels, each a multiple of 8.
    """

    def __init__(self, shape: SynthesisShape, widths: tuple[int, ...]) -> None:
        super().__init__()
        steps = int(log2(shape.size_px // START_PX))
        if len(widths) != steps + 1 or any(width % _GROUPS for width in widths):
            message = f"{steps + 1} widths that are multiples of {_GROUPS} are needed, found {widths}"
            raise ValueError(message)
        self.shape = shape
        self.stem = nn.Conv2d(_COLOURS, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(_Halving(*each) for each in itertools.pairwise(widths))
        self.squeeze = nn.Conv2d(widths[-1], SQUEEZED, 1)
        self.dense = nn.Linear(SQUEEZED * START_PX**2, shape.layers * shape.latent_width)

    def forward(self, pictures: Tensor) -> Tensor:
        """Latents of a batch of pictures."""
        x = self.stem(pictures)
        for block in self.blocks:
            x = block(x)
        flat = self.dense(functional.silu(self.squeeze(x)).flatten(1))
        latents: Tensor = flat.view(-1, self.shape.layers, self.shape.latent_width)
        return latents


class _Halving(nn.Module):
    """Half the size: two convolutions with a shortcut, normalised before."""

    def __init__(self, source: int, sink: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList((nn.GroupNorm(_GROUPS, source), nn.GroupNorm(_GROUPS, sink)))
        self.first = nn.Conv2d(source, sink, 3, stride=2, padding=1)
        self.second = nn.Conv2d(sink, sink, 3, padding=1)
        self.shortcut = nn.Conv2d(source, sink, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(functional.silu(self.norms[0](x)))
        y = self.second(functional.silu(self.norms[1](y)))
        total: Tensor = y + self.shortcut(functional.avg_pool2d(x, 2))
        return total
