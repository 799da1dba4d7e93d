"""The placement is found again from what the edges read of a target that was drawn another way."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.calibration.geometry import GeometryFit, fit_geometry
from firmware.calibration.patterns import edge_patterns
from firmware.calibration.target import BARS
from lsi.errors import RigCalibrationError
from lsi.placement import Placement

MASKS = edge_patterns(64).patterns.masks.reshape(60, -1).astype(np.float64)
EVEN = np.ones((64, 64))
FIELD_PX = 64 * 16
OVER = 16


def drawn(placement: Placement, black: float = 0.03) -> NDArray[np.float64]:
    """The target as points that are white or black, 16 x 16 of them per pixel: no formula of the fit."""
    axis = (np.arange(64 * OVER) + 0.5) / (64 * OVER) - 0.5
    cos, sin = math.cos(placement.rotation_rad), math.sin(placement.rotation_rad)
    right, down = axis[None, :] - placement.shift_x_px, axis[:, None] - placement.shift_y_px
    x, y = (cos * right + sin * down) / placement.scale, (cos * down - sin * right) / placement.scale
    x = -x if placement.is_flipped else x
    white = np.zeros(x.shape, np.bool_)
    for bar in BARS:
        white |= (np.abs(x - bar.x) < bar.half_width) & (np.abs(y - bar.y) < bar.half_height)
    pixels: NDArray[np.float64] = white.reshape(64, OVER, 64, OVER).mean(axis=(1, 3))
    return black + (1 - black) * pixels


def fitted(
    field: NDArray[np.float64], over_field: NDArray[np.float64] = EVEN, noise: float = 0.0, seed: int = 0
) -> GeometryFit:
    light = (field * over_field).reshape(-1)
    shares = MASKS @ light / light.sum() + np.random.default_rng(seed).normal(0, noise, len(MASKS))
    return fit_geometry(shares, over_field, 16)


PLACEMENTS = [
    Placement(),
    Placement(0.02, -0.015, 1.05, 0.03),
    Placement(0.0, 0.05, 0.9, math.pi / 4),
    Placement(-0.03, 0.02, 0.7, 3.1),
    Placement(0.02, 0.02, 1.0, -1.5, is_flipped=True),
    Placement(0.06, 0.06, 1.15, 2.0, is_flipped=True),
]


@pytest.mark.parametrize("truth", PLACEMENTS, ids=repr)
def test_shift_scale_rotation_and_flip_are_found_from_anywhere_on_the_circle(truth: Placement) -> None:
    fit = fitted(drawn(truth), noise=3e-4)
    found, error = fit.placement, fit.error
    assert found.is_flipped == truth.is_flipped
    # Half a mirror of 1024; the rasters of this drawing are one apart.
    assert found.shift_x_px == pytest.approx(truth.shift_x_px * FIELD_PX, abs=0.5)
    assert found.shift_y_px == pytest.approx(truth.shift_y_px * FIELD_PX, abs=0.5)
    assert found.scale == pytest.approx(truth.scale, abs=0.002)
    assert math.remainder(found.rotation_rad - truth.rotation_rad, 2 * math.pi) == pytest.approx(0, abs=0.002)
    assert fit.black == pytest.approx(0.03, abs=0.005)
    assert fit.rms < 6e-4
    assert max(error.shift_x_px, error.shift_y_px) < 0.15
    assert error.rotation_rad < 0.001


def test_the_standard_errors_are_the_spread_of_repeated_fits() -> None:
    field = drawn(Placement(0.02, -0.015, 1.05, 0.03))
    fits = [fitted(field, noise=1e-3, seed=seed) for seed in range(6)]
    spread = float(np.std([fit.placement.shift_x_px for fit in fits], ddof=1))
    told = float(np.mean([fit.error.shift_x_px for fit in fits]))
    assert 0.5 < told / spread < 2


def test_light_that_falls_off_towards_the_corners_does_not_move_the_field() -> None:
    axis = (np.arange(64) + 0.5) / 64 * 2 - 1
    card = 1 - 0.4 * (axis[:, None] ** 2 + axis[None, :] ** 2) / 2 + 0.2 * axis[None, :]
    truth = Placement(0.02, -0.015, 1.05, 0.03)
    aware, unaware = fitted(drawn(truth), card), fit_geometry(_shares(drawn(truth) * card), EVEN, 16)
    assert aware.placement.shift_x_px == pytest.approx(0.02 * FIELD_PX, abs=0.3)
    # Without the card's map the same light would put it a mask pixel's sixth off.
    assert abs(unaware.placement.shift_x_px - 0.02 * FIELD_PX) > 2


def _shares(field: NDArray[np.float64]) -> NDArray[np.float64]:
    light = field.reshape(-1)
    shares: NDArray[np.float64] = MASKS @ light / light.sum()
    return shares


@pytest.mark.parametrize("scene", ["card", "spot", "noise", "square", "negative"])
def test_another_scene_is_not_taken_for_the_target(scene: str) -> None:
    axis = np.linspace(-1, 1, 64)
    scenes: dict[str, NDArray[np.float64]] = {
        "card": np.ones((64, 64)),
        "spot": 0.1 + np.exp(-4 * (axis[:, None] ** 2 + (axis[None, :] - 0.2) ** 2)),
        "noise": np.random.default_rng(0).random((8, 8)).repeat(8, 0).repeat(8, 1),
        "square": np.where((np.abs(axis[:, None]) < 0.4) & (np.abs(axis[None, :]) < 0.4), 1.05, 0.05),
        "negative": 1.03 - drawn(Placement()),
    }
    with pytest.raises(RigCalibrationError, match="not the printed target"):
        fitted(scenes[scene])


def test_an_error_of_a_dark_reference_is_not_taken_for_a_shift() -> None:
    truth = Placement(0.02, -0.015, 1.05, 0.03)
    shares = _shares(drawn(truth))
    # A count of 600 on arm +, half a count the other way on arm -.
    misread = shares + (1 - shares) / 600 - shares / 1200
    fit = fit_geometry(misread, EVEN, 16)
    assert fit.placement.shift_x_px == pytest.approx(0.02 * FIELD_PX, abs=0.1)
    assert fit.placement.shift_y_px == pytest.approx(-0.015 * FIELD_PX, abs=0.1)


def test_a_grey_print_is_refused_for_its_black() -> None:
    with pytest.raises(RigCalibrationError, match="black is 60%"):
        fitted(drawn(Placement(), black=0.6))


def test_each_direction_has_its_own_residual() -> None:
    fit = fitted(drawn(Placement()), noise=3e-4)
    assert len(fit.direction_rms()) == 4
    assert sum(value**2 for value in fit.direction_rms()) / 4 == pytest.approx(fit.rms**2)
