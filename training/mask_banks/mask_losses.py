"""Losses on the masks themselves, by name. They read masks (d, H, W) of 0..1 and give a scalar."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

OPEN_FLOOR: Final = 0.30
"""Open fraction below which a mask is penalised: one arm alone then starves of light."""
LADDER_FIRST_PERCENT: Final = 10
LADDER_LAST_PERCENT: Final = 90
LADDER_SEED: Final = 0


def open_floor(masks: Tensor) -> Tensor:
    """``mean(max(0, 1 - open / floor)^2)``: 0 from an open fraction of 0.30 up, 1 for closed masks.

    Squared, so that the gradient fades out at the floor instead of stopping there.
    """
    lack = (1 - open_fraction(masks) / OPEN_FLOOR).clamp_min(0)
    return lack.square().mean()


def energy_ladder(masks: Tensor) -> Tensor:
    """Mean distance of the masks' open fractions from ``energy_targets`` (the paper's loss, L1)."""
    targets = torch.tensor(energy_targets(len(masks)), dtype=masks.dtype, device=masks.device)
    return (open_fraction(masks) - targets).abs().mean()


MASK_LOSSES: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"open_floor": open_floor, "energy_ladder": energy_ladder}
)


def open_fraction(masks: Tensor) -> Tensor:
    """Part of the light of a flat field that goes to arm +. Shape (d,)."""
    return masks.flatten(1).mean(dim=1)


def energy_targets(d: int, seed: int = LADDER_SEED) -> tuple[float, ...]:
    """10 %, 11 %, ... 90 % and again from 10 %, d of them, in an order that only d and ``seed`` decide.

    The order follows SHA-256, so it is the same with every version of every library; the paper's own
    permutation is not stored with its weights.
    """
    rungs = LADDER_LAST_PERCENT - LADDER_FIRST_PERCENT + 1
    ladder = [(LADDER_FIRST_PERCENT + rung % rungs) / 100 for rung in range(d)]
    return tuple(ladder[rung] for rung in sorted(range(d), key=lambda rung: _rank(seed, rung)))


def _rank(seed: int, rung: int) -> bytes:
    return hashlib.sha256(f"{seed}:{rung}".encode()).digest()
