import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from firmware.acquisition.correction import LOW_LIGHT_COUNTS, correct
from lsi.errors import LowLightError, SaturationError
from lsi.measurement import CountScale, DarkReference, RawScan

LIGHT = hnp.arrays(np.uint16, (5, 2), elements=st.integers(20, 1500))


def raw(light: NDArray[np.integer], offset: int = 0) -> RawScan:
    counts = (light.astype(np.uint16) + np.uint16(offset))[..., np.newaxis].repeat(4, axis=2)
    return RawScan(counts, CountScale(4095, 1e-3), "digest", 10, 20)


def dark(offset: int = 0, noise: float = 0.0) -> DarkReference:
    return DarkReference(np.full(2, float(offset)), np.full(2, noise), 0)


def values(light: NDArray[np.integer], offset: int = 0) -> NDArray[np.float32]:
    return correct(raw(light, offset), dark(offset)).values


def test_the_ratio_is_difference_over_sum_of_the_arms() -> None:
    assert values(np.array([[30, 10], [10, 30], [20, 20]])).tolist() == [0.5, -0.5, 0.0]


@given(LIGHT, st.integers(1, 900))
def test_the_dark_level_does_not_matter(light: NDArray[np.uint16], offset: int) -> None:
    assert np.allclose(values(light, offset), values(light, 1), atol=1e-6)


@given(LIGHT)
def test_twice_the_light_gives_the_same_measurement(light: NDArray[np.uint16]) -> None:
    assert np.allclose(values(light, 7), values(2 * light, 7), atol=1e-6)


@given(LIGHT)
def test_complementary_masks_give_opposite_signs(light: NDArray[np.uint16]) -> None:
    assert np.allclose(values(light, 7), -values(light[:, ::-1], 7), atol=1e-6)


@pytest.mark.parametrize("code", [0, 4095])
def test_a_sample_at_an_end_of_the_range_is_reported_not_averaged(code: int) -> None:
    counts = raw(np.full((3, 2), 500)).counts.copy()
    counts[2, 1, 0] = code
    with pytest.raises(SaturationError, match="1 of 3 masks"):
        correct(RawScan(counts, CountScale(4095, 1e-3), "digest", 0, 0), dark())


@pytest.mark.parametrize(("light", "enough"), [(4, True), (3, False)])
def test_below_a_few_counts_there_is_no_ratio(light: int, enough: bool) -> None:
    assert LOW_LIGHT_COUNTS == 8
    scan = raw(np.full((2, 2), light), offset=100)
    if enough:
        assert correct(scan, dark(100)).values.tolist() == [0, 0]
        return
    with pytest.raises(LowLightError, match="2 of 2 masks"):
        correct(scan, dark(100))


def test_light_that_drowns_in_dark_noise_gives_no_ratio() -> None:
    # Noise of the sum: sqrt(2 * 2 * 10^2 / 4) = 10 counts; 20 times that is 200.
    scan = raw(np.full((2, 2), 99), offset=100)
    assert correct(scan, dark(100, noise=9.8)).values.shape == (2,)
    with pytest.raises(LowLightError, match="200 counts"):
        correct(scan, dark(100, noise=10.0))


def test_the_measurement_carries_masks_and_times_of_its_scan() -> None:
    measurement = correct(raw(np.full((2, 2), 50)), dark())
    assert (measurement.pattern_digest, measurement.started_at_ns, measurement.duration_ns) == (
        "digest",
        10,
        20,
    )
