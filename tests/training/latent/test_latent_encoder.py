"""The latent encoder: its size, its nesting, its mixing of layers."""

from dataclasses import replace

import pytest
import torch

from host.decoder.synthesis import parameter_count
from lsi.errors import ConfigError
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_shape import LatentEncoderShape
from training.read_outs.nested import NestedPrefix

SHAPE = LatentEncoderShape(d=12, layers=4, width=6, outputs=3, trunk=16, token=8)


def _settled(encoder: LatentEncoder) -> LatentEncoder:
    """With statistics of its own and a bias for each size."""
    torch.manual_seed(1)
    for _ in range(5):
        encoder.train()(0.2 * torch.randn(64, encoder.shape.d) + 0.1)
    with torch.no_grad():
        encoder.prefix_bias.normal_()
    return encoder.eval()


@pytest.mark.parametrize("d", [4, 64, 512])
@pytest.mark.parametrize(("layers", "width"), [(10, 128), (12, 128), (18, 512), (4, 16)])
def test_no_encoder_has_more_than_two_million_parameters(d: int, layers: int, width: int) -> None:
    trunk = 384 if width == 512 else 448
    token = 64 if width == 512 else 96
    shape = LatentEncoderShape(d, layers, width, 41, trunk=trunk, token=token)
    with torch.device("meta"):
        encoder = LatentEncoder(shape)
    unused = encoder.prefix_bias.numel()
    assert parameter_count(encoder) - unused == shape.parameters <= 2_000_000


def test_a_larger_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="smaller trunk"):
        LatentEncoderShape(64, 18, 512, 41, trunk=2048)
    with pytest.raises(ConfigError, match="1 or more"):
        replace(SHAPE, layers=0)


def test_the_prefix_of_a_nested_bank_is_a_plain_encoder() -> None:
    encoder = _settled(LatentEncoder(SHAPE, NestedPrefix(12, (4, 8))))
    measurements = 0.2 * torch.randn(5, 12)
    for size in (4, 8, 12):
        offsets, logits = encoder(measurements, size)
        plain = encoder.at(size)
        alone = plain(measurements[:, :size])
        assert plain.shape.d == size
        assert torch.allclose(offsets, alone[0], atol=1e-5)
        assert torch.allclose(logits, alone[1], atol=1e-5)


def test_what_was_not_shown_is_not_read() -> None:
    encoder = _settled(LatentEncoder(SHAPE, NestedPrefix(12, (4, 8))))
    measurements = torch.randn(2, 12)
    shown = torch.tensor([4, 8])
    before = encoder(measurements, shown)[0]
    measurements[0, 4:] += 9
    measurements[1, 8:] += 9
    assert torch.equal(before, encoder(measurements, shown)[0])
    measurements[1, 7] += 9
    assert not torch.equal(before, encoder(measurements, shown)[0])


def test_layers_are_mixed_for_real() -> None:
    mixer = _settled(LatentEncoder(SHAPE)).mixer
    tokens = torch.randn(1, 4, 8)
    before = mixer(tokens)
    tokens[:, 0] = torch.randn(8)
    moved = (mixer(tokens) - before).abs().amax(dim=(0, 2))
    assert bool((moved[1:] > 1e-4).all())  # the paper's coupling moves its results by 5e-5 at most
