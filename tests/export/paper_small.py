"""The paper's encoder with 16 instead of 512 features: same names, same steps, quick to run."""

import functools

import numpy as np
from numpy.typing import NDArray

from export.paper_plain import plain_program
from export.paper_program import Array, Program, results
from training.paper.paper_weights import expected_encoder_shapes
from training.read_outs.read_out import Dense

D = 6
WIDTH = 16
ATTRIBUTES = 5
_SMALLER = {512: 16, 1024: 32, 384: 12, 128: 4, 1536: 48, 2048: 64}


def small_encoder() -> dict[str, NDArray[np.float32]]:
    """Random weights; affines and gates far from their initial values."""
    generator = np.random.default_rng(5)
    encoder = {}
    for name, official in expected_encoder_shapes(D).items():
        shape = tuple(_SMALLER.get(size, size) for size in official)
        n = generator.standard_normal(shape)
        if len(shape) == 1:
            n = 0.3 * n + (1.0 if name.endswith("weight") else 0.0)
        elif "sgu" not in name:
            n = n / np.sqrt(shape[1])
        encoder[name] = n.astype(np.float32)
    return encoder


def small_head() -> Dense:
    generator = np.random.default_rng(6)
    weights = generator.standard_normal((ATTRIBUTES, 18 * WIDTH)) / 17
    return Dense(weights.astype(np.float32), generator.standard_normal(ATTRIBUTES).astype(np.float32))


@functools.cache
def small_plain() -> Program:
    """As the official code computes it; outputs offset and logits."""
    return plain_program(small_encoder(), small_head())


def measurements(count: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((count, D)).astype(np.float32)


def relative_error(program: Program, expected: Program, inputs: Array) -> float:
    """Largest difference of any output, relative to that output's largest value."""
    pairs = zip(results(program, inputs), results(expected, inputs), strict=True)
    return max(float(np.abs(found - wanted).max() / np.abs(wanted).max()) for found, wanted in pairs)
