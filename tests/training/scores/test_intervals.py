"""The bootstrap over people, row by row and by weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scores import intervals
from training.scores.figures import auc, average_precision, balanced_accuracy
from training.scores.intervals import bounds, interval, person_weights, weighted_accuracies, weighted_areas

WEIGHTED_ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30
)


def _bounds(rounds: list["np.ndarray"]) -> tuple[float, float]:
    return bounds(np.concatenate(rounds))


def test_the_interval_is_drawn_over_people_and_not_over_rows() -> None:
    values = np.repeat(np.array([0.0, 1.0] * 20), 50)
    one_each = np.arange(len(values))
    fifty_each = np.repeat(np.arange(40), 50)
    rows = interval(lambda chosen: float(values[chosen].mean()), one_each)
    people = interval(lambda chosen: float(values[chosen].mean()), fifty_each)
    assert people[1] - people[0] > 5 * (rows[1] - rows[0])
    assert people[0] < 0.5 < people[1]


def test_no_rows_give_no_interval() -> None:
    none = np.empty(0, np.int64)
    assert np.isnan(interval(lambda _: 1.0, none)).all()
    assert list(person_weights(none)) == []
    assert np.isnan(bounds(np.empty(0))).all()


def test_no_known_rows_give_no_figure_in_any_round() -> None:
    scores, labels, weights = np.empty(0), np.empty(0, np.bool_), np.empty((4, 0))
    for figures in (weighted_areas(scores, labels, weights), weighted_accuracies(labels, labels, weights)):
        assert np.isnan(figures).all()
        assert np.shape(figures) == (2, 4)


def test_the_middle_95_percent_are_kept() -> None:
    assert bounds(np.arange(1001) / 10) == pytest.approx((2.5, 97.5))


def test_rounds_without_a_figure_do_not_count() -> None:
    assert bounds(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


@given(WEIGHTED_ROWS)
def test_a_weight_is_a_number_of_repetitions(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated, repeated_labels = np.repeat(scores, weights), np.repeat(labels, weights)
    areas = [float(found[0]) for found in weighted_areas(scores, labels, weights[None, :].astype(float))]
    expected = [auc(repeated, repeated_labels), average_precision(repeated, repeated_labels)]
    assert areas == pytest.approx(expected, nan_ok=True)


@given(WEIGHTED_ROWS)
def test_weighted_accuracies_are_those_of_repeated_rows(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    decided = scores > 0
    right, balanced = weighted_accuracies(decided, labels, weights[None, :].astype(float))
    repeated, repeated_labels = np.repeat(decided, weights), np.repeat(labels, weights)
    expected = float((repeated == repeated_labels).mean()) if weights.sum() else np.nan
    assert right[0] == pytest.approx(expected, nan_ok=True)
    assert balanced[0] == pytest.approx(balanced_accuracy(repeated, repeated_labels), nan_ok=True)


def test_weights_give_the_same_interval_as_rows_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "BOOTSTRAP_ROUNDS", 60)
    monkeypatch.setattr(intervals, "_BLOCK_CELLS", 7 * 90)
    generator = np.random.default_rng(2)
    scores, labels, people = generator.normal(size=90), generator.random(90) < 0.3, np.arange(90) // 3
    blocks = list(person_weights(people))
    assert [len(block) for block in blocks] == [7] * 8 + [4]
    by_weights = _bounds([weighted_areas(scores, labels, block)[0] for block in blocks])
    assert by_weights == pytest.approx(interval(lambda rows: auc(scores[rows], labels[rows]), people))


def test_all_rows_of_a_person_are_drawn_together() -> None:
    people = np.array([7, 3, 7, 3, 3])
    weights = next(iter(person_weights(people)))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] == 2).all()
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.1)
