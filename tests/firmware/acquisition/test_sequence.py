"""What a pass shows, and the three ways in which arm - comes about, give one measurement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.acquisition.correction import correct
from firmware.acquisition.sequence import dark_reference, mask_counts, sequence_of
from firmware.interfaces import PassSamples
from lsi.measurement import ArmLayout, CountScale, RawScan
from lsi.patterns import PatternSet

PATTERNS = PatternSet(np.random.default_rng(2).random((5, 8, 8)) < 0.4)
SCALE = CountScale(65535, 1e-3)
ONE_DETECTOR = [ArmLayout.ONE_WITH_REFERENCE, ArmLayout.COMPLEMENTARY]


def samples_of(light: NDArray[np.float64], layout: ArmLayout, dark_counts: tuple[int, int]) -> PassSamples:
    """What a noise-free converter reads of ``light`` (8, 8) during the pass of ``PATTERNS``."""
    masks = sequence_of(PATTERNS, layout).masks
    plus = (masks * light).sum(axis=(1, 2)) + dark_counts[0]
    minus = (~masks * light).sum(axis=(1, 2)) + dark_counts[1]
    arms = [plus, minus] if layout is ArmLayout.TWO else [plus]
    counts = np.stack(arms, axis=1)[..., np.newaxis].repeat(3, axis=2)
    return PassSamples(counts.round().astype(np.uint16), SCALE)


def measured(
    light: NDArray[np.float64], layout: ArmLayout, dark_counts: tuple[int, int]
) -> NDArray[np.float32]:
    samples = samples_of(light, layout, dark_counts)
    raw = RawScan(mask_counts(samples, layout), SCALE, PATTERNS.digest, 0, 1, layout)
    return correct(raw, dark_reference(samples, layout, 0)).values


def test_a_pass_begins_with_all_off_and_all_on() -> None:
    for layout in ArmLayout:
        masks = sequence_of(PATTERNS, layout).masks
        assert not masks[0].any()
        assert masks[1].all()


def test_masks_follow_alone_or_each_with_its_complement() -> None:
    assert np.array_equal(sequence_of(PATTERNS, ArmLayout.TWO).masks[2:], PATTERNS.masks)
    pairs = sequence_of(PATTERNS, ArmLayout.COMPLEMENTARY).masks[2:]
    assert np.array_equal(pairs[::2], PATTERNS.masks)
    assert np.array_equal(pairs[1::2], ~PATTERNS.masks)


@given(st.integers(0, 1000), st.integers(0, 300), st.integers(0, 300))
def test_one_detector_gives_the_measurement_of_two_arms(seed: int, dark_plus: int, dark_minus: int) -> None:
    light = np.random.default_rng(seed).integers(50, 300, (8, 8)).astype(np.float64)
    two = measured(light, ArmLayout.TWO, (dark_plus, dark_minus))
    for layout in ONE_DETECTOR:
        assert np.allclose(measured(light, layout, (dark_plus, dark_minus)), two, atol=1e-6)


def test_light_that_doubles_before_a_mask_moves_its_ratio_only_with_a_reference() -> None:
    light = np.full((8, 8), 100.0)
    wanted = measured(light, ArmLayout.TWO, (0, 0))
    moved = {}
    for layout in ArmLayout:
        samples = samples_of(light, layout, (0, 0))
        counts = samples.counts.copy()
        counts[2 : 4 if layout is ArmLayout.COMPLEMENTARY else 3] *= 2
        raw = RawScan(mask_counts(PassSamples(counts, SCALE), layout), SCALE, "d", 0, 1, layout)
        moved[layout] = abs(correct(raw, dark_reference(samples, layout, 0)).values - wanted).max()
    assert moved[ArmLayout.TWO] == moved[ArmLayout.COMPLEMENTARY] == 0
    assert moved[ArmLayout.ONE_WITH_REFERENCE] > 0.5


@pytest.mark.parametrize("layout", ONE_DETECTOR)
def test_two_sampled_arms_are_no_single_detector(layout: ArmLayout) -> None:
    with pytest.raises(ValueError, match="2 arms were sampled"):
        mask_counts(samples_of(np.ones((8, 8)), ArmLayout.TWO, (0, 0)), layout)
