"""Where masks lie on the mirrors."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.drivers.dmds import DMDS, Dmd, dmd_named
from firmware.drivers.mirror_field import MirrorField
from lsi.errors import BoardConfigError, ShapeMismatchError
from lsi.placement import CENTRED, Placement

SMALL = Dmd("small", width_px=20, height_px=11, lut_entries=4)
MEDIUM = Dmd("medium", width_px=256, height_px=256, lut_entries=4)
ROTATION = st.one_of(st.just(0.0), st.floats(-math.pi, math.pi))


def test_the_dlp6500_has_1920_by_1080_mirrors_and_400_entries() -> None:
    # DLPU018J, 0x1A31: range 1 through 400
    assert dmd_named("DLP6500") == Dmd("DLP6500", 1920, 1080, 400)


def test_an_unknown_dmd_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(BoardConfigError, match="DLP6500"):
        dmd_named("DLP9999")


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


def placed(placement: Placement, scale_px: int = 8, dmd: Dmd = MEDIUM) -> MirrorField:
    return MirrorField(dmd, 16, 16, scale_px, placement)


def checker(seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((16, 16)) < 0.5


def shown_one_by_one(field: MirrorField, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What ``spread`` has to do, mirror by mirror, from the definition of a placement."""
    (top, left), (height, width) = field.origin_px, field.size_px
    place = field.placement
    cos, sin = math.cos(place.rotation_rad), math.sin(place.rotation_rad)
    mirrors = np.zeros((field.dmd.height_px, field.dmd.width_px), np.bool_)
    for row, column in np.ndindex(mirrors.shape):
        x = column + 0.5 - left - width / 2 - place.shift_x_px
        y = row + 0.5 - top - height / 2 - place.shift_y_px
        right = (cos * x + sin * y) / place.scale
        down = (cos * y - sin * x) / place.scale
        right = -right if place.is_flipped else right
        j = math.floor((right + width / 2) / field.mirror_scale_px)
        i = math.floor((down + height / 2) / field.mirror_scale_px)
        if 0 <= i < field.mask_height and 0 <= j < field.mask_width:
            mirrors[row, column] = mask[i, j]
    return mirrors


@pytest.mark.parametrize("scale_px", [1, 7, 8, 16])
def test_a_placement_that_moves_nothing_shows_what_no_placement_shows(scale_px: int) -> None:
    field = placed(CENTRED, scale_px)
    # Less than half a mirror at the corner, so the general way is taken and nothing may move.
    hair = replace(field, placement=Placement(rotation_rad=1e-9))
    assert np.array_equal(hair.spread(checker()), field.spread(checker()))


@pytest.mark.parametrize(
    "placement",
    [
        Placement(11, -7),
        Placement(0, 0, 1.1),
        Placement(3.3, 1.7, 0.8, is_flipped=True),
        Placement(2, 3, 1.0, 0.3),
        Placement(-4, 5, 0.9, -2.5, is_flipped=True),
    ],
)
def test_every_mirror_shows_the_pixel_whose_light_falls_on_it(placement: Placement) -> None:
    field = placed(placement)
    assert np.array_equal(field.spread(checker()), shown_one_by_one(field, checker()))


def test_whole_mirrors_of_shift_move_the_picture_of_the_mask() -> None:
    still, moved = placed(CENTRED).spread(checker()), placed(Placement(9, -5)).spread(checker())
    assert np.array_equal(moved, np.roll(still, (-5, 9), axis=(0, 1)))


def test_a_half_turn_and_a_flip_are_those_of_the_array() -> None:
    still = placed(CENTRED).spread(checker())
    assert np.array_equal(placed(Placement(is_flipped=True)).spread(checker()), still[:, ::-1])
    assert np.array_equal(placed(Placement(rotation_rad=math.pi)).spread(checker()), still[::-1, ::-1])
    # Clockwise as seen: what was on the left comes to the top.
    assert np.array_equal(placed(Placement(rotation_rad=math.pi / 2)).spread(checker()), np.rot90(still, -1))


NEARBY = st.builds(
    Placement, st.floats(-20, 20), st.floats(-20, 20), st.floats(0.8, 1.2), ROTATION, st.booleans()
)


@settings(max_examples=40)
@given(NEARBY, st.integers(0, 99))
def test_a_placed_mask_sees_of_the_moved_scene_what_the_mask_sees_of_the_scene(
    placement: Placement, seed: int
) -> None:
    axis = np.arange(256, dtype=np.float64) - 127.5
    field_x, field_y = placement.to_field(axis[None, :], axis[:, None])
    scene = np.exp(-((field_x - 20) ** 2 + (field_y + 10) ** 2) / 40**2)
    shown = placed(placement).spread(checker(seed))
    own = np.exp(-((axis[None, :] - 20) ** 2 + (axis[:, None] + 10) ** 2) / 40**2)
    direct = placed(CENTRED).spread(checker(seed))
    seen, expected = (shown * scene).sum() / scene.sum(), (direct * own).sum() / own.sum()
    # Pixels of 6.4 mirrors are 6 or 7 wide: that is what the tolerance is for.
    assert seen == pytest.approx(expected, abs=0.025)


def test_upright_masks_keep_lines_that_repeat_and_turned_ones_share_them_by_twos() -> None:
    dmd = DMDS["DLP6500"]
    mask = np.random.default_rng(1).random((64, 64)) < 0.5

    def fresh_lines(placement: Placement) -> int:
        mirrors = MirrorField(dmd, 64, 64, 16, placement).spread(mask)
        return int((mirrors[1:] != mirrors[:-1]).any(axis=1).sum())

    assert fresh_lines(Placement(10, 4, 1.02)) <= 65
    # A turn of less than half a mirror at the corner is none.
    assert fresh_lines(Placement(0, 0, 1, 0.4 / 512)) <= 65
    assert fresh_lines(Placement(0, 0, 1, 2 / 512)) > 65
    assert 400 < fresh_lines(Placement(0, 0, 1, 0.02)) <= 540


def test_lines_shared_by_twos_differ_from_the_exact_ones_at_the_edges_of_pixels_alone() -> None:
    turn = Placement(0, 0, 1, 0.1)
    ramp = np.arange(256, dtype=np.int64).reshape(16, 16)
    exact = MirrorField(MEDIUM, 16, 16, 15, turn).spread(ramp)
    shared = MirrorField(Dmd("m", 256, 256, 4), 16, 16, 16, turn)
    mirrors = shared.spread(ramp)
    assert np.array_equal(mirrors[0::2], mirrors[1::2])
    assert not np.array_equal(exact[120:136:2], exact[121:137:2])
    one_by_one = np.array([shown_pixel(shared, row, 128) for row in range(256)])
    assert (mirrors[:, 128] == one_by_one).mean() > 0.95


def shown_pixel(field: MirrorField, row: int, column: int) -> int:
    x, y = field.placement.to_field(np.array([column + 0.5 - 128.0]), np.array([row + 0.5 - 128.0]))
    j, i = math.floor((float(x[0]) + 128) / 16), math.floor((float(y[0]) + 128) / 16)
    return 16 * i + j if 0 <= i < 16 and 0 <= j < 16 else 0


def test_placed_images_of_packed_masks_keep_their_bits_and_are_zero_outside() -> None:
    packed = np.full((16, 16), 0xABCDEF, np.uint32)
    mirrors = placed(Placement(5, 5, 0.9, 0.2)).spread(packed)
    assert mirrors.dtype == np.uint32
    assert sorted(set(mirrors.ravel().tolist())) == [0, 0xABCDEF]


def test_a_placement_that_loses_a_row_is_taken_and_one_that_loses_a_tenth_is_refused() -> None:
    dmd = DMDS["DLP6500"]
    assert MirrorField(dmd, 64, 64, 16, Placement(0, 28)).lost_share == 0
    assert MirrorField(dmd, 64, 64, 16, Placement(0, 44)).lost_share == pytest.approx(1 / 64)
    with pytest.raises(ShapeMismatchError, match="12% of a mask"):
        MirrorField(dmd, 64, 64, 16, Placement(0, 28 + 16 * 8))
