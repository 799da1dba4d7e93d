"""Dark references of the last passes as one, as long as they are young and agree.

The dark of one pass has as few samples as one mask, and its error is in every ratio of the
pass alike. Offset and stray light change slowly; what was read a moment ago still holds.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lsi.measurement import DarkReference

AGREEING_SIGMAS: Final = 5.0
"""A dark that is further from the mean of those before, in standard errors, begins anew.

One in a million by chance; stray light that is switched on is far beyond it.
"""
QUANTIZATION_COUNTS: Final = 0.5
"""Two means of a quiet converter may differ by this much and mean the same."""


@dataclass(slots=True)
class DarkAverage:
    """Darks no older than ``max_age_ns``, which is 0 for the latest alone."""

    max_age_ns: int = 0
    _kept: list[DarkReference] = field(default_factory=list, init=False, repr=False)

    def add(self, dark: DarkReference, samples: int) -> DarkReference:
        """``dark``, of ``samples`` samples per arm, averaged with those that are young enough and agree.

        ``taken_at_ns`` of the result is that of the oldest one in it; ``std_counts`` stays
        that of one sample.
        """
        oldest_ns = dark.taken_at_ns - self.max_age_ns
        self._kept = [each for each in self._kept if each.taken_at_ns >= oldest_ns]
        if self._kept and not self._agrees(dark, samples):
            self._kept.clear()
        self._kept.append(dark)
        return self._mean()

    def _agrees(self, dark: DarkReference, samples: int) -> bool:
        before = self._mean()
        error = np.hypot(dark.std_counts, before.std_counts / np.sqrt(len(self._kept))) / np.sqrt(samples)
        allowed = AGREEING_SIGMAS * error + QUANTIZATION_COUNTS
        return bool((np.abs(dark.mean_counts - before.mean_counts) <= allowed).all())

    def _mean(self) -> DarkReference:
        means = np.mean([each.mean_counts for each in self._kept], axis=0)
        variances = np.mean([each.std_counts**2 for each in self._kept], axis=0)
        return DarkReference(means, np.sqrt(variances), self._kept[0].taken_at_ns)
