"""The fixed list of calibration patterns."""

import numpy as np
import pytest

from firmware.calibration.patterns import (
    BLOCKS,
    DIRECTIONS_DEG,
    EDGES,
    edge_patterns,
    walsh_signs,
    white_patterns,
)
from lsi.disclosure import PayloadMode
from lsi.errors import ShapeMismatchError
from lsi.mask_rank import RANK_CAP, mask_rank
from lsi.patterns import PatternSet


def test_the_list_is_the_same_in_every_version() -> None:
    # A change of these is a change of what a calibration can see: it belongs into the changelog.
    assert white_patterns(64).patterns.digest[:16] == "7c1fd814b507eebf"
    assert edge_patterns(64).patterns.digest[:16] == "dd8d8d8fcae5a90d"


def test_each_group_holds_what_its_name_says() -> None:
    shown = white_patterns(64)
    masks = shown.patterns.masks
    assert masks[list(shown.all_on)].all()
    assert not masks[list(shown.all_off)].any()
    assert masks[shown.steps].mean(axis=(1, 2)).tolist() == [step / 8 for step in range(1, 9)]
    assert len(masks[shown.blocks]) == BLOCKS**2
    assert shown.all_on[0] == 0
    assert shown.all_off[-1] == len(masks) - 1


def test_steps_are_even_in_every_row_and_every_block_of_eight() -> None:
    steps = white_patterns(64).patterns.masks[white_patterns(64).steps]
    for number, step in enumerate(steps, 1):
        assert (step.sum(axis=1) == 8 * number).all()
        assert (step.reshape(8, 8, 8, 8).sum(axis=(1, 3)) == 8 * number).all()


def test_block_patterns_are_the_signs_on_squares_of_pixels() -> None:
    blocks = white_patterns(32).patterns.masks[white_patterns(32).blocks]
    assert np.array_equal(blocks[:, ::4, ::4].reshape(64, 64), walsh_signs() > 0)
    assert np.array_equal(blocks[:, ::4, ::4], blocks[:, 3::4, 3::4])


def test_signs_are_orthogonal_and_an_offset_falls_on_no_block_alone() -> None:
    signs = walsh_signs()
    assert np.array_equal(signs @ signs.T, 64 * np.eye(64))
    assert (np.abs(signs.sum(axis=0)) == 8).all()


def test_edges_move_across_the_field_and_open_what_lies_before_them() -> None:
    edges = edge_patterns(64)
    masks = edges.patterns.masks.reshape(len(DIRECTIONS_DEG), EDGES, 64, 64)
    assert edges.directions_deg == tuple(degrees for degrees in DIRECTIONS_DEG for _ in range(EDGES))
    # Every edge opens what the one before it opened, and more.
    assert (masks[:, 1:] >= masks[:, :-1]).all()
    assert (masks[:, 1:].sum(axis=(2, 3)) > masks[:, :-1].sum(axis=(2, 3))).all()
    assert np.array_equal(masks[0, 3], np.arange(64)[None, :].repeat(64, axis=0) < 16)
    assert np.array_equal(masks[2], masks[0].transpose(0, 2, 1))
    assert np.array_equal(masks[3], masks[1][:, :, ::-1])
    row, column = np.indices((64, 64))
    assert np.array_equal(masks[1, 7], row + column <= 63)


def test_neither_blocks_nor_edges_see_more_of_a_scene_than_masks_of_the_narrowest_mode() -> None:
    shown = white_patterns(64)
    blocks = PatternSet(shown.patterns.masks[shown.blocks])
    cap = RANK_CAP[PayloadMode.ATTR_LITE]
    assert mask_rank(blocks) <= cap
    assert mask_rank(edge_patterns(64).patterns) <= cap


@pytest.mark.parametrize("side_px", [0, 8, 60, 65])
def test_masks_that_cannot_be_cut_into_blocks_are_refused(side_px: int) -> None:
    with pytest.raises(ShapeMismatchError, match="multiple of 8"):
        white_patterns(side_px)
    with pytest.raises(ShapeMismatchError, match="multiple of 8"):
        edge_patterns(side_px)
