"""The trained thing: binary masks, stored standardisation, a small read-out. No decoder."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from training.luminance import FIELD_PX

CLAMP: Final = 1.0
"""Mask logits beyond +-CLAMP get no gradient, so that a mirror cannot run away."""
DITHER_PX: Final = 8
DITHER_REACH: Final = 0.3
"""Largest logit of the start: a hundred steps of the optimiser at its full rate."""


class _Heaviside(torch.autograd.Function):
    """Forward: 1 where the logit is at least 0. Backward: the gradient as it is, 0 outside the clamp."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:  # noqa: ANN401 - torch gives ctx no type
        ctx.save_for_backward(logits)
        return (logits >= 0).to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401 - torch gives ctx no type
        (logits,) = ctx.saved_tensors
        inside: Tensor = gradients[0] * (logits.abs() <= CLAMP)
        return inside


def heaviside(logits: Tensor) -> Tensor:
    """0 or 1 per logit, with a straight-through gradient inside +-``CLAMP``."""
    masks: Tensor = _Heaviside.apply(logits)  # type: ignore[no-untyped-call]  # torch has no type for it
    return masks


class MaskLayer(nn.Module):
    """d binary masks with real-valued logits behind them. Shape of the masks: (d, H, W).

    The logits start as an ordered dither, rolled differently for each mask. Smooth changes of
    the logits then become halftones of smooth masks; a start from white noise leaves its
    low frequencies in the masks for good (macro AUC 0.7 to 1 point lower in short runs).
    """

    def __init__(self, d: int, generator: torch.Generator, size_px: int = FIELD_PX) -> None:
        super().__init__()
        repeats = -(-size_px // DITHER_PX)
        dither = _ordered_dither().repeat(repeats, repeats)[:size_px, :size_px]
        rolls = torch.randint(0, DITHER_PX, (d, 2), generator=generator).tolist()
        start = torch.stack([dither.roll((down, right), (0, 1)) for down, right in rolls])
        grain = 0.05 * torch.randn(start.shape, generator=generator)
        self.logits = nn.Parameter(DITHER_REACH * (start + grain))

    def forward(self) -> Tensor:
        """The masks as 0 and 1."""
        return heaviside(self.logits)


def _ordered_dither() -> Tensor:
    """Bayer's matrix of 8 x 8 thresholds, spread over -1..1."""
    order = torch.zeros(1, 1)
    while len(order) < DITHER_PX:
        top = torch.cat((4 * order, 4 * order + 2), dim=1)
        bottom = torch.cat((4 * order + 3, 4 * order + 1), dim=1)
        order = torch.cat((top, bottom), dim=0)
    return 2 * (order + 0.5) / DITHER_PX**2 - 1


class ReadOut(nn.Module):
    """Measurement (B, d) to logits (B, K + 1): the attributes, then presence.

    Standardises with running statistics that are stored with the weights.
    """

    def __init__(self, d: int, outputs: int, width: int = 512) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(d, affine=False, momentum=0.01)
        self.layers = nn.Sequential(
            nn.Linear(d, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
        )

    def forward(self, measurement: Tensor) -> Tensor:
        """Logits of a batch of measurements."""
        logits: Tensor = self.layers(self.standardise(measurement))
        return logits
