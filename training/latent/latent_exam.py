"""The exam of a latent bank: thresholds on *tune*, first figures on *report*, and the checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from host.decoder.weights import load_weights, weights_of
from lsi.attributes import AttributeSchema
from lsi.latent import LatentForm
from lsi.patterns import PatternSet
from training.attributes.assess import check_halves
from training.data_sets.data import FaceData, open_data, tune_rows
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_training import TrainedLatent
from training.light.forward_model import TwoArms, measure
from training.read_outs.thresholds import balanced_threshold, presence_threshold
from training.scores.figures import auc, known, mean_of_known

NOISE_SEED: Final = 20_000
ROWS_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True, repr=False)
class LatentExam:
    """Val: faces with the attributes of the product, scenes without a face, the sensor at its own light."""

    faces: FaceData
    others: FaceData
    detector: TwoArms

    def checkpoint(
        self, trained: TrainedLatent, space: LatentForm, record: Mapping[str, Any]
    ) -> LatentCheckpoint:
        """The checkpoint of one size, its figures on *report* in its record."""
        faces = answers(trained.encoder, trained.masks, self.faces.luminance, self.detector)[1]
        others = answers(trained.encoder, trained.masks, self.others.luminance, self.detector)[1]
        tune = tune_rows(self.faces.identity)
        schema = self._schema(faces[tune], self.faces.attributes[tune])
        report, labels = faces[~tune], self.faces.attributes[~tune]
        figures = {
            "split": "val report",
            "faces": int((~tune).sum()),
            "macro_auc": macro_auc(report, labels),
            "presence_auc": _presence_auc(report, others),
            "encoder_parameters": trained.encoder.shape.parameters,
        }
        return LatentCheckpoint(
            patterns=PatternSet(trained.masks),
            shape=trained.encoder.shape,
            encoder=weights_of(trained.encoder),
            space=space,
            attributes=schema,
            measurement_low=trained.measurement_range[0],
            measurement_high=trained.measurement_range[1],
            record={**record, "figures": figures},
        )

    def _schema(self, logits: NDArray[np.float32], labels: NDArray[np.int8]) -> AttributeSchema:
        """Thresholds of best balanced accuracy, and the one that turns 2 % of the faces away."""
        cuts = [balanced_threshold(*known(logits[:, k], labels[:, k])) for k in range(labels.shape[1])]
        return AttributeSchema(self.faces.names, tuple(cuts), presence_threshold(logits[:, -1]))


def read_latent_exam(val: Path, nonfaces_val: Path, names: tuple[str, ...], detector: TwoArms) -> LatentExam:
    """Read val before the training: what cannot be assessed is said at once.

    Raises:
        ConfigError: Val lacks one of the attributes ``names``.
        DataError: A file cannot be used, or a half of val lacks one of the answers.
    """
    faces, others = open_data(val, "val").faces(names), open_data(nonfaces_val, "val").faces()
    check_halves(faces, others)
    return LatentExam(faces, others, detector)


def encoder_from(checkpoint: LatentCheckpoint, source: str) -> LatentEncoder:
    """The encoder of a checkpoint, in evaluation mode.

    Raises:
        DataError: The weights are those of another network.
    """
    encoder = LatentEncoder(checkpoint.shape)
    load_weights(encoder, checkpoint.encoder, source)
    return encoder.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def answers(
    encoder: nn.Module, masks: NDArray[np.bool_], fields: NDArray[np.float32], detector: TwoArms
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Offsets (n, L, D) and logits (n, K + 1) of fields (n, 64, 64), the sensor at its own light."""
    generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
    shown = torch.tensor(masks, dtype=torch.float32, device="cpu")
    offsets: list[Tensor] = []
    logits: list[Tensor] = []
    for part in torch.split(torch.tensor(fields, device="cpu"), ROWS_AT_ONCE):
        power = torch.full((len(part),), detector.nominal_power, device="cpu")
        found = encoder(measure(part, shown, detector, power, generator))
        offsets.append(found[0])
        logits.append(found[1])
    return torch.cat(offsets).numpy(), torch.cat(logits).numpy()


def macro_auc(logits: NDArray[np.float32], labels: NDArray[np.int8]) -> float:
    """Mean AUC over the attributes that have both answers; chance is 0.5."""
    areas = [auc(*known(logits[:, k], labels[:, k])) for k in range(labels.shape[1])]
    return mean_of_known(areas)


def _presence_auc(faces: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    scores = np.concatenate((faces[:, -1], others[:, -1]))
    return auc(scores, np.arange(len(scores)) < len(faces))
