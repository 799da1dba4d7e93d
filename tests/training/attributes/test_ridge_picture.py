"""Ridge regression against its closed form and against a picture worked out by hand."""

import numpy as np
import pytest

from training.attributes.ridge_picture import PENALTY, fit_ridge, ridge_pixels


def test_the_penalty_is_the_one_of_the_published_baseline() -> None:
    assert PENALTY == 30.0


def test_one_pixel_and_two_rows_worked_out_by_hand() -> None:
    pixels = np.array([[0], [255]], np.uint8)
    found = fit_ridge(pixels, np.array([[-1], [1]], np.int8), penalty=0.5)
    # Centred pixels are -1/2 and 1/2: Gram 1/2 + 1/2, moment 1.
    assert found.weights == pytest.approx(np.array([[1.0]]))
    assert found.bias == pytest.approx([0.0])
    assert found.scores(pixels) == pytest.approx(np.array([[-0.5], [0.5]]))


def test_it_is_least_squares_with_a_free_bias_over_several_blocks() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (5000, 6), np.uint8)
    attributes = np.where(pixels[:, :2] + 40 * generator.normal(size=(5000, 2)) > 90, 1, -1).astype(np.int8)
    found = fit_ridge(pixels, attributes)
    design = pixels / 255 - (pixels / 255).mean(axis=0)
    target = attributes - attributes.mean(axis=0)
    expected = np.linalg.solve(design.T @ design + 30 * np.eye(6), design.T @ target)
    assert found.weights == pytest.approx(expected, abs=1e-4)
    assert found.scores(pixels).mean(axis=0) == pytest.approx(attributes.mean(axis=0), abs=1e-6)


def test_a_picture_is_averaged_over_areas_with_its_colours() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:2, :2] = [[[200, 0, 0], [100, 0, 0]], [[0, 0, 40], [100, 0, 0]]]
    found = ridge_pixels(picture)
    assert found.shape == (3072,)
    assert found[:3].tolist() == [100, 0, 10]
    assert not found[3:].any()
