"""A small checkpoint made of random numbers, without training and without PyTorch."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsi.attributes import AttributeSchema
from lsi.patterns import PatternSet
from training.attributes.checkpoint import Checkpoint
from training.read_outs.read_out import Dense, ReadOutWeights

D = 6
NAMES = ("Smiling", "Wearing_Hat")


def random_read_out(widths: tuple[int, ...] = (D, 24, 24, 3), seed: int = 0) -> ReadOutWeights:
    """Dense layers whose rows differ in size by up to 30 times."""
    generator = np.random.default_rng(seed)
    layers = []
    for source, sink in itertools.pairwise(widths):
        size = 10 ** generator.uniform(-1, 0.5, (sink, 1))
        weights = size * generator.normal(size=(sink, source)) / np.sqrt(source)
        layers.append(Dense(weights.astype(np.float32), generator.normal(size=sink).astype(np.float32)))
    mean = generator.normal(scale=0.1, size=widths[0]).astype(np.float32)
    scale = generator.uniform(5, 20, widths[0]).astype(np.float32)
    return ReadOutWeights(mean, scale, tuple(layers))


def measurements_for(read_out: ReadOutWeights, rows: int, seed: int = 1) -> NDArray[np.float32]:
    """Inputs that are standard normal after standardisation."""
    standard = np.random.default_rng(seed).normal(size=(rows, read_out.d))
    return (standard / read_out.scale + read_out.mean).astype(np.float32)


def tiny_checkpoint(record: dict[str, Any] | None = None) -> Checkpoint:
    """A checkpoint of 6 masks and 2 attributes."""
    read_out = random_read_out()
    inputs = measurements_for(read_out, 500)
    activations = read_out.activations(inputs)
    masks = np.random.default_rng(2).random((D, 64, 64)) < 0.5
    return Checkpoint(
        patterns=PatternSet(masks),
        read_out=read_out,
        attributes=AttributeSchema(NAMES, (0.25, -1.5), 0.75),
        measurement_low=inputs.min(axis=0),
        measurement_high=inputs.max(axis=0),
        activation_low=np.array([each.min() for each in activations], np.float32),
        activation_high=np.array([each.max() for each in activations], np.float32),
        record={} if record is None else record,
    )
