"""Balance of the arms, linearity, stray light, drift and the paper's scale, from known light."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.acquisition.correction import balanced
from firmware.calibration.gain import (
    PAPER_WHITE,
    arm_balance,
    drift_share,
    linearity,
    paper_scale,
    stray_shares,
)
from firmware.calibration.patterns import white_patterns
from lsi.measurement import ArmLayout
from tests.firmware.calibration.scripted_light import DARK_COUNTS, FULL_COUNTS, readings_of

SHOWN = white_patterns(64)
CARD = np.ones((64, 64))
UNEVEN = 1 - 0.4 * np.linspace(0, 1, 64)[:, None] * np.ones((1, 64))


@given(st.floats(0.5, 2.0), st.sampled_from(["even", "uneven"]))
def test_the_factor_undoes_the_gain_of_arm_minus(gain: float, card: str) -> None:
    field = CARD if card == "even" else UNEVEN
    balance = arm_balance(readings_of(SHOWN.patterns, field, arm_minus_gain=gain))
    assert balance.minus_factor * gain == pytest.approx(1, abs=1e-9)
    assert balance.minus_factor_error < 1e-9


def test_the_standard_error_is_the_spread_of_repeated_calibrations() -> None:
    found = [
        arm_balance(readings_of(SHOWN.patterns, CARD, arm_minus_gain=0.95, noise_counts=3.0, seed=seed))
        for seed in range(200)
    ]
    spread = float(np.std([balance.minus_factor for balance in found]))
    told = float(np.mean([balance.minus_factor_error for balance in found]))
    assert told == pytest.approx(spread, rel=0.2)
    assert np.mean([balance.minus_factor for balance in found]) == pytest.approx(
        1 / 0.95, abs=4 * spread / np.sqrt(200)
    )


@pytest.mark.parametrize("layout", [ArmLayout.ONE_WITH_REFERENCE, ArmLayout.COMPLEMENTARY])
def test_one_detector_needs_no_balance(layout: ArmLayout) -> None:
    balance = arm_balance(readings_of(SHOWN.patterns, CARD, layout=layout))
    assert (balance.minus_factor, balance.minus_factor_error) == (1.0, 0.0)


def test_balanced_light_adds_up_to_the_same_for_every_pattern() -> None:
    readings = readings_of(SHOWN.patterns, UNEVEN, arm_minus_gain=0.9)
    both = balanced(readings.light_counts, arm_balance(readings).minus_factor)
    assert np.allclose(both.sum(axis=1), FULL_COUNTS)
    assert np.array_equal(both[:, 0], readings.light_counts[:, 0])


@pytest.mark.parametrize("layout", list(ArmLayout))
def test_the_open_share_is_that_of_the_mirrors_whatever_the_layout(layout: ArmLayout) -> None:
    readings = readings_of(SHOWN.patterns, CARD, arm_minus_gain=0.8, layout=layout)
    share = readings.open_share(arm_balance(readings).minus_factor)
    assert np.allclose(share, SHOWN.patterns.masks.mean(axis=(1, 2)))


def test_a_straight_converter_has_no_residuals() -> None:
    found = linearity(readings_of(SHOWN.patterns, UNEVEN, arm_minus_gain=0.9), SHOWN)
    assert len(found.residuals) == 2
    assert found.worst < 1e-9


def test_a_bent_arm_is_told_by_how_much_and_which() -> None:
    straight = readings_of(SHOWN.patterns, CARD)
    light = straight.light_counts.copy()
    # One percent of compression at full light.
    light[:, 1] -= 0.01 * FULL_COUNTS * (light[:, 1] / FULL_COUNTS) ** 2
    plus, minus = linearity(replace(straight, counts=light + DARK_COUNTS), SHOWN).residuals
    assert max(map(abs, plus)) < 1e-9
    assert 0.0005 < max(map(abs, minus)) < 0.005


def test_one_detector_has_one_row_of_residuals() -> None:
    one = readings_of(SHOWN.patterns, CARD, layout=ArmLayout.ONE_WITH_REFERENCE)
    assert len(linearity(one, SHOWN).residuals) == 1


def test_stray_light_is_what_the_dark_reference_has_more_than_the_covered_lens() -> None:
    white = readings_of(SHOWN.patterns, CARD, arm_minus_gain=0.5)
    covered = replace(white, dark_counts=white.dark_counts - np.array([30.0, 60.0]))
    assert stray_shares(white, covered, SHOWN) == pytest.approx((30 / 3000, 60 / 1500))


def test_drift_is_what_the_repeated_all_on_pattern_moves() -> None:
    white = readings_of(SHOWN.patterns, CARD)
    counts = white.counts.copy()
    counts[SHOWN.all_on[-1], 0] += 30
    assert drift_share(white, SHOWN) == 0
    assert drift_share(replace(white, counts=counts), SHOWN) == pytest.approx(30 / 3010)


def test_the_papers_scale_is_right_at_black_and_at_white() -> None:
    white = readings_of(SHOWN.patterns, CARD, noise_counts=0.0)
    scale = paper_scale(white, SHOWN)
    dark_v, open_v = 120 * 3.3 / 4096, 3120 * 3.3 / 4096
    assert scale.per_v * dark_v + scale.offset == pytest.approx(0, abs=1e-6)
    assert scale.per_v * open_v + scale.offset == pytest.approx(PAPER_WHITE)
    assert PAPER_WHITE == 196_608


def test_the_errors_of_the_papers_scale_grow_with_the_noise() -> None:
    quiet, loud = (
        paper_scale(readings_of(SHOWN.patterns, CARD, noise_counts=noise), SHOWN) for noise in (0.1, 1.0)
    )
    assert 0 < quiet.per_v_error < loud.per_v_error
    assert loud.per_v_error / loud.per_v == pytest.approx(np.sqrt(4 / 3) / 3000, rel=0.1)
    assert quiet.offset_error < loud.offset_error
