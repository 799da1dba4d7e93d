"""The adversarial phase of a generator: a network that tells decoded pictures from real ones.

Hinge losses (Lim, Ye 2017, arXiv 1705.02894) and a penalty on the critic's slope at real pictures (Mescheder
et al. 2018, arXiv 1801.04406), the latter every ``PENALTY_EVERY`` steps.
"""

import itertools
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE: Final = 1e-3
BETAS: Final = (0.0, 0.99)
PENALTY: Final = 1.0
PENALTY_EVERY: Final = 8
SMALLEST_PX: Final = 4
_SLOPE: Final = 0.2


class Critic(nn.Module):
    """Pictures (B, 3, R, R) to scores (B,): high for what looks real. ``widths`` from full size to 4 px."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1), nn.LeakyReLU(_SLOPE)]
        for source, sink in itertools.pairwise(widths):
            layers += [nn.Conv2d(source, sink, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * SMALLEST_PX**2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores of a batch."""
        scores: Tensor = self.head(self.body(pictures).flatten(1))[:, 0]
        return scores


class Adversary:
    """A critic with its optimiser, trained in turn with the generator."""

    def __init__(self, widths: tuple[int, ...], seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.critic = Critic(widths)
        self.optimiser = torch.optim.Adam(self.critic.parameters(), lr=RATE, betas=BETAS)
        self.taught = 0

    def __repr__(self) -> str:
        return f"Adversary(taught={self.taught})"

    def judge(self, made: Tensor) -> Tensor:
        """The generator's loss: less where the critic takes ``made`` for real. The critic learns nothing."""
        self.critic.requires_grad_(requires_grad=False)
        scores: Tensor = self.critic(made)
        return -scores.mean()

    def teach(self, made: Tensor, real: Tensor) -> Tensor:
        """One step of the critic; its hinge loss, 2 where it cannot tell, 0 where it always can."""
        self.critic.requires_grad_(requires_grad=True)
        real = real.detach().clone()
        real.requires_grad = True
        of_real, of_made = self.critic(real), self.critic(made.detach())
        hinge = functional.relu(1 - of_real).mean() + functional.relu(1 + of_made).mean()
        loss = hinge
        if self.taught % PENALTY_EVERY == 0:
            slope = torch.autograd.grad(of_real.sum(), real, create_graph=True)[0]
            loss = loss + PENALTY_EVERY * PENALTY / 2 * slope.square().sum(dim=(1, 2, 3)).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.optimiser.step()
        self.taught += 1
        return hinge.detach()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        parts = {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}
        return {**parts, "taught": self.taught}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.taught = int(state["taught"])
