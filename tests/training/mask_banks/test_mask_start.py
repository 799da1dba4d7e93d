"""Starts of the logits, from dither, noise and data."""

import pytest

pytest.importorskip("torch", reason="the starts need PyTorch (lsi-host[train])")

import torch
from torch import Tensor
from torch.nn import functional

from lsi.errors import DataError
from tests.training.smooth_fields import smooth_fields
from training.mask_banks.mask_start import (
    DITHER_PX,
    DITHER_REACH,
    dithered_start,
    ordered_dither,
    start_from_lda,
    start_from_pca,
    white_noise_start,
)
from training.mask_banks.masks import CLAMP, heaviside


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _low(masks: Tensor) -> Tensor:
    """What the masks are on a coarse scale: means of 8 x 8 mirrors, without their own mean. (d, places)."""
    tiles = functional.avg_pool2d(masks[:, None], DITHER_PX).flatten(1)
    return tiles - tiles.mean(dim=1, keepdim=True)


def _correlation(a: Tensor, b: Tensor) -> float:
    return float(functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


def _fields_along(pattern: Tensor, strengths: Tensor, noise: float) -> Tensor:
    grain = noise * torch.randn(len(strengths), *pattern.shape, generator=_generator(9))
    return (0.5 + strengths[:, None, None] * pattern + grain).clamp(0.01, 1.0)


def test_bayers_matrix_of_two_by_two_stands_in_the_corners() -> None:
    dither = ordered_dither()
    # Thresholds are k + 1/2 of 64 over -1..1; the first four of the classic matrix lie 4 apart.
    assert ((dither + 1) * 32 - 0.5)[::4, ::4].tolist() == [[0, 2], [3, 1]]
    assert sorted(((dither + 1) * 32 - 0.5).flatten().tolist()) == list(range(64))


def test_white_noise_fills_the_reach_evenly() -> None:
    start = white_noise_start(8, _generator(), 64)
    assert float(start.abs().max()) <= 0.3
    assert float(start.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(start.std()) == pytest.approx(0.3 / 3**0.5, rel=0.02)


def test_the_mean_light_of_small_tiles_is_smoother_in_a_dither_than_in_noise() -> None:
    dither, noise = (
        _low(heaviside(make(8, _generator(), 64))) for make in (dithered_start, white_noise_start)
    )
    assert float(dither.std()) < 0.6 * float(noise.std())


@pytest.mark.parametrize("d", [1, 4])
def test_starts_from_data_stay_where_a_gradient_reaches_them(d: int) -> None:
    fields = smooth_fields(64, 32, seed=0)
    labels = (fields[:, 4, 4] > fields[:, 20, 20])[:, None]
    starts = (start_from_pca(fields, d, _generator()), start_from_lda(fields, labels, d, _generator()))
    for start in starts:
        assert start.shape == (d, 32, 32)
        assert float(start.abs().max()) < CLAMP


def test_a_principal_mask_is_a_halftone_of_the_strongest_pattern() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    strong, weak = (torch.sin(2 * x), torch.cos(2 * y) - torch.cos(2 * y).mean())
    strengths = torch.randn(400, 2, generator=_generator(1))
    fields = (0.5 + 0.1 * strengths[:, :1, None] * strong + 0.03 * strengths[:, 1:, None] * weak).clamp(
        0.01, 1
    )
    masks = heaviside(start_from_pca(fields, 2, _generator()))
    assert abs(_correlation(_low(masks[:1]), _low(strong[None]))) > 0.95
    assert abs(_correlation(_low(masks[1:]), _low(weak[None]))) > 0.95
    assert set(masks.flatten().tolist()) == {0, 1}


def test_the_brightness_of_a_field_is_no_direction() -> None:
    # Gain scales what all fields have in common; the ratio of arms cannot see it.
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    strengths = 0.05 * torch.randn(300, 1, 1, generator=_generator(2))
    gain = 0.2 + 0.8 * torch.rand(300, 1, 1, generator=_generator(3))
    fields = gain * (0.5 + 0.3 * y + strengths * x)
    masks = heaviside(start_from_pca(fields, 1, _generator()))
    assert abs(_correlation(_low(masks), _low(x[None]))) > 0.95


def test_a_direction_of_one_spot_does_not_outgrow_the_reach() -> None:
    spot = torch.zeros(64, 64)
    spot[12:20, 40:48] = 1
    fields = 0.3 + torch.linspace(0, 0.6, 50)[:, None, None] * spot
    assert float(start_from_pca(fields, 1, _generator()).abs().max()) <= 2 * DITHER_REACH


def test_a_fisher_mask_finds_the_pattern_of_the_label_under_a_stronger_one() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    answer, loud = (torch.sin(3 * x), torch.sin(3 * y))
    labels = torch.arange(600) % 2 * 2 - 1
    loudness = 0.2 * torch.randn(600, generator=_generator(3))
    fields = _fields_along(answer, 0.03 * labels, 0.02) + loudness[:, None, None] * loud
    fields = fields.clamp(0.01, 1.5)
    fisher = heaviside(start_from_lda(fields, labels[:, None], 1, _generator()))
    principal = heaviside(start_from_pca(fields, 1, _generator()))
    assert abs(_correlation(_low(fisher), _low(answer[None]))) > 0.9
    assert abs(_correlation(_low(principal), _low(answer[None]))) < 0.3


def test_more_fisher_masks_than_labels_are_filled_with_principal_ones() -> None:
    fields = smooth_fields(200, 32, seed=4)
    labels = torch.stack((fields[:, 5, 5] > fields[:, 5, 25], fields[:, 25, 5] > fields[:, 25, 25]), dim=1)
    start = start_from_lda(fields, labels, 6, _generator())
    assert torch.allclose(start[:1], start_from_lda(fields, labels, 1, _generator()), atol=1e-4)
    assert torch.linalg.matrix_rank(_low(start)) == 6


def test_the_filling_is_what_the_fisher_masks_do_not_see() -> None:
    # The strongest pattern is the label's: without taking it out it would come twice.
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    strength = 0.1 * torch.randn(400, generator=_generator(4))
    weak = 0.04 * torch.randn(400, 1, 1, generator=_generator(5))
    fields = (_fields_along(torch.sin(2 * x), strength, 0.0) + weak * torch.sin(2 * y)).clamp_min(0.01)
    masks = heaviside(start_from_lda(fields, (strength > 0)[:, None], 2, _generator()))
    assert abs(_correlation(_low(masks[:1]), _low(x[None]))) > 0.9
    assert abs(_correlation(_low(masks[1:]), _low(y[None]))) > 0.9


def test_labels_of_one_kind_do_not_disturb_the_others() -> None:
    fields = smooth_fields(100, 32, seed=5)
    useful = (fields[:, 3, 3] > fields[:, 28, 28]).float()[:, None]
    with_constant = torch.cat((torch.ones(100, 1), useful), dim=1)
    assert torch.equal(
        start_from_lda(fields, with_constant, 2, _generator()),
        start_from_lda(fields, useful, 2, _generator()),
    )


def test_the_same_generator_gives_the_same_start_and_another_another() -> None:
    fields = smooth_fields(50, 32, seed=6)
    first, again, other = (start_from_pca(fields, 3, _generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_cannot_be_a_start_is_refused() -> None:
    fields, generator = smooth_fields(20, 32, seed=7), _generator()
    labels = torch.arange(20)[:, None] % 2
    with pytest.raises(DataError, match="two square fields or more"):
        start_from_pca(fields[:1], 1, generator)
    with pytest.raises(DataError, match="two square fields or more"):
        start_from_pca(fields[:, :16], 1, generator)
    with pytest.raises(DataError, match="30 directions were asked for, the fields have"):
        start_from_pca(fields, 30, generator)
    with pytest.raises(DataError, match="without light"):
        start_from_pca(torch.zeros(5, 32, 32), 1, generator)
    with pytest.raises(DataError, match="20 fields came with labels"):
        start_from_lda(fields, labels[:7], 1, generator)
    with pytest.raises(DataError, match="No label has both kinds"):
        start_from_lda(fields, torch.ones(20, 3), 1, generator)


def test_fields_that_are_all_alike_have_no_direction() -> None:
    with pytest.raises(DataError, match="have 0"):
        start_from_pca(torch.full((10, 32, 32), 0.5), 1, _generator())
