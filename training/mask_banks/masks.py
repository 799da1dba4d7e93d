"""Masks that can be trained: logits in the back, binary or k-bit levels in front."""

from typing import Any, Final

import torch
from torch import Tensor, nn

from lsi.errors import ConfigError
from training.data_sets.luminance import FIELD_PX
from training.mask_banks.mask_start import checked_grid, dithered_start

CLAMP: Final = 1.0
"""Mask logits beyond +-CLAMP get no gradient, so that a mirror cannot run away."""
MOST_BITS: Final = 8


class _StraightThrough(torch.autograd.Function):
    """Forward: the nearest of ``steps`` + 1 levels. Backward: the gradient as it is, 0 outside the clamp."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, steps: int) -> Tensor:  # noqa: ANN401 - torch gives ctx no type
        ctx.save_for_backward(logits)
        if steps == 1:  # exact at the threshold, where the formula below rounds
            return (logits >= 0).to(logits.dtype)
        opening = ((logits / CLAMP + 1) / 2).clamp(0, 1)
        return (opening * steps + 0.5).floor() / steps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch gives ctx no type
        (logits,) = ctx.saved_tensors
        return gradients[0] * (logits.abs() <= CLAMP), None


def levels(logits: Tensor, bits: int = 1) -> Tensor:
    """Levels 0..1 in ``2^bits - 1`` equal steps; -``CLAMP`` gives 0, +``CLAMP`` gives 1.

    The gradient is straight-through: 1 inside +-``CLAMP``, 0 outside, for every number of bits.
    """
    masks: Tensor = _StraightThrough.apply(logits, 2**bits - 1)  # type: ignore[no-untyped-call]  # torch has no type for it
    return masks


def heaviside(logits: Tensor) -> Tensor:
    """0 or 1 per logit (0 counts as 1), with a straight-through gradient inside +-``CLAMP``."""
    return levels(logits)


class MaskLayer(nn.Module):
    """d masks with real-valued logits behind them. Shape of the masks: (d, H, W), values 0..1.

    Args:
        d: Masks in the bank.
        generator: Source of the default start.
        size_px: Height and width of a mask.
        bits: 1 for binary masks. A DMD knows no grey: a mask of k bits is shown as k binary
            sub-exposures whose times are as 1 : 2 : 4 ..., so a scan takes k patterns per mask.
        feature_px: Smallest feature, height and width, in mask pixels. The logits live on a grid coarser by
            this factor and are repeated, so that mirrors can be binned. Must divide ``size_px``.
        start: Logits of shape (d, size_px / feature_px, size_px / feature_px) from
            ``training.mask_banks.mask_start``; an ordered dither when ``None``. White noise leaves its low
            frequencies in the masks for good (macro AUC 0.7 to 1 point lower in short runs).

    Raises:
        ConfigError: A number out of its range, or a start of another shape.
    """

    def __init__(  # noqa: PLR0913 - what a bank is; all but d and generator have defaults
        self,
        d: int,
        generator: torch.Generator,
        size_px: int = FIELD_PX,
        *,
        bits: int = 1,
        feature_px: int = 1,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        grid_px = checked_grid(size_px, feature_px)
        _check_count("masks", d, grid_px**2)
        _check_count("bits", bits, MOST_BITS)
        self.bits = bits
        self.feature_px = feature_px
        logits = dithered_start(d, generator, grid_px) if start is None else start
        if tuple(logits.shape) != (d, grid_px, grid_px):
            found = f"The start has shape {tuple(logits.shape)}, the bank wants {(d, grid_px, grid_px)}."
            raise ConfigError(found, hint="a start made for the same d, size and feature size.")
        self.logits = nn.Parameter(logits.detach().clone())

    def forward(self) -> Tensor:
        """The masks, quantised to their levels."""
        masks = levels(self.logits, self.bits)
        if self.feature_px == 1:
            return masks
        return masks.repeat_interleave(self.feature_px, 1).repeat_interleave(self.feature_px, 2)


def _check_count(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ConfigError(f"{value} {name} cannot be had.", hint=f"1 to {most}.")
