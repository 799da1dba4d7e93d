"""Classical reconstruction: low-frequency Hadamard masks, then the picture of least variation or few waves.

The solvers are pylops': split Bregman for total variation, FISTA for wavelets (PyWavelets'). Nothing is
learned but the weight of the prior, the one of ``WEIGHTS`` with the least error on training scenes.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pylops
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.baselines.optics import measured, operator, told
from training.light.forward_model import TwoArms
from training.mask_banks.baseline_masks import hadamard_masks, normalised

WEIGHTS: Final = (0.01, 0.03, 0.1, 0.3)
"""Of the prior, in units of a scene's mean light."""
CHOSEN_ON: Final = 32
"""Training scenes on which the weight is chosen."""
ROWS_AT_ONCE: Final = 512
TV_STEPS: Final = 20
TV_INNER_STEPS: Final = 5
WAVELET: Final = "db4"
WAVELET_LEVELS: Final = 3
WAVELET_STEPS: Final = 40

Floats = NDArray[np.float32]
Solve = Callable[[Tensor, Tensor, float], Tensor]
"""From the operator (d + 1, P), what it was told (n, d + 1) and a weight to scenes (n, P) of mean 1."""


def learn_sparse(solve: Solve, fields: Floats, d: int, detector: TwoArms) -> Callable[[Floats], Floats]:
    """Choose the weight on some of ``fields``; what comes back takes fields to their luminance (n, H, W)."""
    size_px = fields.shape[-1]
    masks = torch.tensor(hadamard_masks(d, size_px), dtype=torch.float32)
    matrix, level = operator(masks), float(fields.mean())

    def scenes(shown: Floats, weight: float) -> Floats:
        ratios = told(measured(shown, masks, detector), size_px**2)
        parts = [solve(matrix, part, weight) for part in torch.split(ratios, ROWS_AT_ONCE)]
        found: Floats = torch.cat(parts).numpy().reshape(shown.shape)
        return found

    some = fields[:: max(1, len(fields) // CHOSEN_ON)]
    errors = [float(np.square(scenes(some, weight) - normalised(some)).mean()) for weight in WEIGHTS]
    best = WEIGHTS[int(np.argmin(errors))]
    return lambda shown: scenes(shown, best) * np.float32(level)


def least_variation(matrix: Tensor, ratios: Tensor, weight: float) -> Tensor:
    """Total variation along rows and along columns, by split Bregman iterations; all scenes as one block.

    It starts from nothing: from a scene that agrees with the scan the inner solver does not move.
    """
    rows, size_px = len(ratios), int(matrix.shape[1] ** 0.5)
    shape = (size_px, size_px, rows)
    slopes = [pylops.FirstDerivative(shape, axis=axis, kind="forward", dtype="float32") for axis in (0, 1)]
    scene, _, _ = pylops.optimization.sparsity.splitbregman(
        pylops.MatrixMult(matrix.numpy(), otherdims=(rows,), dtype="float32"),
        ratios.T.numpy().ravel(),
        slopes,
        niter_outer=TV_STEPS,
        niter_inner=1,
        epsRL1s=[weight, weight],
        iter_lim=TV_INNER_STEPS,
    )
    return torch.tensor(scene.astype(np.float32).reshape(-1, rows).T)


def fewest_wavelets(matrix: Tensor, ratios: Tensor, weight: float) -> Tensor:
    """Few wavelets beyond the mean, all scenes as one block."""
    rows, size_px = len(ratios), int(matrix.shape[1] ** 0.5)
    known = matrix.sum(dim=1)  # of a scene that is 1 everywhere
    waves = pylops.signalprocessing.DWT2D(
        (size_px, size_px, rows), axes=(0, 1), wavelet=WAVELET, level=WAVELET_LEVELS, dtype="float32"
    )
    seen = pylops.MatrixMult(matrix.numpy(), otherdims=(rows,), dtype="float32") @ waves.H
    coefficients, _, _ = pylops.optimization.sparsity.fista(
        seen, (ratios - known).T.numpy().ravel(), niter=WAVELET_STEPS, eps=2 * weight, alpha=1.0, tol=0.0
    )
    scene = np.asarray(waves.H @ coefficients, np.float32).reshape(-1, rows)
    return 1 + torch.tensor(scene.T)
