"""A latent checkpoint of random weights, made for every test."""

import numpy as np
import torch

from host.decoder.weights import weights_of
from lsi.attributes import AttributeSchema
from lsi.latent import LatentForm
from lsi.patterns import PatternSet
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_shape import LatentEncoderShape

SHAPE = LatentEncoderShape(d=9, layers=4, width=6, outputs=3, trunk=24, token=8)
SPACE = LatentForm("small", 4, 6, "ab" * 32)


def small_encoder(shape: LatentEncoderShape = SHAPE) -> LatentEncoder:
    """Statistics, biases and mixing are no longer what they start from."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        encoder = LatentEncoder(shape)
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        encoder.standardise.running_mean = 0.1 * torch.randn(shape.d)
        encoder.standardise.running_var = 0.01 + 0.02 * torch.rand(shape.d)
        return encoder.at(shape.d)


def small_latent_checkpoint() -> LatentCheckpoint:
    masks = np.random.default_rng(1).random((SHAPE.d, 8, 8)) < 0.5
    return LatentCheckpoint(
        patterns=PatternSet(masks),
        shape=SHAPE,
        encoder=weights_of(small_encoder()),
        space=SPACE,
        attributes=AttributeSchema(("Smiling", "Eyeglasses"), (0.5, -0.5), 0.0),
        measurement_low=np.full(SHAPE.d, -0.6, np.float32),
        measurement_high=np.full(SHAPE.d, 0.6, np.float32),
        record={"command": "none"},
    )
