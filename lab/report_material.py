"""What the report is counted on: val in halves, scenes without a face, a teacher, results of long runs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from lab.report_baselines import Pictures
from lab.report_curves import Bench
from lab.report_models import Model, read_teacher
from lab.report_scores import CHANCE, Label, Predictor, Split
from lsi.errors import DataError
from training.data_sets.data import DataFile, tune_rows
from training.data_sets.presence_scenes import KINDS, present_faces, scenes_of
from training.scores.figures import presence_figures
from training.scores.groups import Grouping, grouping_of

TEACHER: Final = "full-picture CNN (teacher)"
_FIGURE_KEYS: Final = {"name", "value", "unit", "goal", "holds", "beside"}


@dataclass(frozen=True, slots=True, repr=False)
class Val:
    """The val file, decoded. Shape: ``at_tune`` (n,) bool says which rows are *tune*."""

    pictures: Pictures
    identity: NDArray[np.int64]
    at_tune: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def tune(self) -> Pictures:
        """The half on which thresholds are chosen."""
        return self.pictures.rows(self.at_tune)

    @property
    def report(self) -> Pictures:
        """The half on which figures are counted."""
        return self.pictures.rows(~self.at_tune)

    def bench(self) -> Bench:
        """Fields and answers of both halves."""
        tune, report = self.tune, self.report
        people = self.identity[~self.at_tune]
        return Bench(
            tune.fields, report.fields, Split(self.names, tune.attributes, report.attributes, people)
        )


def split_val(data: DataFile, pictures: Pictures, names: tuple[str, ...]) -> Val:
    """Val by person into *tune* and *report*.

    Raises:
        DataError: A half has no rows.
    """
    at_tune = tune_rows(data.identity)
    if at_tune.all() or not at_tune.any():
        half = "report" if at_tune.all() else "tune"
        raise DataError(f"{data.path} has nobody in its {half} half.", hint="a val file with more people.")
    return Val(pictures, data.identity, at_tune, names)


def check_labelled(data: DataFile, names: Sequence[str]) -> None:
    """Refuse a data file that does not label the attributes of the checkpoints.

    Raises:
        DataError: It does not.
    """
    missing = [name for name in names if name not in data.attribute_names]
    if missing:
        found = f"{data.path} does not label {', '.join(missing)}."
        raise DataError(found, hint="a data file with the attributes of the checkpoints.")


def report_grouping(data: DataFile, val: Val) -> Grouping | None:
    """Male x Young on the *report* half; ``None`` where the file does not have both."""
    return grouping_of(data.attribute_names, np.asarray(data.attributes)[~val.at_tune])


def commoner_yes(attributes: NDArray[np.int8]) -> NDArray[np.bool_]:
    """The commoner answer to each attribute (n, K) to (K,); unknown ones do not count."""
    commoner: NDArray[np.bool_] = (attributes > 0).sum(axis=0) > (attributes < 0).sum(axis=0)
    return commoner


def teacher_predictor(path: Path, val: Val) -> Predictor:
    """The scores of a network that sees the whole picture.

    Raises:
        DataError: The file does not belong to this val file.
    """
    scores = read_teacher(path, len(val.at_tune), val.names)
    label = Label(TEACHER, None, "camera", "gamma-coded", "the ceiling")
    return Predictor(label, None, scores[val.at_tune], scores[~val.at_tune])


def presence(model: Model, faces: NDArray[np.float32], others: NDArray[np.float32]) -> dict[str, Any]:
    """Faces that count as present against every kind of scene that does not, at the board's light.

    Args:
        model: With its own presence threshold.
        faces: (n, 64, 64), *report*.
        others: (m, 64, 64), *report* pictures without a face.
    """
    scenes, without = torch.tensor(faces), torch.tensor(others)
    threshold = model.checkpoint.attributes.presence_threshold

    def scores(fields: torch.Tensor) -> NDArray[np.float64]:
        return model.logits(fields.numpy(), model.power)[:, -1]

    present = scores(present_faces(scenes))
    kinds = [
        presence_figures(
            each.name, present, scores(scenes_of(each, scenes, without)), threshold, counts=each.counts
        )
        for each in KINDS
    ]
    worst = min((each for each in kinds if each.counts), key=lambda each: each.auc)
    return {
        "model": model.name,
        "kinds": [asdict(each) for each in kinds],
        "worst": asdict(worst),
        "false_rejects": float((present < threshold).mean()),
    }


def report_half(data: DataFile, progress: Callable[[str], None]) -> NDArray[np.float32]:
    """Fields of the *report* half of a file without labels.

    Raises:
        DataError: The half is empty, or a picture cannot be read.
    """
    rows = np.flatnonzero(~tune_rows(data.identity))
    if not len(rows):
        raise DataError(f"{data.path} has no rows in its report half.", hint="a file with more sources.")
    progress(f"{data.path.name}: {len(rows)} pictures")
    return np.stack([data.field(int(row)) for row in rows])


def read_long_runs(path: Path) -> list[Mapping[str, Any]]:
    """The figures of a result file.

    Either the form of ``python -m benchmarks.NAME --json`` (``figures``), or that of
    ``python -m benchmarks.attribute_runs`` (``rows``, one per d).

    Raises:
        DataError: No such file, or another form.
    """
    hint = "a file written by 'python -m benchmarks.NAME --json'."
    try:
        document = json.loads(path.read_text("utf-8"))
        figures = document["figures"] if "figures" in document else _of_rows(document["rows"])
        usable = all(set(each) >= _FIGURE_KEYS for each in figures)
    except OSError as cause:
        raise DataError(f"No readable results at {path} ({cause.strerror}).", hint=hint) from cause
    except (ValueError, KeyError, TypeError) as cause:
        raise DataError(f"{path} holds no results ({type(cause).__name__}).", hint=hint) from cause
    if not usable:
        raise DataError(f"{path} has figures without {', '.join(sorted(_FIGURE_KEYS))}.", hint=hint)
    return list(figures)


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy and AUC of every d, noise-free, mean over seeds; ``spread`` is largest minus smallest."""
    trivial = {"accuracy": "majority", "auc": "chance"}
    return [
        {
            "name": f"d{row['d']}_{metric}",
            "value": row[metric],
            "unit": "%" if metric == "accuracy" else "-",
            "goal": None,
            "holds": None,
            "beside": {
                trivial[metric]: row["majority"] if metric == "accuracy" else CHANCE,
                "seeds": row["seeds"],
                "spread": row[f"{metric}_spread"],
            },
        }
        for row in rows
        for metric in trivial
    ]
