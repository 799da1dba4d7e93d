"""Masks that nobody trained on labels: random, low-frequency Hadamard, principal components.

Each is (d, H, W). Two arms turn a mask with entries m into the ratio ``sum((2 m - 1) x) / sum(x)``;
principal components enter as the signed mask ``2 m - 1``, which no mirror can show.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
ROWS_AT_ONCE: Final = 2048
"""Fields per product: 32 MiB of float32 at 64 x 64."""


def random_masks(d: int, size_px: int, seed: int) -> Bools:
    """Each mirror open with chance 1/2, independent of the others."""
    return np.random.default_rng(seed).random((d, size_px, size_px)) < 0.5  # noqa: PLR2004 - one half


def hadamard_masks(d: int, size_px: int) -> Bools:
    """The d Walsh functions of lowest sequency after the constant, as products of rows and columns.

    Ordered by the sum of both sequencies, then by the larger one. The constant mask is left out: its
    ratio of arms is 1 for every scene.

    Raises:
        ValueError: The size is no power of two, or there are not so many functions.
    """
    if size_px < 1 or size_px & (size_px - 1):
        message = f"Hadamard masks need a size that is a power of two, not {size_px}"
        raise ValueError(message)
    if not 1 <= d < size_px**2:
        message = f"there are {size_px**2 - 1} Hadamard masks of {size_px} x {size_px}, not {d}"
        raise ValueError(message)
    walsh = _walsh(size_px)
    pairs = sorted(
        ((row, column) for row in range(size_px) for column in range(size_px)),
        key=lambda pair: (sum(pair), max(pair), pair),
    )
    return np.stack([np.outer(walsh[row], walsh[column]) > 0 for row, column in pairs[1 : d + 1]])


def principal_components(fields: Floats, d: int) -> Floats:
    """The d directions of largest variance of the normalised fields ``x / mean(x)``, (d, H, W), unit length.

    Not realisable as binary masks: entries are real and signed.

    Raises:
        ValueError: Fewer rows or pixels than directions.
    """
    rows, size = len(fields), fields[0].size
    if d > min(rows, size):
        message = f"{rows} fields of {size} pixels have no {d} components"
        raise ValueError(message)
    centred = normalised(fields).reshape(rows, size)
    centred -= centred.mean(axis=0)
    directions = _of_few_rows(centred, d) if rows < size else _of_covariance(centred, d)
    return directions.astype(np.float32).reshape(d, *fields.shape[1:])


def _of_covariance(centred: Floats, d: int) -> NDArray[np.float64]:
    size = centred.shape[1]
    covariance = np.zeros((size, size))
    for start in range(0, len(centred), ROWS_AT_ONCE):
        block = centred[start : start + ROWS_AT_ONCE]
        covariance += block.T @ block
    directions: NDArray[np.float64] = np.linalg.eigh(covariance).eigenvectors[:, ::-1][:, :d].T
    return directions


def _of_few_rows(centred: Floats, d: int) -> NDArray[np.float64]:
    """The same from the rows' Gram matrix, which is the smaller one."""
    weights = np.linalg.eigh(centred.astype(np.float64) @ centred.T).eigenvectors[:, ::-1][:, :d]
    directions = weights.T @ centred
    found: NDArray[np.float64] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return found


def normalised(fields: Floats) -> Floats:
    """Fields divided by their mean: what is left of a scene when its illumination cancels."""
    mean = fields.mean(axis=(1, 2), keepdims=True)
    divided: Floats = fields / np.maximum(mean, np.float32(1e-6))
    return divided


def ratios(fields: Floats, signed: Floats) -> Floats:
    """Noise-free two-arm measurements (n, d) through signed masks (d, H, W), entries -1..1."""
    size = fields[0].size
    blocks = [
        normalised(fields[start : start + ROWS_AT_ONCE]).reshape(-1, size) @ signed.reshape(-1, size).T
        for start in range(0, len(fields), ROWS_AT_ONCE)
    ]
    found: Floats = (np.concatenate(blocks) / size).astype(np.float32)
    return found


def signed_of(masks: Bools) -> Floats:
    """+1 where a mirror sends its light to arm +, -1 where to arm -."""
    signed: Floats = np.where(masks, np.float32(1), np.float32(-1))
    return signed


FIXED: Final[Mapping[str, Callable[[Floats, int, int], Floats]]] = {
    "random masks": lambda fields, d, seed: signed_of(random_masks(d, fields.shape[-1], seed)),
    "low-frequency Hadamard": lambda fields, d, _seed: signed_of(hadamard_masks(d, fields.shape[-1])),
    "PCA components": lambda fields, d, _seed: principal_components(fields, d),
}
"""Signed masks by name, from training fields, d and seed; the first of many are the few."""


def _walsh(size_px: int) -> NDArray[np.int8]:
    """Sylvester's Hadamard matrix with its rows in order of their changes of sign."""
    matrix = np.ones((1, 1), np.int8)
    while len(matrix) < size_px:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    changes = (np.diff(matrix, axis=1) != 0).sum(axis=1)
    return matrix[np.argsort(changes)]
