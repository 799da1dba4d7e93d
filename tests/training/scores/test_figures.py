"""Areas under curves and thresholds, against slow definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scores.figures import (
    Cut,
    attribute_figures,
    auc,
    average_precision,
    balanced_accuracy,
    finite,
    known,
    mean_of_known,
    presence_figures,
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


@given(ROWS.filter(lambda rows: len({label for _, label in rows}) == 2))
def test_average_precision_is_the_precision_where_each_positive_is_found(
    rows: list[tuple[int, bool]],
) -> None:
    scores, labels = _split(rows)
    precision = [labels[scores >= score].mean() for score in scores[labels]]
    assert average_precision(scores, labels) == pytest.approx(np.mean(precision))


def test_average_precision_of_equal_scores_is_the_prevalence() -> None:
    assert average_precision(np.zeros(10), np.arange(10) < 3) == pytest.approx(0.3)


@pytest.mark.parametrize("answer", [True, False])
def test_average_precision_of_one_kind_only_is_no_number(answer: bool) -> None:
    assert np.isnan(average_precision(np.arange(3.0), np.full(3, answer)))


def test_balanced_accuracy_is_the_mean_of_both_rates() -> None:
    decided = np.array([True, True, True, False])
    labels = np.array([True, False, False, False])
    assert balanced_accuracy(decided, labels) == pytest.approx((1 + 1 / 3) / 2)


def test_always_no_is_chance() -> None:
    assert balanced_accuracy(np.zeros(100, bool), np.arange(100) < 3) == 0.5


def test_every_figure_of_an_attribute_stands_beside_what_says_little() -> None:
    scores = np.array([-1.0, 0.25, 0.0, 2.0, 9.0])
    answers = np.array([-1, -1, 1, 1, 0], np.int8)
    found = attribute_figures(scores, answers, Cut("Hat", 0.1, -0.1, 0.3, 0.5))
    assert (found.name, found.rows, found.positives) == ("Hat", 4, 2)
    assert (found.accuracy, found.majority, found.balanced_accuracy) == (0.5, 0.5, 0.5)
    assert (found.auc, found.prevalence) == (0.75, 0.5)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    # 0.25 and 0.0 lie in the band; the two that are answered are right.
    assert (found.coverage, found.selective_accuracy) == (0.5, 1.0)
    chance = 1 / (1 + np.exp(-scores[:4]))
    assert found.ece == pytest.approx(np.abs(chance - [0, 0, 1, 1]).mean())
    assert found.brier_skill == pytest.approx(1 - ((chance - [0, 0, 1, 1]) ** 2).mean() / 0.25)
    assert 0 < found.ece_floor < 1


def test_the_majority_is_the_commoner_answer() -> None:
    answers = np.array([1, -1, -1, -1], np.int8)
    found = attribute_figures(np.array([1.0, 2.0, 0.0, 0.0]), answers, Cut("Hat", 0.5, 0.5, 0.5, 0.2))
    assert (found.majority, found.accuracy, found.positives) == (0.75, 0.75, 1)
    assert found.auc == pytest.approx(2 / 3)
    assert (found.coverage, found.selective_accuracy) == (1.0, 0.75)


def test_figures_of_unknown_answers_alone_are_no_numbers() -> None:
    found = attribute_figures(np.ones(3), np.zeros(3, np.int8), Cut("Hat", 0.5, 0.5, 0.5, 0.2))
    assert (found.rows, found.positives) == (0, 0)
    figures = (found.auc, found.average_precision, found.accuracy, found.majority, found.ece, found.coverage)
    assert np.isnan(figures).all()


def test_unknown_answers_are_left_out() -> None:
    scores, labels = known(np.array([1.0, 2.0, 3.0]), np.array([1, 0, -1], np.int8))
    assert (scores.tolist(), labels.tolist()) == ([1.0, 3.0], [True, False])


def test_the_mean_passes_over_what_is_no_number() -> None:
    assert mean_of_known([1.0, float("nan"), 2.0]) == 1.5
    assert np.isnan(mean_of_known([float("nan")]))


def test_presence_counts_other_scenes_taken_for_a_face() -> None:
    figures = presence_figures("textures", np.array([2.0, 3.0]), np.array([2.5, 1.0, 0.0, 2.0]), 2.0)
    assert (figures.false_accepts, figures.rows, figures.counts) == (0.5, 4, True)
    assert figures.auc == pytest.approx((2.5 + 4) / 8)


def test_false_alarms_at_99_are_told_at_the_threshold_that_lets_99_of_100_faces_pass() -> None:
    faces = np.arange(1.0, 102.0)
    figures = presence_figures("textures", faces, np.array([0.0, 1.5, 2.0, 50.0]), 1e9)
    assert figures.false_accepts == 0
    # The 1 % quantile of 1..101 is 2.
    assert figures.false_alarms_at_99 == 0.5


def test_balanced_accuracy_of_one_kind_only_is_no_number() -> None:
    assert np.isnan(balanced_accuracy(np.array([True, False]), np.array([True, True])))


def test_json_has_no_number_that_is_none() -> None:
    given = {"a": float("nan"), "b": [float("inf"), 1.5], "c": (True, None, "x")}
    assert finite(given) == {"a": None, "b": [None, 1.5], "c": [True, None, "x"]}
