"""The map of a white card by blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.calibration.patterns import white_patterns
from firmware.calibration.throughput import Throughput, throughput
from lsi.errors import RigCalibrationError
from tests.firmware.calibration.scripted_light import readings_of

SHOWN = white_patterns(64)


def card(vignetting: float = 0.0, tilt: float = 0.0) -> NDArray[np.float64]:
    axis = (np.arange(64) + 0.5) / 64 * 2 - 1
    x, y = np.meshgrid(axis, axis)
    light: NDArray[np.float64] = 1 - vignetting * (x**2 + y**2) / 2 + tilt * x
    return light


def found(field: NDArray[np.float64], noise_counts: float = 0.0) -> Throughput:
    readings = readings_of(SHOWN.patterns, field, noise_counts=noise_counts)
    return throughput(readings.open_share(1.0)[SHOWN.blocks])


def block_means(field: NDArray[np.float64]) -> NDArray[np.float64]:
    blocks: NDArray[np.float64] = field.reshape(8, 8, 8, 8).mean(axis=(1, 3)) / field.mean()
    return blocks


@given(st.floats(0, 0.6), st.floats(-0.2, 0.2))
def test_the_map_is_the_mean_light_of_each_block(vignetting: float, tilt: float) -> None:
    field = card(vignetting, tilt)
    assert np.allclose(found(field).blocks, block_means(field), atol=1e-9)


def test_a_smooth_card_has_no_dim_blocks_and_the_field_follows_its_surface() -> None:
    field = card(0.5, 0.1)
    light = found(field)
    assert (light.dim, light.dead) == ((), ())
    assert np.allclose(light.over_field(64), field / field.mean(), atol=0.02)


def test_noise_of_a_count_is_a_percent_of_a_block() -> None:
    assert float(np.abs(found(card(), noise_counts=1.0).blocks - 1).max()) < 0.02


def test_dim_and_dead_blocks_are_named_and_do_not_bend_the_surface() -> None:
    field = card(0.4)
    field[8:16, 16:24] *= 0.6  # row 1, column 2
    field[56:, 56:] = 0  # row 7, column 7
    light = found(field)
    assert light.dim == (10, 63)
    assert light.dead == (63,)
    rest = np.ones((8, 8), np.bool_)
    rest.reshape(-1)[[10, 63]] = False
    assert np.allclose(light.expected[rest], light.blocks[rest], rtol=0.01)
    over = light.over_field(64)
    assert over[56:, 56:].max() < 0.01
    assert over[12, 20] / over[12, 44] == pytest.approx(0.6, abs=0.02)


def test_a_scene_is_no_white_card() -> None:
    scene = np.random.default_rng(3).random((8, 8)).repeat(8, axis=0).repeat(8, axis=1) + 0.1
    with pytest.raises(RigCalibrationError, match="not an evenly lit white card"):
        found(scene)


def test_a_lamp_that_leaves_a_corner_dark_is_no_even_light() -> None:
    with pytest.raises(RigCalibrationError, match="not an evenly lit white card"):
        found(np.maximum(card(0, 0.99), 0.001))


def test_no_repr_shows_the_map() -> None:
    assert repr(found(card())) == "Throughput(dim=0, dead=0)"
