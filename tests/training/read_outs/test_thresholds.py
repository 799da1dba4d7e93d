"""Thresholds by rule, and the band of open answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import ConfigError, DataError
from training.read_outs.thresholds import (
    RULES,
    balanced_threshold,
    choose_abstention,
    presence_threshold,
    prior_threshold,
    rule_of,
)
from training.scores.figures import balanced_accuracy

ROWS = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def _split(rows: list[tuple[int, bool]]) -> tuple["np.ndarray", "np.ndarray"]:
    return np.array([score for score, _ in rows], np.float32), np.array([label for _, label in rows])


@given(ROWS.filter(lambda rows: len({s for s, _ in rows}) > 1))
def test_no_other_cut_between_scores_has_a_better_balanced_accuracy(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _split(rows)
    chosen = balanced_accuracy(scores >= balanced_threshold(scores, labels), labels)
    others = [balanced_accuracy(scores >= cut, labels) for cut in np.unique(scores)[1:]]
    assert chosen == pytest.approx(max(others))


def test_the_threshold_lies_midway_between_the_classes() -> None:
    scores = np.array([3.0, -1.0, 0.0, 2.0])
    assert balanced_threshold(scores, scores > 1) == 1.0


def test_a_rare_attribute_gets_the_same_balanced_threshold_as_a_common_one() -> None:
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    rare = np.concatenate((np.repeat(scores[~labels], 50), scores[labels]))
    rare_labels = np.concatenate((np.zeros(100, bool), np.ones(2, bool)))
    assert balanced_threshold(rare, rare_labels) == balanced_threshold(scores, labels)


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=40, unique=True), st.data())
def test_the_prior_rule_answers_yes_as_often_as_it_is_true(scores: list[float], data: st.DataObject) -> None:
    positives = data.draw(st.integers(1, len(scores) - 1))
    labels = np.array(data.draw(st.permutations([i < positives for i in range(len(scores))])))
    assert (np.array(scores) >= prior_threshold(np.array(scores), labels)).sum() == positives


def test_accuracy_is_best_at_zero_of_a_calibrated_logit_and_is_not_searched_for() -> None:
    assert rule_of("accuracy")(np.array([5.0, 6.0]), np.array([True, False])) == 0.0


@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("answer", [True, False])
def test_a_threshold_needs_both_kinds(rule: str, answer: bool) -> None:
    with pytest.raises(DataError, match="positives and negatives"):
        rule_of(rule)(np.arange(3.0), np.full(3, answer))


def test_an_unknown_rule_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="balanced, accuracy, prior"):
        rule_of("best")


def test_the_presence_threshold_turns_one_face_in_fifty_away() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    assert (scores < presence_threshold(scores)).mean() == pytest.approx(0.02, abs=1e-3)


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=60, unique_by=lambda score: abs(score - 0.5)),
    st.floats(0.05, 1),
)
def test_the_band_leaves_the_rows_nearest_to_the_threshold_open(scores: list[float], coverage: float) -> None:
    values = np.array(scores)
    low, high = choose_abstention(values, 0.5, coverage)
    is_open = (low <= values) & (values < high)
    assert low <= 0.5 <= high
    assert 0.5 - low == pytest.approx(high - 0.5)
    # A row exactly on the upper edge is answered: one, where everything else is left open.
    assert is_open.sum() == pytest.approx(round((1 - coverage) * len(values)), abs=1)
    if is_open.any() and not is_open.all():
        assert np.abs(values[is_open] - 0.5).max() <= np.abs(values[~is_open] - 0.5).min()


def test_full_coverage_has_an_empty_band() -> None:
    assert choose_abstention(np.array([0.25, 1.0]), 0.25, 1.0) == (0.25, 0.25)


def test_the_band_ends_midway_before_the_first_row_that_is_answered() -> None:
    assert choose_abstention(np.array([-1.0, 0.2, 3.0, -4.0]), 0.0, 0.5) == (-2.0, 2.0)


@pytest.mark.parametrize("coverage", [0.0, -0.5, 1.01, float("nan")])
def test_a_coverage_that_is_none_is_refused(coverage: float) -> None:
    with pytest.raises(ConfigError, match="Coverage"):
        choose_abstention(np.arange(3.0), 1.0, coverage)
