import numpy as np

from lab.metrics import accuracy, interval, majority

LABELS = np.array([True, True, False, False, False])


def test_a_constant_answer_has_majority_accuracy() -> None:
    never = np.zeros(5, np.bool_)
    assert accuracy(LABELS, never) == majority(LABELS) == 0.6


def test_the_interval_is_drawn_over_people_and_not_over_rows() -> None:
    values = np.repeat(np.array([0.0, 1.0] * 20), 50)
    one_each = np.arange(len(values))
    fifty_each = np.repeat(np.arange(40), 50)
    rows = interval(lambda chosen: float(values[chosen].mean()), one_each)
    people = interval(lambda chosen: float(values[chosen].mean()), fifty_each)
    assert people[1] - people[0] > 5 * (rows[1] - rows[0])
    assert people[0] < 0.5 < people[1]
