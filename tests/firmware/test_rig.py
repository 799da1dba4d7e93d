"""The whole simulated chain: shipping drivers, simulated controller, optics and converter."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.acquisition.correction import correct
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import Board, find_board, shipped_boards
from firmware.factory import Rig, open_rig
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import FlickeringLight, LightSequence, StillLight, smooth_field
from firmware.sim.trigger import SimTriggerLine
from lab.bench_rig import with_power
from lsi.errors import (
    BusError,
    BusErrorKind,
    ExposureError,
    FrameError,
    LowLightError,
    Part,
    SaturationError,
    ShapeMismatchError,
    TriggerCountError,
    TriggerTimeoutError,
    UnsteadySceneError,
)
from lsi.measurement import ArmLayout
from lsi.patterns import PatternSet

BOARD = find_board("sim-mcp3208")
PATTERNS = PatternSet(np.random.default_rng(3).random((6, 64, 64)) < 0.5)
FIELD = smooth_field()


def ratios(field: NDArray[np.float32], patterns: PatternSet = PATTERNS) -> NDArray[np.float64]:
    signs = np.where(patterns.masks, 1.0, -1.0).reshape(len(patterns), -1)
    light = field.reshape(-1).astype(np.float64)
    exact: NDArray[np.float64] = signs @ light / light.sum()
    return exact


def measured(board: Board, field: NDArray[np.float32]) -> NDArray[np.float32]:
    with open_rig(board, StillLight(field)) as rig:
        rig.load(PATTERNS)
        return correct(*rig.scan(PATTERNS)).values


def stepped(rig: Rig) -> SteppedAcquisition:
    acquisition = rig.parts.acquisition
    assert isinstance(acquisition, SteppedAcquisition)
    return acquisition


def simulated_parts(rig: Rig) -> tuple[SimDlpc900, SimTriggerLine]:
    trigger = stepped(rig).trigger
    assert isinstance(trigger, SimTriggerLine)
    return trigger._controller, trigger


def waiting(mode: Literal["hold", "dark"]) -> Board:
    assert BOARD.simulation is not None
    return replace(BOARD, simulation=replace(BOARD.simulation, waiting=mode))


def scan_of(rig: Rig) -> NDArray[np.float32]:
    return correct(*rig.scan(PATTERNS)).values


def test_a_scan_measures_the_ratio_of_the_arms_within_its_noise() -> None:
    error = measured(BOARD, FIELD) - ratios(FIELD)
    # About 300 counts an arm, 0.8 counts noise a sample, 8 samples, and quantization.
    assert np.abs(error).max() < 4e-3


def test_more_light_gives_the_same_ratio() -> None:
    dim, bright = with_power(BOARD, 30.0), with_power(BOARD, 110.0)
    assert np.allclose(measured(dim, FIELD), measured(bright, FIELD), atol=1e-2)


def test_both_readings_of_a_waiting_mask_give_the_same_measurement() -> None:
    hold, dark = (measured(waiting(mode), FIELD) for mode in ("hold", "dark"))
    assert np.array_equal(hold, dark)


def test_what_is_measured_is_what_was_uploaded_and_not_what_the_driver_was_given() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PatternSet(PATTERNS.masks[::-1]))
        values = correct(*rig.scan(PatternSet(PATTERNS.masks[::-1]))).values
    assert np.abs(values - ratios(FIELD)[::-1]).max() < 4e-3


def test_noise_of_the_samples_is_that_of_the_sensor_model() -> None:
    white = np.full((64, 64), 0.5, np.float32)
    board = replace(BOARD, plan=replace(BOARD.plan, exposure_ns=500_000_000, samples_per_pattern=1000))
    half_on = PatternSet(np.tile(np.indices((64, 64)).sum(axis=0) % 2 == 0, (1, 1, 1)))
    with open_rig(board, StillLight(white)) as rig:
        rig.load(half_on)
        raw, _ = rig.scan(half_on)
    sensor = BOARD.sensor
    power_nw = np.array([sensor.power_nw / 4])
    counts = raw.counts[0, 0].astype(np.float64)
    # Rounding down adds -1/2 to the mean and 1/12 to the variance of a dithered converter.
    expected_mean = float(sensor.volts(power_nw)[0]) * sensor.counts_per_v - 0.5
    expected_sd = np.hypot(float(sensor.noise_v(power_nw)[0]) * sensor.counts_per_v, 12**-0.5)
    assert len(counts) == 1000
    assert counts.mean() == pytest.approx(expected_mean, abs=4 * expected_sd / np.sqrt(1000))
    assert counts.std() == pytest.approx(expected_sd, rel=0.1)


def test_the_dark_reference_is_offset_and_stray_light_of_each_arm() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        _, dark = rig.scan(PATTERNS)
    expected = float(BOARD.sensor.volts(np.array([0.0]))[0]) * BOARD.sensor.counts_per_v - 0.5
    assert dark.mean_counts == pytest.approx([expected] * 2, abs=1.0)


def test_a_glaring_scene_is_reported_as_saturated() -> None:
    with pytest.raises(SaturationError, match="6 of 6"):
        measured(BOARD, np.full((64, 64), 5.0, np.float32))


def test_a_dark_scene_is_reported_as_low_light() -> None:
    with pytest.raises(LowLightError):
        measured(BOARD, np.zeros((64, 64), np.float32))


def test_a_lost_trigger_pulse_drops_the_scan_and_the_next_one_is_whole() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        controller, _ = simulated_parts(rig)
        controller.faults.ignore_trigger = 4
        with pytest.raises(TriggerTimeoutError, match="TRIG_IN_1"):
            rig.scan(PATTERNS)
        assert np.abs(scan_of(rig) - ratios(FIELD)).max() < 4e-3


def test_an_extra_edge_drops_the_scan() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        simulated_parts(rig)[1].stray_edges = 1
        with pytest.raises(TriggerCountError, match="9 exposures were started, 8"):
            rig.scan(PATTERNS)


def test_conversions_that_do_not_fit_the_exposure_drop_the_scan() -> None:
    slow = replace(BOARD, plan=replace(BOARD.plan, exposure_ns=600_000))
    with open_rig(slow, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        with pytest.raises(ExposureError, match="usable exposure"):
            rig.scan(PATTERNS)


def test_an_unplugged_controller_is_no_device_and_works_again_after_loading() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        controller, _ = simulated_parts(rig)
        controller.unplug()
        with pytest.raises(BusError) as gone:
            rig.scan(PATTERNS)
        assert gone.value.kind is BusErrorKind.NO_DEVICE
        assert gone.value.part is Part.CONTROLLER
        assert not rig.is_loaded(PATTERNS)
        controller.plug_in()
        rig.load(PATTERNS)
        assert np.abs(scan_of(rig) - ratios(FIELD)).max() < 4e-3


def test_a_floating_converter_line_is_no_conversion() -> None:
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        spi = stepped(rig).detector._spi  # type: ignore[attr-defined] # cut its wire
        spi._shift = lambda sent: b"\xff" * len(sent)
        with pytest.raises(FrameError, match="null bit") as floating:
            rig.scan(PATTERNS)
        assert floating.value.part is Part.CONVERTER


def test_another_scene_gives_another_measurement() -> None:
    scenes: Sequence[NDArray[np.float32]] = [FIELD, np.ascontiguousarray(FIELD.T[::-1])]
    with open_rig(BOARD, LightSequence(scenes)) as rig:
        rig.load(PATTERNS)
        for scene in scenes:
            assert rig.next_scene()
            assert np.abs(scan_of(rig) - ratios(scene)).max() < 4e-3
        assert not rig.next_scene()


def test_light_of_another_size_is_spread_over_the_same_mirrors() -> None:
    small = np.random.default_rng(1).random((16, 16)).astype(np.float32)
    assert np.allclose(measured(BOARD, small), measured(BOARD, small.repeat(4, 0).repeat(4, 1)), atol=4e-3)
    with pytest.raises(FrameError, match="whose side divides"):
        measured(BOARD, np.ones((60, 60), np.float32))


def test_masks_larger_than_the_dmd_are_refused() -> None:
    with open_rig(BOARD) as rig, pytest.raises(ShapeMismatchError):
        rig.load(PatternSet(np.zeros((1, 128, 128), np.bool_)))


@pytest.mark.parametrize("name", [name for name in shipped_boards() if name.startswith("pi-")])
def test_a_real_board_without_its_controller_says_that_it_is_not_there(name: str) -> None:
    if any(Path("/dev").glob("hidraw*")):
        pytest.skip("this machine has HID devices of its own")
    with pytest.raises(BusError, match="0451:c900 is not connected") as absent:
        open_rig(find_board(name))
    assert absent.value.kind is BusErrorKind.NO_DEVICE


def checking_drift() -> Board:
    return replace(BOARD, checks_drift=True)


def test_a_drift_check_shows_the_first_mask_again_and_passes_in_still_light() -> None:
    with open_rig(checking_drift(), StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        raw, dark = rig.scan(PATTERNS)
        assert len(rig.parts.sequence_of(PATTERNS)) == len(PATTERNS) + 3
    assert np.abs(correct(raw, dark).values - ratios(FIELD)).max() < 4e-3


def test_light_that_fades_during_the_scan_is_unsteady() -> None:
    with open_rig(checking_drift(), FlickeringLight(StillLight(FIELD), drift_per_s=-1.7)) as rig:
        rig.load(PATTERNS)
        with pytest.raises(UnsteadySceneError, match="light changed by -"):
            rig.scan(PATTERNS)


def test_a_scene_that_changes_during_the_scan_is_unsteady() -> None:
    like_first = np.where(PATTERNS.masks[0], 0.6, 0.4).astype(np.float32)
    light = LightSequence([like_first, 1 - like_first])
    with open_rig(checking_drift(), light) as rig:
        rig.load(PATTERNS)
        trigger = stepped(rig).trigger
        advance, shown = trigger.advance, iter(range(100))

        def moving(timeout_ns: int) -> int:
            if next(shown) == len(PATTERNS):
                light.advance()
            return advance(timeout_ns)

        trigger.advance = moving  # type: ignore[method-assign] # the scene moves while a mask is waited for
        light.advance()
        with pytest.raises(UnsteadySceneError, match="scene changed"):
            rig.scan(PATTERNS)


def test_dark_references_are_averaged_while_they_are_young() -> None:
    with open_rig(replace(BOARD, dark_max_age_ns=10**9), StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        darks = [rig.scan(PATTERNS)[1] for _ in range(4)]
    assert {dark.taken_at_ns for dark in darks} == {darks[0].taken_at_ns}
    with open_rig(BOARD, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        assert len({rig.scan(PATTERNS)[1].taken_at_ns for _ in range(3)}) == 3


def test_arm_minus_is_brought_to_the_scale_of_arm_plus() -> None:
    minus = BOARD.arm_channels[1]
    offset_v = BOARD.sensor.offset_v
    with open_rig(
        BOARD,
        StillLight(FIELD),
        lambda channel, volts: offset_v + 0.8 * (volts - offset_v) if channel == minus else volts,
    ) as rig:
        rig.load(PATTERNS)
        scan = rig.scan(PATTERNS)
    assert np.abs(correct(*scan).values - ratios(FIELD)).max() > 0.05
    assert np.abs(correct(*scan, 1 / 0.8).values - ratios(FIELD)).max() < 6e-3


@pytest.mark.parametrize("name", ["sim-ad7383-4", "sim-coproc"])
def test_every_mode_measures_the_ratio_of_the_arms(name: str) -> None:
    board = find_board(name)
    with open_rig(board, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        raw, dark = rig.scan(PATTERNS)
        error = correct(raw, dark).values - ratios(FIELD)
        # Standard error of a ratio: that of both arms together over their light.
        light = (raw.mean_counts - dark.mean_counts).sum(axis=1)
        expected = np.hypot(*raw.standard_error_counts.T).max() / light.min()
        assert np.abs(error).max() < 6 * expected
        assert raw.dropped_count == 0
        assert correct(*rig.scan(PATTERNS)).digest != correct(raw, dark).digest


@pytest.mark.parametrize("layout", [ArmLayout.ONE_WITH_REFERENCE, ArmLayout.COMPLEMENTARY])
def test_one_detector_measures_the_ratio_too(layout: ArmLayout) -> None:
    assert BOARD.converter is not None
    one = replace(BOARD, layout=layout, converter=replace(BOARD.converter, arm_minus_channel=None))
    assert np.abs(measured(one, FIELD) - ratios(FIELD)).max() < 2e-2
