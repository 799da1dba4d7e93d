"""A noisy mechanism for tests: simple, quick, and as honest as it is told to be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lab.audit.counts import Released

ATTRIBUTES = 2
SUPPRESSED_BELOW = 10


@dataclass
class Geometric:
    """Two-sided geometric noise of scale ``spread``; ``epsilon`` is only what it claims."""

    epsilon: float
    spread: float
    suppressed_below: int = SUPPRESSED_BELOW
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def release(self, counts: Sequence[int]) -> Released:
        share = 1 - math.exp(-1 / self.spread)
        noise = self.generator.geometric(share, (2, len(counts)))
        noisy = [count + int(more) - int(less) for count, more, less in zip(counts, *noise, strict=True)]
        return None if noisy[0] < self.suppressed_below else tuple(max(0, each) for each in noisy)


def honest(epsilon: float) -> Geometric:
    return Geometric(epsilon, spread=(ATTRIBUTES + 1) / epsilon)
