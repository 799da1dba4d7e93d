"""What a training run depends on besides data and sensor."""

from dataclasses import dataclass, field
from typing import Final

from training.data_sets.augmentation import Jitter
from training.light.disturbance import DisturbanceRange
from training.mask_banks.mask_losses import MASK_LOSSES
from training.read_outs.nested import NestedPrefix

STARTS: Final = ("dither", "noise", "pca", "lda")
"""Where the masks begin; ``training.mask_banks.mask_start``."""
SMALLEST_D: Final = 1
LARGEST_D: Final = 512


@dataclass(frozen=True, slots=True)
class Schedule:
    """What banks that are trained side by side share: the scenes they see, and for how long.

    ``batch`` faces in their place, ``wide`` faces that stand further off but still count as faces, and
    ``negatives`` scenes without a face in its place make one batch. ``seed`` draws the scenes.
    """

    epochs: int
    seed: int = 0
    batch: int = 256
    wide: int = 64
    negatives: int = 160
    jitter: Jitter = field(default_factory=Jitter)


@dataclass(frozen=True, slots=True)
class Settings:
    """One bank of masks with its read-out.

    ``attributes`` (K) is how many of the data's attributes the product answers; those that follow
    are auxiliary: they steady the masks with the small weight ``auxiliary_weight`` and their outputs
    are cut off at the end. Rare attributes are weighted by (negatives / positives) ** ``rarity``.
    ``soft_weight`` is the part of the label that a teacher's answer replaces, where there is a teacher.
    ``wide_weight`` is the weight of the attributes of a face far from its place.
    ``nested`` trains one bank that also serves the smaller sizes of ``training.read_outs.nested.PREFIXES``.
    ``mask_losses`` are names and weights out of ``training.mask_banks.mask_losses``; ``feature_px`` is the
    smallest feature of a mask. ``disturbance`` is what a rig in use does to the light; ``None`` is a still
    rig. ``presence_doubt`` is taken off both labels of presence; without it that logit runs to -40 and its
    range costs the int8 code of the others their resolution. ``power_bounds_nw`` is the light of a
    white scene, log-uniform; ``None`` trains without noise and without a converter.
    """

    d: int
    seed: int
    attributes: int
    width: int = 512
    mask_rate: float = 3e-3
    rate: float = 2e-3
    weight_decay: float = 1e-2
    rarity: float = 0.5
    soft_weight: float = 0.0
    auxiliary_weight: float = 0.02
    wide_weight: float = 0.2
    presence_weight: float = 0.7
    presence_doubt: float = 0.02
    power_bounds_nw: tuple[float, float] | None = (20.0, 500.0)
    disturbance: DisturbanceRange | None = field(default_factory=DisturbanceRange)
    nested: bool = False
    start: str = "dither"
    feature_px: int = 1
    mask_losses: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not SMALLEST_D <= self.d <= LARGEST_D:
            message = f"d must be in {SMALLEST_D}..{LARGEST_D}, found {self.d}"
            raise ValueError(message)
        unknown = {name for name, _ in self.mask_losses} - set(MASK_LOSSES)
        if unknown or self.start not in STARTS:
            message = f"unknown mask losses {sorted(unknown)} or start {self.start!r}"
            raise ValueError(message)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of masks that the bank serves, ascending; the last is d."""
        return NestedPrefix(self.d).sizes if self.nested else (self.d,)
