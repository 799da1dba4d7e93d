"""The printed target: the drawing and the fit must mean the same."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from firmware.calibration.target import BARS, whiteness
from lsi.placement import Placement

DRAWING = Path(__file__).parents[3] / "hardware/targets/calibration-target.svg"
FIELD_MM = 120.0
MIDDLE_MM = (105.0, 115.0)


def rectangles() -> list[dict[str, str]]:
    drawing = DRAWING.read_text("utf-8")
    return [dict(re.findall(r'(\w+)="([^"]*)"', part)) for part in re.findall(r"<rect [^>]*/>", drawing)]


def test_the_bars_of_the_drawing_are_those_of_the_fit() -> None:
    drawn = [part for part in rectangles() if part.get("class") == "bar"]
    for bar, part in zip(BARS, drawn, strict=True):
        x, y, width, height = (float(part[key]) for key in ("x", "y", "width", "height"))
        assert (x + width / 2 - MIDDLE_MM[0]) / FIELD_MM == pytest.approx(bar.x)
        assert (y + height / 2 - MIDDLE_MM[1]) / FIELD_MM == pytest.approx(bar.y)
        assert (width / 2 / FIELD_MM, height / 2 / FIELD_MM) == pytest.approx(
            (bar.half_width, bar.half_height)
        )
        assert part["fill"] == "#ffffff"


def test_black_surrounds_the_field_by_a_quarter_of_its_side() -> None:
    black = next(part for part in rectangles() if part["fill"] == "#000000")
    margin = MIDDLE_MM[0] - FIELD_MM / 2 - float(black["x"])
    assert margin / FIELD_MM >= 0.25


def test_the_target_is_white_on_its_bars_and_black_elsewhere() -> None:
    def at(x: float, y: float) -> float:
        return float(whiteness(np.array([[x]]), np.array([[y]]), 1e-3)[0, 0])

    assert at(-0.12, -0.3) == 1  # the stem's upper end
    assert at(0.2, 0.19) == 1  # the foot's right end
    assert at(0.1, 0.0) == 0
    assert at(-0.12, -0.33) == 0
    assert at(-0.12, -0.32) == pytest.approx(0.5)
    # No seam where the bars overlap.
    assert at(-0.02, 0.2) == 1


def test_no_corner_is_farther_from_the_middle_than_a_turned_field_reaches() -> None:
    corners = [math.hypot(abs(bar.x) + bar.half_width, abs(bar.y) + bar.half_height) for bar in BARS]
    assert max(corners) < 0.4


def test_no_turn_or_mirror_image_looks_like_the_target() -> None:
    axis = (np.arange(64) + 0.5) / 64 - 0.5
    upright = whiteness(axis[None, :], axis[:, None], 1 / 64)
    for flipped in (False, True):
        for turn in range(4):
            if not flipped and not turn:
                continue
            quarter = math.remainder(turn * math.pi / 2, 2 * math.pi)
            x, y = Placement(rotation_rad=quarter, is_flipped=flipped).to_field(axis[None, :], axis[:, None])
            overlap = np.minimum(whiteness(x, y, 1 / 64), upright).sum() / upright.sum()
            assert overlap < 0.8
