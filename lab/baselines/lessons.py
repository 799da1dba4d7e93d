"""How the baselines that learn are taught: steps, batches, one rate for networks and one for masks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lab.baselines.grey import light_of_screen, screen
from lsi.errors import ConfigError, TrainingError
from training.latent.latent_exam import NOISE_SEED

MASK_RATE: Final = 3e-3
"""That of our own banks."""
TOLD_EVERY: Final = 50
SHOWN_AT_ONCE: Final = 64

Floats = NDArray[np.float32]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """The same for every baseline that learns: ``steps`` of ``batch`` scenes, ``rate`` at its cycle's peak.

    Raises:
        ConfigError: Fewer than ten steps, or less than two scenes.
    """

    steps: int = 1000
    batch: int = 16
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 10 or self.batch < 2:  # noqa: PLR2004 - least for a cycle of the rate and for batch norm
            found = f"A baseline of {self.steps} steps of {self.batch} scenes."
            raise ConfigError(found, hint="at least 10 steps of 2.")

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.batch} scenes for each baseline that learns, at each d"


def teach(network: nn.Module, fields: Floats, budget: Budget, tell: Tell) -> Callable[[Floats], Floats]:
    """Train on the mean absolute error of coded pictures; what comes back takes fields to their luminance.

    Raises:
        TrainingError: The loss is no longer a number.
    """
    generator = torch.Generator().manual_seed(budget.seed)
    optimiser = _optimiser(network, budget)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups], total_steps=budget.steps
    )
    network.train()
    for step in range(budget.steps):
        rows = torch.randint(len(fields), (budget.batch,), generator=generator)
        shown = torch.tensor(fields[rows.numpy()])
        loss = (network(shown, generator) - screen(shown)).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % TOLD_EVERY == 0 or step + 1 == budget.steps:
            error = float(loss.detach())
            _check(error, step)
            tell(f"  step {step + 1}/{budget.steps}: error {error:.4f}")
    network.eval()
    return lambda asked: _luminance(network, asked)


@torch.no_grad()
def _luminance(network: nn.Module, fields: Floats) -> Floats:
    generator = torch.Generator().manual_seed(NOISE_SEED)
    parts = torch.split(torch.tensor(fields), SHOWN_AT_ONCE)
    found: Floats = torch.cat([light_of_screen(network(part, generator)) for part in parts]).numpy()
    return found


def _optimiser(network: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    masks = [each for name, each in network.named_parameters() if name.startswith("masks.")]
    rest = [each for name, each in network.named_parameters() if not name.startswith("masks.")]
    groups = [{"params": rest, "lr": budget.rate}]
    if masks:
        groups.append({"params": masks, "lr": MASK_RATE})
    return torch.optim.Adam(groups)


def _check(loss: float, step: int) -> None:
    if not np.isfinite(loss):
        found = f"The loss of a baseline is no longer a number at step {step + 1}."
        raise TrainingError(found, hint="fewer methods (--baselines), or another --baseline-steps.")
