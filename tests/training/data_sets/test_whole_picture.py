"""Whole pictures for the teacher."""

from pathlib import Path

import numpy as np

from tests.training.scenes import write_textures
from training.data_sets.data import open_data
from training.data_sets.whole_picture import pictures_of


def test_pictures_of_the_wanted_size_are_not_touched(tmp_path: Path) -> None:
    data = open_data(write_textures(tmp_path / "x.npz", 3, 1))
    pictures = pictures_of(data)
    assert pictures.shape == (3, 64, 64, 3)
    assert np.array_equal(pictures[1], data.picture(1))


def test_larger_pictures_are_averaged_by_area(tmp_path: Path) -> None:
    data = open_data(write_textures(tmp_path / "x.npz", 2, 1))
    whole = data.picture(0).astype(np.float64)
    means = whole.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(pictures_of(data, 16)[0] - means).max() <= 1
