"""The synthesis network: its arithmetic against a plain form, its layers, its sizes."""

import pytest
import torch
from torch.nn import functional

from host.decoder.synthesis import Modulated, Synthesis, SynthesisShape
from lsi.errors import ConfigError


def test_modulation_equals_weights_of_its_own_for_each_picture() -> None:
    torch.manual_seed(0)
    layer = Modulated(4, 5, 3, 6)
    x, latent = torch.randn(2, 4, 7, 7), torch.randn(2, 6)
    made = layer(x, latent)
    for row in range(2):
        weight = layer.weight * layer.style(latent)[row][None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        plain = functional.conv2d(x[row : row + 1], weight, layer.bias, padding=1)
        assert torch.allclose(made[row : row + 1], plain, atol=1e-5)


@pytest.mark.parametrize(("size_px", "layers"), [(8, 4), (16, 6), (64, 10), (128, 12), (256, 14)])
def test_layers_follow_from_the_size(size_px: int, layers: int) -> None:
    widths = (8,) * (size_px.bit_length() - 2)
    assert SynthesisShape(size_px, 16, widths).layers == layers


def test_every_layer_of_the_latent_is_used_and_coarse_ones_reach_coarse_features() -> None:
    torch.manual_seed(1)
    network = Synthesis(SynthesisShape(16, 5, (8, 8, 8)))
    latents = torch.randn(1, 6, 5)
    picture, features = network.tapped(latents)
    for layer in range(6):
        moved = latents.clone()
        moved[:, layer] += 1
        other, other_features = network.tapped(moved)
        assert not torch.allclose(picture, other)
        coarse_is_same = torch.equal(features[0], other_features[0])
        assert coarse_is_same == (layer > 0)
    assert [tuple(each.shape[1:]) for each in features] == [(8, 4, 4), (8, 8, 8), (8, 16, 16)]


@pytest.mark.parametrize(
    ("size_px", "width", "widths"),
    [
        (12, 6, (8, 8)),
        (4, 6, (8,)),
        (512, 6, (8,) * 8),
        (16, 6, (8, 8)),
        (16, 0, (8, 8, 8)),
        (16, 6, (8, 0, 8)),
    ],
)
def test_a_shape_that_cannot_be_is_refused(size_px: int, width: int, widths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        SynthesisShape(size_px, width, widths)
