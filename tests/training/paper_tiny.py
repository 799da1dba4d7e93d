"""The smallest weights of the paper's form: four masks, 113 MB of encoder filled with a cheap pattern."""

import functools

import numpy as np
from numpy.typing import NDArray

from lsi.patterns import PatternSet
from training.paper.paper_weights import FIELD_PX, PaperWeights, expected_encoder_shapes

D = 4


def patterned_encoder(d: int = D) -> dict[str, NDArray[np.float32]]:
    """Different numbers in every tensor and at every place of one, all in -0.5..0.5."""
    return {
        name: _pattern(index, shape) for index, (name, shape) in enumerate(expected_encoder_shapes(d).items())
    }


def some_patterns(d: int = D) -> PatternSet:
    """Masks of which every one is open elsewhere."""
    return PatternSet(np.random.default_rng(3).random((d, FIELD_PX, FIELD_PX)) < 0.3)


@functools.lru_cache(maxsize=1)
def patterned_weights() -> PaperWeights:
    """Masks and encoder, neither head nor mean latent."""
    return PaperWeights(some_patterns(), patterned_encoder())


def _pattern(index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    steps = np.arange(np.prod(shape), dtype=np.float32) % 8191
    return (steps / 8191 - 0.5 - index / 1e4).astype(np.float32).reshape(shape)
