import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.disclosure import PayloadMode
from lsi.errors import MaskRankError
from lsi.mask_rank import RANK_CAP, check_mask_rank, mask_rank
from lsi.patterns import PatternSet


def of_rank(rank: int, count: int, side: int = 12) -> PatternSet:
    """``count`` masks of which ``rank`` are independent: single mirrors, then repetitions."""
    masks = np.zeros((count, side, side), np.bool_)
    for index in range(count):
        masks[index].reshape(-1)[index % rank] = True
    return PatternSet(masks)


@given(st.integers(1, 40), st.integers(0, 40))
@settings(max_examples=30)
def test_repeated_masks_see_nothing_new(rank: int, more: int) -> None:
    assert mask_rank(of_rank(rank, rank + more)) == rank


def test_the_rank_is_the_one_over_real_numbers() -> None:
    """Three masks whose sum is even everywhere: dependent over GF(2), independent here."""
    masks = np.array([[[1, 1, 0]], [[0, 1, 1]], [[1, 0, 1]]], np.bool_)
    assert mask_rank(PatternSet(masks)) == 3


def test_a_mask_that_is_the_sum_of_two_others_sees_nothing_new() -> None:
    masks = np.array([[[1, 0, 0]], [[0, 1, 1]], [[1, 1, 1]]], np.bool_)
    assert mask_rank(PatternSet(masks)) == 2


def test_random_masks_of_several_blocks_have_the_rank_that_numpy_finds() -> None:
    masks = np.random.default_rng(3).random((70, 128, 130)) < 0.5
    masks[60:] = masks[:10]
    assert mask_rank(PatternSet(masks)) == 60
    assert np.linalg.matrix_rank(masks.reshape(70, -1).astype(np.float64)) == 60


def test_masks_that_differ_in_one_mirror_each_are_told_apart() -> None:
    """The hardest case that a rank has to see: many masks, nearly equal, of 65,536 mirrors."""
    masks = np.ones((200, 256, 256), np.bool_)
    masks.reshape(200, -1)[np.arange(200), np.arange(200)] = False
    assert mask_rank(PatternSet(masks)) == 200


@pytest.mark.parametrize("mode", [PayloadMode.AGG, PayloadMode.ATTR_LITE, PayloadMode.ATTR])
def test_each_mode_has_its_cap_and_not_one_more(mode: PayloadMode) -> None:
    cap = RANK_CAP[mode]
    check_mask_rank(of_rank(cap, cap + 3, side=32), mode)
    with pytest.raises(MaskRankError, match=f"rank {cap + 1}; in mode '{mode}' at most {cap}"):
        check_mask_rank(of_rank(cap + 1, cap + 1, side=32), mode)


def test_the_caps_are_those_of_the_design() -> None:
    assert {str(mode): cap for mode, cap in RANK_CAP.items()} == {
        "agg": 64,
        "attr-lite": 64,
        "attr": 128,
        "latent": 512,
    }


def test_the_narrower_of_two_modes_counts() -> None:
    with pytest.raises(MaskRankError, match="'attr-lite' at most 64"):
        check_mask_rank(of_rank(65, 65), PayloadMode.LATENT, PayloadMode.ATTR_LITE)
