"""A whole calibration on the simulated board, through controller, wires, converter and drivers."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.boards.board import SIMULATED_BOARD, find_board
from firmware.calibration.bench_light import BenchLight, target_field
from firmware.calibration.patterns import white_patterns
from firmware.calibration.procedure import (
    CalibrationPlan,
    CalibrationResult,
    Step,
    flat_patterns,
    run_calibration,
)
from firmware.calibration.readings import Readings
from firmware.factory import Rig, open_rig
from lab.rig_faults import RigFault, open_faulty_rig
from lsi.errors import LowLightError, RigCalibrationError, SaturationError
from lsi.placement import CENTRED, Placement
from lsi.rig_calibration import PaperScale

BOARD = find_board(SIMULATED_BOARD)
PLAN = CalibrationPlan(side_px=64, mirror_scale_px=16, scans=1, with_paper=True)
DARK = np.zeros((64, 64), np.float32)
CARD = np.ones((64, 64), np.float32)
TARGET = target_field(CENTRED)
MASK_PX = 16.0
"""Mirrors per mask pixel."""

Field = NDArray[np.float32]


def run(rig: Rig, prepared: list[Step] | None = None) -> CalibrationResult:
    """Calibrate; simulated light follows the steps."""

    def prepare(step: Step) -> None:
        rig.next_scene()
        if prepared is not None:
            prepared.append(step)

    return run_calibration(rig, PLAN, prepare)


def calibrated(fault: RigFault, *scenes: Field) -> CalibrationResult:
    with open_faulty_rig(BOARD, scenes or (DARK, CARD, TARGET), fault) as rig:
        return run(rig)


def test_a_sound_rig_needs_no_correction() -> None:
    steps: list[Step] = []
    with open_rig(BOARD, BenchLight()) as rig:
        found = run(rig, steps)
    place = found.geometry.placement
    assert steps == [Step.COVERED, Step.WHITE_CARD, Step.TARGET]
    assert math.hypot(place.shift_x_px, place.shift_y_px) < 0.05 * MASK_PX
    assert place.scale == pytest.approx(1, abs=2e-3)
    assert place.rotation_rad == pytest.approx(0, abs=2e-3)
    assert not place.is_flipped
    assert found.balance.minus_factor == pytest.approx(1, abs=5e-4)
    assert found.linearity.worst < 1e-3
    assert found.drift_share < 2e-3
    assert max(map(abs, found.stray_shares)) < 2e-3
    assert found.throughput.dim == ()
    assert found.geometry.black == pytest.approx(0.04, abs=0.005)
    check_paper_scale(found.paper)


def check_paper_scale(scale: PaperScale | None) -> None:
    """Held to the simulated electronics, which know their volts."""
    assert scale is not None
    dark_v, white_v = BOARD.sensor.volts(np.array([0.0, BOARD.sensor.power_nw]))
    assert scale.per_v == pytest.approx(3 * 256 * 256 / (white_v - dark_v), rel=1e-3)
    # The converter rounds down: half a count belongs to no volt.
    half_count = scale.per_v / BOARD.sensor.counts_per_v
    assert scale.per_v * dark_v + scale.offset == pytest.approx(0, abs=half_count)
    assert 0 < scale.per_v_error < 1e-3 * scale.per_v


def test_shift_and_scale_of_the_rig_are_found_within_a_twentieth_of_a_mask_pixel() -> None:
    place = calibrated(RigFault(shift_px=1.5, scale=1.03)).geometry.placement
    expected_px = 1.5 / math.sqrt(2) * MASK_PX
    assert place.shift_x_px == pytest.approx(expected_px, abs=0.05 * MASK_PX)
    assert place.shift_y_px == pytest.approx(expected_px, abs=0.05 * MASK_PX)
    assert place.scale == pytest.approx(1.03, abs=2e-3)
    assert place.rotation_rad == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize(
    "truth",
    [
        Placement(0.01, -0.02, 1.04, math.radians(2)),
        Placement(-0.02, 0.0, 0.9, math.radians(-135), is_flipped=True),
    ],
    ids=["a lens slightly off", "a DMD on its corner behind lens and mirror"],
)
def test_a_turned_field_is_found_within_a_tenth_of_a_degree(truth: Placement) -> None:
    with open_rig(BOARD, BenchLight(truth)) as rig:
        found = run(rig).geometry
    place = found.placement
    assert place.is_flipped == truth.is_flipped
    assert math.remainder(place.rotation_rad - truth.rotation_rad, 2 * math.pi) == pytest.approx(
        0, abs=math.radians(0.1)
    )
    assert place.shift_x_px == pytest.approx(truth.shift_x_px * 1024, abs=0.05 * MASK_PX)
    assert place.shift_y_px == pytest.approx(truth.shift_y_px * 1024, abs=0.05 * MASK_PX)
    assert place.scale == pytest.approx(truth.scale, abs=2e-3)


def test_uneven_arms_are_found_within_a_thousandth() -> None:
    found = calibrated(RigFault(arm_minus_gain=1.2))
    assert found.balance.minus_factor * 1.2 == pytest.approx(1, abs=1e-3)
    assert found.geometry.placement.shift_x_px == pytest.approx(0, abs=0.05 * MASK_PX)


def test_everything_wrong_at_once_is_told_apart() -> None:
    found = calibrated(
        RigFault(shift_px=1.5, scale=1.03, vignetting=0.4, dead_mirrors=0.01, arm_minus_gain=0.95)
    )
    place = found.geometry.placement
    assert place.shift_x_px == pytest.approx(1.5 / math.sqrt(2) * MASK_PX, abs=0.1 * MASK_PX)
    assert place.scale == pytest.approx(1.03, abs=5e-3)
    assert found.balance.minus_factor * 0.95 == pytest.approx(1, abs=1e-3)
    corners = found.throughput.blocks[[0, 0, -1, -1], [0, -1, 0, -1]].mean()
    # The middle of a corner block lies at 7/8 of the way: 1 - 0.4 (7/8)^2 of the middle's light.
    assert corners / found.throughput.blocks[3:5, 3:5].mean() == pytest.approx(0.694, abs=0.03)


def test_a_dead_block_is_named() -> None:
    broken = np.ones((64, 64), np.float32)
    broken[8:16, 24:32] = 0
    found = calibrated(RigFault(), DARK, broken, TARGET * broken)
    assert found.throughput.dead == (11,)
    assert found.geometry.placement.shift_x_px == pytest.approx(0, abs=0.05 * MASK_PX)


@pytest.mark.parametrize(
    ("scenes", "said"),
    [
        ((CARD, CARD, TARGET), "covered lens lets 100%"),
        ((DARK, TARGET, TARGET), "not an evenly lit white card"),
        ((DARK, CARD, CARD), "not the printed target"),
    ],
)
def test_the_wrong_thing_in_front_of_the_lens_ends_it(scenes: tuple[Field, ...], said: str) -> None:
    with pytest.raises(RigCalibrationError, match=said):
        calibrated(RigFault(), *scenes)


def test_a_card_in_the_dark_ends_it() -> None:
    with pytest.raises(LowLightError, match="white card sends less light"):
        calibrated(RigFault(), DARK, CARD * np.float32(0.001), TARGET)


def test_a_card_in_glaring_light_ends_it() -> None:
    with pytest.raises(SaturationError, match="end of the converter's range"):
        calibrated(RigFault(), DARK, CARD * np.float32(3), TARGET)


def test_a_covered_lens_is_looked_at_with_two_patterns() -> None:
    flat = flat_patterns(white_patterns(64)).masks
    assert flat.shape == (2, 64, 64)
    assert flat[0].all()
    assert not flat[1].any()


def test_no_repr_shows_a_reading() -> None:
    readings = Readings(
        np.ones((3, 2)), np.ones(2), np.ones(2), layout=BOARD.layout, v_per_count=1.0, zero_v=0.0
    )
    assert repr(readings) == "Readings(shape=(3, 2))"
