"""What the training of a generator depends on besides its data."""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from host.decoder.synthesis import SynthesisShape
from lsi.errors import ConfigError
from lsi.latent import LatentForm
from training.generator.picture_losses import PICTURE_LOSSES

FEATURES: Final = "features"
SPREAD: Final = "spread"
ATTRIBUTES: Final = "attributes"
ADVERSARIAL: Final = "adversarial"
GENERATOR_LOSSES: Final = (*PICTURE_LOSSES, FEATURES, SPREAD, ATTRIBUTES, ADVERSARIAL)
"""Of the picture; ``features`` of a frozen network; ``spread``: mean square of the latent's offset from
the running mean; ``attributes``: a linear probe on the offset; ``adversarial``: a critic that learns to tell
decoded pictures from real ones, in the last part of the run."""
DEFAULT_LOSSES: Final = (("pixel", 1.0), ("gradient", 1.0), (SPREAD, 1e-3), (ATTRIBUTES, 0.05))
MAX_PARAMETERS: Final = 7_000_000
"""Encoder and synthesis together: in float16 they stay under 16 MiB."""
PRESETS: Final = {"small": (128, 1024), "full": (224, 3072)}
"""Most channels, and channels times pixels of a side: ``small`` for a CPU, ``full`` for a GPU."""
_MULTIPLE: Final = 8


def preset_widths(preset: str, size_px: int) -> tuple[int, ...]:
    """Channels at 4, 8, ... ``size_px`` pixels."""
    most, budget = PRESETS[preset]
    sizes_px = [4 << step for step in range(size_px.bit_length() - 2)]
    return tuple(max(_MULTIPLE, min(most, budget // each) // _MULTIPLE * _MULTIPLE) for each in sizes_px)


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """One generator.

    ``mirrored`` shows half of the pictures mirrored. ``latent_noise`` is the deviation of the noise on a
    latent while training: neighbours then decode alike. ``average`` is the decay per step of the running
    mean of the weights, which is what is kept. ``losses`` are names out of ``GENERATOR_LOSSES`` and weights.
    ``features_share`` is the part of each batch whose features are compared: they cost as much as the rest.
    ``adversarial_from`` is the part of the run after which that loss counts, where it has a weight.

    Raises:
        ConfigError: An unknown loss, a number out of its range, or a name that no latent space can have.
    """

    name: str
    shape: SynthesisShape
    seed: int = 0
    batch: int = 16
    rate: float = 2e-3
    mirrored: bool = True
    latent_noise: float = 0.07
    average: float = 0.998
    features_share: float = 0.25
    adversarial_from: float = 0.5
    losses: tuple[tuple[str, float], ...] = DEFAULT_LOSSES

    def __post_init__(self) -> None:
        unknown = sorted({name for name, _ in self.losses} - set(GENERATOR_LOSSES))
        if unknown or len(dict(self.losses)) != len(self.losses):
            found = f"Losses {[name for name, _ in self.losses]} of a generator."
            raise ConfigError(found, hint=f"names, each once, out of: {', '.join(GENERATOR_LOSSES)}.")
        numbers = (
            self.rate,
            self.latent_noise,
            self.adversarial_from,
            *(weight for _, weight in self.losses),
        )
        if self.batch < 1 or not all(isfinite(number) and number >= 0 for number in numbers):
            found = f"A batch of {self.batch}, rate, noise and weights {numbers}."
            raise ConfigError(found, hint="finite numbers, none negative.")
        try:
            LatentForm(self.name, self.shape.layers, self.shape.latent_width, "0" * 64)
        except ValueError as cause:
            raise ConfigError(f"The generator's {cause}.", hint="another name or size.") from cause
        if any(width % _MULTIPLE for width in self.shape.widths):
            found = f"Widths {self.shape.widths}."
            raise ConfigError(found, hint=f"multiples of {_MULTIPLE}.")

    @property
    def encoder_widths(self) -> tuple[int, ...]:
        """Channels of the picture encoder, from the full size down to 4 pixels."""
        return self.shape.widths[::-1]

    def weight(self, name: str) -> float:
        """Weight of a loss; 0 where it is not named."""
        return dict(self.losses).get(name, 0.0)
