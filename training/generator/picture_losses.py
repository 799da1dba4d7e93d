"""Losses between pictures, by name. They read (B, 3, H, W), about -1..1, and give a scalar."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from torch import Tensor
from torch.nn import functional

SCALES: Final = 3
"""Sizes at which edges are compared: the picture, its half and its quarter."""


def pixel(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (made - wanted).abs().mean()


def pixel_squared(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference, the paper's."""
    return (made - wanted).square().mean()


def gradient(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels' differences, at three sizes."""
    total = made.new_zeros(())
    for _ in range(SCALES):
        error = made - wanted
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        made, wanted = functional.avg_pool2d(made, 2), functional.avg_pool2d(wanted, 2)
    return total / SCALES


PICTURE_LOSSES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = MappingProxyType(
    {"pixel": pixel, "pixel_squared": pixel_squared, "gradient": gradient}
)
