"""The figures of the ceiling."""

import numpy as np
import pytest

from training.cli_commands.teacher_command import ceiling, ceiling_lines
from training.data_sets.data import FaceData, tune_rows


def _faces() -> FaceData:
    generator = np.random.default_rng(0)
    attributes = np.where(generator.random((200, 2)) < 0.3, 1, -1).astype(np.int8)
    luminance = np.zeros((200, 64, 64), np.float32)
    return FaceData(luminance, attributes, ("A", "B"), np.arange(200) // 2)


def test_the_ceiling_counts_right_answers_and_the_majority() -> None:
    faces = _faces()
    logits = faces.attributes.astype(np.float32)
    logits[:, 1] *= -1
    found = ceiling(logits, faces)
    tune = tune_rows(faces.identity)
    assert found["tune"]["rows"] + found["report"]["rows"] == 200
    assert found["report"]["macro_auc"] == pytest.approx(0.5)
    assert found["report"]["accuracy"] == pytest.approx(0.5)
    share = (faces.attributes[~tune] > 0).mean(axis=0)
    assert found["report"]["majority"] == pytest.approx(float(np.maximum(share, 1 - share).mean()))
    assert "majority" in ceiling_lines(found)[0]


def test_unknown_labels_are_left_out() -> None:
    faces = _faces()
    attributes = faces.attributes.copy()
    attributes[::2] = 0
    some = FaceData(faces.luminance, attributes, faces.names, faces.identity)
    logits = np.where(np.arange(200)[:, None] % 2 == 0, -1, 1) * faces.attributes.astype(np.float32)
    found = ceiling(logits.astype(np.float32), some)
    assert found["tune"]["accuracy"] == 1.0
    assert found["report"]["macro_auc"] == 1.0
