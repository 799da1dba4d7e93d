"""Calibration and thresholds on *tune*, figures on *report*, through the sensor at the board's own light."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsi.attributes import AttributeSchema
from lsi.errors import DataError
from training.attributes.train import Trained
from training.data_sets.data import FaceData, tune_rows
from training.data_sets.presence_scenes import KINDS, present_faces, scenes_of
from training.light.forward_model import TwoArms, measure
from training.read_outs.calibration import Calibration, calibrate, folded
from training.read_outs.read_out import ReadOutWeights
from training.read_outs.thresholds import check_coverage, choose_abstention, presence_threshold, rule_of
from training.scores.figures import (
    AttributeFigures,
    Cut,
    PresenceFigures,
    attribute_figures,
    auc,
    finite,
    known,
    mean_of_known,
    presence_figures,
)
from training.scores.groups import GroupFigures, Grouping, group_figures
from training.scores.intervals import bounds, person_weights, weighted_accuracies, weighted_areas

NOISE_SEED: Final = 20_000
ROWS_AT_ONCE: Final = 1024
"""Scenes measured together; bounds the memory of the noise of many masks."""

Logits = NDArray[np.float32]
Answers = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval over people."""

    value: float
    low_95: float
    high_95: float


@dataclass(frozen=True, slots=True)
class MacroFigures:
    """Means over the attributes that have both answers.

    Beside them what says little: 0.5 for ``auc`` and ``balanced_accuracy``, ``prevalence`` for
    ``average_precision``, ``majority`` for ``accuracy``, ``ece_floor`` for ``ece``, 0 for ``brier_skill``.
    """

    auc: Estimate
    average_precision: Estimate
    prevalence: float
    balanced_accuracy: Estimate
    accuracy: Estimate
    majority: float
    ece: float
    ece_floor: float
    brier_skill: float
    coverage: float
    selective_accuracy: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Calibrated read-out, decision thresholds and figures of one trained model.

    ``read_out`` replaces the one that was trained: ``schema`` fits its logits alone. ``calibration`` is what
    was folded into it. ``false_rejects`` counts faces that stand anywhere where they still count as present,
    ``false_rejects_in_place`` those exactly in their place.
    """

    schema: AttributeSchema
    read_out: ReadOutWeights
    calibration: Calibration
    rule: str
    macro: MacroFigures
    macro_auc_noise_free: float
    macro_accuracy_noise_free: float
    macro_auc_tune: float
    attributes: tuple[AttributeFigures, ...]
    presence: tuple[PresenceFigures, ...]
    false_rejects: float
    false_rejects_in_place: float
    groups: GroupFigures | None
    faces: int

    @property
    def macro_auc(self) -> float:
        """Mean AUC over the attributes."""
        return self.macro.auc.value

    @property
    def worst_presence(self) -> PresenceFigures:
        """The kind of scene that is hardest to tell from a face in its place: the headline."""
        return min((each for each in self.presence if each.counts), key=lambda each: each.auc)

    def to_record(self) -> dict[str, Any]:
        """The figures as JSON, ``null`` where one does not exist: what the model card prints."""
        record = {
            "split": "val report",
            "faces": self.faces,
            "macro": asdict(self.macro),
            "macro_auc": self.macro_auc,
            "macro_auc_noise_free": self.macro_auc_noise_free,
            "macro_accuracy_noise_free": self.macro_accuracy_noise_free,
            "macro_auc_tune": self.macro_auc_tune,
            "chance_auc": 0.5,
            "threshold_rule": self.rule,
            "attributes": [asdict(figures) for figures in self.attributes],
            "presence": [asdict(figures) for figures in self.presence],
            "presence_worst": asdict(self.worst_presence),
            "presence_false_rejects": self.false_rejects,
            "presence_false_rejects_in_place": self.false_rejects_in_place,
            "groups": None if self.groups is None else _groups_record(self.groups),
        }
        shown: dict[str, Any] = finite(record)
        return shown


def assess(  # noqa: PLR0913 - the last three have defaults
    trained: Trained,
    faces: FaceData,
    others: FaceData,
    detector: TwoArms,
    *,
    rule: str = "balanced",
    coverage: float = 1.0,
    grouping: Grouping | None = None,
) -> Assessment:
    """Calibrate and choose thresholds on the *tune* halves, measure on the *report* halves.

    Args:
        trained: Masks and raw read-out.
        faces: Val, with the attributes of the product in output order.
        others: Val pictures without a face.
        detector: The sensor; its own light is used.
        rule: Of the attribute thresholds, see ``RULES`` of the thresholds. "balanced" is the default, since
            how common glasses are in the data says nothing about the place of use.
        coverage: Part of the *tune* faces that each attribute answers; below 1 the rest gets ``None``.
        grouping: Rows of ``faces`` by group of people.

    Raises:
        ConfigError: An unknown rule, or a coverage that is none.
        DataError: One answer only for an attribute on *tune*, or no rows in a half.
    """
    rule_of(rule)
    check_coverage(coverage)
    check_halves(faces, others)
    at_tune, at_others = tune_rows(faces.identity), tune_rows(others.identity)
    tune, report, report_others = faces.rows(at_tune), faces.rows(~at_tune), others.rows(~at_others)
    raw = _Sensor(trained.masks, trained.read_out, detector)
    tune_scenes, scenes = torch.tensor(tune.luminance), torch.tensor(report.luminance)
    calibration = calibrate(raw.logits(tune_scenes), tune.attributes, faces.names)
    sensor = _Sensor(trained.masks, folded(trained.read_out, calibration), detector)
    scores = sensor.logits(tune_scenes)
    cuts = _cuts(tune, scores, rule, coverage)
    threshold = presence_threshold(sensor.logits(present_faces(tune_scenes))[:, -1])
    report_scores = sensor.logits(scenes)
    figures = _each(cuts, report_scores, report)
    without_noise = _each(cuts, sensor.logits(scenes, is_noisy=False), report)
    presence, false_rejects = _presence(sensor, scenes, torch.tensor(report_others.luminance), threshold)
    return Assessment(
        schema=_schema(cuts, threshold, coverage),
        read_out=sensor.read_out,
        calibration=calibration,
        rule=rule,
        macro=_macro(figures, cuts, report_scores, report),
        macro_auc_noise_free=mean_of_known(each.auc for each in without_noise),
        macro_accuracy_noise_free=mean_of_known(each.accuracy for each in without_noise),
        macro_auc_tune=_mean_auc(scores, tune),
        attributes=figures,
        presence=presence,
        false_rejects=false_rejects,
        false_rejects_in_place=float((report_scores[:, -1] < threshold).mean()),
        groups=None if grouping is None else _groups(cuts, report_scores, report, grouping.rows(~at_tune)),
        faces=len(report),
    )


def check_halves(faces: FaceData, others: FaceData) -> None:
    """Refuse val data that :func:`assess` cannot work with: worth asking before a long training.

    Raises:
        DataError: An empty half, or an attribute with one known answer only on *tune*.
    """
    tune = tune_rows(faces.identity)
    hint = "a val file with more people; it is split by person."
    for half, rows in (("tune", tune), ("report", ~tune)):
        if not rows.any():
            raise DataError(f"No face of val falls into its {half} half.", hint=hint)
    if tune_rows(others.identity).all():
        raise DataError("No picture without a face falls into the report half of val.", hint=hint)
    answers = faces.attributes[tune]
    lacking = [
        name
        for k, name in enumerate(faces.names)
        if not ((answers[:, k] > 0).any() and (answers[:, k] < 0).any())
    ]
    if lacking:
        found = f"On val tune only one answer is known for {', '.join(lacking)}."
        raise DataError(found, hint="more people in the val file, or leave these attributes out.")


@dataclass(frozen=True, slots=True, repr=False)
class _Sensor:
    """Masks, read-out and detector together: scenes in, logits out."""

    masks: NDArray[np.bool_]
    read_out: ReadOutWeights
    detector: TwoArms

    def logits(self, scenes: Tensor, *, is_noisy: bool = True) -> Logits:
        """Logits (n, K + 1) of scenes (n, H, W) at the board's own light."""
        generator = torch.Generator().manual_seed(NOISE_SEED) if is_noisy else None
        masks = torch.tensor(self.masks, dtype=torch.float32)
        power_nw = torch.full((ROWS_AT_ONCE,), self.detector.nominal_power)
        parts = [scenes[start : start + ROWS_AT_ONCE] for start in range(0, len(scenes), ROWS_AT_ONCE)]
        measured = [
            measure(part, masks, self.detector, power_nw[: len(part)], generator).numpy() for part in parts
        ]
        return self.read_out.logits(np.concatenate(measured))


def _cuts(tune: FaceData, scores: Logits, rule: str, coverage: float) -> tuple[Cut, ...]:
    cuts = []
    for k, name in enumerate(tune.names):
        found, labels = known(scores[:, k], tune.attributes[:, k])
        threshold = rule_of(rule)(found, labels)
        low, high = choose_abstention(scores[:, k], threshold, coverage)
        cuts.append(Cut(name, threshold, low, high, float(labels.mean())))
    return tuple(cuts)


def _schema(cuts: tuple[Cut, ...], threshold: float, coverage: float) -> AttributeSchema:
    return AttributeSchema(
        names=tuple(cut.name for cut in cuts),
        thresholds=tuple(cut.threshold for cut in cuts),
        presence_threshold=threshold,
        abstain=() if coverage == 1 else tuple((cut.low, cut.high) for cut in cuts),
    )


def _each(cuts: tuple[Cut, ...], scores: Logits, faces: FaceData) -> tuple[AttributeFigures, ...]:
    return tuple(attribute_figures(scores[:, k], faces.attributes[:, k], cut) for k, cut in enumerate(cuts))


def _mean_auc(scores: Logits, faces: FaceData) -> float:
    return mean_of_known(auc(*known(scores[:, k], faces.attributes[:, k])) for k in range(len(faces.names)))


def _macro(
    figures: tuple[AttributeFigures, ...], cuts: tuple[Cut, ...], scores: Logits, faces: FaceData
) -> MacroFigures:
    def mean(name: str) -> float:
        return mean_of_known(getattr(each, name) for each in figures)

    drawn = _bootstrap(cuts, scores, faces)

    def estimate(name: str) -> Estimate:
        return Estimate(mean(name), *bounds(drawn[name]))

    return MacroFigures(
        auc=estimate("auc"),
        average_precision=estimate("average_precision"),
        prevalence=mean("prevalence"),
        balanced_accuracy=estimate("balanced_accuracy"),
        accuracy=estimate("accuracy"),
        majority=mean("majority"),
        ece=mean("ece"),
        ece_floor=mean("ece_floor"),
        brier_skill=mean("brier_skill"),
        coverage=mean("coverage"),
        selective_accuracy=mean("selective_accuracy"),
    )


def _bootstrap(cuts: tuple[Cut, ...], scores: Logits, faces: FaceData) -> dict[str, NDArray[np.float64]]:
    """Macro figures of every round of the bootstrap over people."""
    names = ("auc", "average_precision", "accuracy", "balanced_accuracy")
    blocks: list[NDArray[np.float64]] = []
    for weights in person_weights(faces.identity):
        each = []
        for k, cut in enumerate(cuts):
            rows = faces.attributes[:, k] != 0
            found, labels = known(scores[:, k], faces.attributes[:, k])
            areas = weighted_areas(found, labels, weights[:, rows])
            each.append((*areas, *weighted_accuracies(found >= cut.threshold, labels, weights[:, rows])))
        blocks.append(_mean_over_attributes(np.array(each)))
    return dict(zip(names, np.concatenate(blocks, axis=1), strict=True))


def _mean_over_attributes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(attributes, figures, rounds) to (figures, rounds), past the attributes that are no number there."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean


def _presence(
    sensor: _Sensor, faces: Tensor, others: Tensor, threshold: float
) -> tuple[tuple[PresenceFigures, ...], float]:
    present = sensor.logits(present_faces(faces))[:, -1]
    figures = []
    for kind in KINDS:
        scores = sensor.logits(scenes_of(kind, faces, others))[:, -1]
        figures.append(presence_figures(kind.name, present, scores, threshold, counts=kind.counts))
    return tuple(figures), float((present < threshold).mean())


def _groups(cuts: tuple[Cut, ...], scores: Logits, faces: FaceData, grouping: Grouping) -> GroupFigures:
    decided = scores[:, :-1] >= np.array([cut.threshold for cut in cuts])
    return group_figures(decided, faces.attributes, faces.names, grouping, faces.identity)


def _groups_record(groups: GroupFigures) -> dict[str, Any]:
    worst = groups.worst
    return {**asdict(groups), "worst": None if worst is None else worst.group}
