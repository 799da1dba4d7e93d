"""Masks that nobody trained: their order, their number, and what they measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.mask_banks.baseline_masks import (
    FIXED,
    hadamard_masks,
    normalised,
    principal_components,
    random_masks,
    ratios,
    signed_of,
)


def fields(rows: int, size_px: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(0.1, 1, (rows, size_px, size_px)).astype(np.float32)


def test_the_first_hadamard_masks_cut_the_field_in_halves_and_quarters() -> None:
    across, down, quarters = hadamard_masks(3, 4)[[0, 1, 2]]
    halves = np.array([1, 1, 0, 0], np.bool_)
    assert np.array_equal(across, np.broadcast_to(halves, (4, 4)))
    assert np.array_equal(down, np.broadcast_to(halves[:, None], (4, 4)))
    assert np.array_equal(quarters, halves[:, None] == halves)


@settings(max_examples=10)
@given(st.sampled_from([2, 4, 8]))
def test_all_hadamard_masks_are_orthogonal_and_balanced(size_px: int) -> None:
    signed = signed_of(hadamard_masks(size_px**2 - 1, size_px)).reshape(size_px**2 - 1, -1)
    assert np.array_equal(signed @ signed.T, size_px**2 * np.eye(size_px**2 - 1))
    assert not signed.sum(axis=1).any()


def test_more_hadamard_masks_than_pixels_and_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="15 Hadamard masks of 4 x 4, not 16"):
        hadamard_masks(16, 4)
    with pytest.raises(ValueError, match="power of two, not 6"):
        hadamard_masks(2, 6)


def test_random_masks_follow_their_seed_and_are_half_open() -> None:
    assert np.array_equal(random_masks(3, 64, 1), random_masks(3, 64, 1))
    assert not np.array_equal(random_masks(3, 64, 1), random_masks(3, 64, 2))
    assert random_masks(8, 64, 0).mean() == pytest.approx(0.5, abs=0.01)


def test_principal_components_find_the_directions_that_scenes_were_made_of() -> None:
    generator = np.random.default_rng(3)
    first, second = signed_of(hadamard_masks(2, 8))
    weights = generator.normal(size=(500, 2)) * (0.1, 0.03)
    scenes = 1 + np.tensordot(weights, np.stack((first, second)), 1)
    found = principal_components(scenes.astype(np.float32), 2).reshape(2, -1)
    overlap = np.abs(found @ np.stack((first, second)).reshape(2, -1).T) / 8
    assert overlap == pytest.approx(np.eye(2), abs=0.05)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1], rel=1e-5)


def test_few_rows_give_the_components_that_many_copies_of_them_give() -> None:
    few = fields(12, 8, 5)
    found, many = (principal_components(each, 3).reshape(3, -1) for each in (few, np.tile(few, (6, 1, 1))))
    assert np.abs(found @ many.T) == pytest.approx(np.eye(3), abs=1e-4)


@pytest.mark.parametrize("name", FIXED)
def test_the_first_masks_of_a_large_bank_are_the_small_bank(name: str) -> None:
    large, small = (FIXED[name](fields(30, 8), d, 0) for d in (9, 4))
    assert large[:4] == pytest.approx(small, abs=1e-5)


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 fields of 16 pixels have no 4 components"):
        principal_components(fields(3, 4), 4)


def test_ratios_are_those_of_two_arms_and_know_no_illumination() -> None:
    scenes, masks = fields(3000, 4), random_masks(5, 4, 0)
    plus = np.tensordot(scenes, masks.astype(np.float32), ((1, 2), (1, 2)))
    minus = np.tensordot(scenes, (~masks).astype(np.float32), ((1, 2), (1, 2)))
    found = ratios(scenes, signed_of(masks))
    assert found == pytest.approx((plus - minus) / (plus + minus), abs=1e-5)
    assert ratios(scenes * np.float32(0.25), signed_of(masks)) == pytest.approx(found, abs=1e-6)


def test_a_black_field_stays_black() -> None:
    assert not normalised(np.zeros((1, 4, 4), np.float32)).any()


@pytest.mark.parametrize("name", FIXED)
def test_every_named_bank_has_d_masks_of_the_size_of_the_fields(name: str) -> None:
    bank = FIXED[name](fields(20, 8), 6, 0)
    assert bank.shape == (6, 8, 8)
    assert bank.dtype == np.float32
