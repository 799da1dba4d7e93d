import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.acquisition.steadiness import (
    Steadiness,
    SteadinessLimits,
    check_steadiness,
    pair_of,
    steadiness,
)
from lsi.errors import ScanError
from lsi.measurement import ArmLayout, CountScale, DarkReference, RawScan

SCALE = CountScale(65_535, 2.5 / 65_536)
DARK = DarkReference(np.array([500.0, 700.0]), np.array([3.0, 3.0]), 0)
LIGHT = np.array([20_000.0, 30_000.0])


NOISE = np.array([30.0, 10.0])


def counts(light: NDArray[np.float64], rng: np.random.Generator, noise: float = 1.0) -> NDArray[np.uint16]:
    """(2, 16): counts of both arms under ``light`` above the dark."""
    values = (light + DARK.mean_counts)[:, None] + noise * NOISE[:, None] * rng.normal(0, 1, (2, 16))
    return np.rint(values).astype(np.uint16)


def found(second: NDArray[np.float64], seed: int = 0, layout: ArmLayout = ArmLayout.TWO) -> Steadiness:
    rng = np.random.default_rng(seed)
    return steadiness(pair_of(counts(LIGHT, rng), counts(second, rng), SCALE, layout=layout), DARK)


def test_without_a_change_the_ratio_moves_by_its_standard_error() -> None:
    changes = np.array([found(LIGHT, seed).ratio_change for seed in range(300)])
    # Sixteen samples: a little heavier in the tails than a normal distribution.
    assert np.sqrt((changes**2).mean()) == pytest.approx(1.0, abs=0.12)
    assert (changes > 5).sum() == 0


def test_more_light_is_told_as_light_and_not_as_another_scene() -> None:
    changes = [found(1.05 * LIGHT, seed) for seed in range(30)]
    assert np.mean([change.light_change for change in changes]) == pytest.approx(0.05, rel=0.02)
    assert np.mean([change.ratio_change for change in changes]) < 1.5


def test_another_scene_changes_the_ratio_by_what_propagation_says() -> None:
    moved = np.array([20_200.0, 29_800.0])
    # The ratio moves by 400 / 50,000; the arms' means have errors of 30 / 4 and 10 / 4 counts.
    error = 2 * np.hypot(0.6 * 7.5, 0.4 * 2.5) / 50_000 * np.sqrt(2)
    changes = [found(moved, seed).ratio_change for seed in range(100)]
    assert np.mean(changes) == pytest.approx(400 / 50_000 / error, rel=0.1)
    assert found(moved).light_change == pytest.approx(0, abs=1e-3)


@given(st.floats(0.01, 1.9))
def test_samples_without_noise_differ_by_rounding_at_most(factor: float) -> None:
    rng = np.random.default_rng(0)
    pair = pair_of(counts(LIGHT, rng, 0), counts(factor * LIGHT, rng, 0), SCALE)
    assert steadiness(pair, DARK).ratio_change < 5


def test_trimming_keeps_a_spike_out() -> None:
    rng = np.random.default_rng(1)
    first, second = counts(LIGHT, rng), counts(LIGHT, rng)
    second[0, 3] = 60_000
    plain = steadiness(pair_of(first, second, SCALE), DARK)
    trimmed = steadiness(pair_of(first, second, SCALE, trimmed_count=2), DARK)
    assert plain.light_change > 0.02
    assert abs(trimmed.light_change) < 0.001


def test_one_arm_with_a_reference_is_compared_with_itself() -> None:
    same, brighter = (
        found(np.array([plus, 30_000.0]), layout=ArmLayout.ONE_WITH_REFERENCE)
        for plus in (20_000.0, 20_200.0)
    )
    assert same.ratio_change < 4
    assert brighter.ratio_change > 10
    assert brighter.light_change == pytest.approx(0.01, rel=0.2)


def test_light_that_went_out_is_a_change_of_the_light() -> None:
    gone = found(np.array([-10.0, -10.0]))
    assert gone == Steadiness(0.0, -1.0)
    rng = np.random.default_rng(0)
    dark = counts(np.array([-10.0, -10.0]), rng)
    assert steadiness(pair_of(dark, dark, SCALE), DARK) == Steadiness(0.0, 0.0)


def test_limits_are_enforced_and_the_message_holds_changes_only() -> None:
    check_steadiness(Steadiness(4.9, -0.09), SteadinessLimits())
    with pytest.raises(ScanError, match=r"scene changed.*5\.1 standard errors"):
        check_steadiness(Steadiness(5.1, 0.0), SteadinessLimits())
    with pytest.raises(ScanError, match=r"light changed by -20 %"):
        check_steadiness(Steadiness(0.0, -0.2), SteadinessLimits())
    with pytest.raises(ScanError, match="scene changed"):
        check_steadiness(Steadiness(2.0, 0.0), SteadinessLimits(ratio_change=1.5))


def test_a_pair_has_two_masks() -> None:
    three = RawScan(np.ones((3, 2, 4), np.uint16), SCALE, "", 0, 0)
    with pytest.raises(ValueError, match="found 3"):
        steadiness(three, DARK)
