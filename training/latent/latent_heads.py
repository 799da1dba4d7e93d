"""Heads on frozen offsets: linear, fitted in closed form. Masks and encoder are not touched: numpy only."""

from typing import Final

import numpy as np

from host.decoder.linear_head import LinearHead, Values

PENALTY: Final = 1.0
"""Ridge on standardised inputs, in units of one row."""


def fit_head(offsets: Values, targets: Values, penalty: float = PENALTY) -> LinearHead:
    """Ridge regression of targets (n, T) on offsets (n, L, D).

    Raises:
        ValueError: Not one row of targets per offset, or none.
    """
    if len(offsets) != len(targets) or not len(offsets):
        message = f"{len(offsets)} offsets for {len(targets)} targets"
        raise ValueError(message)
    flat = offsets.reshape(len(offsets), -1).astype(np.float64)
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    scale = 1 / np.maximum(spread, 1e-6)
    standard, bias = (flat - mean) * scale, targets.mean(axis=0, dtype=np.float64)
    gram = standard.T @ standard + penalty * np.eye(standard.shape[1])
    weights = np.linalg.solve(gram, standard.T @ (targets - bias))
    return LinearHead(*(each.astype(np.float32) for each in (mean, scale, weights, bias)))
