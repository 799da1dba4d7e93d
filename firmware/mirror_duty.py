"""How long mirrors have stood on each side: a DMD wears out sooner when they favour one.

Known from masks and times alone; nothing of a scene is in it.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.patterns import PatternSet

IDLE_SHARE: Final = 0.5
"""Idle mode flips all mirrors with equal time on both sides (TI DLPU018J, 0x0201)."""


@lru_cache(maxsize=2)
def _times_on(sequence: PatternSet) -> NDArray[np.int64]:
    """In how many patterns of a pass each pixel is on; remembered, a pass is shown again and again."""
    times: NDArray[np.int64] = sequence.masks.sum(axis=0)
    return times


@dataclass(slots=True)
class MirrorDuty:
    """Time that each mask pixel's mirrors were on, of all the time since the start.

    Between the exposures of a pass the mirrors are off; between passes they idle.
    """

    _on_ns: NDArray[np.float64] | None = field(default=None, init=False, repr=False)
    _total_ns: int = field(default=0, init=False)
    _idle_since_ns: int | None = field(default=None, init=False)

    def add_pass(self, sequence: PatternSet, exposure_ns: int, started_at_ns: int, ended_at_ns: int) -> None:
        """One pass of ``sequence``; from the end of the one before until its start the mirrors idled."""
        idle_ns = 0 if self._idle_since_ns is None else started_at_ns - self._idle_since_ns
        on_ns = _times_on(sequence) * float(exposure_ns) + idle_ns * IDLE_SHARE
        # Masks of another shape lie on other mirrors: count anew.
        if self._on_ns is None or self._on_ns.shape != on_ns.shape:
            self._on_ns, self._total_ns = np.zeros(on_ns.shape), 0
        self._on_ns += on_ns
        self._total_ns += idle_ns + ended_at_ns - started_at_ns
        self._idle_since_ns = ended_at_ns

    @property
    def extremes(self) -> tuple[float, float] | None:
        """Duty of the mirrors that were on for the least and the most of the time, 0 to 1."""
        if self._on_ns is None or not self._total_ns:
            return None
        duty = np.clip(self._on_ns / self._total_ns, 0, 1)
        return float(duty.min()), float(duty.max())
