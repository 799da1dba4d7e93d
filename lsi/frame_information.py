"""How much one scan can tell at most, whatever is done with it later."""

import math
from typing import Final

import numpy as np

from lsi.measurement import DarkReference, RawScan

QUANTIZATION_VARIANCE: Final = 1 / 12
"""Of a converter's rounding, in counts squared."""


def frame_bits(raw: RawScan, dark: DarkReference) -> int:
    """An upper bound on the information about the scene in one scan, in bits.

    d channels, each with an amplitude from -1 to 1 and the measured noise of the dark, at the most light
    that the converter can take: a bound for every scene, and so nothing of this one. More light would
    only add photon noise. Ref: McKellips 2004, C <= log2(1 + 2 A / sqrt(2 pi e sigma^2)).
    """
    masks, _, samples = raw.counts.shape
    variance_counts = float(np.sum(dark.std_counts**2 + QUANTIZATION_VARIANCE)) / samples
    brightest_counts = 2 * raw.scale.full_scale_counts
    sigma = math.sqrt(variance_counts) / brightest_counts
    bits = float(masks) * math.log2(1 + 2 / (sigma * math.sqrt(2 * math.pi * math.e)))
    return math.ceil(bits)
