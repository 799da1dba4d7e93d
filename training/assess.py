"""Thresholds on *tune* and figures on *report*, through the sensor at the board's own light."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsi.attributes import AttributeSchema
from training.augmentation import displaced, hidden, missized, plain_fields, turned
from training.data import FaceData, tune_rows
from training.figures import (
    AttributeFigures,
    PresenceFigures,
    attribute_figures,
    balanced_threshold,
    presence_figures,
    presence_threshold,
)
from training.forward_model import Detector, measure
from training.train import Trained

NOISE_SEED: Final = 20_000
HARD_SEED: Final = 20_001


@dataclass(frozen=True, slots=True, repr=False)
class _Scores:
    """Logits of one half of the people.

    Shape: ``faces`` and ``noise_free`` (n, K + 1); ``others``, by kind, presence only.
    """

    faces: NDArray[np.float32]
    noise_free: NDArray[np.float32]
    others: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Assessment:
    """Decision thresholds and figures of one trained model."""

    schema: AttributeSchema
    attributes: tuple[AttributeFigures, ...]
    presence: tuple[PresenceFigures, ...]
    false_rejects: float
    macro_auc: float
    macro_auc_noise_free: float
    macro_auc_tune: float
    faces: int

    def to_record(self) -> dict[str, Any]:
        """The figures as JSON: what the model card prints."""
        return {
            "split": "val report",
            "faces": self.faces,
            "macro_auc": self.macro_auc,
            "macro_auc_noise_free": self.macro_auc_noise_free,
            "macro_auc_tune": self.macro_auc_tune,
            "chance_auc": 0.5,
            "attributes": [asdict(figures) for figures in self.attributes],
            "presence": [asdict(figures) for figures in self.presence],
            "presence_false_rejects": self.false_rejects,
        }


def assess(trained: Trained, faces: FaceData, others: FaceData, detector: Detector) -> Assessment:
    """Choose thresholds on the *tune* halves and measure on the *report* halves.

    Attribute thresholds have the best balanced accuracy on *tune*, since how common glasses
    are in the data says nothing about the place of use. The presence threshold turns away
    ``FALSE_REJECTS`` of the *tune* faces.
    """
    (tune, report), (_, report_others) = _halves(faces), _halves(others)
    scores = _logits(trained, torch.tensor(tune.luminance), detector, detector.sensor.power_nw)
    labels = tune.attributes > 0
    columns = range(len(faces.names))
    schema = AttributeSchema(
        names=faces.names,
        thresholds=tuple(balanced_threshold(scores[:, k], labels[:, k]) for k in columns),
        presence_threshold=presence_threshold(scores[:, -1]),
    )
    macro_auc_tune = _macro(_each(schema, scores, tune))
    return _figures(schema, report, _scores(trained, report, report_others, detector), macro_auc_tune)


def _scores(trained: Trained, faces: FaceData, others: FaceData, detector: Detector) -> _Scores:
    scenes, without_face = torch.tensor(faces.luminance), torch.tensor(others.luminance)
    power_nw = detector.sensor.power_nw
    negatives = {"pictures without a face": without_face} | _hard_negatives(scenes, without_face)
    return _Scores(
        faces=_logits(trained, scenes, detector, power_nw),
        noise_free=_logits(trained, scenes, detector, None),
        others={kind: _logits(trained, each, detector, power_nw)[:, -1] for kind, each in negatives.items()},
    )


def _figures(schema: AttributeSchema, faces: FaceData, scores: _Scores, macro_auc_tune: float) -> Assessment:
    threshold, presence = schema.presence_threshold, scores.faces[:, -1]
    attributes = _each(schema, scores.faces, faces)
    return Assessment(
        schema=schema,
        attributes=attributes,
        presence=tuple(
            presence_figures(kind, presence, other, threshold) for kind, other in scores.others.items()
        ),
        false_rejects=float((presence < threshold).mean()),
        macro_auc=_macro(attributes),
        macro_auc_noise_free=_macro(_each(schema, scores.noise_free, faces)),
        macro_auc_tune=macro_auc_tune,
        faces=len(faces),
    )


def _halves(data: FaceData) -> tuple[FaceData, FaceData]:
    tune = tune_rows(data.identity)
    return data.rows(tune), data.rows(~tune)


def _each(
    schema: AttributeSchema, scores: NDArray[np.float32], faces: FaceData
) -> tuple[AttributeFigures, ...]:
    columns = enumerate(zip(schema.names, schema.thresholds, strict=True))
    return tuple(
        attribute_figures(name, scores[:, k], faces.attributes[:, k] > 0, threshold)
        for k, (name, threshold) in columns
    )


def _macro(figures: tuple[AttributeFigures, ...]) -> float:
    return float(np.mean([each.auc for each in figures]))


def _hard_negatives(faces: Tensor, others: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(HARD_SEED)
    covers = others[torch.arange(len(faces)) % len(others)]
    return {
        "faces shifted by 25 to 60 % of the field": displaced(faces, covers, generator),
        "faces turned by 45 to 180 degrees": turned(faces, generator),
        "faces too near or too far": missized(faces, covers, generator),
        "faces half hidden or more": hidden(faces, covers, generator),
        "empty, sloping, cloudy and noisy fields": plain_fields(len(faces), faces.shape[-1], generator),
    }


def _logits(
    trained: Trained, scenes: Tensor, detector: Detector, power_nw: float | None
) -> NDArray[np.float32]:
    """Logits (n, K + 1) at ``power_nw``; ``None`` stands for a sensor without noise."""
    masks = torch.tensor(trained.masks, dtype=torch.float32)
    generator = None if power_nw is None else torch.Generator().manual_seed(NOISE_SEED)
    powers = torch.full((len(scenes),), detector.sensor.power_nw if power_nw is None else power_nw)
    measurements: NDArray[np.float32] = measure(scenes, masks, detector, powers, generator).numpy()
    return trained.read_out.logits(measurements)
