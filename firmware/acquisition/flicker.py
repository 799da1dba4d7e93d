"""Light that flickers: mains (100 or 120 Hz) and lines of switched LED drivers.

A sine is fitted to the light over time, together with its mean and a steady drift. What is
told is a figure of the lamp: frequency and depth, relative to the mean, so that the scene
and the brightness drop out.

Bounds: a recording shorter than one period of 100 Hz cannot tell. 100 and 120 Hz are told
apart by the better fit, which needs a clean sine or some 50 ms (20 Hz apart). Lines above
0.45 of the sampling rate are seen folded, at another frequency. With unequal arms their sum
depends a little on the mask; ``Flicker.floor`` rises with that.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.measurement import CountScale
from lsi.units import NS_PER_S

MAINS_HZ: Final = (100.0, 120.0)
"""Twice the mains frequency: lamps brighten with both half waves."""
SIGNIFICANT: Final = 5.0
"""A depth counts when it is this many times its standard error."""

_LINE_FROM_HZ: Final = 180.0
_LINE_TO: Final = 0.45  # of the sampling rate
_REFINEMENTS: Final = (0.5, 0.25, 0.125, 0.0625)  # of a bin
_PARAMETERS: Final = 4


@dataclass(frozen=True, slots=True)
class Flicker:
    """The strongest periodic change of the light.

    ``depth`` is amplitude over mean, 0..1 for a sine (half of peak to peak over the mean);
    ``floor`` what noise alone gives, one standard error.
    """

    frequency_hz: float
    depth: float
    floor: float

    @property
    def is_significant(self) -> bool:
        """Whether there is flicker at all."""
        return self.depth > SIGNIFICANT * self.floor


def detect_flicker(light: NDArray[np.float64], times_ns: NDArray[np.float64]) -> Flicker | None:
    """The strongest of the mains frequencies and of all lines above 180 Hz.

    Args:
        light: (N,) any unit, without what is there in the dark.
        times_ns: (N,) of the samples, rising; gaps are allowed.

    Returns:
        ``None`` when the recording is shorter than one period of 100 Hz, has fewer than a
        dozen samples, or no light.
    """
    span_ns = float(times_ns[-1] - times_ns[0]) if len(times_ns) else 0.0
    mean = float(light.mean()) if len(light) else 0.0
    if len(light) < 3 * _PARAMETERS or span_ns < NS_PER_S / min(MAINS_HZ) or mean <= 0:
        return None
    seconds = (times_ns - times_ns[0]) / NS_PER_S
    relative = light / mean
    found = [_fitted(relative, seconds, hz) for hz in (*MAINS_HZ, *_lines_hz(relative, seconds))]
    return max(found, key=lambda flicker: flicker.depth / max(flicker.floor, np.finfo(float).tiny))


def without_flicker(
    counts: NDArray[np.uint16], lamp: NDArray[np.float64], scale: CountScale
) -> NDArray[np.uint16]:
    """Counts as a lamp at its mean would have given them, rounded to whole counts.

    Args:
        counts: (P, A, S).
        lamp: (P, 1, S), taken at the same instants, without what is there in the dark.
        scale: Of ``counts``; the counts of 0 V stay what they are. Samples at either end of
            the range stay, too: they are clipped.

    Returns:
        (P, A, S). Unchanged where the lamp channel sees no light.
    """
    zero_counts = -scale.zero_v / scale.v_per_count
    factor = np.divide(lamp.mean(), lamp, out=np.ones_like(lamp), where=lamp > 0)
    steadied = np.rint(zero_counts + (counts - zero_counts) * factor)
    inside = np.clip(steadied, 1, scale.full_scale_counts - 1).astype(np.uint16)
    is_clipped = (counts == 0) | (counts >= scale.full_scale_counts)
    return np.where(is_clipped, counts, inside)


def _fitted(relative: NDArray[np.float64], seconds: NDArray[np.float64], hz: float) -> Flicker:
    """Least squares of mean, drift, cosine and sine."""
    angle = 2 * np.pi * hz * seconds
    middle = seconds - seconds.mean()
    model = np.stack([np.ones_like(seconds), middle / np.ptp(seconds), np.cos(angle), np.sin(angle)], axis=1)
    normal = model.T @ model
    weights = np.linalg.solve(normal, model.T @ relative)
    residual = relative - model @ weights
    variance = float(residual @ residual) / (len(relative) - _PARAMETERS)
    spread = np.linalg.inv(normal).diagonal()[2:] * variance
    # The fitted mean: that of the samples is off where half a period is left over.
    mean = max(float(weights[0]), np.finfo(float).tiny)
    return Flicker(hz, float(np.hypot(*weights[2:])) / mean, float(np.sqrt(spread.max())) / mean)


def _lines_hz(relative: NDArray[np.float64], seconds: NDArray[np.float64]) -> list[float]:
    """The strongest line of the spectrum above the mains, refined; none in a short recording.

    Samples are put on an even grid, with 0 (the mean) where there is a gap.
    """
    spacing_s = float(np.median(np.diff(seconds)))
    places = np.rint(seconds / spacing_s).astype(np.intp)
    grid = np.zeros(int(places[-1]) + 1)
    grid[places] = relative - relative.mean()
    power = np.abs(np.fft.rfft(grid * np.hanning(len(grid)))) ** 2
    frequencies_hz = np.fft.rfftfreq(len(grid), spacing_s)
    power[(frequencies_hz < _LINE_FROM_HZ) | (frequencies_hz > _LINE_TO / spacing_s)] = 0
    if not power.any():
        return []
    best_hz, bin_hz = float(frequencies_hz[power.argmax()]), float(frequencies_hz[1])
    for part in _REFINEMENTS:
        near = [best_hz + shift * part * bin_hz for shift in (-1, 0, 1)]
        best_hz = max(near, key=lambda hz: _fitted(relative, seconds, hz).depth)
    return [best_hz]
