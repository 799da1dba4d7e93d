"""Measures of pictures and embeddings against values known beforehand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.picture_measures import (
    Embeddings,
    frechet_distance,
    landmark_rows,
    nearest,
    psnr_db,
    recognition_rate,
    ssim_rows,
    verification_rows,
)


def _unit(rows: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    drawn = np.random.default_rng(seed).normal(size=(rows, 16))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _verification(made: Embeddings, true: Embeddings, people: NDArray[np.int64]) -> float:
    return float(verification_rows(made, true, people).mean())


def test_psnr_is_the_mean_over_pictures() -> None:
    true = np.zeros((2, 4, 4, 3), np.uint8)
    made = true.copy()
    made[0] += 1
    made[1] += 10
    wanted = np.mean([20 * np.log10(255), 20 * np.log10(25.5)])
    assert psnr_db(made, true) == pytest.approx(wanted)


def test_ssim_is_one_for_equals_and_less_for_others() -> None:
    true = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    assert ssim_rows(true, true) == pytest.approx(1)
    assert ssim_rows(255 - true, true).max() < 0.2


def test_verification_needs_the_right_person() -> None:
    true, people = _unit(40, 0), np.arange(40)
    assert _verification(true, true, people) == 1
    assert _verification(np.roll(true, 1, axis=0), true, people) < 0.6
    same = np.broadcast_to(true[:1], true.shape)
    # One face for everybody: whoever is like it counts for and against.
    assert _verification(same, true, people) == pytest.approx(0.5, abs=0.02)


def test_pictures_of_one_person_are_no_impostors() -> None:
    true = _unit(20, 1)
    twice = np.repeat(true, 2, axis=0)
    people = np.arange(20).repeat(2)
    assert _verification(twice, twice, people) == 1
    assert _verification(twice, twice, np.arange(40)) < 1


def test_recognition_counts_nearest_in_a_gallery_of_one_each() -> None:
    true, people = _unit(40, 0).repeat(2, axis=0), np.arange(40).repeat(2)
    assert recognition_rate(true, true, people, 30) == 1
    half = true.copy()
    half[:30] = np.roll(half[:30], 2, axis=0)
    assert recognition_rate(half, true, people, 30) == pytest.approx(0.5)


def test_frechet_distance_of_equals_is_zero_and_of_a_shift_its_square() -> None:
    one = np.random.default_rng(0).normal(size=(4000, 3))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one + np.array([2, 0, 0])) == pytest.approx(4, abs=1e-6)
    assert frechet_distance(one, 2 * one) == pytest.approx(3, rel=0.1)


def test_nearest_and_landmark_error() -> None:
    one = _unit(5, 0)
    assert nearest(one, np.vstack((_unit(30, 3), one))) == pytest.approx(np.ones(5))
    true = np.array([[[0, 0], [3, 4]]], float)  # a box with a diagonal of 5
    assert landmark_rows(true + np.array([0, 1]), true) == pytest.approx(0.2)
