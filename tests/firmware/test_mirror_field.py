"""Where masks lie on the mirrors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.mirror_field import DMDS, Dmd, MirrorField, dmd_named
from lsi.errors import BoardConfigError, ShapeMismatchError

SMALL = Dmd("small", width_px=20, height_px=11, lut_entries=4)


def test_the_dlp6500_has_1920_by_1080_mirrors_and_400_entries() -> None:
    # DLPU018J, 0x1A31: range 1 through 400
    assert dmd_named("DLP6500") == Dmd("DLP6500", 1920, 1080, 400)


def test_an_unknown_dmd_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(BoardConfigError, match="DLP6500"):
        dmd_named("DLP9000")


def test_masks_of_64_at_scale_16_are_centred() -> None:
    field = MirrorField(DMDS["DLP6500"], 64, 64, 16)
    assert field.size_px == (1024, 1024)
    assert field.origin_px == (28, 448)


def test_an_odd_rest_goes_below_and_to_the_right() -> None:
    assert MirrorField(SMALL, 4, 5, 1).origin_px == (3, 7)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 2), st.data())
def test_each_mask_pixel_is_a_square_of_mirrors_and_the_rest_is_off(
    height: int, width: int, scale: int, data: st.DataObject
) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits).reshape(height, width)
    field = MirrorField(SMALL, height, width, scale)
    mirrors = field.spread(mask)
    top, left = field.origin_px
    assert mirrors.shape == (11, 20)
    assert mirrors.sum() == mask.sum() * scale**2
    for row, column in np.argwhere(mask):
        square = mirrors[top + row * scale :, left + column * scale :][:scale, :scale]
        assert square.all()


def test_packed_masks_keep_their_bits() -> None:
    packed = np.array([[0xABCDEF]], np.uint32)
    mirrors = MirrorField(SMALL, 1, 1, 3).spread(packed)
    assert mirrors.dtype == np.uint32
    assert sorted(set(mirrors.ravel().tolist())) == [0, 0xABCDEF]


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(12, 1, 1), (1, 21, 1), (6, 1, 2), (0, 1, 1), (1, 0, 1)]
)
def test_masks_that_do_not_fit_are_refused(height: int, width: int, scale: int) -> None:
    with pytest.raises(ShapeMismatchError, match="small"):
        MirrorField(SMALL, height, width, scale)


def test_masks_that_just_fit_fill_the_dmd() -> None:
    assert MirrorField(SMALL, 11, 20, 1).spread(np.ones((11, 20), np.bool_)).all()


def test_a_scale_below_one_is_refused() -> None:
    with pytest.raises(BoardConfigError):
        MirrorField(SMALL, 1, 1, 0)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeMismatchError):
        MirrorField(SMALL, 2, 2, 1).spread(np.ones((2, 3), np.bool_))
