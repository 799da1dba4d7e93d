"""Areas under curves and thresholds, against slow definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.figures import (
    attribute_figures,
    auc,
    balanced_accuracy,
    balanced_threshold,
    presence_figures,
    presence_threshold,
)

ROWS = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40)


def _split(rows: list[tuple[int, bool]]) -> tuple["np.ndarray", "np.ndarray"]:
    return np.array([score for score, _ in rows], np.float32), np.array([label for _, label in rows])


@given(ROWS.filter(lambda rows: len({label for _, label in rows}) == 2))
def test_auc_is_the_chance_that_a_positive_scores_higher(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _split(rows)
    difference = scores[labels][:, None] - scores[~labels][None, :]
    assert auc(scores, labels) == pytest.approx(((difference > 0) + (difference == 0) / 2).mean())


def test_auc_of_one_kind_only_is_no_number() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3, bool)))


@given(ROWS.filter(lambda rows: len({label for _, label in rows}) == 2 and len({s for s, _ in rows}) > 1))
def test_no_other_cut_between_scores_has_a_better_balanced_accuracy(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _split(rows)
    chosen = balanced_accuracy(scores >= balanced_threshold(scores, labels), labels)
    others = [balanced_accuracy(scores >= cut, labels) for cut in np.unique(scores)[1:]]
    assert chosen == pytest.approx(max(others))


def test_the_threshold_lies_midway_between_the_classes() -> None:
    scores = np.array([3.0, -1.0, 0.0, 2.0])
    assert balanced_threshold(scores, scores > 1) == 1.0


def test_a_rare_attribute_gets_the_same_threshold_as_a_common_one() -> None:
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    rare = np.concatenate((np.repeat(scores[~labels], 50), scores[labels]))
    rare_labels = np.concatenate((np.zeros(100, bool), np.ones(2, bool)))
    assert balanced_threshold(rare, rare_labels) == balanced_threshold(scores, labels)


def test_a_threshold_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="positives and negatives"):
        balanced_threshold(np.arange(3.0), np.zeros(3, bool))


def test_balanced_accuracy_is_the_mean_of_both_rates() -> None:
    decided = np.array([True, True, True, False])
    labels = np.array([True, False, False, False])
    assert balanced_accuracy(decided, labels) == pytest.approx((1 + 1 / 3) / 2)


def test_always_no_is_chance() -> None:
    assert balanced_accuracy(np.zeros(100, bool), np.arange(100) < 3) == 0.5


def test_the_presence_threshold_turns_one_face_in_fifty_away() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    assert (scores < presence_threshold(scores)).mean() == pytest.approx(0.02, abs=1e-3)


def test_the_majority_is_the_commoner_answer() -> None:
    labels = np.array([True, False, False, False])
    figures = attribute_figures("Hat", np.array([1.0, 2.0, 0.0, 0.0]), labels, 0.5)
    assert (figures.majority, figures.accuracy, figures.positives) == (0.75, 0.75, 1)
    assert figures.auc == pytest.approx(2 / 3)


def test_presence_counts_other_scenes_taken_for_a_face() -> None:
    figures = presence_figures("textures", np.array([2.0, 3.0]), np.array([2.5, 1.0, 0.0, 2.0]), 2.0)
    assert (figures.false_accepts, figures.rows) == (0.5, 4)
    assert figures.auc == pytest.approx((2.5 + 4) / 8)


def test_balanced_accuracy_of_one_kind_only_is_no_number() -> None:
    assert np.isnan(balanced_accuracy(np.array([True, False]), np.array([True, True])))
