"""A generator of random weights, small enough to be made for every test."""

import numpy as np
import torch

from host.decoder.generator_file import GeneratorFile
from host.decoder.synthesis import Synthesis, SynthesisShape
from host.decoder.weights import weights_of
from lsi.latent import LatentSpace
from training.generator.picture_encoder import PictureEncoder

SHAPE = SynthesisShape(size_px=8, latent_width=6, widths=(8, 8))


def small_generator(shape: SynthesisShape = SHAPE, seed: int = 0) -> GeneratorFile:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        synthesis, encoder = Synthesis(shape), PictureEncoder(shape, shape.widths[::-1])
    mean = np.random.default_rng(seed).normal(size=(shape.layers, shape.latent_width))
    return GeneratorFile(
        space=LatentSpace("small", mean.astype(np.float32)),
        shape=shape,
        synthesis=weights_of(synthesis),
        encoder=weights_of(encoder),
        encoder_widths=shape.widths[::-1],
        record={"command": "none"},
    )


def some_offsets(
    rows: int, shape: SynthesisShape = SHAPE
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    size = (rows, shape.layers, shape.latent_width)
    return np.random.default_rng(3).normal(size=size).astype(np.float32)
