"""How much a message can say at all: entropies, information of a noisy measurement, what follows for names.

Bits are to base 2. Ref: Fano's inequality (Cover and Thomas, Elements of Information Theory, 2.10);
Miller 1955 and Madow 1948 for the correction of entropies of few samples.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def message_figures(messages: Values, people: int, declared_bits: float) -> dict[str, Any]:
    """Entropies of discrete messages (n, F), and what they bound.

    ``entropy_with_presence_bits`` holds whatever part of the scans shows a face: presence p adds its own
    entropy and lets the rest speak in p of the scans; the worst p gives ``log2(1 + 2**H)``.
    """
    _, counts = np.unique(messages, axis=0, return_counts=True)
    share = counts / counts.sum()
    plugged = float(-(share * np.log2(share)).sum())
    corrected = plugged + (len(counts) - 1) / (2 * counts.sum() * math.log(2))
    worst = math.log2(1 + 2**corrected)
    return {
        "declared_bits": declared_bits,
        "distinct": len(counts),
        "entropy_bits": corrected,
        "entropy_plug_in_bits": plugged,
        "collision_entropy_bits": float(-math.log2(float((share**2).sum()))),
        "entropy_with_presence_bits": worst,
        "alone_share": float((counts == 1).sum() / counts.sum()),
        "fewer_than_5_share": float(counts[counts < 5].sum() / counts.sum()),  # noqa: PLR2004 - as named
        "fano_rank1_at_most": fano_bound(worst, people),
        "counting_rank1_at_most": min(1.0, len(counts) / people),
    }


def measurement_figures(values: Values, noise_variance: Values, adc_bits: int, people: int) -> dict[str, Any]:
    """Information of measurements (n, d) about the scene, given the variance of their noise (d,).

    ``gaussian_bits`` is an upper bound: among all scenes of these variances, Gaussian ones tell most.
    """
    d = values.shape[1]
    root = 1 / np.sqrt(np.maximum(noise_variance, 1e-30))
    whitened = np.cov(values.T).reshape(d, d) * root[:, None] * root
    strengths = np.linalg.eigvalsh(whitened)
    # What was measured holds the noise already: 1 of each strength.
    bits = float(0.5 * np.log2(np.maximum(strengths, 1.0)).sum())
    return {
        "declared_bits": float(d * adc_bits),
        "gaussian_bits": bits,
        "effective_bits_per_mask": bits / d,
        "fano_rank1_at_most": fano_bound(bits, people),
    }


def fano_bound(bits: float, people: int) -> float:
    """Largest part of ``people`` equally likely people that ``bits`` of information can name.

    Fano: ``log2 M - I <= h(e) + e log2(M - 1)``, solved for the smallest error e; never below chance.
    """
    if people <= 1:
        return 1.0
    low, high = 0.0, 1 - 1 / people
    if math.log2(people) - bits <= 0:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        uncertain = _binary_entropy(middle) + middle * math.log2(people - 1)
        low, high = (low, middle) if uncertain >= math.log2(people) - bits else (middle, high)
    return 1 - low


def _binary_entropy(share: float) -> float:
    if share in {0.0, 1.0}:
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)
