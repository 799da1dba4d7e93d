"""Short training runs that a bank of learned masks has to beat, all without noise.

Letters: n rows, d masks, K attributes. The read-out is the one of the product, on the same rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.mask_banks.masks import heaviside
from training.read_outs.model import ReadOut

Floats = NDArray[np.float32]
ROWS_AT_ONCE: Final = 2048
FEWEST_STEPS: Final = 30
MASK_RATE: Final = 3e-3
"""Adam on mask logits; the rate of the product."""


class Optics(StrEnum):
    """How a learned mask turns a scene into one number."""

    TWO_ARMS = "two arms"
    """Binary masks, ratio of arms: illumination cancels."""
    ONE_ARM = "one arm"
    """The same masks with the detector of arm + alone: raw sums, illumination does not cancel."""
    FREEFORM = "freeform pixels"
    """Grey masks 0..1, each before a detector of its own, all at once: raw sums."""


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """One short run. The learning rate is the peak of one cycle."""

    seed: int = 0
    epochs: int = 12
    batch: int = 256
    width: int = 512
    rate: float = 2e-3
    weight_decay: float = 1e-2


class LearnedOptics(nn.Module):
    """Masks trained with the read-out. ``forward``: fields (B, H, W) to numbers (B, d)."""

    def __init__(self, optics: Optics, d: int, size_px: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.optics = optics
        self.logits = nn.Parameter(0.1 * torch.randn(d, size_px, size_px, generator=generator))

    def masks(self) -> Tensor:
        """The masks, 0..1: binary but for ``FREEFORM``."""
        if self.optics is Optics.FREEFORM:
            return torch.sigmoid(4 * self.logits)
        return heaviside(self.logits)

    def forward(self, fields: Tensor) -> Tensor:
        """Noise-free measurements."""
        masks, pixels = self.masks().flatten(1), fields.flatten(1)
        if self.optics is Optics.TWO_ARMS:
            mean = pixels.mean(dim=1, keepdim=True).clamp_min(1e-6)
            return (pixels / mean) @ (2 * masks - 1).T / pixels.shape[1]
        return pixels @ masks.T / pixels.shape[1]


class FixedOptics(nn.Module):
    """Rows are measurements already."""

    def forward(self, measurements: Tensor) -> Tensor:
        """The same numbers."""
        return measurements


@dataclass(frozen=True, slots=True, repr=False)
class TrainedBaseline:
    """Optics and read-out after a run. Shape: rows as those of the training."""

    optics: nn.Module
    read_out: ReadOut

    @torch.no_grad()
    def logits(self, rows: Floats) -> Floats:
        """Logits (n, K)."""
        self.read_out.eval()
        blocks = torch.split(torch.from_numpy(rows), ROWS_AT_ONCE)
        found: Floats = torch.cat([self.read_out(self.optics(block)) for block in blocks]).numpy()
        return found


def train_fixed(
    measurements: Floats, attributes: NDArray[np.int8], settings: BaselineSettings
) -> TrainedBaseline:
    """A read-out on measurements (n, d) through masks that stay as they are."""
    return train_learned(FixedOptics(), measurements, attributes, settings)


def train_learned(
    optics: nn.Module, rows: Floats, attributes: NDArray[np.int8], settings: BaselineSettings
) -> TrainedBaseline:
    """Optics and read-out together.

    Args:
        optics: From a batch of ``rows`` to numbers (B, d); trained where it has parameters.
        rows: (n, ...), fields for ``LearnedOptics``.
        attributes: (n, K), +1 yes, -1 no, 0 unknown.
        settings: Of this run.
    """
    inputs, labels = torch.from_numpy(rows), torch.from_numpy(attributes.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        read_out = ReadOut(_width(optics, inputs), labels.shape[1], settings.width)
    trained = TrainedBaseline(optics, read_out)
    # A cycle of the learning rate needs a step on either side of its peak.
    steps = max(FEWEST_STEPS, settings.epochs * max(1, len(rows) // settings.batch))
    optimiser, schedule = _optimiser(trained, settings, steps)
    for chosen in _batches(len(rows), steps, settings):
        loss = _loss(read_out(optics(inputs[chosen])), labels[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        schedule.step()
    _settle_statistics(trained, inputs)
    return trained


@torch.no_grad()
def _width(optics: nn.Module, inputs: Tensor) -> int:
    """d, as the optics give it."""
    return len(optics(inputs[:1])[0])


def _batches(rows: int, steps: int, settings: BaselineSettings) -> Iterator[Tensor]:
    """Row numbers of ``steps`` batches, each row once per epoch."""
    generator = torch.Generator().manual_seed(settings.seed + 1)
    batch = min(settings.batch, rows)
    for step in range(steps):
        place = step % (rows // batch) * batch
        if not place:
            order = torch.randperm(rows, generator=generator)
        yield order[place : place + batch]


def _optimiser(
    trained: TrainedBaseline, settings: BaselineSettings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    masks = list(trained.optics.parameters())
    groups: list[dict[str, object]] = [{"params": trained.read_out.parameters(), "lr": settings.rate}]
    if masks:
        groups.append({"params": masks, "lr": MASK_RATE, "weight_decay": 0.0})
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    rates = [settings.rate, MASK_RATE][: len(groups)]
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy over the known labels; +1 yes, -1 no, 0 unknown."""
    each = functional.binary_cross_entropy_with_logits(logits, (labels > 0).float(), reduction="none")
    known = (labels != 0).float()
    mean: Tensor = (each * known).sum() / known.sum().clamp_min(1)
    return mean


@torch.no_grad()
def _settle_statistics(trained: TrainedBaseline, inputs: Tensor) -> None:
    """Standardise with mean and variance of all training rows under the final masks."""
    measured = torch.cat([trained.optics(block) for block in torch.split(inputs, ROWS_AT_ONCE)])
    statistics = trained.read_out.standardise
    if statistics.running_mean is not None and statistics.running_var is not None:
        statistics.running_mean.copy_(measured.mean(dim=0))
        statistics.running_var.copy_(measured.var(dim=0))
