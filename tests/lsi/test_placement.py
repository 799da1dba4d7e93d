"""Where the field lies on the mirrors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.placement import CENTRED, Placement

PLACEMENTS = st.builds(
    Placement,
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.floats(0.25, 4),
    st.floats(-math.pi, math.pi),
    st.booleans(),
)
PLACES = st.floats(-600, 600)


def mirror_of(placement: Placement, x: float, y: float) -> tuple[float, float]:
    at_x, at_y = placement.to_mirrors(np.array([x]), np.array([y]))
    return float(at_x[0]), float(at_y[0])


@given(PLACEMENTS, PLACES, PLACES)
def test_the_way_to_the_mirrors_and_back_ends_where_it_began(
    placement: Placement, x: float, y: float
) -> None:
    there = placement.to_mirrors(np.array([x]), np.array([y]))
    back = placement.to_field(*there)
    assert (float(back[0][0]), float(back[1][0])) == pytest.approx((x, y), abs=1e-8)


@given(PLACES, PLACES)
def test_a_centred_field_is_its_mirrors(x: float, y: float) -> None:
    assert mirror_of(CENTRED, x, y) == (x, y)


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (Placement(shift_x_px=5, shift_y_px=-2), (15, -2)),
        (Placement(scale=2), (20, 0)),
        # y is down: a quarter turn takes right to down.
        (Placement(rotation_rad=math.pi / 2), (0, 10)),
        (Placement(is_flipped=True), (-10, 0)),
        # Flipped first, then turned.
        (Placement(rotation_rad=math.pi / 2, is_flipped=True), (0, -10)),
        (Placement(3, 4, 2, math.pi / 2, is_flipped=True), (3, -16)),
    ],
)
def test_a_place_ten_to_the_right_falls_on(placement: Placement, expected: tuple[float, float]) -> None:
    assert mirror_of(placement, 10, 0) == pytest.approx(expected, abs=1e-12)


@given(PLACEMENTS, PLACES, PLACES)
def test_distances_grow_with_the_scale_alone(placement: Placement, x: float, y: float) -> None:
    at, origin = mirror_of(placement, x, y), mirror_of(placement, 0, 0)
    assert math.dist(at, origin) == pytest.approx(placement.scale * math.hypot(x, y), abs=1e-8)


@pytest.mark.parametrize(
    "numbers",
    [
        (math.nan, 0, 1, 0),
        (0, math.inf, 1, 0),
        (2001, 0, 1, 0),
        (0, -2001, 1, 0),
        (0, 0, 0.2, 0),
        (0, 0, 4.1, 0),
        (0, 0, math.nan, 0),
        (0, 0, 1, 3.2),
    ],
)
def test_a_placement_that_cannot_be_is_refused(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no placement"):
        Placement(*numbers)
