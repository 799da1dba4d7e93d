"""Groups of people and the gaps between them."""

import numpy as np
import pytest

from training.scores.groups import FEWEST, Grouping, group_figures, grouping_of

BY = ("Male", "Young")


def _crossed(each: int) -> "np.ndarray":
    """``each`` rows of every group, one group after the other."""
    return np.repeat(np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.int8), each, axis=0)


def _answers(rows: int, positives: int) -> "np.ndarray":
    return np.where(np.arange(rows) < positives, 1, -1).astype(np.int8)


def test_four_groups_are_named_and_hold_their_rows() -> None:
    members = Grouping(BY, _crossed(2)).members()
    assert list(members) == ["Male, Young", "Male, not Young", "not Male, Young", "not Male, not Young"]
    assert np.flatnonzero(members["not Male, Young"]).tolist() == [4, 5]


def test_a_row_of_unknown_group_belongs_to_none() -> None:
    members = Grouping(BY, np.array([[1, 0], [0, 0], [1, 1]], np.int8)).members()
    assert sum(int(rows.sum()) for rows in members.values()) == 1


def test_without_the_labels_there_is_no_grouping() -> None:
    attributes = np.ones((3, 2), np.int8)
    assert grouping_of(("Male", "Smiling"), attributes) is None
    found = grouping_of(("Young", "Male"), np.array([[1, -1]], np.int8))
    assert found is not None
    assert found.answers.tolist() == [[-1, 1]]


def test_the_worst_group_and_the_gaps_are_those_counted_by_hand() -> None:
    answers = np.tile(_answers(40, 20), 4)[:, None]
    decided = answers > 0
    # not Male, Young: 5 of 20 positives missed, 2 of 20 negatives called positive.
    decided[80:85], decided[100:102] = False, True
    found = group_figures(decided, answers, ("Hat",), Grouping(BY, _crossed(40)), np.arange(160))
    assert found.worst is not None
    assert (found.worst.group, found.worst.rows) == ("not Male, Young", 40)
    assert found.worst.balanced_accuracy == pytest.approx((15 / 20 + 18 / 20) / 2)
    assert found.worst.low_95 < found.worst.balanced_accuracy < found.worst.high_95
    gaps = found.attributes[0]
    assert (gaps.worst_group, gaps.groups) == ("not Male, Young", 4)
    assert gaps.true_positive_gap == pytest.approx(5 / 20)
    assert gaps.false_positive_gap == pytest.approx(2 / 20)
    assert gaps.balanced_accuracy == pytest.approx(found.worst.balanced_accuracy)


def test_an_attribute_that_is_rare_in_one_group_does_not_make_groups_incomparable() -> None:
    common = np.tile(_answers(40, 20), 4)
    rare = common.copy()
    common[:40], rare[:40] = _answers(40, FEWEST), _answers(40, FEWEST - 1)
    answers = np.stack((common, rare), axis=1)
    found = group_figures(
        answers > 0, answers, ("Common", "Rare"), Grouping(BY, _crossed(40)), np.arange(160)
    )
    assert found.shared == ("Common",)
    assert [gaps.groups for gaps in found.attributes] == [4, 3]


def test_unknown_answers_do_not_count() -> None:
    answers = np.tile(_answers(40, 20), 4)[:, None]
    decided = answers > 0
    wrong = answers.copy()
    wrong[::7], decided[::7] = 0, ~decided[::7]
    found = group_figures(decided, wrong, ("Hat",), Grouping(BY, _crossed(40)), np.arange(160))
    assert [row.balanced_accuracy for row in found.rows] == [1.0] * 4


def test_groups_without_a_shared_attribute_have_no_worst() -> None:
    answers = np.ones((160, 1), np.int8)
    found = group_figures(answers > 0, answers, ("Hat",), Grouping(BY, _crossed(40)), np.arange(160))
    assert found.worst is None
    assert np.isnan(found.attributes[0].true_positive_gap)
    assert found.attributes[0].worst_group == ""


def test_answers_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="answers must be"):
        Grouping(BY, np.ones((3, 3), np.int8))
    assert repr(Grouping(BY, _crossed(1))) == "Grouping(by=('Male', 'Young'), rows=4)"
