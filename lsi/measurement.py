"""From converter counts to the vector the encoder reads.

Letters: M patterns, S samples per pattern and arm. Axis 1 of ``counts`` is the
arm: 0 is arm + (light of mirrors that are on), 1 is arm - (mirrors that are off).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import digest_of, frozen_array

ARMS: Final = 2
SAMPLES_PER_BLOCK: Final = 2
"""Samples per arm that one A B B A block of conversions gives."""


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """How one scan is timed.

    ``settle_ns`` is waited after the edge that starts an exposure, before the first
    conversion. ``blocks_per_pattern`` A B B A blocks follow; all of them have to end
    before ``exposure_ns``. A multiplexed converter reads A B B A so that light that
    drifts linearly adds nothing to the difference of the arms.
    """

    exposure_ns: int
    settle_ns: int
    blocks_per_pattern: int
    trigger_timeout_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.settle_ns < self.exposure_ns:
            message = f"settle_ns {self.settle_ns} must lie in 0..{self.exposure_ns - 1}"
            raise ValueError(message)
        if self.blocks_per_pattern < 1 or self.trigger_timeout_ns < 1:
            message = "blocks_per_pattern and trigger_timeout_ns must be at least 1"
            raise ValueError(message)

    @property
    def samples_per_pattern(self) -> int:
        """S: samples per pattern and arm."""
        return SAMPLES_PER_BLOCK * self.blocks_per_pattern


@dataclass(frozen=True, slots=True, repr=False)
class RawScan:
    """Untouched converter output of one scan, and when it was taken.

    Shape: ``counts`` (M, 2, S) uint16, 0..``full_scale_counts``.
    """

    counts: NDArray[np.uint16]
    full_scale_counts: int
    pattern_digest: str
    started_at_ns: int
    duration_ns: int

    def __post_init__(self) -> None:
        frozen = frozen_array("counts", self.counts, np.uint16, (None, ARMS, None))
        object.__setattr__(self, "counts", frozen)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """(M,) bool: masks with a sample at either end of the converter's range."""
        at_end = (self.counts == 0) | (self.counts >= self.full_scale_counts)
        flags: NDArray[np.bool_] = at_end.any(axis=(1, 2))
        return flags

    def __repr__(self) -> str:
        digest = digest_of(self.counts.tobytes())[:8]
        return f"RawScan(shape={self.counts.shape}, digest={digest})"


@dataclass(frozen=True, slots=True, repr=False)
class DarkReference:
    """What each arm reads when the DMD sends it no light of the scene.

    Arm + is read with all mirrors off, arm - with all mirrors on; both hold the
    offset of the electronics and stray light.

    Shape: ``mean_counts`` and ``std_counts`` (2,) float64; ``std_counts`` is that of
    one sample.
    """

    mean_counts: NDArray[np.float64]
    std_counts: NDArray[np.float64]
    taken_at_ns: int

    def __post_init__(self) -> None:
        for name in ("mean_counts", "std_counts"):
            frozen = frozen_array(name, getattr(self, name), np.float64, (ARMS,))
            object.__setattr__(self, name, frozen)

    def __repr__(self) -> str:
        return f"DarkReference(taken_at_ns={self.taken_at_ns})"


@dataclass(frozen=True, slots=True, repr=False)
class Measurement:
    """What the encoder was trained on: one ratio of arms per mask.

    ``y = (J+ - J-) / (J+ + J-)`` after dark subtraction, in -1..1 but for noise.
    Invariant to the brightness of the light.

    Shape: ``values`` (M,) float32, in the order of the ``PatternSet`` with
    ``pattern_digest``.
    """

    values: NDArray[np.float32]
    pattern_digest: str
    started_at_ns: int
    duration_ns: int

    def __post_init__(self) -> None:
        frozen = frozen_array("values", self.values, np.float32, (None,))
        object.__setattr__(self, "values", frozen)

    @property
    def digest(self) -> str:
        """SHA-256 of the values; tells two measurements apart without showing them."""
        return digest_of(self.values.tobytes())

    def __repr__(self) -> str:
        return f"Measurement(shape={self.values.shape})"
