"""Simulated rigs that are wrong on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from firmware.acquisition.correction import correct
from firmware.boards.board import SIMULATED_BOARD, Board, find_board
from firmware.factory import Rig, open_rig
from firmware.sim.light import LightSequence, smooth_field
from lab.rig_faults import RigFault, open_faulty_rig, parse_faults
from lsi.errors import BoardConfigError, ConfigError
from lsi.measurement import Measurement
from lsi.patterns import PatternSet

BOARD = find_board(SIMULATED_BOARD)
MASKS = PatternSet(
    np.random.default_rng(3).random((4, 64, 64)) < np.array([0.3, 0.4, 0.5, 0.6])[:, None, None]
)


def measured(rig: Rig) -> Measurement:
    with rig:
        rig.load(MASKS)
        assert rig.next_scene()
        return correct(*rig.scan(MASKS))


def faulty(fault: RigFault, board: Board = BOARD) -> Measurement:
    return measured(open_faulty_rig(board, [smooth_field()], fault))


def shares(field: np.ndarray) -> np.ndarray:
    return np.array([(field * mask).sum() / field.sum() for mask in MASKS.masks])


def test_a_rig_without_fault_is_the_rig_of_the_factory() -> None:
    expected = measured(open_rig(BOARD, LightSequence([smooth_field()])))
    assert np.array_equal(faulty(RigFault()).values, expected.values)


def test_uneven_arms_change_every_ratio_as_the_formula_says() -> None:
    plus = shares(smooth_field())
    minus = 0.9 * (1 - plus)
    values = faulty(RigFault(arm_minus_gain=0.9)).values
    assert np.allclose(values, (plus - minus) / (plus + minus), atol=0.006)
    assert not np.allclose(values, 2 * plus - 1, atol=0.03)


def test_light_lost_on_the_way_is_lost_in_the_measurement() -> None:
    fault = RigFault(vignetting=0.6, dead_mirrors=0.3, shift_px=6, scale=1.2)
    expected = 2 * shares(fault.on(smooth_field())) - 1
    assert np.allclose(faulty(fault).values, expected, atol=0.006)


def test_stray_light_and_offset_are_taken_back_by_the_dark_reference() -> None:
    expected = 2 * shares(smooth_field()) - 1
    values = faulty(RigFault(stray_factor=10, offset_added_v=0.2)).values
    assert np.allclose(values, expected, atol=0.006)


def test_a_shift_of_whole_pixels_moves_the_scene_down_and_right() -> None:
    field = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    moved = RigFault(shift_px=2 * np.sqrt(2)).on(field)
    assert np.allclose(moved[2:, 2:], field[:-2, :-2], atol=1e-6)


def test_scale_keeps_the_middle_and_moves_the_rest_outwards() -> None:
    field = np.zeros((64, 64), np.float32)
    field[31:33, 47:49] = 1
    moved = RigFault(scale=1.5).on(field)
    column = float((moved.sum(axis=0) * np.arange(64)).sum() / moved.sum())
    row = float((moved.sum(axis=1) * np.arange(64)).sum() / moved.sum())
    assert column == pytest.approx(31.5 + 1.5 * 16, abs=0.1)
    assert row == pytest.approx(31.5, abs=0.1)


def test_vignetting_takes_most_in_the_corners_and_nothing_in_the_middle() -> None:
    left = RigFault(vignetting=0.4).on(np.ones((64, 64), np.float32))
    assert left[31, 31] == pytest.approx(1, abs=1e-3)
    assert left[0, 0] == pytest.approx(0.6, abs=0.02)
    assert left[0, 31] == pytest.approx(0.8, abs=0.02)


def test_as_many_mirrors_are_dead_as_asked_for_and_the_same_in_every_scan() -> None:
    fault, white = RigFault(dead_mirrors=0.1), np.ones((64, 64), np.float32)
    assert (fault.on(white) == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(fault.on(white), fault.on(white))


def test_words_become_a_fault() -> None:
    found = parse_faults(["shift_px=1.5", "arm_minus_gain=0.95"])
    assert found == RigFault(shift_px=1.5, arm_minus_gain=0.95)
    assert parse_faults([]) == RigFault()


@pytest.mark.parametrize("word", ["shift_px", "shift_px=far", "tilt=2", "dead_mirrors=2", "scale=nan"])
def test_words_that_are_no_fault_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="fault"):
        parse_faults([word])


def test_a_real_board_has_the_faults_that_it_has() -> None:
    with pytest.raises(BoardConfigError, match="not simulated"):
        open_faulty_rig(replace(BOARD, simulation=None), [], RigFault(scale=1.1))
