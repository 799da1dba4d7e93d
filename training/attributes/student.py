"""One bank of masks with its read-out while it is being trained."""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.attributes.settings import Settings
from training.attributes.targets import rarity_weights
from training.data_sets.batches import Batch
from training.light.disturbance import measured_in_use
from training.light.forward_model import TwoArms
from training.mask_banks.mask_losses import MASK_LOSSES
from training.mask_banks.mask_start import start_from_lda, start_from_pca, white_noise_start
from training.mask_banks.masks import MaskLayer
from training.read_outs.model import ReadOut
from training.read_outs.nested import NestedPrefix, NestedReadOut
from training.read_outs.read_out import Dense, ReadOutWeights

FEWEST_STEPS: Final = 30
"""Below, the warm-up of the learning rate has no step of its own."""
HALF: Final = 0.5
"""A soft label above means yes."""
WARM_UP: Final = 0.1
"""Part of the run in which the learning rate rises."""


class Student:
    """Masks, read-out, optimiser and noise of one bank.

    ``targets`` (n, K') float32 are the labels that the loss compares with, 0..1; ``known`` (n, K') bool says
    which of them count. ``fields`` (n, H, W) are what the masks may start from.
    """

    def __init__(
        self, settings: Settings, targets: Tensor, known: Tensor, fields: Tensor, steps: int
    ) -> None:
        self.settings = settings
        self.targets = targets
        self.known = known.float()
        self.generator = torch.Generator(targets.device).manual_seed(settings.seed)
        start, size_px = self._start(fields), fields.shape[-1]
        self.mask_layer = MaskLayer(
            settings.d, self.generator, size_px, feature_px=settings.feature_px, start=start
        )
        outputs = targets.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.read_out = _read_out(settings, outputs + 1)
        self.rarity = rarity_weights(targets, self.known, settings.rarity)
        self.weights = torch.full((outputs,), settings.auxiliary_weight)
        self.weights[: settings.attributes] = 1.0
        self.optimiser = torch.optim.AdamW(
            [
                {"params": self.mask_layer.parameters(), "lr": settings.mask_rate, "weight_decay": 0.0},
                {"params": self.read_out.parameters(), "lr": settings.rate},
            ],
            weight_decay=settings.weight_decay,
        )
        self.rates = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            [settings.mask_rate, settings.rate],
            total_steps=max(FEWEST_STEPS, steps),
            pct_start=WARM_UP,
        )

    def step(self, batch: Batch, detector: TwoArms) -> float:
        """One step of the optimiser; returns the loss."""
        masks = self.mask_layer()
        logits = self._answers(self.measurements(batch.scenes, masks, detector))
        loss = self._loss(logits, batch)
        for name, weight in self.settings.mask_losses:
            loss = loss + weight * MASK_LOSSES[name](masks)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.optimiser.step()
        self.rates.step()
        return float(loss.detach())

    def measurements(self, scenes: Tensor, masks: Tensor, detector: TwoArms) -> Tensor:
        """Measurements (B, d) of scenes (B, H, W), each at a power and with disturbances of its own."""
        bounds_nw, limits = self.settings.power_bounds_nw, self.settings.disturbance
        return measured_in_use(scenes, masks, detector, bounds_nw, limits, self.generator)

    def read_out_for(self, size: int) -> ReadOut:
        """The read-out for the first ``size`` masks."""
        return self.read_out.at(size) if isinstance(self.read_out, NestedReadOut) else self.read_out

    def _answers(self, measurements: Tensor) -> Tensor:
        """Logits (B, K' + 1); a nested bank answers each row with as many masks as are drawn for it."""
        if not isinstance(self.read_out, NestedReadOut):
            logits: Tensor = self.read_out(measurements)
            return logits
        shown = NestedPrefix(self.settings.d).draw(len(measurements), self.generator)
        nested: Tensor = self.read_out(measurements, shown)
        return nested

    def _start(self, fields: Tensor) -> Tensor | None:
        """Logits that the masks begin with; ``None`` is the ordered dither."""
        settings, grid_px = self.settings, fields.shape[-1] // self.settings.feature_px
        if settings.start == "noise":
            return white_noise_start(settings.d, self.generator, grid_px)
        if settings.start == "pca":
            return start_from_pca(fields, settings.d, self.generator)
        if settings.start == "lda":
            labels = (self.targets > HALF) & (self.known > 0)
            return start_from_lda(fields, labels, settings.d, self.generator)
        return None

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "masks": self.mask_layer.state_dict(),
            "read_out": self.read_out.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rates": self.rates.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state` of a student with the same settings."""
        self.mask_layer.load_state_dict(state["masks"])
        self.read_out.load_state_dict(state["read_out"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rates.load_state_dict(state["rates"])
        self.generator.set_state(state["generator"])

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Attributes of the faces, presence of everything."""
        settings, faces = self.settings, len(batch.rows)
        each = functional.binary_cross_entropy_with_logits(
            logits[:faces, :-1], self.targets[batch.rows], pos_weight=self.rarity, reduction="none"
        )
        weight = self.known[batch.rows]
        weight = torch.cat((weight[: batch.near], settings.wide_weight * weight[batch.near :]))
        attributes = ((each * weight).sum(dim=0) / weight.sum(dim=0).clamp_min(1.0) * self.weights).sum()
        doubt = settings.presence_doubt
        is_face = (torch.arange(len(logits)) < faces).float() * (1 - 2 * doubt) + doubt
        presence = functional.binary_cross_entropy_with_logits(logits[:, -1], is_face)
        return attributes / settings.attributes + settings.presence_weight * presence


def _read_out(settings: Settings, outputs: int) -> ReadOut:
    if settings.nested:
        return NestedReadOut(NestedPrefix(settings.d), outputs, settings.width)
    return ReadOut(settings.d, outputs, settings.width, batch_norm=True)


def read_out_weights(read_out: ReadOut, outputs: list[int]) -> ReadOutWeights:
    """The read-out in numpy, with its running statistics, cut to the rows ``outputs`` of its last layer."""
    statistics = read_out.standardise
    if statistics.running_mean is None or statistics.running_var is None:
        message = "the read-out keeps no statistics"
        raise ValueError(message)
    scale = 1 / (statistics.running_var + statistics.eps).sqrt()
    layers = _dense(read_out)
    layers[-1] = Dense(layers[-1].weights[outputs], layers[-1].bias[outputs])
    return ReadOutWeights(_array(statistics.running_mean), _array(scale), tuple(layers))


def _dense(read_out: ReadOut) -> list[Dense]:
    """The layers with the normalisation that follows some of them folded in."""
    found: list[Dense] = []
    for layer in read_out.layers:
        if isinstance(layer, nn.Linear):
            found.append(Dense(_array(layer.weight), _array(layer.bias)))
        elif isinstance(layer, nn.BatchNorm1d):
            found[-1] = _normalised(found[-1], layer)
    return found


def _normalised(dense: Dense, norm: nn.BatchNorm1d) -> Dense:
    if norm.running_mean is None or norm.running_var is None:
        message = "the normalisation keeps no statistics"
        raise ValueError(message)
    slope = _array(norm.weight / (norm.running_var + norm.eps).sqrt())
    bias = (dense.bias - _array(norm.running_mean)) * slope + _array(norm.bias)
    return Dense(dense.weights * slope[:, None], bias)


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    array: np.ndarray[Any, np.dtype[np.float32]] = tensor.detach().cpu().numpy()
    return array
