"""The synthesis network: latents in, pictures out. PyTorch, no training code.

Modulated convolutions as in StyleGAN2 (Karras et al. 2020, arXiv 1912.04958), written from the paper:
scaling the input by the style, convolving, and dividing by the norm of the scaled weights equals their
convolution with weights of its own for each picture, without a group per picture. No noise inputs:
the same latent always gives the same picture.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsi.errors import ConfigError

START_PX: Final = 4
MOST_PX: Final = 256
_COLOURS: Final = 3
_SLOPE: Final = 0.2
_GAIN: Final = sqrt(2.0)
"""Keeps the variance through a leaky ReLU."""
_EPSILON: Final = 1e-8


@dataclass(frozen=True, slots=True)
class SynthesisShape:
    """Size of a synthesis network. ``widths`` are the channels at 4, 8, ... ``size_px`` pixels.

    Raises:
        ConfigError: A size that is no power of two in 8..256, or not one width for each resolution.
    """

    size_px: int
    latent_width: int
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 2 * START_PX <= self.size_px <= MOST_PX or self.size_px & (self.size_px - 1):
            found = f"Pictures of {self.size_px} px cannot be synthesised."
            raise ConfigError(found, hint="8, 16, 32, 64, 128 or 256.")
        if len(self.widths) != len(self.sizes_px) or min(self.widths) < 1 or self.latent_width < 1:
            found = f"Widths {self.widths} do not fit the sizes {self.sizes_px}."
            raise ConfigError(found, hint="one positive number of channels for each size.")

    @property
    def sizes_px(self) -> tuple[int, ...]:
        """4, 8, ... ``size_px``."""
        return tuple(
            START_PX << step for step in range(self.size_px.bit_length() - START_PX.bit_length() + 1)
        )

    @property
    def layers(self) -> int:
        """Layers of the latent, ``2 log2(size) - 2``."""
        return 2 * len(self.sizes_px)


class Synthesis(nn.Module):
    """Latents (B, L, D) to pictures (B, 3, R, R), about -1..1, gamma-coded sRGB.

    Layer 0 and 1 of the latent steer convolution and colours at 4 px, 1 to 3 what happens at 8 px, and so
    on: as in StyleGAN2 the colours of one size share their layer with the first convolution of the next.
    """

    def __init__(self, shape: SynthesisShape) -> None:
        super().__init__()
        self.shape = shape
        first = shape.widths[0]
        self.start = nn.Parameter(torch.randn(1, first, START_PX, START_PX))
        blocks = [_Block(first, first, shape.latent_width, is_first=True)]
        blocks += [
            _Block(source, sink, shape.latent_width, is_first=False)
            for source, sink in zip(shape.widths, shape.widths[1:], strict=False)
        ]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures of a batch of latents."""
        return self.tapped(latents)[0]

    def tapped(self, latents: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Pictures, and the features (B, channels, size, size) after each size, for heads."""
        x = self.start.expand(len(latents), -1, -1, -1)
        colours = latents.new_zeros(len(latents), _COLOURS, START_PX // 2, START_PX // 2)
        features = []
        for index, block in enumerate(self.blocks):
            first = max(0, 2 * index - 1)
            x, colours = block(x, colours, latents[:, first : 2 * index + 2])
            features.append(x)
        return colours, features


class _Block(nn.Module):
    """One size: (upsampling,) one or two modulated convolutions, and their colours on top of the coarser."""

    def __init__(self, source: int, sink: int, latent_width: int, *, is_first: bool) -> None:
        super().__init__()
        sources = [source] if is_first else [source, sink]
        self.convolutions = nn.ModuleList(Modulated(each, sink, 3, latent_width) for each in sources)
        self.colours = Modulated(sink, _COLOURS, 1, latent_width, is_normed=False)
        self.is_first = is_first

    def forward(self, x: Tensor, colours: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        if not self.is_first:
            x = doubled(x)
        for index, convolution in enumerate(self.convolutions):
            x = functional.leaky_relu(convolution(x, latents[:, index]), _SLOPE) * _GAIN
        return x, doubled(colours) + self.colours(x, latents[:, -1])


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by an affine map of one layer of the latent."""

    def __init__(
        self, source: int, sink: int, kernel_px: int, latent_width: int, *, is_normed: bool = True
    ) -> None:
        super().__init__()
        spread = 1 / sqrt(source * kernel_px**2)
        self.weight = nn.Parameter(spread * torch.randn(sink, source, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(sink))
        self.style = nn.Linear(latent_width, source)
        nn.init.normal_(self.style.weight, std=0.5 / sqrt(latent_width))
        nn.init.ones_(self.style.bias)
        self.is_normed = is_normed

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """``x`` (B, source, h, w) through the convolution that ``latent`` (B, D) makes of it."""
        style = self.style(latent)
        scaled = x * style[:, :, None, None]
        made = functional.conv2d(scaled, self.weight, padding=self.weight.shape[-1] // 2)
        if self.is_normed:
            energy = style.square() @ self.weight.square().sum(dim=(2, 3)).T
            made = made * torch.rsqrt(energy + _EPSILON)[:, :, None, None]
        return made + self.bias[None, :, None, None]


def doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def parameter_count(network: nn.Module) -> int:
    """Weights and biases."""
    return sum(parameter.numel() for parameter in network.parameters())
