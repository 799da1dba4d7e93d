"""The selftest on the simulated board, whole and with one thing wrong at a time."""

from dataclasses import replace

import numpy as np
import pytest

from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import Board, find_board
from firmware.factory import Amplifier, open_rig
from firmware.selftest import PASSES, Check, run_selftest, selftest_patterns
from firmware.sim.light import FlickeringLight, StillLight
from lsi.errors import BusError, Part, TriggerTimeoutError

BOARD = find_board("sim-mcp3208")
CARD = StillLight(np.full((64, 64), 0.8, np.float32))


def checks(
    board: Board = BOARD, light: StillLight = CARD, amplifier: Amplifier | None = None
) -> dict[str, Check]:
    with open_rig(board, light, amplifier) as rig:
        return {check.name: check for check in run_selftest(rig)}


def failed(found: dict[str, Check]) -> set[str]:
    return {name for name, check in found.items() if not check.holds}


def test_the_patterns_open_eighth_by_eighth_of_every_8_by_8_block() -> None:
    masks = selftest_patterns().masks
    blocks = masks.reshape(9, 8, 8, 8, 8).mean(axis=(2, 4))
    for step in range(9):
        assert (blocks[step] == step / 8).all()
    assert not (masks[:-1] & ~masks[1:]).any()


def test_a_board_under_an_even_card_passes() -> None:
    found = checks()
    assert failed(found) == set()
    assert found["whole passes"].value == PASSES


def test_without_light_full_on_is_missed() -> None:
    assert "full-on" in failed(checks(light=StillLight(np.zeros((64, 64), np.float32))))


def test_glare_is_clipped() -> None:
    assert "clipped" in failed(checks(light=StillLight(np.full((64, 64), 9.0, np.float32))))


def test_stray_light_and_a_noisy_amplifier_are_told_apart() -> None:
    stray = replace(BOARD, sensor=replace(BOARD.sensor, stray_nw=20.0))
    assert failed(checks(stray)) == {"dark"}
    noisy = replace(BOARD, sensor=replace(BOARD.sensor, read_noise_v=8e-3))
    assert failed(checks(noisy)) == {"noise in the dark"}


def test_uneven_arms_are_an_imbalance() -> None:
    plus = BOARD.arm_channels[0]
    found = checks(amplifier=lambda channel, volts: volts if channel == plus else 0.1 + 0.7 * (volts - 0.1))
    assert failed(found) == {"imbalance of the arms"}
    assert found["imbalance of the arms"].value == pytest.approx(1 / 0.7 - 1, abs=0.02)


def test_an_amplifier_that_bends_is_not_linear() -> None:
    found = checks(amplifier=lambda _, volts: 3 * np.tanh(volts / 1.5))
    assert "linearity" in failed(found)


def test_a_lost_trigger_costs_a_pass_and_is_told() -> None:
    with open_rig(BOARD, CARD) as rig:
        acquisition = rig.parts.acquisition
        assert isinstance(acquisition, SteppedAcquisition)
        controller = acquisition.trigger._controller  # type: ignore[attr-defined] # the simulated line has one
        controller.faults.ignore_trigger = 3
        found = {check.name: check for check in run_selftest(rig)}
    assert failed(found) == {"whole passes"}
    assert "TRIG_IN_1" in found["whole passes"].advice


def test_a_dead_trigger_and_a_dead_controller_are_errors_that_say_so() -> None:
    with open_rig(BOARD, CARD) as rig:
        acquisition = rig.parts.acquisition
        assert isinstance(acquisition, SteppedAcquisition)
        acquisition.plan = replace(BOARD.plan, trigger_timeout_ns=1)
        with pytest.raises(TriggerTimeoutError):
            run_selftest(rig)
        controller = acquisition.trigger._controller  # type: ignore[attr-defined] # the simulated line has one
        controller.unplug()
        with pytest.raises(BusError) as gone:
            run_selftest(rig)
        assert gone.value.part is Part.CONTROLLER
        controller.plug_in()


def test_a_lamp_on_the_mains_is_told_where_light_is_recorded_all_along() -> None:
    # A pass of selftest patterns lasts 8 ms at 700 us each: longer exposures see a period of 100 Hz.
    board = find_board("sim-ad7383-4")
    board = replace(board, plan=replace(board.plan, exposure_ns=2_500_000))
    even = np.full((64, 64), 0.8, np.float32)
    lamp = FlickeringLight(StillLight(even), flicker_hz=100.0, depth=0.2)
    with open_rig(board, lamp) as rig:
        found = {check.name: check for check in run_selftest(rig)}
    assert not found["lamp flicker"].holds
    assert found["lamp flicker"].value == pytest.approx(0.2, abs=0.03)
    assert "100 Hz" in found["lamp flicker"].unit
    with open_rig(board, StillLight(even)) as rig:
        found = {check.name: check for check in run_selftest(rig)}
    assert failed(found) == set()
    assert found["lamp flicker"].value < 0.02
