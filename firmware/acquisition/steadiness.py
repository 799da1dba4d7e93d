"""Did scene and light hold still during a pass? The first mask is shown again at its end.

A change of the ratio of arms says that the scene (or a gain) changed, in standard errors of
the ratio; a change of the light alone leaves the ratio as it is and is told beside it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import UnsteadySceneError
from lsi.measurement import ArmLayout, CountScale, DarkReference, RawScan

ROUNDING_COUNTS: Final = 1 / math.sqrt(12)
"""Standard error that is always there: samples that all round to one count do not say more."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How the repeated mask differs from the first.

    ``ratio_change`` is the absolute change of the ratio of arms in standard errors; ``light_change`` that of
    the light of both arms together, relative, negative when it became darker.
    """

    ratio_change: float
    light_change: float


@dataclass(frozen=True, slots=True)
class SteadinessLimits:
    """What is still called steady.

    With one pass in 3,500 that exceeds 3.5 standard errors by chance, 5 leaves room for
    samples that are not quite independent (U: to be set from real scans).
    """

    ratio_change: float = 5.0
    light_change: float = 0.1


def steadiness(pair: RawScan, dark: DarkReference) -> Steadiness:
    """Compare the two masks of ``pair``: the first mask of a pass and its repetition.

    The dark reference is the same for both, so its error is left out.

    Raises:
        ValueError: Not two masks.
    """
    if len(pair.counts) != 2:  # noqa: PLR2004 - a pair
        message = f"a pair has 2 masks, found {len(pair.counts)}"
        raise ValueError(message)
    light = pair.mean_counts - dark.mean_counts
    error = np.maximum(pair.standard_error_counts, ROUNDING_COUNTS)
    one_arm = pair.layout is ArmLayout.ONE_WITH_REFERENCE
    total = light[:, 0] if one_arm else light.sum(axis=1)
    if not (total > 0).all():
        return Steadiness(0.0, -1.0 if total[0] > 0 else 0.0)
    if one_arm:
        # The all-open reference was taken once: arm + of the mask is all that can change.
        change, expected = total[1] - total[0], float(np.hypot(*error[:, 0]))
    else:
        change, expected = _ratio_change(light, error)
    return Steadiness(abs(float(change)) / expected, float(total[1] / total[0] - 1))


def pair_of(
    first: NDArray[np.uint16],
    repeated: NDArray[np.uint16],
    scale: CountScale,
    *,
    layout: ArmLayout = ArmLayout.TWO,
    trimmed_count: int = 0,
) -> RawScan:
    """Counts (2, S) of a mask and (2, S) of its repetition, for :func:`steadiness`."""
    return RawScan(np.stack([first, repeated]), scale, "", 0, 0, layout, 0, trimmed_count)


def check_steadiness(found: Steadiness, limits: SteadinessLimits) -> None:
    """Refuse a pass during which scene or light changed.

    Raises:
        UnsteadySceneError: A change above its limit; the message holds changes, not measurements.
    """
    if abs(found.light_change) > limits.light_change:
        told = f"The light changed by {100 * found.light_change:+.0f} % during the scan."
        raise UnsteadySceneError(told, hint="steady light; wait until the lamp is warm.")
    if found.ratio_change > limits.ratio_change:
        told = f"The scene changed during the scan: by {found.ratio_change:.1f} standard errors."
        raise UnsteadySceneError(told, hint="hold still, or scan faster: shorter exposures, fewer masks.")


def _ratio_change(light: NDArray[np.float64], error: NDArray[np.float64]) -> tuple[float, float]:
    """Change of the ratio of arms, and its standard error by propagation."""
    plus, minus = light.T
    total = plus + minus
    ratio = (plus - minus) / total
    spread = 2 * np.hypot(minus * error[:, 0], plus * error[:, 1]) / total**2
    return float(ratio[1] - ratio[0]), float(np.hypot(*spread))
