"""The losses of the joint training: in the latent, in the decoded picture, in the answers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.attributes.teacher import shown
from training.generator.feature_network import FeatureNetwork
from training.generator.identity_network import IdentityNetwork
from training.generator.picture_losses import PICTURE_LOSSES
from training.latent.latent_settings import ATTRIBUTES, FEATURES, IDENTITY, LATENT, PRESENCE, LatentSettings
from training.mask_banks.mask_losses import MASK_LOSSES

PRESENCE_DOUBT = 0.02
"""Taken off both labels of presence, as in ``training.attributes.settings``."""


@dataclass(frozen=True, slots=True, repr=False)
class Wanted:
    """What one batch should give.

    Shape: ``offsets`` (B, L, D) of the faces, ``targets`` (B, K) 0..1 and ``known`` (B, K), which of them
    count, ``pictures`` (decoded, R, R, 3) uint8 codes of its first scenes; none where no loss compares them.
    """

    offsets: Tensor
    targets: Tensor
    known: Tensor
    pictures: Tensor


class LatentLosses:
    """Every loss that has a weight, by name.

    Args:
        settings: Names and weights.
        mean: The mean latent (L, D).
        scale: Deviation (L, D) of the teacher's latents, the unit of the latent loss.
        synthesis: The generator's network, not trained; ``None`` where no loss compares pictures.
        features: The network of the features loss.
        identity: The owner's network of the identity loss.

    ``rarity`` (K,) are weights of positive answers; ``None`` weighs all alike.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - an argument for each network that a loss may need
        self,
        settings: LatentSettings,
        mean: Tensor,
        scale: Tensor,
        synthesis: nn.Module | None,
        features: FeatureNetwork | None,
        identity: IdentityNetwork | None = None,
    ) -> None:
        self.settings = settings
        self.mean, self.scale = mean, scale.clamp_min(1e-3)
        self.synthesis, self.features, self.identity = synthesis, features, identity
        self.rarity: Tensor | None = None

    def of(self, offsets: Tensor, logits: Tensor, wanted: Wanted, masks: Tensor) -> dict[str, Tensor]:
        """Losses of offsets (B, L, D) of the faces and logits (B + negatives, K + 1)."""
        weight, faces = self.settings.weight, len(wanted.offsets)
        found = {name: loss(masks) for name, loss in MASK_LOSSES.items() if weight(name)}
        if weight(LATENT):
            found[LATENT] = ((offsets - wanted.offsets) / self.scale).abs().mean()
        if weight(ATTRIBUTES) and wanted.targets.shape[1]:
            found[ATTRIBUTES] = _attributes(logits[:faces, :-1], wanted, self.rarity)
        if weight(PRESENCE):
            found[PRESENCE] = _presence(logits[:, -1], faces)
        if self.synthesis is not None and len(wanted.pictures):
            found |= self._of_pictures(
                offsets[: len(wanted.pictures)], shown(wanted.pictures), self.synthesis
            )
        return found

    def _of_pictures(self, offsets: Tensor, wanted: Tensor, synthesis: nn.Module) -> dict[str, Tensor]:
        made = synthesis(self.mean + offsets)
        weight = self.settings.weight
        found = {name: loss(made, wanted) for name, loss in PICTURE_LOSSES.items() if weight(name)}
        if self.features is not None and weight(FEATURES):
            found[FEATURES] = self.features.distance(made, wanted)
        if self.identity is not None and weight(IDENTITY):
            found[IDENTITY] = self.identity.distance(made, wanted)
        return found


def _attributes(logits: Tensor, wanted: Wanted, rarity: Tensor | None) -> Tensor:
    known = wanted.known.float()
    each = functional.binary_cross_entropy_with_logits(
        logits, wanted.targets, pos_weight=rarity, reduction="none"
    )
    return (each * known).sum() / known.sum().clamp_min(1.0)


def _presence(logits: Tensor, faces: int) -> Tensor:
    is_face = (torch.arange(len(logits), device=logits.device) < faces).float()
    return functional.binary_cross_entropy_with_logits(
        logits, is_face * (1 - 2 * PRESENCE_DOUBT) + PRESENCE_DOUBT
    )
