"""Training of masks and read-out together, noise of the sensor included."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.augmentation import Jitter
from training.batches import SceneSource
from training.data import FaceData
from training.forward_model import Detector, measure, random_power_nw
from training.model import MaskLayer, ReadOut
from training.read_out import Dense, ReadOutWeights

FEWEST_STEPS: Final = 30
"""Below, the warm-up of the learning rate has no step of its own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on besides data and sensor.

    ``attributes`` (K) is how many of the data's attributes the product answers; those that follow
    are auxiliary: they steady the masks with the small weight ``auxiliary_weight`` and their outputs
    are cut off at the end. Rare attributes are weighted by (negatives / positives) ** ``rarity``.
    ``presence_doubt`` is taken off both labels of presence; without it that logit runs to -40 and its
    range costs the int8 code of the others their resolution.
    """

    d: int
    epochs: int
    seed: int
    attributes: int
    width: int = 512
    batch: int = 256
    negatives: int = 160
    mask_rate: float = 3e-3
    rate: float = 2e-3
    weight_decay: float = 1e-2
    rarity: float = 0.5
    auxiliary_weight: float = 0.02
    presence_weight: float = 0.7
    presence_doubt: float = 0.02
    power_bounds_nw: tuple[float, float] = (20.0, 500.0)
    jitter: Jitter = field(default_factory=Jitter)


@dataclass(frozen=True, slots=True, repr=False)
class Trained:
    """The result of :func:`train`, without PyTorch.

    Shape: ``masks`` (d, H, W) bool; ranges as in ``training.checkpoint.Checkpoint``.
    """

    masks: NDArray[np.bool_]
    read_out: ReadOutWeights
    measurement_range: NDArray[np.float32]
    activation_range: NDArray[np.float32]


def train(
    faces: FaceData,
    others: FaceData,
    detector: Detector,
    settings: Settings,
    progress: Callable[[str], None],
) -> Trained:
    """Train on ``faces`` against ``others`` (scenes without a face) and hard negatives made from both.

    ``progress`` gets one line per epoch. Same arguments, same threads, same machine: same result.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    run = _Run(faces, others, detector, settings, generator)
    for epoch in range(settings.epochs):
        loss = run.epoch()
        progress(f"epoch {epoch + 1}/{settings.epochs}: loss {loss:.4f}")
    return run.result()


class _Run:
    """State of one training run."""

    def __init__(
        self,
        faces: FaceData,
        others: FaceData,
        detector: Detector,
        settings: Settings,
        generator: torch.Generator,
    ) -> None:
        self.settings = settings
        self.detector = detector
        self.generator = generator
        self.scenes = SceneSource(
            torch.tensor(faces.luminance), torch.tensor(others.luminance), settings.jitter, generator
        )
        self.labels = torch.tensor(faces.attributes > 0, dtype=torch.float32)
        self.mask_layer = MaskLayer(settings.d, generator, self.scenes.faces.shape[-1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.read_out = ReadOut(settings.d, len(faces.names) + 1, settings.width)
        self.batches = max(1, len(faces) // settings.batch)
        self.rarity = _rarity(self.labels, settings.rarity)
        self.weights = torch.full((len(faces.names),), settings.auxiliary_weight)
        self.weights[: settings.attributes] = 1.0
        self.optimiser = torch.optim.AdamW(
            [
                {"params": self.mask_layer.parameters(), "lr": settings.mask_rate, "weight_decay": 0.0},
                {"params": self.read_out.parameters(), "lr": settings.rate},
            ],
            weight_decay=settings.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            [settings.mask_rate, settings.rate],
            total_steps=max(FEWEST_STEPS, settings.epochs * self.batches),
            pct_start=0.1,
        )

    def epoch(self) -> float:
        """One pass over the faces; returns the mean loss."""
        order = torch.randperm(len(self.labels), generator=self.generator)
        size = self.settings.batch
        losses = [self._step(order[i * size : (i + 1) * size]) for i in range(self.batches)]
        return float(np.mean(losses))

    def _step(self, rows: Tensor) -> float:
        measurement = self._measurements(rows)
        logits = self.read_out(measurement)
        loss = self._loss(logits, self.labels[rows])
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

    def _measurements(self, rows: Tensor) -> Tensor:
        """Measurements of the faces of ``rows`` and of negatives, each at a power of its own."""
        scenes = self.scenes.batch(rows, self.settings.negatives)
        power_nw = random_power_nw(len(scenes), self.settings.power_bounds_nw, self.generator)
        return measure(scenes, self.mask_layer(), self.detector, power_nw, self.generator)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Attributes on true faces only, presence on everything."""
        faces, attributes = labels.shape
        each = functional.binary_cross_entropy_with_logits(
            logits[:faces, :attributes], labels, pos_weight=self.rarity, reduction="none"
        )
        doubt = self.settings.presence_doubt
        is_face = (torch.arange(len(logits)) < faces).float() * (1 - 2 * doubt) + doubt
        presence = functional.binary_cross_entropy_with_logits(logits[:, -1], is_face)
        mean = (each.mean(dim=0) * self.weights).sum() / self.settings.attributes
        return mean + self.settings.presence_weight * presence

    @torch.no_grad()
    def result(self) -> Trained:
        """Cut the auxiliary outputs off and find the true ranges over one more pass."""
        kept = [*range(self.settings.attributes), len(self.labels[0])]
        read_out = read_out_weights(self.read_out, kept)
        size = self.settings.batch
        starts = range(0, len(self.labels), size)
        rows = torch.arange(len(self.labels))
        seen = [self._measurements(rows[start : start + size]).numpy() for start in starts]
        measurements = np.concatenate(seen)
        activations = read_out.activations(measurements)
        lows, highs = [a.min() for a in activations], [a.max() for a in activations]
        return Trained(
            masks=self.mask_layer().numpy() > 0,
            read_out=read_out,
            measurement_range=np.stack((measurements.min(axis=0), measurements.max(axis=0))),
            activation_range=np.array([lows, highs], np.float32),
        )


def read_out_weights(read_out: ReadOut, outputs: list[int]) -> ReadOutWeights:
    """The read-out in numpy, with its running statistics, cut to the rows ``outputs`` of its last layer."""
    statistics = read_out.standardise
    if statistics.running_mean is None or statistics.running_var is None:
        message = "the read-out keeps no statistics"
        raise ValueError(message)
    scale = 1 / (statistics.running_var + statistics.eps).sqrt()
    linears = [layer for layer in read_out.layers if isinstance(layer, torch.nn.Linear)]
    layers = [Dense(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linears]
    layers[-1] = Dense(layers[-1].weights[outputs], layers[-1].bias[outputs])
    return ReadOutWeights(statistics.running_mean.numpy(), scale.numpy(), tuple(layers))


def _rarity(labels: Tensor, exponent: float) -> Tensor:
    """Weight of a positive of each attribute; 1 where the labels are of one kind only."""
    share = labels.mean(dim=0).clamp(1e-3, 1 - 1e-3)
    weight: Tensor = ((1 - share) / share) ** exponent
    return weight
