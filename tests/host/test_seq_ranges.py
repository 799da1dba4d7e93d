import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.seq_ranges import SeqRange, SeqRanges

RANGES = st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.tuples(st.booleans(), RANGES), max_size=25), RANGES)
def test_it_is_a_set_of_numbers(steps: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]) -> None:
    ranges, model = SeqRanges(), set[int]()
    for is_added, (first, last) in steps:
        numbers = set(range(first, last + 1))
        if is_added:
            ranges.add(first, last)
            model |= numbers
        else:
            ranges.remove(first, last)
            model -= numbers
    held = list(ranges)
    assert [seq for part in held for seq in range(part.first, part.last + 1)] == sorted(model)
    assert all(left.last + 1 < right.first for left, right in itertools.pairwise(held))
    assert ranges.highest == max(model, default=0)
    assert {seq for seq in range(80) if seq in ranges} == model
    missing = [seq for part in ranges.missing(*asked) for seq in range(part.first, part.last + 1)]
    assert missing == [seq for seq in range(asked[0], asked[1] + 1) if seq not in model]


def test_a_million_numbers_in_order_are_one_range() -> None:
    ranges = SeqRanges([(1, 999_999)])
    ranges.add(1_000_000)
    assert list(ranges) == [SeqRange(1, 1_000_000)]
    assert SeqRange(3, 5).rows == 3


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="from 5 to 4"):
        SeqRanges().add(5, 4)
