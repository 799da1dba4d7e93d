"""The teacher: a small convolutional network that sees the whole colour picture.

It never leaves the host. Its score is the ceiling beside every figure of the sensor, and its answers
are the soft labels that the read-out learns from (Hinton, Vinyals, Dean 2015, arXiv 1503.02531).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

WIDTHS: Final = (24, 40, 80, 160, 192)
"""Channels after each stage; each of the first four halves the picture. 1.1 million weights."""
SHOWN_AT_ONCE: Final = 256
FOUR_AXES: Final = 4
"""Of the weights of a convolution."""
FEWEST_STEPS: Final = 30
"""Below, the warm-up of the learning rate has no step of its own."""

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """``shift``, ``turn_rad``, ``scale``: standard deviations of the views; parts of the picture, radians."""

    epochs: int = 14
    seed: int = 0
    batch: int = 128
    rate: float = 4e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    shift: float = 0.025
    turn_rad: float = 0.05
    scale: float = 0.05
    gain: float = 0.15
    offset: float = 0.1


class Teacher(nn.Module):
    """Pictures (B, 3, 64, 64), about -1..1, to logits (B, K)."""

    def __init__(self, outputs: int, dropout: float) -> None:
        super().__init__()
        first, *widths = WIDTHS
        stem = [nn.Conv2d(3, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU()]
        sources = (first, *widths[:-1])
        steps = [2] * (len(widths) - 1) + [1]
        blocks = [_Block(*each) for each in zip(sources, widths, steps, strict=True)]
        self.body = nn.Sequential(*stem, *blocks)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], outputs))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of a batch of pictures."""
        logits: Tensor = self.head(self.body(pictures).mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    """Two 3 x 3 convolutions with a shortcut (He et al. 2016)."""

    def __init__(self, source: int, sink: int, step: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(source, sink, 3, step, 1, bias=False),
            nn.BatchNorm2d(sink),
            nn.ReLU(),
            nn.Conv2d(sink, sink, 3, 1, 1, bias=False),
            nn.BatchNorm2d(sink),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(step), nn.Conv2d(source, sink, 1, bias=False), nn.BatchNorm2d(sink)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.path(x) + self.shortcut(x))


def train_teacher(
    pictures: Pictures,
    labels: NDArray[np.int8],
    settings: TeacherSettings,
    progress: Callable[[str], None],
) -> Teacher:
    """Train on ``pictures`` (n, 64, 64, 3) with ``labels`` (n, K): +1 yes, -1 no, 0 unknown."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # The dropout of the network has no generator of its own: it draws from the global one.
    with device, torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        run = _Teaching(torch.tensor(pictures), torch.tensor(labels), settings)
        for epoch in range(settings.epochs):
            loss = run.epoch()
            progress(f"teacher, epoch {epoch + 1}/{settings.epochs}: loss {loss:.4f}")
    run.teacher.eval()
    return run.teacher


class _Teaching:
    """State of one run."""

    def __init__(self, pictures: Tensor, labels: Tensor, settings: TeacherSettings) -> None:
        self.pictures = pictures
        self.known, self.hard = (labels != 0).float(), (labels > 0).float()
        self.settings = settings
        self.generator = torch.Generator(pictures.device).manual_seed(settings.seed)
        self.teacher = Teacher(labels.shape[1], settings.dropout)
        for weights in self.teacher.parameters():  # as the pictures lie in memory: convolutions twice as fast
            if weights.ndim == FOUR_AXES:
                weights.data = weights.data.contiguous(memory_format=torch.channels_last)
        self.batches = max(1, len(pictures) // settings.batch)
        self.optimiser = torch.optim.AdamW(self.teacher.parameters(), weight_decay=settings.weight_decay)
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, settings.rate, total_steps=max(FEWEST_STEPS, settings.epochs * self.batches)
        )

    def epoch(self) -> float:
        """One pass over the pictures; returns the mean loss."""
        order, size = torch.randperm(len(self.pictures), generator=self.generator), self.settings.batch
        losses = [self._step(order[index * size : (index + 1) * size]) for index in range(self.batches)]
        return float(np.mean(losses))

    def _step(self, rows: Tensor) -> float:
        logits = self.teacher(_view(self.pictures[rows], self.settings, self.generator))
        loss = functional.binary_cross_entropy_with_logits(logits, self.hard[rows], weight=self.known[rows])
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.optimiser.step()
        self.rates.step()
        return float(loss.detach())


@torch.no_grad()
def answers(teacher: Teacher, pictures: Pictures) -> NDArray[np.float32]:
    """Logits (n, K) of ``pictures`` (n, 64, 64, 3): the mean of each picture and its mirror image."""
    device = next(teacher.parameters()).device
    parts = [
        shown(torch.tensor(pictures[start : start + SHOWN_AT_ONCE], device=device))
        for start in range(0, len(pictures), SHOWN_AT_ONCE)
    ]
    found = [(teacher(part) + teacher(part.flip(-1))) / 2 for part in parts]
    logits: NDArray[np.float32] = torch.cat(found).cpu().numpy()
    return logits


def shown(pictures: Tensor) -> Tensor:
    """Codes (B, H, W, 3) to what the network reads, (B, 3, H, W)."""
    scaled = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    return scaled.contiguous(memory_format=torch.channels_last)


def _view(pictures: Tensor, settings: TeacherSettings, generator: torch.Generator) -> Tensor:
    """The pictures a little moved, mirrored or not, brighter or darker."""
    count = len(pictures)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).clamp(-2.5, 2.5)

    turn_rad, scale = settings.turn_rad * normal(count), 1 + settings.scale * normal(count)
    mirror = 2.0 * torch.randint(0, 2, (count,), generator=generator) - 1
    shift = 2 * settings.shift * normal(count, 2)
    cos, sin = turn_rad.cos() * scale, turn_rad.sin() * scale
    across = torch.stack((cos * mirror, sin, shift[:, 0]), dim=1)
    down = torch.stack((-sin * mirror, cos, shift[:, 1]), dim=1)
    seen = shown(pictures)
    grid = functional.affine_grid(torch.stack((across, down), dim=1), list(seen.shape), align_corners=False)
    moved = functional.grid_sample(seen, grid, padding_mode="reflection", align_corners=False)
    gain, offset = 1 + settings.gain * normal(count, 1, 1, 1), settings.offset * normal(count, 1, 1, 1)
    return (moved * gain + offset).contiguous(memory_format=torch.channels_last)


def softened(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities 0..1 of logits: the teacher's answers as labels."""
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def weights_in_teacher(outputs: int) -> int:
    """Parameters of a teacher with that many outputs."""
    return sum(math.prod(each.shape) for each in Teacher(outputs, 0.0).parameters())
