"""Acquisition over the simulated co-processor, in memory: what a pass gives and which faults drop it."""

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.cli_commands.walsh import walsh_patterns
from firmware.acquisition.coproc_scan import CoprocAcquisition
from firmware.acquisition.scan import ScanParts, run_scan
from firmware.acquisition.sequence import DARK_PATTERNS, sequence_of
from firmware.drivers.coproc import Coproc, CoprocSettings
from firmware.drivers.coproc_frames import Kind, encode_frame
from firmware.drivers.coproc_link import CoprocLink
from firmware.drivers.dlpc900 import Dlpc900
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, Advance
from firmware.sim.clock import SimClock
from firmware.sim.coproc_chip import CLOCK_HZ, SimCapture, SimCoproc
from firmware.sim.dlpc900_chip import SimDlpc900
from hardware.coproc.timing import EDGE_CYCLES, FRAME_CYCLES, divider_for, guard_loops_for
from lsi.errors import (
    BoardConfigError,
    BusError,
    BusErrorKind,
    ExposureError,
    FrameError,
    LsiError,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
)
from lsi.measurement import ArmLayout, ScanPlan
from lsi.units import NS_PER_US
from tests.hardware.coproc_bench import PLAN, SCALE, SPI_HZ, Bench, volts_at

WALSH = walsh_patterns()


def expected_counts(bench: Bench, patterns: int, plan: ScanPlan = PLAN) -> NDArray[np.uint16]:
    """What the ramp gives at the times of the sampling program in the last pass, one by one."""
    divider = divider_for(CLOCK_HZ, SPI_HZ)
    cycle_ns = 1e9 * divider / CLOCK_HZ
    guard_ns = (EDGE_CYCLES + guard_loops_for(CLOCK_HZ, divider, plan.settle_ns)) * cycle_ns
    counts = np.zeros((patterns, 2, plan.samples_per_pattern), np.uint16)
    for index, arm, sample in np.ndindex(counts.shape):
        rise_ns = bench.modulator.first_rise_ns + index * plan.exposure_ns
        now_ns = rise_ns + round(guard_ns + sample * FRAME_CYCLES * cycle_ns)
        counts[index, arm, sample] = int(volts_at(arm, now_ns) / SCALE.v_per_count)
    return counts


@pytest.mark.parametrize("patterns", [3, 18, 66, 514])
def test_a_pass_gives_the_samples_of_every_pattern_in_order(patterns: int) -> None:
    bench = Bench(patterns)
    samples = bench.acquisition.acquire(patterns)
    assert np.array_equal(samples.counts, expected_counts(bench, patterns))
    assert samples.counts.shape == (patterns, 2, PLAN.samples_per_pattern)
    assert samples.dropped_count == 0
    assert samples.scale == SCALE
    assert bench.modulator.stops == 1


def test_the_modulator_has_to_run_freely() -> None:
    assert Bench().acquisition.advance is Advance.FREE_RUNNING


def test_pass_after_pass_and_another_number_of_patterns_work_on_one_line() -> None:
    bench = Bench(18)
    for patterns in [18, 18, 66, 18]:
        bench.modulator.patterns = patterns
        counts = bench.acquisition.acquire(patterns).counts
        assert np.array_equal(counts, expected_counts(bench, patterns))


def test_more_passes_than_pass_numbers() -> None:
    bench = Bench(3)
    for _ in range(300):
        assert bench.acquisition.acquire(3).counts.shape == (3, 2, 6)


def test_a_ring_that_wraps_within_a_frame_keeps_every_sample() -> None:
    bench = Bench(514, ring_words=1024)
    assert np.array_equal(bench.acquisition.acquire(514).counts, expected_counts(bench, 514))


@pytest.mark.parametrize("seed", range(4))
def test_frames_that_noise_has_damaged_are_asked_for_again(seed: int) -> None:
    bench = Bench(66)
    bench.acquisition.acquire(66)
    bench.line._random.seed(seed)
    bench.line.flip = 1e-4
    counts = bench.acquisition.acquire(66).counts
    assert np.array_equal(counts, expected_counts(bench, 66))


def test_noise_never_gives_a_wrong_sample_and_the_next_quiet_pass_works() -> None:
    bench, kept, dropped = Bench(18), 0, 0
    for seed in range(60):
        bench.line._random.seed(seed)
        bench.line.loss = bench.line.flip = 3e-3
        bench.line.repeat = 0.2
        try:
            counts = bench.acquisition.acquire(18).counts
        except (ScanError, BusError):
            dropped += 1
        else:
            kept += 1
            assert np.array_equal(counts, expected_counts(bench, 18))
        bench.line.quiet()
        assert np.array_equal(bench.acquisition.acquire(18).counts, expected_counts(bench, 18))
    assert bench.line.damaged > 100
    assert kept > 5
    assert dropped > 5


def test_repeated_frames_change_nothing() -> None:
    bench = Bench(66)
    bench.line.repeat = 1.0
    assert np.array_equal(bench.acquisition.acquire(66).counts, expected_counts(bench, 66))


def check_fault(bench: Bench, error: type[LsiError]) -> LsiError:
    """The pass is dropped, the mirrors are stopped."""
    with pytest.raises(error) as caught:
        bench.acquisition.acquire(bench.modulator.patterns)
    assert bench.modulator.stops == bench.modulator.starts
    return caught.value


def check_next_pass(bench: Bench) -> None:
    patterns = bench.modulator.patterns
    counts = bench.acquisition.acquire(patterns).counts
    assert np.array_equal(counts, expected_counts(bench, patterns))


@pytest.mark.parametrize("missing", [0, 7, 17])
def test_a_missing_edge_drops_the_scan(missing: int) -> None:
    bench = Bench()
    bench.modulator.missing = {missing}
    check_fault(bench, TriggerCountError)
    assert bench.modulator.stops == 1
    bench.modulator.repair()
    check_next_pass(bench)


def test_without_any_edge_the_trigger_is_named() -> None:
    bench = Bench()
    bench.modulator.missing = set(range(18))
    error = check_fault(bench, TriggerTimeoutError)
    assert "TRIG_OUT_1" in str(error)
    bench.modulator.repair()
    check_next_pass(bench)


@pytest.mark.parametrize("after_ns", [20_000, 17 * 105_000 + 60_000, 18 * 105_000 + 10])
def test_an_edge_too_many_drops_the_scan_even_after_the_last_pattern(after_ns: int) -> None:
    bench = Bench()
    bench.modulator.extra_ns = [after_ns]
    check_fault(bench, TriggerCountError)
    bench.modulator.repair()
    check_next_pass(bench)


def test_a_controller_with_more_patterns_than_asked_for_drops_the_scan() -> None:
    bench = Bench(40)
    with pytest.raises(TriggerCountError):
        bench.acquisition.acquire(18)
    check_next_pass(bench)


def test_a_controller_that_goes_on_without_edges_drops_the_scan() -> None:
    bench = Bench(40)
    bench.modulator.missing = set(range(18, 40))
    with pytest.raises(TriggerCountError, match="still has patterns"):
        bench.acquisition.acquire(18)


def data_frame(pass_number: int, word: int) -> bytes:
    """The first exposure of a pass, every sample ``word``."""
    payload = struct.pack("<BBHI", pass_number, 0, 1, 0) + struct.pack("<I", word) * 7
    return encode_frame(Kind.DATA, 0, payload)


def inject_at_start(bench: Bench, sent: bytes) -> None:
    """Have the line carry ``sent`` as the pass begins."""
    start = bench.modulator.start

    def start_with_more() -> None:
        start()
        bench.chip._to_host.extend(sent)

    bench.modulator.start = start_with_more  # type: ignore[method-assign]


def test_samples_of_another_pass_are_not_taken() -> None:
    bench = Bench()
    inject_at_start(bench, data_frame(200, 5))
    assert np.array_equal(bench.acquisition.acquire(18).counts, expected_counts(bench, 18))


def test_an_exposure_that_comes_twice_with_different_samples_drops_the_scan() -> None:
    bench = Bench()
    inject_at_start(bench, data_frame(1, 5))
    assert "twice" in str(check_fault(bench, ScanError))


def test_a_frame_that_is_no_whole_exposure_drops_the_scan() -> None:
    bench = Bench()
    inject_at_start(bench, encode_frame(Kind.DATA, 0, struct.pack("<BBHI", 1, 0, 1, 17) + bytes(27)))
    check_fault(bench, FrameError)


def test_an_exposure_that_is_too_short_drops_the_scan() -> None:
    bench = Bench()
    bench.modulator.short_ns = 82_000
    check_fault(bench, ExposureError)
    bench.modulator.repair()
    check_next_pass(bench)


def test_samples_lost_before_the_ring_drop_the_scan() -> None:
    bench = Bench()
    bench.acquisition.acquire(18)
    bench.capture.losing = True
    error = check_fault(bench, BusError)
    assert isinstance(error, BusError)
    assert error.kind is BusErrorKind.OVERRUN
    bench.capture.losing = False
    check_next_pass(bench)


def test_a_ring_that_is_overtaken_drops_the_scan() -> None:
    # Nine exposures come within a millisecond, the ring holds five.
    error = check_fault(Bench(18, ring_words=36), BusError)
    assert isinstance(error, BusError)
    assert error.kind is BusErrorKind.OVERRUN


@pytest.mark.parametrize("boot_frame_arrives", [True, False])
def test_a_restart_during_a_pass_drops_the_scan(boot_frame_arrives: bool) -> None:
    bench = Bench()
    start = bench.modulator.start

    def start_and_restart() -> None:
        start()
        bench.chip.restart()
        if not boot_frame_arrives:
            bench.chip.read(0)

    bench.modulator.start = start_and_restart  # type: ignore[method-assign]
    error = check_fault(bench, BusError)
    assert "restarted" in str(error)
    bench.modulator.start = start  # type: ignore[method-assign]
    check_next_pass(bench)


def test_a_restart_between_passes_goes_unnoticed() -> None:
    bench = Bench()
    bench.acquisition.acquire(18)
    bench.chip.restart()
    check_next_pass(bench)


def test_an_unplugged_co_processor_drops_the_scan_until_it_is_back() -> None:
    bench = Bench()
    bench.acquisition.acquire(18)
    bench.chip.unplugged = True
    error = check_fault(bench, BusError)
    assert isinstance(error, BusError)
    assert error.kind is BusErrorKind.NO_DEVICE
    bench.chip.unplugged = False
    bench.chip.restart()
    check_next_pass(bench)


def test_a_silent_converter_is_named() -> None:
    bench = Bench()
    bench.capture.silent = True
    assert "converter silent" in str(check_fault(bench, BusError))
    bench.capture.silent = False
    check_next_pass(bench)


def test_a_stuck_converter_is_named() -> None:
    bench = Bench()
    bench.capture._volts_at = lambda channel, now_ns: 0.0 * (channel + now_ns)
    assert "reads the same" in str(check_fault(bench, FrameError))


def test_samples_that_do_not_fit_into_an_exposure_are_refused_before_the_first_pass() -> None:
    plan = ScanPlan(exposure_ns=105_000, settle_ns=15_000, samples_per_pattern=43, trigger_timeout_ns=1)
    bench = Bench(plan=plan)
    error = check_fault(bench, BoardConfigError)
    assert "samples_per_pattern" in error.hint
    assert bench.modulator.stops == 0


def test_as_many_samples_as_fit_are_taken() -> None:
    plan = ScanPlan(
        exposure_ns=105_000, settle_ns=15_000, samples_per_pattern=41, trigger_timeout_ns=1_000_000
    )
    bench = Bench(plan=plan)
    assert np.array_equal(bench.acquisition.acquire(18).counts, expected_counts(bench, 18, plan))


def test_one_arm_is_one_column() -> None:
    bench = Bench()
    bench.acquisition.coproc._channels = [1]
    counts = bench.acquisition.acquire(18).counts
    assert np.array_equal(counts, expected_counts(bench, 18)[:, [1]])


def test_a_scan_with_the_simulated_controllers_own_trigger_sees_every_mask_in_order() -> None:
    clock = SimClock()
    controller = SimDlpc900(clock)
    share = np.array([mask.mean() for mask in sequence_of(WALSH, ArmLayout.TWO).masks])

    def light(channel: int, now_ns: int) -> float:
        plane = controller.showing_at(now_ns).plane
        plus = share[plane] if plane is not None else 0.5
        return 0.3 + (plus if channel == 0 else 1 - plus)

    chip = SimCoproc(SimCapture(clock, light, controller.exposure_edges, SCALE), clock)
    plan = ScanPlan(
        exposure_ns=105_000, settle_ns=20_000, samples_per_pattern=6, trigger_timeout_ns=20_000_000
    )
    settings = CoprocSettings(3_125_000, early_fall_ns=TRIG_OUT_1_EARLY_FALL_US * NS_PER_US)
    acquisition = CoprocAcquisition(
        plan=plan,
        modulator=Dlpc900(controller, mirror_scale_px=16),
        coproc=Coproc(CoprocLink(chip, clock), plan, settings),
        scale=SCALE,
        clock=clock,
    )
    sequence = sequence_of(WALSH, ArmLayout.TWO)
    acquisition.modulator.load(sequence, plan.exposure_ns, acquisition.advance)
    for _ in range(2):
        raw, dark = run_scan(WALSH, ScanParts(acquisition.modulator, acquisition, clock))
        plus_v = raw.mean_counts[:, 0] * SCALE.v_per_count
        assert np.allclose(plus_v - 0.3, share[DARK_PATTERNS:], atol=1e-4)
        assert np.allclose(dark.mean_counts * SCALE.v_per_count, 0.3, atol=1e-4)
        assert raw.dropped_count == 0
