"""``PaperEncoder``: measurement to latent offset as in the paper, with the paper's parameter names.

The arithmetic is that of ``vccimaging/latent-imaging`` with its default options.
"""

from typing import Final, cast

import torch
from torch import nn

from training.paper.paper_weights import (
    ATTENTION_WIDTH,
    GATED_TOKENS,
    MEASUREMENT_STYLES,
    MIDDLE_STYLES,
    REPEATS,
    STYLES,
    WIDTH,
    PaperWeights,
    expected_encoder_shapes,
)

_GATE_SPREAD: Final = 1e-3


class PaperEncoder(nn.Module):
    """18 style blocks in three levels, coupled by gated blocks.

    Shape: measurements (n, d) to offsets (n, 18, 512). The state dict has the names and shapes of
    :func:`training.paper.paper_weights.expected_encoder_shapes`.

    Args:
        d: Masks, 4 to 512.

    Raises:
        ValueError: ``d`` out of range.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        expected_encoder_shapes(d)  # checks d
        self.styles = nn.ModuleList(_StyleBlock(d, repeats) for repeats in REPEATS)
        self.proj_input_0_glp = _GatedStack(GATED_TOKENS["proj_input_0_glp"])
        self.proj_input_0_linear = nn.Linear(MEASUREMENT_STYLES * WIDTH, d)
        self.proj_input_1_glp = _GatedStack(GATED_TOKENS["proj_input_1_glp"])
        self.proj_input_1_linear = nn.Linear(MIDDLE_STYLES * WIDTH, d)
        self.out = _GatedStack(GATED_TOKENS["out"])

    @classmethod
    def from_weights(cls, weights: PaperWeights) -> "PaperEncoder":
        """An encoder in float32 with a copy of ``weights``."""
        with torch.device("meta"):  # no time and memory for numbers that are replaced at once
            encoder = cls(weights.d)
        state = {name: torch.tensor(array) for name, array in weights.encoder.items()}
        encoder.load_state_dict(state, assign=True)
        return encoder

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        """Offset from the mean latent."""
        middle, fine = MEASUREMENT_STYLES, MEASUREMENT_STYLES + MIDDLE_STYLES
        first = self._level(measurements, range(middle))
        mixed = self.proj_input_0_glp(first).flatten(1)
        second = self._level(self.proj_input_0_linear(mixed) + measurements, range(middle, fine))
        mixed = self.proj_input_1_glp(second).flatten(1)
        # Here too the measurement itself is added, not the input of the level before.
        third = self._level(self.proj_input_1_linear(mixed) + measurements, range(fine, STYLES))
        return cast("torch.Tensor", self.out(torch.cat([first, second, third], dim=1)))

    def _level(self, x: torch.Tensor, indices: range) -> torch.Tensor:
        return torch.stack([self.styles[index](x) for index in indices], dim=1)


class _StyleBlock(nn.Module):
    """One layer of the latent. Shape: (n, d) to (n, 512)."""

    def __init__(self, d: int, repeats: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.initial = nn.Sequential(nn.Linear(d, WIDTH), nn.SiLU())
        layers: list[nn.Module] = []
        for _ in range(repeats):
            # The fourth place is the paper's dropout, whose rate is 0; the names count it.
            layers += [nn.LayerNorm(WIDTH), _SingleTokenAttention(), nn.SiLU(), nn.Identity()]
        self.convs = nn.Sequential(*layers)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.initial(self.norm(x))
        return cast("torch.Tensor", self.linear(self.convs(h) + h))


class _SingleTokenAttention(nn.Module):
    """Attention over a sequence of one: its weight is 1, so the output is the projected value.

    The query and key rows of ``to_qkv`` have no effect and get no gradient; they are kept so that
    checkpoints fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(WIDTH, 3 * ATTENTION_WIDTH, bias=False)
        self.to_out = nn.Linear(ATTENTION_WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = nn.functional.linear(x, self.to_qkv.weight[2 * ATTENTION_WIDTH :])
        return cast("torch.Tensor", self.to_out(value))


class _GatedStack(nn.Module):
    """One gated block with a residual. Shape: (n, tokens, 512), kept."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Residual(_GatedBlock(tokens))])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class _Residual(nn.Module):
    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + cast("torch.Tensor", self.fn(x))


class _GatedBlock(nn.Module):
    """Half of the channels, mixed over the tokens, gates the other half. No norm before it."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.proj_in = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU())
        self.sgu = _TokenGate(tokens)
        self.proj_out = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.proj_out(self.sgu(self.proj_in(tokens))))


class _TokenGate(nn.Module):
    """Shape: (n, tokens, 1024) to (n, tokens, 512). Starts close to a gate that is open everywhere."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        spread = _GATE_SPREAD / tokens
        self.weight = nn.Parameter(torch.empty(1, tokens, tokens).uniform_(-spread, spread))
        self.bias = nn.Parameter(torch.ones(1, tokens))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        content, gate = x.chunk(2, dim=-1)
        mixed = torch.matmul(self.weight, self.norm(gate)) + self.bias.unsqueeze(-1)
        return content * mixed
