import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lsi.patterns import PatternSet

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape))


@given(MASKS)
def test_packing_is_undone_by_unpacking(masks: NDArray[np.bool_]) -> None:
    patterns = PatternSet(masks)
    again = PatternSet.from_packed(patterns.packed(), patterns.shape)
    assert np.array_equal(again.masks, masks)
    assert again == patterns


def test_the_first_mirror_is_the_highest_bit() -> None:
    assert PatternSet(np.array([[[True, False, True]]])).packed() == b"\xa0"


@given(MASKS, st.data())
def test_one_flipped_mirror_changes_the_digest(masks: NDArray[np.bool_], data: st.DataObject) -> None:
    place = tuple(data.draw(st.integers(0, side - 1)) for side in masks.shape)
    other = masks.copy()
    other[place] = ~other[place]
    assert PatternSet(masks).digest != PatternSet(other).digest


def test_geometry_is_part_of_the_digest() -> None:
    wide, tall = np.zeros((1, 2, 8), np.bool_), np.zeros((1, 8, 2), np.bool_)
    assert PatternSet(wide).digest != PatternSet(tall).digest


@pytest.mark.parametrize("packed", [b"", b"\0", b"\0\0\0"])
def test_bytes_of_another_size_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        PatternSet.from_packed(packed, (1, 3, 3))


@pytest.mark.parametrize(
    "masks", [np.zeros((2, 2), np.bool_), np.zeros((1, 2, 2)), np.zeros((0, 2, 2), np.bool_)]
)
def test_other_shapes_and_types_are_refused(masks: NDArray[np.bool_]) -> None:
    with pytest.raises(ValueError, match="masks must be"):
        PatternSet(masks)


def test_masks_are_copied_and_read_only() -> None:
    masks = np.zeros((1, 2, 2), np.bool_)
    patterns = PatternSet(masks)
    masks[0, 0, 0] = True
    assert not patterns.masks.any()
    with pytest.raises(ValueError, match="read-only"):
        patterns.masks[0, 0, 0] = True


def test_repr_shows_shape_and_digest_only() -> None:
    patterns = PatternSet(np.zeros((1, 2, 2), np.bool_))
    assert repr(patterns) == f"PatternSet(shape=(1, 2, 2), digest={patterns.digest[:8]})"
