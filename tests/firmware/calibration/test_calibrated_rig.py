"""What a calibration is for: a rig that is out of place measures what a sound one measures."""

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.correction import balanced
from firmware.boards.board import SIMULATED_BOARD, find_board
from firmware.calibration.bench_light import target_field
from firmware.calibration.procedure import CalibrationPlan, run_calibration
from firmware.drivers.dlpc900 import Dlpc900
from firmware.factory import Rig
from lab.rig_faults import RigFault, open_faulty_rig
from lsi.patterns import PatternSet
from lsi.placement import CENTRED

BOARD = find_board(SIMULATED_BOARD)
MASKS = PatternSet(np.random.default_rng(4).random((16, 8, 8)).repeat(8, 1).repeat(8, 2) < 0.5)
AXIS = np.linspace(-1, 1, 64)
SCENE = (0.8 * np.exp(-8 * ((AXIS[:, None] + 0.1) ** 2 + (AXIS[None, :] - 0.15) ** 2))).astype(np.float32)
STEPS = [np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32), target_field(CENTRED)]


def advance(rig: Rig) -> None:
    rig.next_scene()


def ratios(rig: Rig, minus_factor: float) -> NDArray[np.float64]:
    advance(rig)
    rig.load(MASKS)
    raw, dark = rig.scan(MASKS)
    plus, minus = balanced(raw.mean_counts - dark.mean_counts, minus_factor).T
    measured: NDArray[np.float64] = (plus - minus) / (plus + minus)
    return measured


def test_placed_masks_and_balanced_arms_measure_what_a_sound_rig_measures() -> None:
    fault = RigFault(shift_px=2.0, scale=1.05, arm_minus_gain=0.9)
    with open_faulty_rig(BOARD, [SCENE], RigFault()) as rig:
        sound = ratios(rig, 1.0)
    with open_faulty_rig(BOARD, [*STEPS, SCENE, SCENE], fault) as rig:
        found = run_calibration(rig, CalibrationPlan(64, 16, 2), lambda _: advance(rig))
        as_it_is = ratios(rig, 1.0)
        modulator = rig.parts.modulator
        assert isinstance(modulator, Dlpc900)
        modulator._placement = found.geometry.placement
        modulator._loaded_digest = None
        calibrated = ratios(rig, found.balance.minus_factor)
    before, after = (float(np.abs(values - sound).max()) for values in (as_it_is, calibrated))
    assert before > 0.1
    assert after < 0.01
