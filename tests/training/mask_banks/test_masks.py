"""Binary and k-bit masks with a straight-through gradient."""

import pytest

pytest.importorskip("torch", reason="the model needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import ConfigError
from training.mask_banks.mask_start import DITHER_PX, DITHER_REACH, ordered_dither
from training.mask_banks.masks import CLAMP, MaskLayer, heaviside, levels


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _masks(d: int = 16) -> MaskLayer:
    return MaskLayer(d, _generator())


def test_masks_are_zero_or_one_and_zero_counts_as_one() -> None:
    assert heaviside(torch.tensor([-2.0, -1e-6, -1e-12, 0.0, 1e-6, 3.0])).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_gradient_passes_inside_the_clamp_and_is_zero_outside(bits: int) -> None:
    logits = torch.tensor([-1.01, -1.0, -0.3, 0.0, 0.9, 1.0, 1.01], requires_grad=True)
    (gradient,) = torch.autograd.grad(levels(logits, bits), logits, torch.full((7,), 2.5))
    assert gradient.tolist() == [0, 2.5, 2.5, 2.5, 2.5, 2.5, 0]


def test_two_bits_give_four_levels_with_the_steps_in_the_middle() -> None:
    logits = torch.tensor([-3.0, -1.0, -0.68, -0.65, -0.01, 0.01, 0.65, 0.68, 1.0, 3.0])
    thirds = (3 * levels(logits, 2)).round().tolist()
    assert thirds == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert torch.allclose(levels(logits, 2), torch.tensor(thirds) / 3)


def test_one_level_function_serves_every_number_of_bits() -> None:
    logits = torch.linspace(-1.5 * CLAMP, 1.5 * CLAMP, 1001)
    for bits in range(1, 9):
        steps = sorted(set(levels(logits, bits).tolist()))
        assert steps == pytest.approx(torch.linspace(0, 1, 2**bits).tolist())


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


def test_the_default_draws_rolls_then_grain_from_the_generator() -> None:
    # A stored seed must go on meaning the same bank.
    generator = _generator(7)
    rolls = torch.randint(0, 8, (3, 2), generator=generator).tolist()
    rolled = [ordered_dither().repeat(8, 8).roll((down, right), (0, 1)) for down, right in rolls]
    grain = 0.05 * torch.randn((3, 64, 64), generator=generator)
    expected = DITHER_REACH * (torch.stack(rolled) + grain)
    assert torch.equal(MaskLayer(3, _generator(7)).logits.detach(), expected)


@pytest.mark.parametrize("size_px", [64, 20])
def test_masks_have_the_size_asked_for(size_px: int) -> None:
    assert MaskLayer(3, torch.Generator(), size_px)().shape == (3, size_px, size_px)


@pytest.mark.parametrize("feature_px", [2, 4])
def test_every_feature_is_one_block(feature_px: int) -> None:
    layer = MaskLayer(3, _generator(), 16, feature_px=feature_px)
    blocks = layer().detach().unfold(1, feature_px, feature_px).unfold(2, feature_px, feature_px)
    assert layer.logits.shape == (3, 16 // feature_px, 16 // feature_px)
    assert torch.equal(blocks.amax(dim=(3, 4)), blocks.amin(dim=(3, 4)))
    assert torch.equal(blocks[..., 0, 0], heaviside(layer.logits.detach()))


def test_a_feature_gets_the_gradient_of_all_its_mirrors() -> None:
    layer = MaskLayer(2, _generator(), 8, feature_px=4)
    layer().sum().backward()
    assert layer.logits.grad is not None
    assert layer.logits.grad.tolist() == torch.full((2, 2, 2), 16.0).tolist()


def test_a_layer_of_two_bits_is_quantised_to_thirds() -> None:
    masks = MaskLayer(2, _generator(), 8, bits=2, start=torch.linspace(-1, 1, 128).reshape(2, 8, 8))()
    assert sorted(set(masks.detach().flatten().tolist())) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_start_is_taken_over_and_not_shared() -> None:
    start = torch.full((2, 8, 8), -0.2)
    layer = MaskLayer(2, _generator(), 8, start=start)
    start += 1
    assert float(layer.logits.detach().max()) == pytest.approx(-0.2)


@pytest.mark.parametrize(("size_px", "feature_px"), [(64, 3), (64, 0), (64, 128), (0, 1)])
def test_features_that_do_not_divide_the_mask_are_refused(size_px: int, feature_px: int) -> None:
    with pytest.raises(ConfigError, match="do not divide"):
        MaskLayer(2, _generator(), size_px, feature_px=feature_px)


def test_the_refusal_names_the_features_that_fit() -> None:
    with pytest.raises(ConfigError, match="one of 1, 2, 3, 4, 6, 12"):
        MaskLayer(2, _generator(), 12, feature_px=5)


@pytest.mark.parametrize(("d", "bits"), [(0, 1), (65, 1), (4, 0), (4, 9)])
def test_numbers_out_of_range_are_refused(d: int, bits: int) -> None:
    with pytest.raises(ConfigError, match=r"cannot be had\. Try: 1 to"):
        MaskLayer(d, _generator(), 8, bits=bits)


def test_a_start_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(2, 8, 8\), the bank wants \(3, 4, 4\)"):
        MaskLayer(3, _generator(), 8, feature_px=2, start=torch.zeros(2, 8, 8))
