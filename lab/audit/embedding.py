"""An attacker with a small network: it learns people and attributes, then compares what it learned."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.audit.attackers import Lesson, Likelihood, Nearest, Values

WIDTH: Final = 256
EMBEDDED: Final = 32
DROPPED: Final = 0.2
NOISE: Final = 0.1
"""Added to standardised inputs while learning."""
SHARPNESS: Final = 12.0
"""Factor on cosines before the softmax over people."""
ATTRIBUTE_WEIGHT: Final = 20.0
RATE: Final = 2e-3
DECAY: Final = 1e-2
BATCH: Final = 512
EPOCHS: Final = 8
FEWEST_STEPS: Final = 60
"""Small sets are shown more often."""


@dataclass(frozen=True, slots=True, repr=False)
class Embedding:
    """Log-likelihood ratio on the standardised numbers and the network's last layer together.

    The network learns to name the people of the lesson and their attributes; the layer before both is what
    it keeps of a stranger.
    """

    base: Nearest
    layers: nn.Module
    likelihood: Likelihood

    @classmethod
    def learned(cls, lesson: Lesson) -> "Embedding":
        """Trained on the people who have two pictures."""
        base = Nearest.learned(lesson)
        standard = _standard(base, lesson.values)
        layers = _taught(standard, lesson)
        both = _with_embedding(layers, standard)
        likelihood = Likelihood.learned(Lesson(both, lesson.identity, lesson.labels))
        return cls(base, layers, likelihood)

    def scores(self, probes: Values, gallery: Values) -> Values:
        """See ``lab.audit.attackers.Matcher``."""
        x, y = (_with_embedding(self.layers, _standard(self.base, values)) for values in (probes, gallery))
        return self.likelihood.scores(x, y)


def _taught(standard: Tensor, lesson: Lesson) -> nn.Module:
    people, person_of, counts = np.unique(lesson.identity, return_inverse=True, return_counts=True)
    kept = torch.tensor(np.flatnonzero(counts[person_of] > 1))
    person, answers = torch.tensor(person_of), torch.tensor(lesson.labels).float()
    with torch.random.fork_rng():
        torch.manual_seed(lesson.seed)
        layers, head = _layers(standard.shape[1]), nn.Linear(EMBEDDED, max(1, answers.shape[1]))
        names = nn.Parameter(torch.randn(len(people), EMBEDDED))
        parameters = [*layers.parameters(), *head.parameters(), names]
        optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
        steps = max(FEWEST_STEPS, EPOCHS * -(-len(kept) // BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for rows in _batches(kept, steps):
            embedded = layers(standard[rows] + NOISE * torch.randn(len(rows), standard.shape[1]))
            loss = _naming_loss(embedded, names, person[rows]) + _attribute_loss(
                head, embedded, answers[rows]
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimiser.step()
            schedule.step()
    return layers.eval()


def _layers(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, WIDTH), nn.GELU(), nn.Dropout(DROPPED),
        nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(DROPPED),
        nn.Linear(WIDTH, EMBEDDED),
    )  # fmt: skip


def _batches(kept: Tensor, steps: int) -> list[Tensor]:
    found: list[Tensor] = []
    while len(found) < steps:
        found += torch.split(kept[torch.randperm(len(kept))], BATCH)
    return found[:steps]


def _naming_loss(embedded: Tensor, names: Tensor, person: Tensor) -> Tensor:
    cosines = functional.normalize(embedded, dim=1) @ functional.normalize(names, dim=1).T
    return functional.cross_entropy(SHARPNESS * cosines, person)


def _attribute_loss(head: nn.Linear, embedded: Tensor, answers: Tensor) -> Tensor:
    """Cross entropy of the attributes whose label is known; 0 without any."""
    if not answers.shape[1]:
        return torch.zeros(())
    each = functional.binary_cross_entropy_with_logits(
        head(embedded), (answers > 0).float(), weight=answers.abs(), reduction="mean"
    )
    return ATTRIBUTE_WEIGHT * each


def _standard(base: Nearest, values: Values) -> Tensor:
    return torch.tensor((values - base.mean) * base.scale).float()


def _with_embedding(layers: nn.Module, standard: Tensor) -> Values:
    with torch.no_grad():
        embedded = layers(standard)
    both: Values = torch.cat((standard, embedded), dim=1).numpy().astype(np.float64)
    return both
