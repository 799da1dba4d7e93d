"""Nested banks: one bank of d masks and one read-out that serve every d' <= d.

Training shows the read-out prefixes of the measurement, so the first masks must carry what matters
most. Measurements beyond d' are set to their mean, 0 after standardisation, and the read-out
knows d' by a bias of its own in the first layer::

    prefixes = NestedPrefix(64)                         # 4, 8, 16, 32 and 64
    read_out = NestedReadOut(prefixes, outputs=41)
    shown = prefixes.draw(len(measurement), generator)  # (B,): one size for each row
    loss = criterion(read_out(measurement, shown), labels)
    ...
    at_16 = read_out.at(16)                             # a plain ReadOut(16, 41) for masks[:16]

Or each row at every size, five passes of the read-out for one of the optics::

    logits = read_out.every_size(measurement)           # (5, B, 41)
    loss = criterion(logits, labels.expand(5, -1, -1))

``docs/explanation/masks.md`` compares both with banks of their own.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from lsi.errors import ConfigError
from training.read_outs.model import ReadOut, check_parameters

PREFIXES: Final = (4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class NestedPrefix:
    """The sizes at which a bank of d masks is trained, and how often each is drawn.

    Declared sizes of d and above are left out, d itself is always one. ``full_share`` of the rows of
    every batch (one at least) see all d; the others see one of the smaller sizes, each as likely.

    Raises:
        ConfigError: Sizes that do not ascend from 1 on, d below 1, or a share outside 0..1.
    """

    d: int
    declared: tuple[int, ...] = PREFIXES
    full_share: float = 0.2

    def __post_init__(self) -> None:
        if (
            self.d < 1
            or list(self.declared) != sorted(set(self.declared))
            or min(self.declared, default=1) < 1
        ):
            found = f"Prefixes {self.declared} of a bank of {self.d} masks."
            raise ConfigError(found, hint="ascending sizes from 1 on, such as 4 8 16 32.")
        if not 0 <= self.full_share <= 1:
            raise ConfigError(f"A share of {self.full_share} for the full bank.", hint="0 to 1.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes in use, ascending; the last is d."""
        return (*(size for size in self.declared if size < self.d), self.d)

    def draw(self, rows: int, generator: torch.Generator) -> Tensor:
        """How many masks each row sees. Shape (rows,), int64; which rows see all d is random."""
        device = generator.device
        smaller = torch.tensor(self.sizes[:-1] or (self.d,), device=device)
        shown = smaller[torch.randint(0, len(smaller), (rows,), generator=generator, device=device)]
        full = max(1, round(self.full_share * rows))
        shown[torch.randperm(rows, generator=generator, device=device)[:full]] = self.d
        return shown


class NestedReadOut(ReadOut):
    """A read-out that is told how many masks of the bank were shown.

    Each of the prefixes' sizes has a bias in the first layer; between two sizes it is interpolated in log d',
    so every d' from 1 to d is served. For one d' the bias is a constant: ``at`` folds it in, and what is
    exported is a plain ``ReadOut``.
    """

    def __init__(self, prefixes: NestedPrefix, outputs: int, width: int = 512, dropout: float = 0.0) -> None:
        check_parameters(prefixes.d, outputs, width, biases=1 + len(prefixes.sizes))
        super().__init__(prefixes.d, outputs, width, dropout)
        self.d = prefixes.d
        self.sizes = prefixes.sizes
        self.prefix_bias = nn.Parameter(torch.zeros(len(prefixes.sizes), width))
        self.mixture: Tensor
        self.register_buffer("mixture", size_mixture(prefixes.sizes))

    def forward(self, measurement: Tensor, shown: Tensor | int | None = None) -> Tensor:
        """Logits of measurements (B, d) of which the first ``shown`` count.

        Args:
            measurement: (B, d); what stands beyond ``shown`` is not read.
            shown: d' of the batch, or of each row (B,) int64 in 1..d; all of d when ``None``.
        """
        counts = torch.as_tensor(self.d if shown is None else shown, device=measurement.device)
        counts = counts.expand(len(measurement))
        standard = self.standardise(measurement)
        hidden_from = torch.arange(self.d, device=measurement.device) >= counts[:, None]
        first = self.layers[0](standard.masked_fill(hidden_from, 0.0))
        logits: Tensor = self.layers[1:](first + self.mixture[counts] @ self.prefix_bias)
        return logits

    def every_size(self, measurement: Tensor) -> Tensor:
        """Logits (sizes, B, outputs) of the same measurements (B, d) at each declared size, ascending."""
        sizes, rows = len(self.sizes), len(measurement)
        shown = torch.tensor(self.sizes, device=measurement.device).repeat_interleave(rows)
        logits: Tensor = self(measurement.repeat(sizes, 1), shown)
        return logits.view(sizes, rows, -1)

    @torch.no_grad()
    def at(self, shown: int) -> ReadOut:
        """The plain read-out for the first ``shown`` masks, in evaluation mode.

        Raises:
            ConfigError: ``shown`` outside 1..d.
        """
        if not 1 <= shown <= self.d:
            raise ConfigError(f"A bank of {self.d} masks has no prefix of {shown}.", hint=f"1 to {self.d}.")
        last = self.linears[-1]
        plain = ReadOut(shown, last.out_features, last.in_features)
        for ours, source in zip(plain.linears, self.linears, strict=True):
            ours.load_state_dict({"weight": source.weight[:, : ours.in_features], "bias": source.bias})
        plain.linears[0].bias.add_(self.mixture[shown] @ self.prefix_bias)
        statistics = self.standardise.state_dict()
        running = {name: value[:shown] for name, value in statistics.items() if value.ndim}
        plain.standardise.load_state_dict({**statistics, **running})
        return plain.eval()


def size_mixture(sizes: tuple[int, ...]) -> Tensor:
    """Row d': the part of each size's bias that d' gets; rows sum to 1. Shape (d + 1, sizes)."""
    counts = torch.arange(sizes[-1] + 1, dtype=torch.float32).clamp(min=sizes[0]).log()
    knots = torch.tensor(sizes, dtype=torch.float32).log()
    upper = torch.bucketize(counts, knots).clamp(max=len(sizes) - 1)
    lower = (upper - 1).clamp(min=0)
    span = (knots[upper] - knots[lower]).clamp_min(1e-9)
    part = ((counts - knots[lower]) / span).clamp(0, 1)
    rows = torch.zeros(len(counts), len(sizes))
    index = torch.arange(len(counts))
    rows[index, lower] += 1 - part
    rows[index, upper] += part
    return rows
