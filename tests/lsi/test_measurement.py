import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsi.measurement import CountScale, DarkReference, Measurement, RawScan, ScanPlan, trimmed_mean

SCALE = CountScale(4095, 1e-3)
COUNTS = np.full((3, 2, 4), 1234, np.uint16)


def raw(counts: NDArray[np.uint16], trimmed_count: int = 0) -> RawScan:
    return RawScan(counts, SCALE, "d", 0, 1, trimmed_count=trimmed_count)


@pytest.mark.parametrize(("code", "flagged"), [(0, True), (1, False), (4094, False), (4095, True)])
def test_a_sample_at_either_end_of_the_range_flags_its_mask(code: int, flagged: bool) -> None:
    counts = COUNTS.copy()
    counts[1, 0, 2] = code
    assert raw(counts).saturated.tolist() == [False, flagged, False]


def test_nothing_shows_values() -> None:
    values = np.array([0.1234, -0.4321], np.float32)
    measurement = Measurement(values, "d", 0, 1)
    dark = DarkReference(np.array([151.5, 152.5]), np.array([0.5, 0.5]), 3)
    shown = f"{measurement!r} {measurement} {raw(COUNTS)!r} {dark!r}"
    assert not any(text in shown for text in ("1234", "4321", "151", "152"))


def test_the_digest_tells_measurements_apart() -> None:
    one = Measurement(np.array([0.1], np.float32), "d", 0, 1)
    two = Measurement(np.array([0.2], np.float32), "d", 0, 1)
    assert one.digest != two.digest


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((3, 1), np.float32), np.zeros(0, np.float32)])
def test_another_shape_or_type_is_no_measurement(
    values: NDArray[np.float32],
) -> None:
    with pytest.raises(ValueError, match="values must be float32"):
        Measurement(values, "d", 0, 1)


@pytest.mark.parametrize(("settle", "samples", "timeout"), [(100, 1, 1), (-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_a_plan_that_cannot_work_is_refused(settle: int, samples: int, timeout: int) -> None:
    with pytest.raises(ValueError, match="must"):
        ScanPlan(exposure_ns=100, settle_ns=settle, samples_per_pattern=samples, trigger_timeout_ns=timeout)


@pytest.mark.parametrize(("full_scale", "v_per_count"), [(0, 1.0), (65536, 1.0), (4095, 0.0), (4095, -1.0)])
def test_a_scale_that_no_converter_has_is_refused(full_scale: int, v_per_count: float) -> None:
    with pytest.raises(ValueError, match="no converter"):
        CountScale(full_scale, v_per_count)


def test_the_mean_leaves_out_as_many_samples_as_the_scan_says() -> None:
    counts = np.array([[[1, 10, 11, 12, 900], [5, 5, 5, 5, 5]]], np.uint16)
    assert raw(counts).mean_counts.tolist() == [[186.8, 5.0]]
    assert raw(counts, trimmed_count=1).mean_counts.tolist() == [[11.0, 5.0]]


@pytest.mark.parametrize("trimmed", [-1, 2, 3])
def test_a_scan_cannot_trim_all_of_its_samples(trimmed: int) -> None:
    with pytest.raises(ValueError, match="trimmed at either end of 4"):
        raw(COUNTS, trimmed_count=trimmed)


def test_the_standard_error_is_that_of_the_mean() -> None:
    counts = np.array([[[10, 12, 14, 16], [7, 7, 7, 7]]], np.uint16)
    error = raw(counts).standard_error_counts
    assert error == pytest.approx(np.array([[np.std([10, 12, 14, 16], ddof=1) / 2, 0.0]]))
    assert raw(counts[:, :, :1]).standard_error_counts.tolist() == [[0.0, 0.0]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3]))
def test_the_standard_error_tells_how_far_means_scatter(seed: int, trimmed: int) -> None:
    counts = np.random.default_rng(seed).normal(1000, 20, (2000, 2, 16)).round().astype(np.uint16)
    scan = raw(counts, trimmed_count=trimmed)
    assert scan.standard_error_counts.mean() == pytest.approx(scan.mean_counts.std(), rel=0.1)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_one_wild_sample_does_not_move_a_trimmed_mean_beyond_the_others(trimmed: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(900, 1100, 16).astype(np.uint16)
    counts[3] = 4000
    assert trimmed_mean(counts, trimmed) < 1100
