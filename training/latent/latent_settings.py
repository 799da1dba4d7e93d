"""What the joint training of masks and latent encoder depends on besides data, generator and sensor."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from lsi.errors import ConfigError
from training.attributes.settings import LARGEST_D, SMALLEST_D
from training.data_sets.augmentation import Jitter
from training.generator.picture_losses import PICTURE_LOSSES
from training.latent.latent_shape import SIZES
from training.light.disturbance import DisturbanceRange
from training.mask_banks.mask_losses import MASK_LOSSES
from training.read_outs.nested import NestedPrefix

LATENT: Final = "latent"
FEATURES: Final = "features"
IDENTITY: Final = "identity"
ATTRIBUTES: Final = "attributes"
PRESENCE: Final = "presence"
DECODED: Final = (*PICTURE_LOSSES, FEATURES, IDENTITY)
"""Losses on the decoded picture: they need the generator's gradients."""
LATENT_LOSSES: Final = (LATENT, ATTRIBUTES, PRESENCE, *DECODED, *MASK_LOSSES)
DEFAULT_LOSSES: Final = ((LATENT, 1.0), (ATTRIBUTES, 0.5), (PRESENCE, 0.3))
MASK_RATE: Final = 3.0
"""Rate of the masks in units of the encoder's."""


@dataclass(frozen=True, slots=True)
class LatentSettings:
    """One bank of masks with its latent encoder.

    ``losses`` are names out of ``LATENT_LOSSES`` and weights: ``latent`` is the mean absolute error in units
    of each number's own deviation, the picture's losses compare ``decoded`` scenes of each batch, and the
    masks' come from ``training.mask_banks.mask_losses``. ``power_bounds_nw`` and ``disturbance`` are those of
    ``training.attributes.settings.Settings``. ``negatives`` are scenes without a face per batch. With
    ``fixed_masks`` the masks keep what they start from (random ones for a baseline, given ones for
    fine-tuning). ``soft_weight`` and ``rarity`` are those of ``training.attributes.settings.Settings``.

    Raises:
        ConfigError: An unknown loss or a number out of its range.
    """

    d: int
    seed: int = 0
    batch: int = 128
    negatives: int = 32
    decoded: int = 16
    rate: float = 1e-3
    weight_decay: float = 1e-3
    trunk: int = 448
    token: int = 96
    nested: bool = False
    mirrored: bool = True
    start: str = "dither"
    fixed_masks: bool = False
    soft_weight: float = 0.0
    rarity: float = 0.0
    jitter: Jitter = field(default_factory=Jitter)
    power_bounds_nw: tuple[float, float] | None = (20.0, 500.0)
    disturbance: DisturbanceRange | None = field(default_factory=DisturbanceRange)
    losses: tuple[tuple[str, float], ...] = DEFAULT_LOSSES

    def __post_init__(self) -> None:
        if not SMALLEST_D <= self.d <= LARGEST_D:
            raise ConfigError(f"d is {self.d}.", hint=f"{SMALLEST_D} to {LARGEST_D}.")
        unknown = sorted({name for name, _ in self.losses} - set(LATENT_LOSSES))
        if unknown or len(dict(self.losses)) != len(self.losses):
            found = f"Losses {[name for name, _ in self.losses]} of a latent encoder."
            raise ConfigError(found, hint=f"names, each once, out of: {', '.join(LATENT_LOSSES)}.")
        if not all(isfinite(number) and number >= 0 for number in (self.rate, *dict(self.losses).values())):
            raise ConfigError(f"Rate {self.rate} and losses {self.losses}.", hint="finite, none negative.")

    @property
    def prefixes(self) -> NestedPrefix | None:
        """The sizes of a nested bank."""
        return NestedPrefix(self.d, SIZES) if self.nested else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of masks that the bank serves, ascending; the last is d."""
        return (self.d,) if self.prefixes is None else self.prefixes.sizes

    def weight(self, name: str) -> float:
        """Weight of a loss; 0 where it is not named."""
        return dict(self.losses).get(name, 0.0)

    @property
    def needs_pictures(self) -> bool:
        """Whether a loss compares decoded pictures."""
        return any(self.weight(name) for name in DECODED)
