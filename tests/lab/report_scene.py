"""A checkpoint and a bench small enough to be reported on in a test."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.report_curves import Bench
from lab.report_models import Model
from lab.report_scores import Split
from tests.training.scenes import drawn_face
from tests.training.tiny import NAMES, tiny_checkpoint
from training.attributes.soft_labels import SoftLabels, save_soft_labels
from training.data_sets.luminance import field_of_picture
from training.light.forward_model import Detector


def record(seed: int = 0) -> dict[str, Any]:
    """What a training run writes down, as far as the report reads it."""
    sensor = asdict(find_board(SIMULATED_BOARD).sensor)
    return {"sensor": sensor, "samples": 8, "settings": {"seed": seed}}


def model(name: str = "tiny") -> Model:
    """The tiny checkpoint with the detector of the simulated board."""
    checkpoint = tiny_checkpoint(record())
    detector = Detector(find_board(SIMULATED_BOARD).sensor, 8)
    return Model(name, checkpoint, detector, samples=8, seed=0, light="100 nW, 12 bit")


def save_teacher(path: Path, logits: NDArray[np.float32], names: tuple[str, ...]) -> Path:
    """A teacher's file with these scores of val, and one row for training."""
    save_soft_labels(SoftLabels(names, logits[:1], "", logits, {}), path)
    return path


def bench(rows: int, seed: int = 0) -> Bench:
    """``rows`` drawn faces in each half, two of each person."""
    generator = np.random.default_rng(seed)
    answers = generator.random((2, rows, len(NAMES))) < 0.5
    fields = [
        np.stack([field_of_picture(drawn_face(row, 0.9)) for row in half]).astype(np.float32)
        for half in answers
    ]
    tune, report = (np.where(half, 1, -1).astype(np.int8) for half in answers)
    return Bench(fields[0], fields[1], Split(NAMES, tune, report, np.arange(rows) // 2))
