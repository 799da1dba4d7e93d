"""Drawings of a calibration."""

import re
import stat
from pathlib import Path

import numpy as np
import pytest

from edge_app.cli_commands.calibration_plots import (
    HEIGHT_PX,
    WIDTH_PX,
    linearity_svg,
    placement_svg,
    throughput_svg,
    write_plots,
)
from firmware.calibration.gain import Linearity
from firmware.calibration.geometry import GeometryFit
from firmware.calibration.procedure import CalibrationResult
from firmware.calibration.throughput import Throughput
from lsi.errors import RigCalibrationError
from lsi.placement import CENTRED, PlacementError
from lsi.rig_calibration import ArmBalance

BLOCKS = [1.0] * 62 + [0.5, -0.01]
STEPS = tuple(0.001 * step for step in range(-4, 4))
RESIDUALS = tuple(np.sin(np.arange(60)).tolist())
RESULT = CalibrationResult(
    balance=ArmBalance(1.0, 0.0),
    linearity=Linearity((STEPS, STEPS)),
    stray_shares=(0.0, 0.0),
    drift_share=0.0,
    throughput=Throughput(np.array(BLOCKS).reshape(8, 8), np.ones((8, 8)), np.ones(6)),
    geometry=GeometryFit(CENTRED, PlacementError(0, 0, 0, 0), 0.0, RESIDUALS),
    paper=None,
)


def is_well_formed(drawing: str) -> bool:
    """Every element is closed, in order."""
    opened: list[str] = []
    for closing, name, alone in re.findall(r"<(/?)(\w+)[^>]*?(/?)>", drawing):
        if closing:
            if not opened or opened.pop() != name:
                return False
        elif not alone:
            opened.append(name)
    return not opened


@pytest.mark.parametrize(
    "drawing",
    [
        throughput_svg(BLOCKS, (62, 63)),
        linearity_svg(RESULT.linearity.residuals),
        linearity_svg(((0.0,) * 8,)),
        placement_svg(RESIDUALS),
    ],
)
def test_every_drawing_is_whole_and_nothing_lies_beside_it(drawing: str) -> None:
    assert drawing.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert is_well_formed(drawing)
    for name, limit in (("x", WIDTH_PX), ("cx", WIDTH_PX), ("y", HEIGHT_PX), ("cy", HEIGHT_PX)):
        places = [float(number) for number in re.findall(rf' {name}="([^"]+)"', drawing)]
        assert all(0 <= place <= limit for place in places)
    assert "nan" not in drawing


def test_every_block_is_drawn_with_its_light_and_dim_ones_are_framed() -> None:
    drawing = throughput_svg(BLOCKS, (62, 63))
    assert drawing.count(">1.00</text>") == 62
    assert drawing.count(">0.50</text>") == 1
    assert drawing.count('stroke="#c8553d"') == 2
    assert 'fill="rgb(128,128,128)"' in drawing
    assert 'fill="rgb(0,0,0)"' in drawing


def test_every_residual_is_a_dot_and_the_largest_touches_the_frame() -> None:
    drawing = placement_svg(RESIDUALS)
    heights = [float(y) for y in re.findall(r'cy="([^"]+)"', drawing)]
    assert len(heights) == 60
    assert drawing.count("<polyline") == 4
    assert min(heights) == pytest.approx(40, abs=0.5)
    largest = int(np.argmax(np.abs(RESIDUALS)))
    assert heights[largest] in {min(heights), max(heights)}


def test_arm_minus_is_drawn_over_what_is_open_to_it() -> None:
    drawing = linearity_svg(RESULT.linearity.residuals)
    plus, minus = (
        [float(point.partition(",")[0]) for point in line.split()]
        for line in re.findall(r'points="([^"]+)"', drawing)
    )
    assert plus == sorted(plus)
    assert minus == sorted(minus, reverse=True)


def test_three_files_are_written_whole(tmp_path: Path) -> None:
    written = write_plots(tmp_path / "plots", RESULT)
    assert sorted(path.name for path in written) == ["linearity.svg", "placement.svg", "throughput.svg"]
    assert sorted(tmp_path.rglob("*.svg")) == sorted(written)
    assert all(is_well_formed(path.read_text("utf-8")) for path in written)
    assert write_plots(tmp_path / "plots", RESULT) == written


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "plots").write_bytes(b"")
    assert stat.S_ISREG((tmp_path / "plots").stat().st_mode)
    with pytest.raises(RigCalibrationError, match="plots"):
        write_plots(tmp_path / "plots", RESULT)
