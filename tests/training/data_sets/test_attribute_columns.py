"""Columns of words as attributes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.attributes import NAME
from lsi.errors import DataError
from training.data_sets.attribute_columns import attribute_columns


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("True", "FALSE"), ("1", "0"), ("1", "-1")])
def test_a_binary_column_is_one_attribute(yes: str, no: str) -> None:
    names, values = attribute_columns("Hat", [yes, no, "", "?", yes], "t")
    assert names == ("Hat",)
    assert values[:, 0].tolist() == [1, -1, 0, 0, 1]


def test_a_category_is_one_attribute_per_word() -> None:
    names, values = attribute_columns("Colour", ["red", "blue", "?", "red"], "t")
    assert names == ("Colour_blue", "Colour_red")
    assert values.tolist() == [[-1, 1], [1, -1], [0, 0], [-1, 1]]


def test_small_numbers_beyond_yes_and_no_are_a_category() -> None:
    names, values = attribute_columns("Doors", ["0", "1", "2"], "t")
    assert names == ("Doors_0", "Doors_1", "Doors_2")
    assert values.sum(axis=1).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("Hat", ["1", "0", "-1"], "mixes '-1', '0', '1'"),
        ("Hat", ["yes", "0"], "mixes '0', 'yes'"),
        ("Hat", ["", "?"], "labels no row"),
        ("Age", [str(number) for number in range(21)], "21 different words"),
        ("Colour", ["red", "Red", "blue"], "writes a word in two ways"),
        ("Colour", ["light red", "blue"], "rename 'light red'"),
        ("My hat", ["yes", "no"], "rename 'My hat'"),
        ("C" * 46, ["red", "blue"], "rename 'blue'"),
        ("T", ["a", "b-c"], "rename 'b-c'"),
    ],
)
def test_what_cannot_be_an_attribute_is_refused(header: str, cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        attribute_columns(header, cells, "t")


@given(
    st.text(max_size=20),
    st.lists(st.text(max_size=8) | st.sampled_from(["yes", "no", "1", "?"]), max_size=25),
)
def test_any_column_gives_attributes_or_a_data_error(header: str, cells: list[str]) -> None:
    try:
        names, values = attribute_columns(header, cells, "t")
    except DataError:
        return
    assert all(NAME.fullmatch(name) for name in names)
    assert values.shape == (len(cells), len(names))
    assert values.dtype == np.int8
    known = np.array([cell not in {"", "?"} for cell in cells])
    assert (values[known] != 0).all()
    assert (values[~known] == 0).all()
