"""``LatentEncoder``: measurement to latent offset, attributes and presence. What is exported to the device.

Standardised ratio of arms, one trunk, a token for each layer of the latent, tokens that are mixed, and a
linear head on the offset. At most two million parameters; the paper's has 28 million and more.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsi.errors import ConfigError
from training.latent.latent_shape import LatentEncoderShape
from training.read_outs.nested import NestedPrefix, size_mixture


class LatentEncoder(nn.Module):
    """Measurements (B, d) to offsets (B, L, D) and logits (B, K + 1), the attributes, then presence.

    Args:
        shape: Its size.
        prefixes: Where the bank is nested, the sizes that it serves: each has a bias of its own after the
            first layer, interpolated between them, as in ``training.read_outs.nested``.
    """

    def __init__(self, shape: LatentEncoderShape, prefixes: NestedPrefix | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.sizes = (shape.d,) if prefixes is None else prefixes.sizes
        self.standardise = nn.BatchNorm1d(shape.d, affine=False, momentum=0.03)
        self.first = nn.Linear(shape.d, shape.trunk)
        self.prefix_bias = nn.Parameter(torch.zeros(len(self.sizes), shape.trunk))
        self.mixture: Tensor
        self.register_buffer("mixture", size_mixture(self.sizes))
        self.blocks = nn.ModuleList(_Residual(shape.trunk) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.trunk)
        self.spread = nn.Linear(shape.trunk, shape.layers * shape.token)
        self.mixer = _TokenMixer(shape.layers, shape.token)
        self.last = nn.Linear(shape.token, shape.width)
        self.layer_bias = nn.Parameter(torch.zeros(shape.layers, shape.width))
        self.head = nn.Linear(shape.layers * shape.width, shape.outputs)

    def forward(self, measurements: Tensor, shown: Tensor | int | None = None) -> tuple[Tensor, Tensor]:
        """Offsets and logits of measurements of which the first ``shown`` (of all rows or each) count."""
        offsets = self.offsets(measurements, shown)
        logits: Tensor = self.head(offsets.flatten(1))
        return offsets, logits

    def offsets(self, measurements: Tensor, shown: Tensor | int | None = None) -> Tensor:
        """Offsets alone."""
        d, rows = self.shape.d, len(measurements)
        counts = torch.as_tensor(d if shown is None else shown, device=measurements.device).expand(rows)
        standard = self.standardise(measurements)
        beyond = torch.arange(d, device=measurements.device) >= counts[:, None]
        x = self.first(standard.masked_fill(beyond, 0.0)) + self.mixture[counts] @ self.prefix_bias
        for block in self.blocks:
            x = block(x)
        tokens = self.spread(functional.silu(self.norm(x))).view(rows, self.shape.layers, self.shape.token)
        offsets: Tensor = self.last(self.mixer(tokens)) + self.layer_bias
        return offsets

    @torch.no_grad()
    def at(self, shown: int) -> "LatentEncoder":
        """The plain encoder for the first ``shown`` masks, in evaluation mode."""
        plain = LatentEncoder(replace(self.shape, d=shown))
        state = {name: value.clone() for name, value in self.state_dict().items()}
        state["first.weight"] = state["first.weight"][:, :shown]
        state["first.bias"] = state["first.bias"] + self.mixture[shown] @ self.prefix_bias
        state["prefix_bias"] = torch.zeros_like(plain.prefix_bias)
        state["mixture"] = plain.mixture
        for name in ("standardise.running_mean", "standardise.running_var"):
            state[name] = state[name][:shown]
        plain.load_state_dict(state)
        return plain.eval()

    @torch.no_grad()
    def start_from(self, other: "LatentEncoder") -> None:
        """Take over what another encoder has learned; masks beyond its d are not heard at first.

        Raises:
            ConfigError: It serves several sizes, more masks, or has other layers than this one.
        """
        known = other.shape.d
        if len(other.sizes) > 1 or known > self.shape.d or replace(other.shape, d=self.shape.d) != self.shape:
            found = f"An encoder of {self.shape} cannot start from {other.shape}."
            raise ConfigError(found, hint="a checkpoint of the same generator and attributes, d not larger.")
        kept, state = self.state_dict(), other.state_dict()
        for name in ("standardise.running_mean", "standardise.running_var"):
            kept[name][:known] = state[name]
        kept["first.weight"].zero_()[:, :known] = state["first.weight"]
        kept["first.bias"].copy_(state["first.bias"] + state["prefix_bias"][0])
        own = {"first.weight", "first.bias", "prefix_bias", "mixture"}
        for name in kept.keys() - own:
            if not name.startswith("standardise"):
                kept[name].copy_(state[name])


class _Residual(nn.Module):
    """Two layers beside a shortcut, normalised before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.outer(functional.silu(self.inner(self.norm(x))))
        return total


class _TokenMixer(nn.Module):
    """A gated block over the tokens (gMLP, Liu et al. 2021): what one layer needs, another may know.

    Shape: (B, L, token), kept. The gate starts open, and its mixing small but not inert.
    """

    def __init__(self, layers: int, token: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(token)
        self.content = nn.Linear(token, token)
        self.gate = nn.Linear(token, token)
        self.gate_norm = nn.LayerNorm(token)
        self.mixing = nn.Parameter(0.1 / layers * torch.randn(layers, layers))
        self.opening = nn.Parameter(torch.ones(layers))
        self.outer = nn.Linear(token, token)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm(tokens)
        content, gate = functional.gelu(self.content(normed)), functional.gelu(self.gate(normed))
        mixed = self.mixing @ self.gate_norm(gate) + self.opening[:, None]
        total: Tensor = tokens + self.outer(content * mixed)
        return total
