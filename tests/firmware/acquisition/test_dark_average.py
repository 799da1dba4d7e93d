import numpy as np
import pytest

from firmware.acquisition.dark_average import DarkAverage
from lsi.measurement import DarkReference

SAMPLES = 8


def dark(level: float, at_ns: int, noise: float = 2.0) -> DarkReference:
    return DarkReference(np.array([1.0, 2.0]) * level, np.full(2, noise), at_ns)


def test_without_an_age_only_the_latest_counts() -> None:
    average = DarkAverage(0)
    average.add(dark(100, 0), SAMPLES)
    assert average.add(dark(101, 1), SAMPLES).mean_counts.tolist() == [101, 202]


def test_young_darks_are_averaged_and_the_oldest_tells_the_age() -> None:
    average = DarkAverage(100)
    average.add(dark(100, 0), SAMPLES)
    average.add(dark(101, 50), SAMPLES)
    latest = average.add(dark(102, 100), SAMPLES)
    assert latest.mean_counts.tolist() == [101, 202]
    assert latest.taken_at_ns == 0


def test_a_dark_beyond_the_age_is_left_out() -> None:
    average = DarkAverage(100)
    average.add(dark(100, 0), SAMPLES)
    latest = average.add(dark(102, 101), SAMPLES)
    assert latest.mean_counts.tolist() == [102, 204]
    assert latest.taken_at_ns == 101


def test_stray_light_that_is_switched_on_begins_anew() -> None:
    average = DarkAverage(10**9)
    for at_ns in range(5):
        average.add(dark(100, at_ns), SAMPLES)
    assert average.add(dark(110, 5), SAMPLES).mean_counts.tolist() == [110, 220]
    assert average.add(dark(110, 6), SAMPLES).taken_at_ns == 5


def test_the_average_is_steadier_than_one_dark() -> None:
    random = np.random.default_rng(1)
    average = DarkAverage(10**9)
    levels = []
    for at_ns in range(400):
        one = DarkReference(random.normal(100, 2 / np.sqrt(SAMPLES), 2), np.full(2, 2.0), at_ns)
        levels.append(average.add(one, SAMPLES).mean_counts[0])
    assert np.std(levels[100:]) < 0.1 < 2 / np.sqrt(SAMPLES)
    assert levels[-1] == pytest.approx(100, abs=0.2)
