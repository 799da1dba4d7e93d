"""How near made pictures are to true ones: PSNR, SSIM, and what a recognition network says of them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

WHITE: Final = 255.0
_WINDOW_PX: Final = 7

Codes = NDArray[np.uint8]
Embeddings = NDArray[np.floating[Any]]
Rows = NDArray[np.float64]
"""One value for each picture."""


def psnr_db(made: Codes, true: Codes) -> float:
    """Mean over the pictures (n, H, W, 3) of each one's peak signal-to-noise ratio."""
    return float(psnr_rows_db(made, true).mean())


def psnr_rows_db(made: Codes, true: Codes) -> Rows:
    """Peak signal-to-noise ratio (n,) of each picture (n, H, W, 3)."""
    error = np.square(made.astype(np.float64) - true).mean(axis=(1, 2, 3))
    found: Rows = 10 * np.log10(WHITE**2 / np.maximum(error, 1e-3))
    return found


def ssim_rows(made: Codes, true: Codes) -> Rows:
    """Structural similarity (n,) of each picture (Wang et al. 2004), windows of 7 px."""
    window = min(_WINDOW_PX, true.shape[1] - 1 + true.shape[1] % 2)
    pairs = zip(made, true, strict=True)
    found = [structural_similarity(a, b, channel_axis=2, data_range=WHITE, win_size=window) for a, b in pairs]
    return np.array(found, np.float64)


def verification_rows(made: Embeddings, true: Embeddings, people: NDArray[np.int64]) -> Rows:
    """Part of all pairs of different people that each made picture beats with its own true one. Shape (n,).

    Their mean is the verification AUC: the chance that a made picture is nearer to its own true one than a
    picture is to another person's. 0.5 says nothing.

    Args:
        made: (n, E), of length 1.
        true: (n, E), of the same rows.
        people: (n,), who is on each row.
    """
    cosine = true @ made.T
    others = np.sort(cosine[people[:, None] != people[None, :]])
    own = np.diagonal(cosine)
    if not len(others):
        return np.full(len(own), np.nan)
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
    found: Rows = below / (2 * len(others))
    return found


def recognition_rate(made: Embeddings, true: Embeddings, people: NDArray[np.int64], gallery: int) -> float:
    """Part of made pictures whose nearest true picture, of ``gallery`` people with one each, is their own."""
    _, first = np.unique(people, return_index=True)
    rows = np.sort(first)[:gallery]
    return float((np.argmax(made[rows] @ true[rows].T, axis=1) == np.arange(len(rows))).mean())


def frechet_distance(one: Embeddings, other: Embeddings) -> float:
    """Distance of two Gaussians fitted to embeddings (n, E) and (m, E). Compare at equal n only."""
    gap = one.mean(axis=0) - other.mean(axis=0)
    first, second = (np.cov(each, rowvar=False) for each in (one, other))
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    # The trace of sqrt(first second) is that of the symmetric sqrt(root second root).
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * shared)


def nearest(one: Embeddings, other: Embeddings) -> NDArray[np.float64]:
    """Largest cosine of each row of ``one`` to any row of ``other``, both of length 1."""
    parts = [part @ other.T for part in np.array_split(one, max(1, len(one) // 512))]
    return np.concatenate([part.max(axis=1) for part in parts]).astype(np.float64)


def landmark_rows(found: NDArray[np.floating[Any]], true: NDArray[np.floating[Any]]) -> Rows:
    """Mean point distance over the diagonal of the true points' bounding box (n,); points (n, P, 2)."""
    distance = np.linalg.norm(found - true, axis=-1).mean(axis=1)
    diagonal = np.linalg.norm(true.max(axis=1) - true.min(axis=1), axis=-1)
    error: Rows = distance / diagonal
    return error
