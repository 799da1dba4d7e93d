"""A small decoder that learns what the linear estimate misses."""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.audit.attackers import Nearest, Values
from lab.audit.reconstruction import Examples, Guess, Pictures

WIDTH: Final = 256
RATE: Final = 1e-3
BATCH: Final = 256
EPOCHS: Final = 6
FEWEST_STEPS: Final = 60
NOISE: Final = 0.05


def learned_decoder(examples: Examples, linear: Guess) -> Guess:
    """Message to picture: the linear estimate plus a correction by a network of two hidden layers."""
    base = Nearest.learned_from(examples.messages)
    start = linear(examples.messages)
    missing = torch.tensor((examples.pictures - start).reshape(len(start), -1))
    layers = _taught(_standard(base, examples.messages), missing)

    def guess(messages: Values) -> Pictures:
        first = linear(messages)
        with torch.no_grad():
            more = layers(_standard(base, messages)).numpy()
        pictures: Pictures = (first + more.reshape(first.shape)).astype(np.float32)
        return pictures.clip(0, 1)

    return guess


def _taught(messages: Tensor, missing: Tensor) -> nn.Module:
    steps = max(FEWEST_STEPS, EPOCHS * -(-len(messages) // BATCH))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Linear(messages.shape[1], WIDTH), nn.GELU(),
            nn.Linear(WIDTH, WIDTH), nn.GELU(),
            nn.Linear(WIDTH, missing.shape[1]),
        )  # fmt: skip
        optimiser = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(steps):
            rows = torch.randint(0, len(messages), (BATCH,))
            noisy = messages[rows] + NOISE * torch.randn(len(rows), messages.shape[1])
            loss = functional.mse_loss(layers(noisy), missing[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimiser.step()
            schedule.step()
    return layers.eval()


def _standard(base: Nearest, messages: Values) -> Tensor:
    return torch.tensor((messages - base.mean) * base.scale).float()
