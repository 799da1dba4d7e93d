"""Masks with a straight-through gradient, and the read-out."""

import pytest

pytest.importorskip("torch", reason="the model needs PyTorch (lsi-host[train])")

import torch

from training.model import DITHER_PX, MaskLayer, ReadOut, heaviside


def _masks(d: int = 16) -> MaskLayer:
    return MaskLayer(d, torch.Generator().manual_seed(0))


def test_masks_are_zero_or_one_and_zero_counts_as_one() -> None:
    assert heaviside(torch.tensor([-2.0, -1e-6, 0.0, 1e-6, 3.0])).tolist() == [0, 0, 1, 1, 1]


def test_the_gradient_passes_inside_the_clamp_and_is_zero_outside() -> None:
    logits = torch.tensor([-1.01, -1.0, -0.3, 0.0, 0.9, 1.0, 1.01], requires_grad=True)
    (gradient,) = torch.autograd.grad(heaviside(logits), logits, torch.full((7,), 2.5))
    assert gradient.tolist() == [0, 2.5, 2.5, 2.5, 2.5, 2.5, 0]


def test_making_binary_twice_changes_nothing() -> None:
    masks = _masks()()
    assert torch.equal(heaviside(masks - 0.5), masks)


def test_masks_start_half_open_in_every_tile() -> None:
    # A mask of white noise would miss this by 0.06 (standard deviation) per tile.
    tiles = _masks()().detach().unfold(1, DITHER_PX, DITHER_PX).unfold(2, DITHER_PX, DITHER_PX)
    assert float((tiles.mean(dim=(3, 4)) - 0.5).abs().max()) < 0.1


def test_masks_start_different_from_each_other() -> None:
    masks = _masks(4)().detach().flatten(1)
    assert len({tuple(mask.tolist()) for mask in masks}) == 4


def test_masks_start_where_a_gradient_reaches_them() -> None:
    assert float(_masks().logits.detach().abs().max()) < 1.0


@pytest.mark.parametrize("size_px", [64, 20])
def test_masks_have_the_size_asked_for(size_px: int) -> None:
    assert MaskLayer(3, torch.Generator(), size_px)().shape == (3, size_px, size_px)


def test_the_read_out_is_small_enough_for_the_device() -> None:
    largest = ReadOut(64, 5)
    assert sum(parameter.numel() for parameter in largest.parameters()) <= 350_000


def test_the_read_out_standardises_with_stored_statistics() -> None:
    read_out = ReadOut(4, 2, width=8)
    y = 5 + 0.1 * torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(900):
        read_out.standardise(y)
    read_out.eval()
    standard = read_out.standardise(y).detach()
    assert standard.mean(dim=0).abs().max() < 0.05
    assert (standard.std(dim=0) - 1).abs().max() < 0.05
    assert torch.allclose(read_out(y[:1]), read_out(y)[:1], atol=1e-5)
