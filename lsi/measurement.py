"""From converter counts to the vector the encoder reads.

Letters: M patterns, S samples per pattern and arm. Axis 1 of ``counts`` is the
arm: 0 is arm + (light of mirrors that are on), 1 is arm - (mirrors that are off) or
what stands for it (``ArmLayout``).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import digest_of, frozen_array

ARMS: Final = 2


class ArmLayout(StrEnum):
    """Where arm - comes from.

    ``TWO``: a photodiode of its own, sampled together with arm +. ``ONE_WITH_REFERENCE``:
    arm + alone; axis 1 holds the all-open pattern instead, the same for every mask.
    ``COMPLEMENTARY``: arm + alone, which sees every mask and then its complement.
    """

    TWO = "two"
    ONE_WITH_REFERENCE = "one-with-reference"
    COMPLEMENTARY = "complementary"


@dataclass(frozen=True, slots=True)
class CountScale:
    """What a converter's count means: volts at its input are ``count * v_per_count + zero_v``.

    Counts are unsigned; a converter of signed codes has its zero moved (``zero_v`` below 0).
    """

    full_scale_counts: int
    v_per_count: float
    zero_v: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.full_scale_counts <= np.iinfo(np.uint16).max or not self.v_per_count > 0:
            message = f"no converter has full scale {self.full_scale_counts} and {self.v_per_count} V a count"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """How one scan is timed.

    ``settle_ns`` is waited after the edge that starts an exposure, before the first
    conversion. ``samples_per_pattern`` per arm follow; all of them have to end before
    ``exposure_ns``.
    """

    exposure_ns: int
    settle_ns: int
    samples_per_pattern: int
    trigger_timeout_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.settle_ns < self.exposure_ns:
            message = f"settle_ns {self.settle_ns} must lie in 0..{self.exposure_ns - 1}"
            raise ValueError(message)
        if self.samples_per_pattern < 1 or self.trigger_timeout_ns < 1:
            message = "samples_per_pattern and trigger_timeout_ns must be at least 1"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, repr=False)
class RawScan:
    """Untouched converter output of one scan, and when it was taken.

    Shape: ``counts`` (M, 2, S) uint16, 0..``scale.full_scale_counts``. ``dropped_count``
    conversions were lost while masks were shown; ``trimmed_count`` of the S sorted samples
    are left out at either end wherever samples become one number.
    """

    counts: NDArray[np.uint16]
    scale: CountScale
    pattern_digest: str
    started_at_ns: int
    duration_ns: int
    layout: ArmLayout = ArmLayout.TWO
    dropped_count: int = 0
    trimmed_count: int = 0

    def __post_init__(self) -> None:
        frozen = frozen_array("counts", self.counts, np.uint16, (None, ARMS, None))
        object.__setattr__(self, "counts", frozen)
        if not 0 <= 2 * self.trimmed_count < self.counts.shape[2]:
            message = f"{self.trimmed_count} trimmed at either end of {self.counts.shape[2]} samples"
            raise ValueError(message)

    @property
    def mean_counts(self) -> NDArray[np.float64]:
        """(M, 2): the trimmed mean of the samples."""
        return trimmed_mean(self.counts, self.trimmed_count)

    @property
    def standard_error_counts(self) -> NDArray[np.float64]:
        """(M, 2): standard error of ``mean_counts``.

        That of a trimmed mean, from the winsorised samples (Tukey and McLaughlin 1963). 0 with one sample.
        """
        samples, trimmed = self.counts.shape[2], self.trimmed_count
        if samples == 1:
            return np.zeros(self.counts.shape[:2])
        ordered = np.sort(self.counts, axis=2).astype(np.float64)
        winsorised = np.clip(ordered, ordered[..., [trimmed]], ordered[..., [samples - 1 - trimmed]])
        spread = winsorised.std(axis=2, ddof=1)
        error: NDArray[np.float64] = spread * np.sqrt(samples) / (samples - 2 * trimmed)
        return error

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """(M,) bool: masks with a sample at either end of the converter's range."""
        at_end = (self.counts == 0) | (self.counts >= self.scale.full_scale_counts)
        flags: NDArray[np.bool_] = at_end.any(axis=(1, 2))
        return flags

    def __repr__(self) -> str:
        digest = digest_of(self.counts.tobytes())[:8]
        return f"RawScan(shape={self.counts.shape}, digest={digest})"


def trimmed_mean(counts: NDArray[np.uint16], trimmed_count: int) -> NDArray[np.float64]:
    """Mean over the last axis without the ``trimmed_count`` lowest and highest samples."""
    if trimmed_count:
        counts = np.sort(counts, axis=-1)[..., trimmed_count:-trimmed_count]
    mean: NDArray[np.float64] = counts.mean(axis=-1)
    return mean


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
