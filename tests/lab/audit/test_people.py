import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.audit.attack import part_of
from lab.audit.bench import whole_people
from lab.audit.people import FEWEST_PEOPLE, People, occasions, rows_by_person
from lsi.errors import DataError


def test_two_different_pictures_of_one_person_are_drawn_and_everybody_with_two_takes_part() -> None:
    identity = np.array([5, 5, 7, 9, 9, 9, *np.repeat(np.arange(20, 30), 2)])
    for drawn in occasions(identity, 20):
        assert len(drawn) == 12
        assert (identity[drawn.gallery] == identity[drawn.probe]).all()
        assert (drawn.gallery != drawn.probe).all()
        assert 7 not in identity[drawn.gallery]


def test_too_few_people_are_refused_with_what_is_needed() -> None:
    identity = np.repeat(np.arange(FEWEST_PEOPLE - 1), 2)
    with pytest.raises(DataError, match=f"7 people .* {FEWEST_PEOPLE} are needed"):
        occasions(identity, 1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.booleans())
def test_no_person_is_in_two_parts(numbers: list[int], learns_apart: bool) -> None:
    identity = np.array(numbers)
    named = part_of(identity, learns_apart=learns_apart)
    for rows in rows_by_person(identity):
        assert len(set(named[rows])) == 1
    assert not (learns_apart and (named == "learn").any())


def test_the_report_half_is_that_of_every_other_figure_of_the_project() -> None:
    identity = np.arange(400)
    apart, together = (part_of(identity, learns_apart=each) for each in (True, False))
    assert ((apart == "report") == (together == "report")).all()
    assert 0.3 < (together == "learn").mean() < 0.45


def test_at_most_so_many_pictures_are_taken_and_nobody_is_cut() -> None:
    identity = np.array([3, 3, 3, 1, 1, 2, 2, 2, 9])
    rows = np.arange(9)
    assert whole_people(identity, rows, 5).tolist() == [0, 1, 2, 3, 4]
    assert whole_people(identity, rows, 7).tolist() == [0, 1, 2, 3, 4]
    assert whole_people(identity, rows, 100).tolist() == rows.tolist()


def test_views_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows of identity"):
        People(np.arange(2), np.zeros((2, 1), np.int8), ("a",), {"x": np.zeros((3, 1))})
