"""Masks and latent encoder trained together, noise of the sensor included, and what comes out of it."""

import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lsi.errors import ConfigError
from training.attributes.targets import mixed_targets, rarity_weights
from training.course import finite_means, rate_at
from training.data_sets.augmentation import near_motion
from training.data_sets.batches import SceneSource
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_losses import LatentLosses, Wanted
from training.latent.latent_settings import MASK_RATE, LatentSettings
from training.latent.latent_shape import LatentEncoderShape
from training.light.disturbance import measured_in_use
from training.light.forward_model import TwoArms
from training.mask_banks.mask_start import start_from_pca, white_noise_start
from training.mask_banks.masks import MaskLayer

WARM_LOGIT: Final = 0.3
"""Logits of masks that were trained before: a mirror may still turn round."""
RANGE_ROWS: Final = 4096
"""Scenes whose measurements tell the range of each mask."""


@dataclass(frozen=True, slots=True, repr=False)
class LatentLesson:
    """What is learned from.

    Shape: ``fields`` (n, 64, 64) float32 linear luminance; ``offsets`` (2, n, L, D) float16, the teacher's,
    of the pictures and of their mirror images; ``labels`` (n, K) int8; ``pictures`` (n, R, R, 3) uint8,
    empty where no loss compares them; ``others`` (m, 64, 64), scenes without a face; ``soft`` (n, K)
    float32, a teacher's probabilities of the attributes, or ``None``.
    """

    fields: NDArray[np.float32]
    offsets: NDArray[np.float16]
    labels: NDArray[np.int8]
    pictures: NDArray[np.uint8]
    others: NDArray[np.float32]
    detector: TwoArms
    soft: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class TrainedLatent:
    """One size of a trained bank. Shape: ``masks`` (size, 64, 64) bool, ``measurement_range`` (2, size)."""

    masks: NDArray[np.bool_]
    encoder: LatentEncoder
    measurement_range: NDArray[np.float32]


class LatentCourse:
    """State of one run; goes on from a :meth:`state` with the same data and settings.

    Args:
        lesson: What is learned from.
        settings: What the run depends on.
        losses: The losses that ``settings`` names.
        epochs: Passes over the fields.
        encoder: Another network in place of ours, such as ``training.paper.paper_student``.

    Raises:
        ConfigError: The encoder would be too large.
    """

    def __init__(
        self,
        lesson: LatentLesson,
        settings: LatentSettings,
        losses: LatentLosses,
        epochs: int,
        encoder: nn.Module | None = None,
    ) -> None:
        self.lesson, self.settings, self.losses = lesson, settings, losses
        self.fields = torch.tensor(lesson.fields)
        self.targets, self.known = mixed_targets(lesson.labels, lesson.soft, settings.soft_weight)
        losses.rarity = rarity_weights(self.targets, self.known, settings.rarity)
        self.offsets, self.pictures = torch.tensor(lesson.offsets), torch.tensor(lesson.pictures)
        self.generator = torch.Generator(self.fields.device).manual_seed(settings.seed)
        self.scenes = SceneSource(self.fields, torch.tensor(lesson.others), settings.jitter, self.generator)
        self.batches = max(1, len(self.fields) // settings.batch)
        self.step, self.steps = 0, epochs * self.batches
        self.mask_layer = MaskLayer(settings.d, self.generator, self.fields.shape[-1], start=self._start())
        self.mask_layer.requires_grad_(not settings.fixed_masks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.encoder = LatentEncoder(self._shape(), settings.prefixes) if encoder is None else encoder
        masks = {"params": [*self.mask_layer.parameters()], "weight_decay": 0.0, "part": MASK_RATE}
        weights = {"params": [*self.encoder.parameters()], "part": 1.0}
        self.optimiser = torch.optim.AdamW(
            [masks, weights], settings.rate, weight_decay=settings.weight_decay
        )

    @property
    def rows_per_step(self) -> int:
        """Scenes that one step sees."""
        return self.settings.batch + self.settings.negatives

    @torch.no_grad()
    def start_from(self, masks: NDArray[np.bool_], encoder: LatentEncoder) -> None:
        """Go on from trained masks (d', H, W), the first of this bank, and their encoder.

        Raises:
            ConfigError: They do not fit this bank.
        """
        if not isinstance(self.encoder, LatentEncoder):
            raise ConfigError("Only our own encoder starts from a checkpoint.", hint="none.")
        self.encoder.start_from(encoder)
        trained = torch.tensor(masks).to(self.mask_layer.logits)
        self.mask_layer.logits[: len(masks)] = WARM_LOGIT * (2 * trained - 1)

    def run_leg(self, most: int) -> dict[str, float]:
        """Up to ``most`` steps; returns the mean of each loss.

        Raises:
            TrainingError: A loss is no longer a number.
        """
        seen: list[dict[str, Tensor]] = []
        self.encoder.train()
        while self.step < self.steps and len(seen) < most:
            seen.append(self._one_step())
            self.step += 1
        return finite_means(seen, self.step, self.settings.rate)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        parts: dict[str, nn.Module | torch.optim.Optimizer] = {
            "masks": self.mask_layer,
            "encoder": self.encoder,
            "optimiser": self.optimiser,
        }
        kept = {name: part.state_dict() for name, part in parts.items()}
        return copy.deepcopy({**kept, "step": self.step, "generator": self.generator.get_state()})

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        self.step = int(state["step"])
        self.generator.set_state(state["generator"])
        self.mask_layer.load_state_dict(state["masks"])
        self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])

    @torch.no_grad()
    def results(self) -> list[TrainedLatent]:
        """One per size that the bank serves, in ascending order; for our encoder only."""
        if not isinstance(self.encoder, LatentEncoder):
            message = f"{type(self.encoder).__name__} has no sizes"
            raise TypeError(message)
        masks = self.mask_layer()
        bounds = self._measurement_range(masks)
        bits, encoder = masks.cpu().numpy() > 0, self.encoder
        return [
            TrainedLatent(bits[:size], encoder.at(size).cpu(), bounds[:, :size])
            for size in self.settings.sizes
        ]

    def _one_step(self) -> dict[str, Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * group["part"] * rate_at(self.step, self.steps)
        scenes, wanted = self._batch()
        masks, prefixes = self.mask_layer(), self.settings.prefixes
        measurements = self._measured(scenes, masks)
        shown = None if prefixes is None else prefixes.draw(len(scenes), self.generator)
        offsets, logits = self.encoder(measurements, shown)
        losses = self.losses.of(offsets[: len(wanted.offsets)], logits, wanted, masks)
        weighted = [self.settings.weight(name) * value for name, value in losses.items()]
        self.optimiser.zero_grad()
        torch.stack(weighted).sum().backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    def _batch(self) -> tuple[Tensor, Wanted]:
        """Faces a little moved, then scenes without one; what the faces' latents and pictures are."""
        settings = self.settings
        epoch, index = divmod(self.step, self.batches)
        order = torch.Generator().manual_seed(settings.seed + 1 + epoch)
        rows = torch.randperm(len(self.fields), generator=order)[index * settings.batch :][: settings.batch]
        rows = rows.to(self.fields.device)
        motion = near_motion(len(rows), settings.jitter, self.generator)
        if not settings.mirrored:
            motion.mirror.fill_(1.0)
        faces = motion.applied(self.fields[rows], "reflection")
        side = (motion.mirror < 0).long()
        pictures = self.pictures[rows[: settings.decoded]] if len(self.pictures) else self.pictures
        flipped = side[: len(pictures)].bool()[:, None, None, None]
        pictures = torch.where(flipped, pictures.flip(2), pictures)
        offsets = self.offsets[side, rows].float()
        wanted = Wanted(offsets, self.targets[rows], self.known[rows], pictures)
        return torch.cat((faces, self.scenes.negatives(settings.negatives))), wanted

    def _measured(self, scenes: Tensor, masks: Tensor) -> Tensor:
        settings, detector = self.settings, self.lesson.detector
        bounds_nw, limits = settings.power_bounds_nw, settings.disturbance
        return measured_in_use(scenes, masks, detector, bounds_nw, limits, self.generator)

    def _measurement_range(self, masks: Tensor) -> NDArray[np.float32]:
        step = -(-len(self.fields) // RANGE_ROWS)
        parts = [self._measured(part, masks).cpu() for part in torch.split(self.fields[::step], 512)]
        seen: NDArray[np.float32] = torch.cat(parts).numpy()
        return np.stack((seen.min(axis=0), seen.max(axis=0)))

    def _shape(self) -> LatentEncoderShape:
        settings, (layers, width) = self.settings, self.offsets.shape[2:]
        outputs = self.targets.shape[1] + 1
        return LatentEncoderShape(settings.d, layers, width, outputs, settings.trunk, settings.token)

    def _start(self) -> Tensor | None:
        """Logits that the masks begin with; ``None`` is the ordered dither."""
        settings = self.settings
        if settings.start == "noise":
            return white_noise_start(settings.d, self.generator, self.fields.shape[-1])
        if settings.start == "pca":
            return start_from_pca(self.fields, settings.d, self.generator)
        if settings.start != "dither":
            raise ConfigError(
                f"The masks cannot start from {settings.start!r}.", hint="dither, noise or pca."
            )
        return None
