"""What limits the attributes at one number of masks: score over faces, passes, width, mask pixels, teacher.

Every point is a short training of its own, noise-free, all attributes; each curve varies one thing of the
same base. Scores are on faces of the training, and on both halves of val. Nothing is chosen here: the curves
say what would help. Written after every run, so that an interrupted one keeps its points.

    python -m benchmarks.attribute_curves --data celebahq128_train.npz --nonfaces nonfaces128_train.npz \
        --val celebahq128_val.npz --teacher teacher.npz -o benchmarks/results/attribute_curves.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import heading
from training.attributes.settings import Schedule, Settings
from training.attributes.soft_labels import load_soft_labels
from training.attributes.train import Lesson, Trained, train_together
from training.data_sets.data import FaceData, open_data, tune_rows
from training.light.detectors import IdealDetector
from training.light.forward_model import measure
from training.read_outs.calibration import calibrate, folded
from training.read_outs.read_out import ReadOutWeights
from training.scores.figures import auc, mean_of_known

WIDTHS: Final = (64, 128, 256)
FEATURES_PX: Final = (8, 4, 2)
PARTS: Final = (1 / 2, 1 / 4, 1 / 8)
"""Of the faces."""
TIMES: Final = (0.5, 2)
"""Times the passes of the base."""
FEWEST_NEGATIVES: Final = 10
SOFT: Final = 0.8
FIELD_PX: Final = 64
POINTS: Final = 100.0
SEEN: Final = 3000
"""Faces of the training that are scored."""
NO_NOISE: Final = IdealDetector(1e6)


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """One run: banks side by side on the same scenes, each a point (curve, x)."""

    lesson: Lesson
    passes: int
    banks: dict[tuple[str, float], Settings]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribute_curves", description=__doc__)
    for option in ("--data", "--nonfaces", "--val", "--teacher"):
        parser.add_argument(option, type=Path, required=True, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="JSON")
    parser.add_argument("--d", type=int, default=64, help="masks (default %(default)s)")
    parser.add_argument("--passes", type=int, default=4, help="of the base run (default %(default)s)")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lesson, val = _lesson(parsed), open_data(parsed.val, "val")
    asked = val.faces(lesson.faces.names)
    document = heading("attribute_curves") | {"d": parsed.d, "passes": parsed.passes, "rows": []}
    for job in jobs(lesson, parsed.d, parsed.passes):
        document["rows"] += rows_of(job, asked)
        parsed.output.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return 0


def jobs(lesson: Lesson, d: int, passes: int) -> list[Job]:
    """The base, and runs that differ from it in one thing; banks side by side where the scenes are the same.

    A run with fewer faces passes over them more often: all learn for the same number of steps.
    """
    soft = 0.0 if lesson.soft is None else SOFT
    attributes = len(lesson.faces.names)
    base = Settings(d, 0, attributes, soft_weight=soft, power_bounds_nw=None, disturbance=None)
    found = [Job(lesson, passes, {("base", 0.0): base, ("teacher", 0.0): replace(base, soft_weight=0.0)})]
    for part in PARTS:
        faces = round(part * len(lesson.faces))
        found.append(Job(part_of(lesson, faces), round(passes / part), {("faces", float(faces)): base}))
    widths = {("width", float(width)): replace(base, width=width) for width in WIDTHS}
    pixels = {("mask_px", FIELD_PX / each): replace(base, feature_px=each) for each in FEATURES_PX}
    others = [max(1, round(times * passes)) for times in TIMES]
    lengths = [Job(lesson, each, {("passes", float(each)): base}) for each in others]
    return [*found, Job(lesson, passes, pixels), *lengths, Job(lesson, passes, widths)]


def part_of(lesson: Lesson, faces: int) -> Lesson:
    """The lesson with ``faces`` of its faces, spread evenly over the file."""
    chosen = np.zeros(len(lesson.faces), np.bool_)
    chosen[np.linspace(0, len(chosen) - 1, faces).astype(int)] = True
    soft = None if lesson.soft is None else lesson.soft[chosen]
    return replace(lesson, faces=lesson.faces.rows(chosen), soft=soft)


def rows_of(job: Job, val: FaceData) -> list[dict[str, Any]]:
    """Train the banks of one job; a row of scores for each."""
    schedule = Schedule(job.passes, wide=0, negatives=FEWEST_NEGATIVES)
    trained = train_together(job.lesson, schedule, list(job.banks.values()), tell)
    return [
        {"curve": curve, "x": x, "passes": job.passes, "faces": len(job.lesson.faces)}
        | scores(bank, job.lesson.faces, val)
        for (curve, x), bank in zip(job.banks, trained, strict=True)
    ]


def scores(trained: Trained, seen: FaceData, val: FaceData) -> dict[str, float]:
    """Macro AUC and accuracy of some faces ``seen`` in the training and of both halves of val.

    Accuracy is in per cent, at a probability of one half, calibrated on *tune*.
    """
    tune = tune_rows(val.identity)
    asked, raw = val.rows(tune), trained.read_out
    calibration = calibrate(noise_free_logits(trained.masks, raw, asked), asked.attributes, asked.names)
    read_out = folded(raw, calibration)
    halves = {"train": seen.rows(np.arange(len(seen)) < SEEN), "tune": asked, "report": val.rows(~tune)}
    found = {}
    for name, faces in halves.items():
        logits = noise_free_logits(trained.masks, read_out, faces)
        found[f"{name}_auc"], found[f"{name}_accuracy"] = auc_and_accuracy(logits, faces)
    return found


def auc_and_accuracy(logits: NDArray[np.float32], faces: FaceData) -> tuple[float, float]:
    """Macro AUC, and accuracy in per cent at a probability of one half, of calibrated logits (n, K + 1)."""
    yes = faces.attributes > 0
    area = mean_of_known(auc(logits[:, k], yes[:, k]) for k in range(yes.shape[1]))
    return area, POINTS * float(((logits[:, :-1] >= 0) == yes).mean())


def noise_free_logits(
    masks: NDArray[np.bool_], read_out: ReadOutWeights, faces: FaceData
) -> NDArray[np.float32]:
    """Logits (n, K + 1) of ``faces`` from exact ratios of the arms."""
    shown, fields = torch.tensor(masks).float(), torch.tensor(faces.luminance)
    photons = torch.full((len(fields),), NO_NOISE.photons)
    return read_out.logits(measure(fields, shown, NO_NOISE, photons, None).numpy())


def _lesson(parsed: argparse.Namespace) -> Lesson:
    data = open_data(parsed.data, "train")
    faces, others = data.faces(data.attribute_names), open_data(parsed.nonfaces, "train").faces()
    return Lesson(faces, others, NO_NOISE, load_soft_labels(parsed.teacher).of(faces))


def tell(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
