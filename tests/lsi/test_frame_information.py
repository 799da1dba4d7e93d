"""The bound on what a scan can tell: of the rig, never of the scene."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.frame_information import frame_bits
from lsi.measurement import CountScale, DarkReference, RawScan


def scan(d: int = 16, samples: int = 8, full_scale: int = 4095, level: int = 1000) -> RawScan:
    counts = np.full((d, 2, samples), level, np.uint16)
    return RawScan(counts, CountScale(full_scale, 0.001), "0" * 64, 0, 1)


def dark(std_counts: float) -> DarkReference:
    return DarkReference(np.full(2, 10.0), np.full(2, std_counts), 0)


def test_twelve_bits_and_one_count_of_noise_are_some_thirteen_bits_a_mask() -> None:
    sigma = math.sqrt(2 * (1 + 1 / 12) / 8) / (2 * 4095)
    expected = 16 * math.log2(1 + 2 / (sigma * math.sqrt(2 * math.pi * math.e)))
    assert frame_bits(scan(), dark(1.0)) == math.ceil(expected) == 207


@given(st.integers(1, 512), st.floats(0, 500))
def test_it_grows_with_masks_and_falls_with_noise(d: int, std_counts: float) -> None:
    assert frame_bits(scan(d + 1), dark(std_counts)) > frame_bits(scan(d), dark(std_counts))
    assert frame_bits(scan(d), dark(std_counts + 1)) <= frame_bits(scan(d), dark(std_counts))


@given(st.integers(0, 4095))
def test_it_tells_nothing_of_the_scene(level: int) -> None:
    assert frame_bits(scan(level=level), dark(2.0)) == frame_bits(scan(), dark(2.0))


@pytest.mark.parametrize("std_counts", [0.0, 1e-9])
def test_a_converter_without_noise_still_rounds(std_counts: float) -> None:
    assert frame_bits(scan(1), dark(std_counts)) < 20
