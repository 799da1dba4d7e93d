"""The order of masks within a scan, on generated scenes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from training.attributes.mask_order import (
    motion_sensitivity,
    order_against_motion,
    order_by_sensitivity,
    read_out_in_order,
    slot_times,
)
from training.read_outs.read_out import Dense, ReadOutWeights

SIZE_PX = 32
CYCLES = (1, 2, 4)
"""Waves per field in the generated scenes, along both axes."""


def _scenes(count: int, seed: int) -> NDArray[np.float32]:
    """Sums of waves, so that they can be moved by any part of a pixel. Shape (count, size, size)."""
    return _moved(count, seed, np.zeros(1), np.zeros(1))[:, 0]


def _moved(
    count: int, seed: int, across: NDArray[np.float64], down: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The scenes at each displacement (pixels), shape (count, places, size, size)."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX].astype(np.float64)
    scenes = np.ones((count, len(across), SIZE_PX, SIZE_PX))
    for cycles in CYCLES:
        for place in (x - across[:, None, None], y - down[:, None, None]):
            phase = generator.uniform(0, 2 * np.pi, (count, 1, 1, 1))
            scenes += 0.12 * np.cos(2 * np.pi * cycles * place / SIZE_PX + phase)
    return (0.5 * scenes).astype(np.float32)


def _stripes(cycles: int, phase: float = 0.0) -> NDArray[np.bool_]:
    """Vertical stripes; of ``CYCLES`` they see the waves of their own period only."""
    place = (np.arange(SIZE_PX) + 0.5) * cycles / SIZE_PX + phase
    return np.broadcast_to(place % 1 < 0.5, (SIZE_PX, SIZE_PX)).copy()


def _bank(seed: int) -> NDArray[np.bool_]:
    """Twelve masks: three periods, two directions, two phases, mixed up."""
    stripes = [_stripes(cycles, phase) for cycles in CYCLES for phase in (0.0, 0.25)]
    masks = np.stack([*stripes, *(mask.T for mask in stripes)])
    bank: NDArray[np.bool_] = masks[np.random.default_rng(seed).permutation(len(masks))]
    return bank


def _scan_error(
    masks: NDArray[np.bool_], order: NDArray[np.intp], path_px: float, still: NDArray[np.float64]
) -> float:
    """Mean squared error of moving scans in standard units, over four directions."""
    total = 0.0
    for turn in np.arange(4) * np.pi / 4:
        place = path_px * slot_times(len(masks))
        moving = _moved(20, 11, place * np.cos(turn), place * np.sin(turn))
        shown = masks[order].astype(np.float32)
        plus = np.einsum("nkhw,khw->nk", moving, shown)
        ratio = 2 * plus / moving.sum(axis=(2, 3)) - 1
        error = (ratio - still[:, order]) / still.std(axis=0)[order]
        total += float(np.square(error).mean()) / 4
    return total


def _still(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    fields = _scenes(20, 11).reshape(20, -1).astype(np.float64)
    still: NDArray[np.float64] = (
        2 * fields @ masks.reshape(len(masks), -1).T / fields.sum(axis=1, keepdims=True) - 1
    )
    return still


def test_the_slots_of_a_scan_are_centred_on_its_middle() -> None:
    assert slot_times(4).tolist() == [-0.375, -0.125, 0.125, 0.375]
    assert slot_times(1).tolist() == [0.0]


def test_the_most_sensitive_mask_stands_in_the_middle() -> None:
    order = order_by_sensitivity(np.array([1.0, 5.0, 2.0, 4.0, 3.0]))
    assert order[2] == 1
    assert set(order[[1, 3]].tolist()) == {3, 4}
    assert set(order[[0, 4]].tolist()) == {0, 2}


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
@settings(max_examples=20)
def test_no_other_order_has_a_smaller_error(sensitivity: list[float]) -> None:
    found = np.array(sensitivity)
    squares = slot_times(len(found)) ** 2
    orders = itertools.permutations(range(len(found)))
    least = min(float(squares @ found[list(order)]) for order in orders)
    assert float(squares @ found[order_by_sensitivity(found)]) == pytest.approx(least, abs=1e-9)


@given(
    sensitivity=st.lists(st.floats(0, 100), min_size=6, max_size=6),
    prefixes=st.sets(st.integers(1, 6)).map(sorted),
)
@settings(max_examples=20)
def test_within_prefixes_no_other_order_of_the_groups_is_better(
    sensitivity: list[float], prefixes: list[int]
) -> None:
    found = np.array(sensitivity)
    sizes = sorted({*prefixes, 6})

    def error(order: NDArray[np.intp]) -> float:
        return sum(float(slot_times(size) ** 2 @ found[order[:size]]) for size in sizes)

    chosen = order_by_sensitivity(found, prefixes)
    for size in sizes:
        assert set(chosen[:size].tolist()) == set(range(size))
    allowed = (
        np.array(order)
        for order in itertools.permutations(range(6))
        if all(set(order[:size]) == set(range(size)) for size in sizes)
    )
    assert error(chosen) == pytest.approx(min(map(error, allowed)), abs=1e-9)


def test_the_sensitivity_to_a_wave_is_half_its_squared_wave_number_and_a_flat_mask_has_none() -> None:
    # d/dx cos(kx) has k^2 of the variance of cos(kx); half, because only one of the two axes moves it.
    masks = np.stack([*map(_stripes, CYCLES), np.ones((SIZE_PX, SIZE_PX), bool)])
    found = motion_sensitivity(masks, _scenes(200, 0))
    wave_numbers = 2 * np.pi * np.array(CYCLES) / SIZE_PX
    assert found[:3] == pytest.approx(wave_numbers**2 / 2, rel=0.25)
    assert found[3] == pytest.approx(0.0, abs=1e-4)


def test_the_sensitivity_of_a_ramp_behind_an_edge_by_hand() -> None:
    # Ramps L = 1 + a (x - 3.5) / 8 keep the mean 1 away from the edges; mask: left half of 8 pixels.
    # y = 2 sum(L m) / sum(L) - 1, and a shift by 1 px with repeated edge gives values to compare with.
    a = np.array([0.1, 0.3], np.float32)
    ramps = 1 + a[:, None, None] * ((np.arange(8) - 3.5) / 8)[None, None, :]
    fields = np.broadcast_to(ramps, (2, 8, 8)).astype(np.float32)
    mask = np.zeros((1, 8, 8), bool)
    mask[:, :, :4] = True

    def ratio(columns: list[int]) -> NDArray[np.float64]:
        light = fields[:, 0, columns].astype(np.float64)
        ratios: NDArray[np.float64] = 2 * light[:, :4].sum(axis=1) / light.sum(axis=1) - 1
        return ratios

    slope = (ratio([0, 0, 1, 2, 3, 4, 5, 6]) - ratio([1, 2, 3, 4, 5, 6, 7, 7])) / 2
    expected = np.square(slope).sum() / (2 * 2) / ratio(list(range(8))).var()
    assert motion_sensitivity(mask, fields)[0] == pytest.approx(expected, rel=1e-4)


def test_sensitivity_does_not_depend_on_gain_or_on_which_arm_is_plus() -> None:
    masks, fields = _bank(1), _scenes(40, 2)
    found = motion_sensitivity(masks, fields)
    assert motion_sensitivity(masks, 0.3 * fields) == pytest.approx(found, rel=1e-3)
    assert motion_sensitivity(~masks, fields) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_chosen_order_errs_less_in_moving_scans_than_random_ones(seed: int) -> None:
    masks = _bank(seed)
    chosen = order_against_motion(masks, _scenes(60, seed + 20))
    still = _still(masks)
    generator = np.random.default_rng(seed)
    at_random = [_scan_error(masks, generator.permutation(12), 2.0, still) for _ in range(8)]
    found = _scan_error(masks, chosen, 2.0, still)
    assert found < 0.8 * float(np.mean(at_random))
    assert found < min(at_random)


def test_an_even_drift_of_the_light_changes_no_ratio() -> None:
    masks = _bank(3)
    fields = _scenes(5, 4).reshape(5, -1)
    light = 1 + 0.2 * slot_times(len(masks))
    plus = fields @ masks.reshape(len(masks), -1).T
    both = light * fields.sum(axis=1, keepdims=True)
    still = 2 * plus / fields.sum(axis=1, keepdims=True) - 1
    assert np.allclose(2 * light * plus / both - 1, still, atol=1e-6)


def test_a_read_out_follows_the_order_of_the_masks() -> None:
    generator = np.random.default_rng(6)

    def numbers(*shape: int) -> NDArray[np.float32]:
        return generator.normal(size=shape).astype(np.float32)

    layers = (Dense(numbers(7, 5), numbers(7)), Dense(numbers(2, 7), numbers(2)))
    read_out = ReadOutWeights(numbers(5), np.abs(numbers(5)), layers)
    order = np.array([3, 0, 4, 1, 2])
    y = numbers(9, 5)
    follows = read_out_in_order(read_out, order)
    assert np.allclose(follows.logits(y[:, order]), read_out.logits(y), atol=1e-5)
    with pytest.raises(ConfigError, match="permutation"):
        read_out_in_order(read_out, np.array([0, 0, 1, 2, 3]))


@pytest.mark.parametrize("prefixes", [(4, 2), (0, 4), (4, 9), (4, 4)])
def test_prefixes_outside_the_bank_are_refused(prefixes: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"ascending sizes in 1\.\.8"):
        order_by_sensitivity(np.ones(8), prefixes)


def test_what_cannot_be_compared_is_refused() -> None:
    masks, fields = _bank(0), _scenes(3, 0)
    with pytest.raises(DataError, match="of one size"):
        order_against_motion(masks[:, :16], fields)
    with pytest.raises(DataError, match="no variance"):
        order_against_motion(masks, fields[:1])
    with pytest.raises(ConfigError, match="1 to 31"):
        order_against_motion(masks, fields, shift_px=0)
