import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.metrics import accuracy, auc, balanced_accuracy, interval, majority

LABELS = np.array([True, True, False, False, False])


def test_auc_of_a_perfect_a_reversed_and_a_constant_score() -> None:
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert (auc(LABELS, scores), auc(LABELS, -scores), auc(LABELS, 0 * scores)) == (1.0, 0.0, 0.5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels] for n in scores[~labels]]
    if not pairs:
        assert np.isnan(auc(labels, scores))
    else:
        assert auc(labels, scores) == pytest.approx(np.mean(pairs))


def test_a_constant_answer_has_balanced_accuracy_one_half_and_majority_accuracy() -> None:
    never = np.zeros(5, np.bool_)
    assert balanced_accuracy(LABELS, never) == 0.5
    assert accuracy(LABELS, never) == majority(LABELS) == 0.6


def test_the_interval_is_drawn_over_people_and_not_over_rows() -> None:
    values = np.repeat(np.array([0.0, 1.0] * 20), 50)
    one_each = np.arange(len(values))
    fifty_each = np.repeat(np.arange(40), 50)
    rows = interval(lambda chosen: float(values[chosen].mean()), one_each)
    people = interval(lambda chosen: float(values[chosen].mean()), fifty_each)
    assert people[1] - people[0] > 5 * (rows[1] - rows[0])
    assert people[0] < 0.5 < people[1]
