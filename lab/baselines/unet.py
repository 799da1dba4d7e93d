"""A small U-Net that mends a picture: it answers the picture plus what is missing.

Ref: Jin et al., "Deep convolutional neural network for inverse problems in imaging", 2017 (what is missing).
"""

from collections.abc import Sequence
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCK_PX: Final = 2


class UNet(nn.Module):
    """Pictures (B, 1, H, W) to the same shape; ``widths`` are those of half the size, a quarter and so on.

    At the top it works on blocks of 2 x 2 pixels: few measurements say nothing of single ones, and a
    processor needs a quarter of the time. The last layer starts at zero, so an untrained network changes
    nothing. H and W must divide by ``2 ** len(widths)``.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        before = (BLOCK_PX**2, *widths[:-1])
        self.down = nn.ModuleList(_block(*pair) for pair in zip(before, widths, strict=True))
        self.up = nn.ModuleList(
            _block(low + high, high) for high, low in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], BLOCK_PX**2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast("Tensor", self.last.bias))

    def forward(self, picture: Tensor) -> Tensor:
        """The mended picture."""
        kept: list[Tensor] = []
        found = functional.pixel_unshuffle(picture, BLOCK_PX)
        for block in self.down:
            found = block(functional.max_pool2d(found, 2) if kept else found)
            kept.append(found)
        for block, beside in zip(self.up, kept[-2::-1], strict=True):
            found = block(torch.cat((functional.interpolate(found, scale_factor=2.0), beside), dim=1))
        return picture + functional.pixel_shuffle(self.last(found), BLOCK_PX)


def _block(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
