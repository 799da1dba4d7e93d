import numpy as np
import pytest

from benchmarks import chain_snr
from firmware.drivers.dlpc900 import Dlpc900
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, Advance
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import FlickeringLight, LightSource, StillLight
from firmware.sim.optics import LAMP_SHARE, TRIGGER_HIGH_V, TRIGGER_LOW_V, Optics
from lsi.patterns import PatternSet
from tests.firmware.acquisition.oversampled_bench import SENSOR

WHITE = StillLight(np.ones((64, 64), np.float32))
EXPOSURE_NS = 400_000
PLUS, MINUS, TRIGGER, LAMP, NOTHING = range(5)


class Bench:
    """A controller that shows all-on, half, all-off, and what the converter sees of it."""

    def __init__(self, light: LightSource = WHITE, *, channels: tuple[int, ...] = (PLUS, MINUS)) -> None:
        self.clock = SimClock()
        self.controller = SimDlpc900(self.clock)
        self.optics = Optics(
            controller=self.controller,
            light=light,
            sensor=SENSOR,
            channels=channels,
            mirror_scale_px=16,
            seed=1,
            trigger_channel=TRIGGER,
            lamp_channel=LAMP,
        )
        masks = np.zeros((3, 64, 64), np.bool_)
        masks[0] = True
        masks[1, :32] = True
        self._modulator = Dlpc900(self.controller, mirror_scale_px=16)
        self._modulator.load(PatternSet(masks), EXPOSURE_NS, Advance.FREE_RUNNING)

    def started(self) -> int:
        """Start a pass and say when its first exposure begins."""
        self._modulator.start()
        return self.controller.exposure_edges(0, self.clock.now_ns() + 10**9)[-3][0]

    def volts(self, channel: int, now_ns: int, count: int = 60) -> float:
        """Mean over ``count`` conversions within some tens of microseconds."""
        return float(np.mean([self.optics.volts_at(channel, now_ns + 500 * k) for k in range(count)]))


def test_arms_follow_the_mirrors_of_a_free_running_pass() -> None:
    bench = Bench()
    begin_ns = bench.started()
    for pattern, share in enumerate([1.0, 0.5, 0.0]):
        middle_ns = begin_ns + pattern * EXPOSURE_NS + 100_000
        for channel, part in ((PLUS, share), (MINUS, 1 - share)):
            expected = SENSOR.volts(np.array([part * SENSOR.power_nw]))[0]
            assert bench.volts(channel, middle_ns) == pytest.approx(expected, abs=1e-3)


def test_the_trigger_channel_is_high_until_shortly_before_each_end() -> None:
    bench = Bench()
    begin_ns = bench.started()
    low, high = TRIGGER_LOW_V * SENSOR.vref_v, TRIGGER_HIGH_V * SENSOR.vref_v
    fall_ns = EXPOSURE_NS - TRIG_OUT_1_EARLY_FALL_US * 1000
    for pattern in range(3):
        at_ns = begin_ns + pattern * EXPOSURE_NS
        assert bench.volts(TRIGGER, at_ns, 1) == pytest.approx(high, abs=1e-3)
        assert bench.volts(TRIGGER, at_ns + fall_ns - 1, 1) == pytest.approx(high, abs=1e-3)
        assert bench.volts(TRIGGER, at_ns + fall_ns, 1) == pytest.approx(low, abs=1e-3)
    assert bench.volts(TRIGGER, begin_ns - 1, 1) == pytest.approx(low, abs=1e-3)
    assert bench.volts(TRIGGER, begin_ns + 3 * EXPOSURE_NS, 1) == pytest.approx(low, abs=1e-3)


def test_a_changing_lamp_scales_arms_and_lamp_alike() -> None:
    bench = Bench(FlickeringLight(WHITE, flicker_hz=0.25, depth=0.4))  # brightest after one second
    begin_ns = bench.started()
    seconds = begin_ns / 1e9
    factor = 1 + 0.4 * np.sin(2 * np.pi * 0.25 * seconds)
    assert abs(factor - 1) > 0.1
    for channel, power_nw in ((PLUS, SENSOR.power_nw), (LAMP, LAMP_SHARE * SENSOR.power_nw)):
        expected = SENSOR.volts(np.array([factor * power_nw]))[0]
        assert bench.volts(channel, begin_ns + 100_000) == pytest.approx(expected, rel=5e-3)


def test_the_lamp_channel_does_not_see_the_mirrors() -> None:
    bench = Bench()
    begin_ns = bench.started()
    seen = [bench.volts(LAMP, begin_ns + pattern * EXPOSURE_NS + 100_000) for pattern in range(3)]
    assert np.ptp(seen) < 1e-3


def test_steady_light_through_the_changing_path_is_the_same_light() -> None:
    plain, wrapped = Bench(), Bench(FlickeringLight(WHITE))
    for channel in (PLUS, MINUS):
        assert plain.volts(channel, plain.started() + 100_000) == pytest.approx(
            wrapped.volts(channel, wrapped.started() + 100_000), abs=1e-3
        )


def test_one_arm_leaves_the_other_channel_at_zero() -> None:
    bench = Bench(channels=(PLUS,))
    assert bench.volts(MINUS, bench.started() + 100_000) == 0
    assert bench.volts(NOTHING, 0) == 0


def test_noise_is_that_of_the_sensor() -> None:
    bench = Bench()
    at_ns = bench.started() + 100_000
    volts = [bench.optics.volts_at(PLUS, at_ns) for _ in range(2000)]
    assert np.std(volts) == pytest.approx(SENSOR.noise_v(np.array([SENSOR.power_nw]))[0], rel=0.06)


def test_the_signal_to_noise_of_the_whole_chain_is_what_physics_leaves() -> None:
    rows = chain_snr.measure(masks=50)
    # Computed once by hand for 1, 10, 100 and 1000 nW: 16 bits with 6 samples, 12 bits with 2.
    assert [round(expected) for _, _, expected in rows] == [38, 57, 71, 80, 22, 42, 61, 62]
    for name, measured, expected in rows:
        assert measured == pytest.approx(expected, abs=1.0), name
