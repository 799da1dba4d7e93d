import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.acquisition.flicker import Flicker, detect_flicker, without_flicker
from lsi.measurement import CountScale

SCALE = CountScale(65_535, 2.5 / 65_536)


def times_of(
    span_ms: float = 30.0, spacing_us: float = 10.0, *, has_gaps: bool = True
) -> NDArray[np.float64]:
    times = np.arange(0, span_ms * 1e6, spacing_us * 1e3)
    return times[times % 5e6 > 150_000] if has_gaps else times


def lit(
    times_ns: NDArray[np.float64], hz: float, depth: float, *, noise: float = 0.001, phase: float = 1.0
) -> NDArray[np.float64]:
    """About 1000, drifting by 2 %."""
    rng = np.random.default_rng(5)
    wave = 1 + depth * np.sin(2 * np.pi * hz * times_ns / 1e9 + phase) + 0.02 * times_ns / times_ns[-1]
    light: NDArray[np.float64] = 1000 * (wave + rng.normal(0, noise, len(times_ns)))
    return light


def found(light: NDArray[np.float64], times_ns: NDArray[np.float64]) -> Flicker:
    flicker = detect_flicker(light, times_ns)
    assert flicker is not None
    return flicker


@pytest.mark.parametrize("hz", [100, 120])
@settings(max_examples=20)
@given(
    depth=st.floats(0.01, 0.9), phase=st.floats(0, 6.28), span_ms=st.floats(25, 120), has_gaps=st.booleans()
)
def test_mains_flicker_is_told_by_frequency_and_depth(
    hz: float, depth: float, phase: float, span_ms: float, *, has_gaps: bool
) -> None:
    times_ns = times_of(span_ms, has_gaps=has_gaps)
    flicker = found(lit(times_ns, hz, depth, phase=phase, noise=0.0005), times_ns)
    assert flicker.frequency_hz == hz
    assert flicker.depth == pytest.approx(depth, rel=0.1)
    assert flicker.is_significant


@pytest.mark.parametrize("hz", [217.0, 1_000.0, 4_321.0, 20_000.0])
def test_a_line_of_a_led_driver_is_found_where_it_is(hz: float) -> None:
    times_ns = times_of()
    flicker = found(lit(times_ns, hz, 0.05), times_ns)
    assert flicker.frequency_hz == pytest.approx(hz, abs=2)
    assert flicker.depth == pytest.approx(0.05, rel=0.05)


def test_a_lamp_that_warms_up_does_not_flicker_more() -> None:
    times_ns = times_of(26)
    light = lit(times_ns, 100, 0.05) + 500 * times_ns / times_ns[-1]
    assert found(light, times_ns).depth == pytest.approx(0.05 / 1.26, rel=0.05)


def test_pulsed_light_shows_its_fundamental() -> None:
    times_ns = times_of()
    light = np.where(np.sin(2 * np.pi * 700 * times_ns / 1e9) > 0, 1.3, 0.7)
    flicker = found(light, times_ns)
    assert flicker.frequency_hz == pytest.approx(700, abs=2)
    assert flicker.depth == pytest.approx(0.3 * 4 / np.pi, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_no_flicker(seed: int) -> None:
    times_ns = times_of()
    light = 1000 + np.random.default_rng(seed).normal(0, 10, len(times_ns))
    assert not found(light, times_ns).is_significant


def test_brightness_drops_out() -> None:
    times_ns = times_of()
    light = lit(times_ns, 100, 0.1)
    assert found(30 * light, times_ns).depth == pytest.approx(found(light, times_ns).depth)


def test_a_recording_shorter_than_a_period_cannot_tell() -> None:
    short, enough = times_of(9.9, has_gaps=False), times_of(10.2, has_gaps=False)
    assert detect_flicker(lit(short, 100, 0.5), short) is None
    assert detect_flicker(lit(enough, 100, 0.5), enough) is not None


def test_darkness_and_a_handful_of_samples_cannot_tell() -> None:
    times_ns = times_of()
    assert detect_flicker(np.zeros(len(times_ns)), times_ns) is None
    assert detect_flicker(np.ones(5), np.linspace(0, 4e7, 5)) is None
    assert detect_flicker(np.zeros(0), np.zeros(0)) is None


def test_counts_divided_by_the_lamp_keep_their_mean_and_lose_its_flicker() -> None:
    lamp = 1 + 0.3 * np.sin(np.linspace(0, 20, 40 * 8)).reshape(40, 1, 8)
    counts = np.rint(30_000 * np.broadcast_to(lamp, (40, 2, 8))).astype(np.uint16)
    steadied = without_flicker(counts, 500 * lamp, SCALE)
    assert np.ptp(steadied) <= 2
    assert steadied.mean() == pytest.approx(30_000 * lamp.mean(), rel=1e-3)
    assert steadied.shape == counts.shape


def test_division_turns_about_zero_volts_and_leaves_clipped_samples_clipped() -> None:
    scale = CountScale(65_535, 1e-4, -3.2768)
    counts = np.array([[[32_768, 0, 65_535, 50_000]]], np.uint16)
    lamp = np.array([[[0.5, 2.0, 0.5, 1.0]]])
    assert without_flicker(counts, lamp, scale).tolist() == [[[32_768, 0, 65_535, 50_000]]]


def test_a_bright_sample_does_not_become_one_at_the_end_of_the_range_nor_does_it_wrap() -> None:
    counts = np.full((1, 1, 2), 60_000, np.uint16)
    steadied = without_flicker(counts, np.array([[[0.1, 1.9]]]), SCALE)
    assert steadied[0, 0, 0] == 65_534


def test_a_lamp_channel_without_light_changes_nothing() -> None:
    counts = np.arange(8, dtype=np.uint16).reshape(1, 2, 4) + np.uint16(100)
    assert np.array_equal(without_flicker(counts, np.full((1, 1, 4), -1.0), SCALE), counts)
