"""Grey pictures: what a screen shows of light, and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.audit.reconstruction import shown
from lab.baselines.grey import grey_of_light, grey_of_pictures, light_of_screen, screen


@given(st.floats(0, 1, width=32))
def test_the_code_of_a_screen_is_the_one_for_numpy_and_can_be_undone(light: float) -> None:
    code = screen(torch.tensor([light]))
    assert float(code) == pytest.approx(float(shown(np.array([light], np.float32))[0]), abs=1e-5)
    assert float(light_of_screen(code)) == pytest.approx(light, abs=1e-5)


def test_beyond_both_ends_there_is_a_slope_but_no_light() -> None:
    light = torch.tensor([-0.5, 2.0], requires_grad=True)
    code = screen(light)
    code.sum().backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    assert light.grad is not None
    assert (light.grad > 0.1).all()
    assert light_of_screen(code.detach()).tolist() == [0, 1]


def test_a_grey_picture_stays_as_it_is_and_a_red_one_gets_dark() -> None:
    codes = np.arange(0, 256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    assert np.abs(grey_of_pictures(codes).astype(int) - codes).max() <= 1
    red = codes * np.array([1, 0, 0], np.uint8)
    made = grey_of_pictures(red)
    assert (made[..., 0] == made[..., 1]).all()
    assert made.mean() < codes.mean() / 1.5


def test_light_is_averaged_before_it_is_coded() -> None:
    light = np.full((1, 4, 4), 0.2, np.float32)
    light[0, :, ::2] = 0.6
    assert grey_of_light(light, 2).tolist() == [[[[170] * 3] * 2] * 2]  # the code of 0.4
