"""Laws of ``training.data_sets.luminance``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import DataError
from training.data_sets.luminance import area_resize, field_of_picture, luminance_of_rgb


def _grey(code: int, size_px: int = 64) -> np.ndarray:
    return np.full((size_px, size_px, 3), code, np.uint8)


def test_srgb_is_decoded_before_anything_else() -> None:
    # IEC 61966-2-1: code 188 is 0.5029 of white, code 10 (linear part) 10 / 255 / 12.92.
    assert luminance_of_rgb(_grey(188))[0, 0] == pytest.approx(0.50289, abs=1e-5)
    assert luminance_of_rgb(_grey(10))[0, 0] == pytest.approx(10 / 255 / 12.92, rel=1e-5)


def test_white_is_one_and_black_is_zero() -> None:
    assert luminance_of_rgb(_grey(255))[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert luminance_of_rgb(_grey(0))[0, 0] == 0.0


def test_channels_weigh_as_bt_709_says() -> None:
    # ITU-R BT.709-6, item 3.2.
    pure = np.eye(3, dtype=np.uint8)[None] * 255
    assert luminance_of_rgb(pure)[0] == pytest.approx([0.2126, 0.7152, 0.0722], abs=1e-6)


def test_area_mean_is_taken_in_linear_light() -> None:
    checks = np.zeros((128, 128, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255
    assert field_of_picture(checks) == pytest.approx(np.full((64, 64), 0.5), abs=1e-5)


def test_whole_blocks_are_plain_means() -> None:
    light = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert area_resize(light, 2) == pytest.approx(np.array([[2.5, 4.5], [10.5, 12.5]]))


@given(st.integers(3, 90), st.integers(2, 70))
def test_resizing_keeps_the_mean_light(source_px: int, target_px: int) -> None:
    light = np.random.default_rng(source_px).random((source_px, source_px)).astype(np.float32)
    assert area_resize(light, target_px).mean() == pytest.approx(light.mean(), rel=1e-4)


def test_rows_stay_rows() -> None:
    light = np.zeros((128, 128), np.float32)
    light[:2, :] = 1.0
    field = area_resize(light, 64)
    assert field[0].tolist() == [1.0] * 64
    assert field[1:].max() == 0.0


@pytest.mark.parametrize("shape", [(64, 32, 3), (64, 64), (64, 64, 4), (0, 0, 3)])
def test_what_is_no_square_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError):
        field_of_picture(np.zeros(shape, np.uint8))


def test_float_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="float32"):
        field_of_picture(np.zeros((64, 64, 3), np.float32))
