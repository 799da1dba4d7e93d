"""Does a generator repeat the faces that it was trained on? Cosines to the nearest training face.

Real faces of other people say how near a stranger comes. A generator that repeats training faces gives
decoded faces, or samples, that come nearer. Samples are drawn from a Gaussian with mean and covariance of the
teacher's offsets of training pictures; they are compared in the frame of the mean shape.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.picture_measures import nearest

STRICT: Final = 0.99
"""Part of the real faces of other people that must be less near to a training face than what is counted."""
SEED: Final = 41

Embeddings = NDArray[np.floating[Any]]


def sampled_offsets(taught: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Offsets (count, L, D) from the Gaussian of ``taught`` (n, L, D)."""
    mean = taught.mean(axis=0)
    flat = (taught - mean).reshape(len(taught), -1)
    # Random sums of centred rows have exactly their covariance; nothing has to be decomposed.
    weights = np.random.default_rng(SEED).standard_normal((count, len(taught)), np.float32)
    drawn = weights @ flat / np.sqrt(max(1, len(taught) - 1))
    offsets: NDArray[np.float32] = (mean + drawn.reshape(count, *taught.shape[1:])).astype(np.float32)
    return offsets


def memorisation(made: Mapping[str, Embeddings], val: Embeddings, train: Embeddings) -> dict[str, float]:
    """Median cosine to the nearest training face, of val and of each kind of ``made`` faces.

    Of the latter also the part that is nearer to a training face than 99 % of val is; 0.01 is expected of
    faces that repeat nothing.
    """
    own = nearest(val, train)
    limit = np.quantile(own, STRICT)
    found = {"val to train": float(np.median(own))}
    for name, embedded in made.items():
        cosine = nearest(embedded, train)
        found[f"{name} to train"] = float(np.median(cosine))
        found[f"{name} nearer than 99 % of val"] = float((cosine > limit).mean())
    return found
