"""A segmentation head on a generator's features: one class per pixel. All before it is frozen.

Features of every size are brought to the picture's size and read by two pixelwise layers.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from host.decoder.decoder import Decoder

HIDDEN: Final = 48
SHOWN_AT_ONCE: Final = 32


class SegmentationHead(nn.Module):
    """Features (B, C_i, h_i, w_i) of several sizes to logits (B, classes, R, R)."""

    def __init__(self, channels: int, classes: int, size_px: int) -> None:
        super().__init__()
        self.size_px = size_px
        self.norm = nn.BatchNorm2d(channels)
        self.layers = nn.Sequential(nn.Conv2d(channels, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, classes, 1))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits of a batch."""
        size = [self.size_px, self.size_px]
        same = [
            functional.interpolate(each, size=size, mode="bilinear", align_corners=False) for each in features
        ]
        logits: Tensor = self.layers(self.norm(torch.cat(same, dim=1)))
        return logits


@torch.no_grad()
def segmented(head: SegmentationHead, decoder: Decoder, offsets: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The likeliest class of each pixel, (n, R, R) uint8, of offsets (n, L, D)."""
    parts = [
        head(features_of(decoder, offsets[start : start + SHOWN_AT_ONCE]))
        .argmax(dim=1)
        .to(torch.uint8)
        .numpy()
        for start in range(0, len(offsets), SHOWN_AT_ONCE)
    ]
    return np.concatenate(parts)


def features_of(decoder: Decoder, offsets: NDArray[np.floating[Any]]) -> list[Tensor]:
    """The generator's features of offsets (n, L, D), each (n, C, h, w)."""
    return [torch.tensor(each) for each in decoder.features(offsets.astype(np.float32))]
