"""Ridge regression from the 32 x 32 colour picture, gamma-coded: the linear baseline with all the pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data_sets.whole_picture import small_picture

RIDGE_PX: Final = 32
PENALTY: Final = 30.0
"""On pixels in 0..1 with their mean taken off and targets of +1 and -1."""
ROWS_AT_ONCE: Final = 4096


def ridge_pixels(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture at 32 x 32, area means of the coded values: (3072,) uint8."""
    return small_picture(rgb, RIDGE_PX).reshape(-1)


@dataclass(frozen=True, slots=True, repr=False)
class RidgeWeights:
    """Affine map from pixels to scores. Shape: ``mean`` (P,), ``weights`` (P, K), ``bias`` (K,)."""

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores (n, K); 0 is the threshold between no (-1) and yes (+1)."""
        found: NDArray[np.float64] = (pixels / 255.0 - self.mean) @ self.weights + self.bias
        return found


def fit_ridge(
    pixels: NDArray[np.uint8], attributes: NDArray[np.int8], penalty: float = PENALTY
) -> RidgeWeights:
    """Least squares with ``penalty`` on the squared weights; the bias is free.

    Args:
        pixels: (n, P) uint8.
        attributes: (n, K), +1 and -1; an unknown 0 pulls its row towards undecided.
        penalty: Added to the diagonal of the Gram matrix.
    """
    count, size = pixels.shape
    mean: NDArray[np.float64] = pixels.mean(axis=0) / 255.0
    bias = attributes.mean(axis=0).astype(np.float64)
    gram, moment = penalty * np.eye(size), np.zeros((size, attributes.shape[1]))
    for start in range(0, count, ROWS_AT_ONCE):
        chosen = slice(start, start + ROWS_AT_ONCE)
        centred = (pixels[chosen] / 255.0 - mean).astype(np.float32)
        gram += centred.T @ centred
        moment += centred.T @ (attributes[chosen] - bias).astype(np.float32)
    weights = np.linalg.solve(gram, moment).astype(np.float64)
    return RidgeWeights(mean, weights, bias)
