from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.acquisition.correction import correct
from firmware.acquisition.oversampled import OversampledAcquisition
from firmware.acquisition.scan import run_scan
from firmware.acquisition.sequence import sequence_of
from firmware.interfaces import Advance, StreamBlock, StreamRole
from firmware.sim.light import FlickeringLight, StillLight, smooth_field
from firmware.sim.spi import VoltsAt
from lsi.errors import (
    BoardConfigError,
    BusError,
    BusErrorKind,
    LowLightError,
    Part,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
)
from lsi.measurement import ArmLayout, ScanPlan
from lsi.patterns import PatternSet
from tests.firmware.acquisition.oversampled_bench import CHANNELS, PLAN, Bench, bench
from tests.firmware.acquisition.pass_stream import ROLES, PassStream, Shown, StreamClock, arm_plus
from tests.firmware.scripted import ScriptedModulator

PATTERNS = PatternSet(np.random.default_rng(3).random((30, 64, 64)) < 0.5)
FIELD = smooth_field()
SCRIPT_PLAN = ScanPlan(400_000, 20_000, 16, 10_000_000)


class Starting(ScriptedModulator):
    """Its pass begins ``Shown.start_ns`` after a start."""

    def __init__(self, stream: PassStream, *, running_after: bool = False) -> None:
        super().__init__(running_after=running_after)
        self._stream = stream
        self._delay_ns = stream.shown.start_ns

    def start(self) -> None:
        super().start()
        self._stream.shown.start_ns = self._stream.now_ns + self._delay_ns


def scripted(
    stream: PassStream, *, running_after: bool = False, trimmed_count: int = 0
) -> tuple[OversampledAcquisition, ScriptedModulator]:
    modulator = Starting(stream, running_after=running_after)
    return OversampledAcquisition(
        SCRIPT_PLAN, modulator, stream, StreamClock(stream), trimmed_count
    ), modulator


def loaded(made: Bench) -> Bench:
    sequence = sequence_of(PATTERNS, ArmLayout.TWO)
    made.parts.modulator.load(sequence, PLAN.exposure_ns, made.acquisition.advance)
    return made


def ratios(patterns: PatternSet) -> NDArray[np.float64]:
    light = FIELD.reshape(-1).astype(np.float64)
    signs = np.where(patterns.masks, 1.0, -1.0).reshape(len(patterns), -1)
    exact: NDArray[np.float64] = signs @ light / light.sum()
    return exact


def scanned(made: Bench) -> NDArray[np.float32]:
    return correct(*run_scan(PATTERNS, made.parts)).values


# Scripted streams


def test_each_pattern_gets_the_counts_of_both_arms() -> None:
    acquisition, modulator = scripted(PassStream(Shown(20)), trimmed_count=3)
    samples = acquisition.acquire(20)
    assert samples.counts.shape == (20, 2, 16)
    assert np.array_equal(samples.counts[:, 0], np.repeat(arm_plus(np.arange(20))[:, None], 16, axis=1))
    assert np.array_equal(samples.counts.astype(int).sum(axis=1), np.full((20, 16), 40_000))
    assert (samples.dropped_count, samples.trimmed_count) == (0, 3)
    assert modulator.calls == ["start", "stop"]
    assert acquisition.advance is Advance.FREE_RUNNING


def test_one_arm_is_enough() -> None:
    stream = PassStream(Shown(5), roles=(StreamRole.TRIGGER, StreamRole.ARM_PLUS))
    assert scripted(stream)[0].acquire(5).counts.shape == (5, 1, 16)


def test_reading_ends_soon_after_the_last_exposure() -> None:
    stream = PassStream(Shown(20), sizes=(50,))
    scripted(stream)[0].acquire(20)
    assert stream.shown.ends_ns < stream.now_ns < stream.shown.ends_ns + 1_500_000


def test_a_second_pass_is_not_mixed_with_the_first() -> None:
    stream = PassStream(Shown(20))
    acquisition, _ = scripted(stream)
    first = acquisition.acquire(20).counts
    assert np.array_equal(acquisition.acquire(20).counts, first)


@pytest.mark.parametrize("shown", [Shown(19), Shown(21)])
def test_another_number_of_exposures_drops_the_scan_and_the_mirrors_idle(shown: Shown) -> None:
    acquisition, modulator = scripted(PassStream(shown))
    with pytest.raises(TriggerCountError, match="20 were asked for"):
        acquisition.acquire(20)
    assert modulator.calls[-1] == "stop"


def test_a_trigger_that_stays_low_is_given_up_after_the_planned_time() -> None:
    stream = PassStream(Shown(20, start_ns=10**12))
    with pytest.raises(TriggerTimeoutError, match="did not change"):
        scripted(stream)[0].acquire(20)
    assert stream.now_ns < 10_000_000 + 22 * 400_000 + 6_000_000


def test_a_trigger_that_stays_high_is_given_up() -> None:
    with pytest.raises(TriggerCountError, match="not over"):
        scripted(PassStream(Shown(10_000)))[0].acquire(20)


def test_a_trigger_stuck_high_from_the_beginning_is_given_up() -> None:
    stream = PassStream(Shown(1, exposure_ns=10**12, start_ns=-1))
    with pytest.raises(TriggerTimeoutError, match="did not change"):
        scripted(stream)[0].acquire(20)


def test_an_exposure_without_edges_is_none() -> None:
    # High in the first block, low in the second: it ended in the gap between.
    stream = PassStream(Shown(1, start_ns=-10_000), sizes=(30,))
    with pytest.raises(TriggerCountError, match="No exposure was seen"):
        scripted(stream)[0].acquire(1)


def test_a_controller_that_still_has_patterns_to_show_drops_the_scan() -> None:
    with pytest.raises(TriggerCountError, match="still has patterns"):
        scripted(PassStream(Shown(20)), running_after=True)[0].acquire(20)


def test_a_stream_that_stands_still_drops_the_scan() -> None:
    class Still(PassStream):
        def read(self) -> StreamBlock:
            block = super().read()
            return StreamBlock(block.counts, 5, 6)

    acquisition, modulator = scripted(Still(Shown(20)))
    with pytest.raises(ScanError, match="no new time"):
        acquisition.acquire(20)
    assert modulator.calls[-1] == "stop"


def test_a_bus_that_fails_is_the_converters_fault_and_the_mirrors_idle() -> None:
    class Broken(PassStream):
        def read(self) -> StreamBlock:
            if self.blocks == 1:
                raise BusError("gone", kind=BusErrorKind.NO_DEVICE)
            return super().read()

    acquisition, modulator = scripted(Broken(Shown(20)))
    with pytest.raises(BusError, match="gone") as caught:
        acquisition.acquire(20)
    assert caught.value.part is Part.CONVERTER
    assert modulator.calls[-1] == "stop"


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BoardConfigError, match="8 of 16 samples trimmed"):
        scripted(PassStream(Shown(3)), trimmed_count=8)
    stream = PassStream(Shown(3))
    with pytest.raises(BoardConfigError, match="no lamp channel"):
        OversampledAcquisition(
            SCRIPT_PLAN, ScriptedModulator(), stream, StreamClock(stream), lamp_zero_counts=0
        )


def flickering(times_ns: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 + 0.2 * np.sin(2 * np.pi * 100 * times_ns / 1e9)


def test_one_arm_divided_by_the_lamp_does_not_flicker() -> None:
    roles = (StreamRole.ARM_PLUS, StreamRole.TRIGGER, StreamRole.LAMP)
    stream = PassStream(Shown(50), light_at=flickering, roles=roles)
    acquisition, _ = scripted(stream)
    acquisition.lamp_zero_counts = 0.0
    steadied = acquisition.acquire(50).counts[:, 0].mean(axis=1) / arm_plus(np.arange(50))
    assert np.ptp(steadied) < 3e-4
    acquisition.lamp_zero_counts = None
    assert np.ptp(acquisition.acquire(50).counts[:, 0].mean(axis=1) / arm_plus(np.arange(50))) > 0.3


@pytest.mark.parametrize("roles", [ROLES, (*ROLES, StreamRole.LAMP)])
def test_flicker_is_found_in_the_arms_together_or_in_the_lamp(roles: tuple[StreamRole, ...]) -> None:
    acquisition, _ = scripted(PassStream(Shown(66), light_at=flickering, roles=roles, noise=40.0))
    assert acquisition.flicker(0.0) is None
    acquisition.acquire(66)
    flicker = acquisition.flicker(0.0)
    assert flicker is not None
    assert flicker.frequency_hz == 100
    assert flicker.depth == pytest.approx(0.2, rel=0.05)
    assert flicker.is_significant


# The whole simulated chain


def test_a_scan_measures_the_ratio_of_the_arms() -> None:
    made = loaded(bench(StillLight(FIELD)))
    raw, dark = run_scan(PATTERNS, made.parts)
    assert (raw.counts.shape, raw.trimmed_count) == ((30, 2, 16), 2)
    assert np.abs(correct(raw, dark).values - ratios(PATTERNS)).max() < 2e-3
    assert raw.duration_ns < 32 * PLAN.exposure_ns + 60_000_000


def test_a_scan_can_be_taken_again_and_again() -> None:
    made = loaded(bench(StillLight(FIELD)))
    first, second = scanned(made), scanned(made)
    assert np.abs(first - second).max() < 3e-3


def test_two_arms_do_not_see_a_lamp_that_flickers_and_drifts() -> None:
    lamp = FlickeringLight(StillLight(FIELD), flicker_hz=100, depth=0.2, drift_per_s=-0.3)
    made = loaded(bench(lamp))
    raw, dark = run_scan(PATTERNS, made.parts)
    assert np.abs(correct(raw, dark).values - ratios(PATTERNS)).max() < 2e-3
    flicker = made.acquisition.flicker(float(dark.mean_counts.sum()))
    assert flicker is not None
    assert flicker.frequency_hz == 100
    assert flicker.depth == pytest.approx(0.2 / (1 - 0.3 * made.clock.now_ns() / 1e9), rel=0.05)


def test_a_lamp_that_goes_out_is_too_little_light() -> None:
    made = loaded(bench(FlickeringLight(StillLight(FIELD), off_from_ns=0)))
    with pytest.raises(LowLightError):
        scanned(made)


def with_trigger(change: Callable[[float, int], float]) -> Callable[[VoltsAt], VoltsAt]:
    def wires(volts_at: VoltsAt) -> VoltsAt:
        def changed(channel: int, now_ns: int) -> float:
            volts = volts_at(channel, now_ns)
            return change(volts, now_ns) if channel == CHANNELS[StreamRole.TRIGGER] else volts

        return changed

    return wires


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda volts, now_ns: 0.125 + 0 * volts * now_ns, TriggerTimeoutError),
        (lambda volts, now_ns: 1.9 + 0 * volts * now_ns, TriggerTimeoutError),
        (lambda volts, now_ns: volts if now_ns // 10_000 % 700 else 2.0 - volts, TriggerCountError),
    ],
    ids=["stuck low", "stuck high", "noise"],
)
def test_a_broken_trigger_wire_drops_the_scan(
    change: Callable[[float, int], float], error: type[ScanError]
) -> None:
    made = loaded(bench(StillLight(FIELD), with_trigger(change)))
    with pytest.raises(error):
        run_scan(PATTERNS, made.parts)


def test_an_aborted_sequence_drops_the_scan() -> None:
    made = loaded(bench(StillLight(FIELD)))
    read = made.acquisition.stream.read
    reads: list[StreamBlock] = []

    class Aborting:
        scale = made.acquisition.stream.scale
        roles = made.acquisition.stream.roles

        def read(self) -> StreamBlock:
            if len(reads) == 1:
                made.controller.abort_sequencer()
            reads.append(read())
            return reads[-1]

    made.acquisition.stream = Aborting()
    with pytest.raises((ScanError, BusError)):
        run_scan(PATTERNS, made.parts)
