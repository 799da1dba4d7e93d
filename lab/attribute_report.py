"""All figures of ``lsi report`` as one JSON document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.report_baselines import NOISE_FREE
from lab.report_curves import Axis, Bench, curves, envelope, envelope_sentences
from lab.report_models import Model
from lab.report_scores import Decision, Label, Predictor, Split, decisions, row_of, trivial_figures
from training.read_outs.calibration import (
    brier_skill,
    expected_calibration_error,
    probabilities,
    reliability,
)
from training.scores.figures import auc, average_precision, balanced_accuracy, known, mean_of_known
from training.scores.groups import Grouping, group_figures

FORMAT: Final = "lsi.report/1"
MAIN_D: Final = 16
"""The bank that single-model parts show, where it is among the checkpoints."""
PAPER_ACCURACY: Final[Mapping[int, float]] = {4: 0.8175, 16: 0.8644, 32: 0.8806, 64: 0.8874, 128: 0.8920}
"""Souza et al., Latent Space Imaging, CVPR 2025: mean accuracy over the 40 attributes of CelebA."""
PAPER_NOTE: Final = "other split, other light, 28 M parameters; accuracy over 40 attributes"
FEWEST_POSITIVE: Final = 0.02
"""Share of positives below which calibration of an attribute says little."""
LEARNED: Final = "learned masks (this checkpoint)"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """What the report is counted on, besides the models.

    ``commoner_yes`` (K,) is the constant answer of the trivial predictor, from the rows named by
    ``commoner_from``. ``grouping`` belongs to the report half.
    """

    bench: Bench
    commoner_yes: NDArray[np.bool_]
    commoner_from: str
    grouping: Grouping | None
    others: Sequence[Sequence[Predictor]]
    presence: Mapping[str, Any]


def build(
    models: Sequence[Model], material: Material, axes: Sequence[Axis], progress: Progress
) -> dict[str, Any]:
    """Every figure. Slow: minutes with many checkpoints."""
    split, main = material.bench.split, main_model(models)
    once_per_system = [next(group) for _, group in groupby(models, key=lambda each: each.system)]
    found = curves(once_per_system, material.bench, axes, progress)
    return {
        "format": FORMAT,
        "split": {
            "part": "val report",
            "rows": len(split.report),
            "people": len(np.unique(split.people)),
            "rows_tune": len(split.tune),
        },
        "attributes": [split.names[k] for k in split.columns()],
        "left_out": [name for k, name in enumerate(split.names) if k not in split.columns()],
        "trivial": {**trivial_figures(material.commoner_yes, split), "from": material.commoner_from},
        "models": [_identity(each) for each in models],
        "main": _identity(main),
        "table": _table(models, material, progress),
        "paper": [
            {"d": d, "accuracy": accuracy, "note": PAPER_NOTE} for d, accuracy in PAPER_ACCURACY.items()
        ],
        **_main_parts(main, material),
        "presence": material.presence,
        "curves": found,
        "envelope": {
            "loss": 0.01,
            "limits": {curve["axis"]: envelope(curve) for curve in found},
            "sentences": envelope_sentences(found),
        },
    }


def main_model(models: Sequence[Model]) -> Model:
    """The first checkpoint of d = 16, or the one nearest to it; a plain run before any other."""
    return min(models, key=lambda each: (bool(each.trained), abs(each.d - MAIN_D)))


def _identity(model: Model) -> dict[str, Any]:
    patterns = model.checkpoint.patterns
    parameters = model.checkpoint.read_out.parameters
    return {
        "name": model.name,
        "d": model.d,
        "seed": model.seed,
        "masks": patterns.digest[:12],
        "parameters": parameters,
        "open_fraction": float(patterns.masks.mean()),
        "trained": model.trained,
        "light": model.light,
    }


def _table(models: Sequence[Model], material: Material, progress: Progress) -> list[dict[str, Any]]:
    rows = []
    for (d, _), group in groupby(models, key=lambda each: each.system):
        seeds = list(group)
        answered = ([_answers(each, material.bench, lit=lit) for each in seeds] for lit in (False, True))
        rows += [row_of(each, material.bench.split) for each in answered]
        progress(f"figures: d = {d}, {len(seeds)} checkpoints")
    rows += [row_of(each, material.bench.split) for each in material.others]
    return rows


def _answers(model: Model, bench: Bench, *, lit: bool) -> Predictor:
    power = model.power if lit else None
    label = Label(LEARNED, model.d, "2", model.light if lit else NOISE_FREE, model.trained)
    tune, report = (model.logits(fields, power)[:, :-1] for fields in (bench.tune, bench.report))
    return Predictor(label, model.seed, tune, report)


def _main_parts(main: Model, material: Material) -> dict[str, Any]:
    """Per attribute, reliability and groups of one checkpoint at its own light, as shipped."""
    split = material.bench.split
    shown = _answers(main, material.bench, lit=True)
    how = decisions(shown.tune, split)
    return {
        "per_attribute": [_attribute(k, main, shown, decided, material) for k, decided in how.items()],
        "reliability": _reliability(shown, how, split),
        "groups": _groups(main, shown.report, material),
    }


def _attribute(k: int, main: Model, shown: Predictor, how: Decision, material: Material) -> dict[str, Any]:
    split = material.bench.split
    scores, labels = known(shown.report[:, k], split.report[:, k])
    refitted = how.logits(scores)
    prevalence = float((split.tune[split.tune[:, k] != 0, k] > 0).mean())
    right = (refitted >= 0) == labels
    chance = probabilities(scores)
    return {
        "name": split.names[k],
        "positives": int(labels.sum()),
        "rows": len(labels),
        "auc": auc(scores, labels),
        "average_precision": average_precision(scores, labels),
        "prevalence": float(labels.mean()),
        "balanced_accuracy": balanced_accuracy(scores >= main.checkpoint.attributes.thresholds[k], labels),
        "accuracy": float(right.mean()),
        "majority": float((labels == material.commoner_yes[k]).mean()),
        "ece": expected_calibration_error(chance, labels),
        "brier_skill": brier_skill(chance, labels, prevalence),
        "ece_refitted": expected_calibration_error(probabilities(refitted), labels),
        "brier_skill_refitted": brier_skill(probabilities(refitted), labels, prevalence),
    }


def _reliability(shown: Predictor, how: Mapping[int, Decision], split: Split) -> dict[str, Any]:
    """Pooled over the attributes with enough positives: as shipped, and refitted on *tune*."""
    pooled: dict[str, list[tuple[NDArray[np.float64], NDArray[np.bool_]]]] = {"shipped": [], "refitted": []}
    for k, decided in how.items():
        scores, labels = known(shown.report[:, k], split.report[:, k])
        if labels.mean() >= FEWEST_POSITIVE:
            pooled["shipped"].append((probabilities(scores), labels))
            pooled["refitted"].append((probabilities(decided.logits(scores)), labels))
    return {kind: _diagram(parts) for kind, parts in pooled.items()}


def _diagram(parts: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> dict[str, Any]:
    """``ece`` is the mean over attributes; the bins of the drawing are of all attributes together."""
    if not parts:
        return {"bins": [], "ece": float("nan")}
    chance, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {
        "bins": [asdict(each) for each in reliability(chance, labels)],
        "ece": mean_of_known(expected_calibration_error(*part) for part in parts),
    }


def _groups(main: Model, scores: NDArray[np.float64], material: Material) -> dict[str, Any] | None:
    if material.grouping is None:
        return None
    split = material.bench.split
    decided = scores >= np.array(main.checkpoint.attributes.thresholds)
    found = group_figures(decided, split.report, split.names, material.grouping, split.people)
    worst = found.worst
    return {**asdict(found), "worst": None if worst is None else asdict(worst)}
