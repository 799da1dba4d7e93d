"""Training of the default generator: a style autoencoder (picture encoder, modulated synthesis).

One run gives what latent space imaging needs of a generator: latents of real pictures (the teacher), a
decoder, and a mean latent.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from host.decoder.generator_file import GeneratorFile
from host.decoder.synthesis import Synthesis, parameter_count
from host.decoder.weights import load_weights, weights_of
from lsi.errors import ConfigError
from lsi.latent import LatentSpace
from training.attributes.teacher import shown
from training.course import finite_means, rate_at
from training.generator.adversary import Adversary
from training.generator.feature_network import FeatureNetwork
from training.generator.generator_settings import (
    ADVERSARIAL,
    ATTRIBUTES,
    FEATURES,
    MAX_PARAMETERS,
    SPREAD,
    GeneratorSettings,
)
from training.generator.picture_encoder import PictureEncoder
from training.generator.picture_losses import PICTURE_LOSSES

MEAN_DECAY: Final = 0.99
CRITIC: Final = "critic"
"""The critic's own loss: told with the others, weighs nothing in the generator's."""
SHOWN_AT_ONCE: Final = 128
MEAN_ROWS: Final = 4096

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, repr=False)
class GeneratorLesson:
    """Pictures (n, R, R, 3) uint8 sRGB and labels (n, K) int8: +1 yes, -1 no, 0 unknown; K may be 0."""

    pictures: Pictures
    labels: NDArray[np.int8]
    features: FeatureNetwork | None = None


class StyleAutoencoder(nn.Module):
    """Picture encoder and synthesis, the running mean of its latents, and a probe of attributes.

    Raises:
        ConfigError: More than ``MAX_PARAMETERS`` in encoder and synthesis.
    """

    def __init__(self, settings: GeneratorSettings, outputs: int) -> None:
        super().__init__()
        shape = settings.shape
        self.encoder = PictureEncoder(shape, settings.encoder_widths)
        self.synthesis = Synthesis(shape)
        self.probe = nn.Linear(shape.layers * shape.latent_width, max(1, outputs))
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(shape.layers, shape.latent_width))
        if self.parameter_count > MAX_PARAMETERS:
            found = f"The generator has {self.parameter_count:,} parameters; {MAX_PARAMETERS:,} are allowed."
            raise ConfigError(found, hint="smaller --widths.")

    @property
    def parameter_count(self) -> int:
        """Weights and biases of encoder and synthesis."""
        return parameter_count(self.encoder) + parameter_count(self.synthesis)


class GeneratorCourse:
    """State of one run; goes on from a :meth:`state` with the same data, seed and shape."""

    def __init__(self, lesson: GeneratorLesson, settings: GeneratorSettings, epochs: int) -> None:
        self.settings = settings
        self.features = lesson.features
        self.pictures, self.labels = torch.tensor(lesson.pictures), torch.tensor(lesson.labels)
        self.batches = max(1, len(self.pictures) // settings.batch)
        self.steps = epochs * self.batches
        self.step = 0
        self.generator = torch.Generator(self.pictures.device).manual_seed(settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = StyleAutoencoder(settings, lesson.labels.shape[1])
        has_adversary = settings.weight(ADVERSARIAL) > 0
        self.adversary = Adversary(settings.encoder_widths, settings.seed) if has_adversary else None
        self.averaged = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.rate, betas=(0.9, 0.99))

    @property
    def rows_per_step(self) -> int:
        """Pictures that one step sees."""
        return self.settings.batch

    def run_leg(self, most: int) -> dict[str, float]:
        """Up to ``most`` steps; returns the mean of each loss.

        Raises:
            TrainingError: A loss is no longer a number.
        """
        seen: list[dict[str, Tensor]] = []
        while self.step < self.steps and len(seen) < most:
            seen.append(self._one_step())
            self.step += 1
        return finite_means(seen, self.step, self.settings.rate)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        adversary = {} if self.adversary is None else {"adversary": self.adversary.state()}
        return copy.deepcopy(
            {
                **adversary,
                "step": self.step,
                "generator": self.generator.get_state(),
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        self.step = int(state["step"])
        self.generator.set_state(state["generator"])
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.adversary is not None:
            self.adversary.restore(state["adversary"])

    @property
    def is_adversarial(self) -> bool:
        """Whether the critic takes part in the next step."""
        return self.adversary is not None and self.step >= self.settings.adversarial_from * self.steps

    def _one_step(self) -> dict[str, Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * rate_at(self.step, self.steps)
        pictures, labels = self._batch()
        losses = self._losses(pictures, labels)
        total = torch.stack([self.settings.weight(name) * value for name, value in losses.items()]).sum()
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, error_if_nonfinite=False)
        self.optimiser.step()
        self._average()
        return {name: value.detach() for name, value in losses.items()}

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The pictures of this step: their order depends on seed and epoch only."""
        epoch, index = divmod(self.step, self.batches)
        order = torch.Generator().manual_seed(self.settings.seed + 1 + epoch)
        size = self.settings.batch
        rows = torch.randperm(len(self.pictures), generator=order)[index * size : (index + 1) * size]
        rows = rows.to(self.pictures.device)
        pictures = shown(self.pictures[rows])
        if self.settings.mirrored:
            flip = torch.rand(len(rows), 1, 1, 1, generator=self.generator, device=rows.device) < 0.5  # noqa: PLR2004 - half of them
            pictures = torch.where(flip, pictures.flip(-1), pictures)
        return pictures, self.labels[rows]

    def _losses(self, pictures: Tensor, labels: Tensor) -> dict[str, Tensor]:
        settings, network = self.settings, self.network
        latents = network.encoder(pictures)
        network.mean.lerp_(latents.detach().mean(dim=0), 1 - MEAN_DECAY)
        offsets = latents - network.mean
        noise = torch.randn(latents.shape, generator=self.generator, device=latents.device)
        made = network.synthesis(latents + settings.latent_noise * noise)
        found = {name: loss(made, pictures) for name, loss in PICTURE_LOSSES.items() if settings.weight(name)}
        if self.adversary is not None and self.is_adversarial:
            # In this order: a step of the critic would change weights that the other's gradient needs.
            found[CRITIC] = self.adversary.teach(made, pictures)
            found[ADVERSARIAL] = self.adversary.judge(made)
        if self.features is not None and settings.weight(FEATURES):
            compared = math.ceil(settings.features_share * len(made))
            found[FEATURES] = self.features.distance(made[:compared], pictures[:compared])
        if settings.weight(SPREAD):
            found[SPREAD] = offsets.square().mean()
        if labels.shape[1] and settings.weight(ATTRIBUTES):
            found[ATTRIBUTES] = _known_cross_entropy(network.probe(offsets.flatten(1)), labels)
        return found

    @torch.no_grad()
    def _average(self) -> None:
        """Move the kept weights a little towards the trained ones; faster while there are few steps."""
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        kept, now = self.averaged.state_dict(), self.network.state_dict()
        for name, value in kept.items():
            value.lerp_(now[name], 1 - decay)

    def result(self, record: dict[str, Any]) -> GeneratorFile:
        """The averaged network; the mean latent is that of up to ``MEAN_ROWS`` pictures it was trained on."""
        encoder, shape = self.averaged.encoder, self.settings.shape
        step = -(-len(self.pictures) // MEAN_ROWS)
        latents = latents_of(encoder, self.pictures[::step].cpu().numpy())
        return GeneratorFile(
            space=LatentSpace(self.settings.name, latents.mean(axis=0, dtype=np.float64).astype(np.float32)),
            shape=shape,
            synthesis=weights_of(self.averaged.synthesis),
            encoder=weights_of(encoder),
            encoder_widths=self.settings.encoder_widths,
            record=record,
        )


@torch.no_grad()
def latents_of(
    encoder: PictureEncoder, pictures: Pictures, *, is_mirrored: bool = False
) -> NDArray[np.float32]:
    """Latents (n, L, D) of pictures (n, R, R, 3), or of their mirror images."""
    device = next(encoder.parameters()).device
    parts = []
    for start in range(0, len(pictures), SHOWN_AT_ONCE):
        batch = shown(torch.tensor(pictures[start : start + SHOWN_AT_ONCE], device=device))
        parts.append(encoder(batch.flip(-1) if is_mirrored else batch).cpu())
    latents: NDArray[np.float32] = torch.cat(parts).numpy()
    return latents


def encoder_of(generator: GeneratorFile, source: str) -> PictureEncoder:
    """The picture encoder in a generator's file, in evaluation mode.

    Raises:
        DataError: The file's encoder is another network.
    """
    encoder = PictureEncoder(generator.shape, generator.encoder_widths)
    load_weights(encoder, generator.encoder, source)
    return encoder.eval().requires_grad_(requires_grad=False)


def _known_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    known = (labels != 0).float()
    each = functional.binary_cross_entropy_with_logits(logits, (labels > 0).float(), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1.0)
