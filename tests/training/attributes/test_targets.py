"""Targets of attributes: people's labels, a teacher's answers, and what nobody knows."""

import numpy as np
import pytest
import torch

from training.attributes.targets import mixed_targets, rarity_weights

LABELS = np.array([[1, -1, 0], [-1, -1, 1]], np.int8)
SOFT = np.array([[0.5, 0.5, 0.9], [0.25, 0.0, 0.75]], np.float32)


def test_without_a_teacher_only_what_people_know_counts() -> None:
    targets, known = mixed_targets(LABELS, None, 0.8)
    assert targets.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert known.tolist() == [[True, True, False], [True, True, True]]


def test_a_teacher_replaces_its_part_and_answers_what_nobody_knows() -> None:
    targets, known = mixed_targets(LABELS, SOFT, 0.8)
    assert targets.numpy() == pytest.approx(np.array([[0.6, 0.4, 0.9], [0.2, 0.0, 0.8]]), abs=1e-6)
    assert bool(known.all())
    silent, heard = mixed_targets(LABELS, SOFT, 0.0)
    assert silent[:, :2].tolist() == [[1, 0], [0, 0]]
    assert not heard[0, 2]


def test_rare_answers_weigh_more_and_missing_ones_do_no_harm() -> None:
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    known = torch.ones(4, 2, dtype=torch.bool)
    assert float(rarity_weights(targets, known, 0.5)[0]) == pytest.approx(3**0.5)
    assert bool(torch.isfinite(rarity_weights(targets, known, 1.0)).all())
    assert rarity_weights(targets, known, 0.0).tolist() == [1, 1]
