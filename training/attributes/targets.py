"""What a loss on attributes compares with: labels of people, mixed with a teacher's answers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def mixed_targets(
    labels: NDArray[np.int8], soft: NDArray[np.floating[Any]] | None, soft_weight: float
) -> tuple[Tensor, Tensor]:
    """Targets 0..1 and which of them count, (n, K) each.

    Args:
        labels: (n, K), +1 yes, -1 no, 0 unknown.
        soft: (n, K), a teacher's probabilities; ``None`` without one.
        soft_weight: The part of a label that the teacher's answer replaces.
    """
    given = torch.tensor(labels)
    known, hard = given != 0, (given > 0).float()
    if soft is None:
        return hard, known
    answers = torch.tensor(soft, dtype=torch.float32)
    mixed = (1 - soft_weight) * hard + soft_weight * answers
    # What people did not label, the teacher still answers.
    return torch.where(known, mixed, answers), known | (soft_weight > 0)


def rarity_weights(targets: Tensor, known: Tensor, exponent: float) -> Tensor:
    """(negatives / positives) ** ``exponent`` of each attribute (K,); finite where one kind is missing."""
    counts = known.float()
    share = ((targets * counts).sum(dim=0) / counts.sum(dim=0).clamp_min(1.0)).clamp(1e-3, 1 - 1e-3)
    weights: Tensor = ((1 - share) / share) ** exponent
    return weights
