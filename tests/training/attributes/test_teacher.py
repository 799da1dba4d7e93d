"""The network that sees the whole picture."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs PyTorch (lsi-host[train])")

from numpy.typing import NDArray

from training.attributes.teacher import (
    Teacher,
    TeacherSettings,
    answers,
    softened,
    train_teacher,
    weights_in_teacher,
)
from training.scores.figures import auc

SHORT = TeacherSettings(epochs=4, batch=32, seed=3)


def _pictures(rows: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """A bright band above or below the middle; the second label is unknown."""
    generator = np.random.default_rng(seed)
    pictures = generator.integers(60, 120, (rows, 64, 64, 3)).astype(np.uint8)
    above = generator.random(rows) < 0.5
    pictures[above, 12:24] += 60
    pictures[~above, 40:52] += 60
    labels = np.where(above, 1, -1).astype(np.int8)
    return pictures, np.stack((labels, np.zeros(rows, np.int8)), axis=1)


def test_it_learns_what_is_in_the_picture() -> None:
    pictures, labels = _pictures(128, 0)
    lines: list[str] = []
    teacher = train_teacher(pictures, labels, SHORT, lines.append)
    shown, truth = _pictures(64, 1)
    logits = answers(teacher, shown)
    assert logits.shape == (64, 2)
    assert auc(logits[:, 0], truth[:, 0] > 0) > 0.95
    assert [line.split(":")[0] for line in lines] == [f"teacher, epoch {i}/4" for i in range(1, 5)]


def test_the_same_seed_gives_the_same_teacher() -> None:
    pictures, labels = _pictures(32, 0)
    first, again, other = (
        answers(train_teacher(pictures, labels, TeacherSettings(1, seed, 32), lambda _: None), pictures)
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_label_teaches_nothing() -> None:
    pictures, labels = _pictures(32, 0)
    once = TeacherSettings(epochs=1, batch=32, weight_decay=0.0)

    def head(known: NDArray[np.int8], settings: TeacherSettings) -> NDArray[np.float32]:
        weights = train_teacher(pictures, known, settings, lambda _: None).state_dict()["head.1.weight"]
        return np.asarray(weights)

    unknown, twice = np.zeros_like(labels), replace(once, epochs=2)
    assert np.array_equal(head(unknown, once), head(unknown, twice))
    assert not np.array_equal(head(labels, once), head(labels, twice))


def test_answers_do_not_depend_on_the_mirror() -> None:
    pictures, labels = _pictures(40, 0)
    teacher = train_teacher(pictures, labels, TeacherSettings(epochs=1, batch=32), lambda _: None)
    assert np.allclose(answers(teacher, pictures), answers(teacher, pictures[:, :, ::-1].copy()), atol=1e-5)


def test_the_teacher_has_about_a_million_weights() -> None:
    assert 1.0e6 < weights_in_teacher(40) < 1.3e6
    assert isinstance(Teacher(2, 0.0), Teacher)


def test_soft_labels_are_probabilities() -> None:
    assert softened(np.array([[0.0, 200.0, -200.0]], np.float32)).tolist() == [[0.5, 1.0, 0.0]]
