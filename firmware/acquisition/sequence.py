"""What one pass shows beside the masks, and which of its samples are what.

A pass begins with all-off and all-on. They are the dark references of arm + and arm -,
and all-on is the all-open reference of a board with one detector. It may end with the first
mask again: what changed between its two showings changed during the pass.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import PassSamples
from lsi.measurement import ArmLayout, DarkReference
from lsi.patterns import PatternSet

ALL_OFF: Final = 0
ALL_ON: Final = 1
DARK_PATTERNS: Final = 2
"""All-off, then all-on, before the masks of every pass."""


@lru_cache(maxsize=2)
def sequence_of(patterns: PatternSet, layout: ArmLayout, *, repeats_first: bool = False) -> PatternSet:
    """The patterns of one pass: all-off, all-on, each mask (with its complement, where asked for).

    With ``repeats_first`` the first mask is shown once more at the end.

    Remembered: building and hashing it is work that a scan should not do again.
    """
    flat = np.zeros((DARK_PATTERNS, *patterns.shape[1:]), np.bool_)
    flat[ALL_ON] = True
    masks = patterns.masks
    if layout is ArmLayout.COMPLEMENTARY:
        masks = np.stack([masks, ~masks], axis=1).reshape(-1, *masks.shape[1:])
    repeated = masks[: _per_mask(layout) if repeats_first else 0]
    return PatternSet(np.concatenate([flat, masks, repeated]))


def _per_mask(layout: ArmLayout) -> int:
    """Patterns of a pass that one mask takes."""
    return 2 if layout is ArmLayout.COMPLEMENTARY else 1


def mask_counts(samples: PassSamples, layout: ArmLayout) -> NDArray[np.uint16]:
    """Counts (M, 2, S) of the masks of a pass, laid out as ``layout`` says; a repeated one is the last.

    Raises:
        ValueError: Another number of arms than the layout has.
    """
    counts = samples.counts
    arms = 2 if layout is ArmLayout.TWO else 1
    if counts.shape[1] != arms:
        message = f"{counts.shape[1]} arms were sampled, layout '{layout}' has {arms}"
        raise ValueError(message)
    masks = counts[DARK_PATTERNS:]
    if layout is ArmLayout.TWO:
        return masks
    if layout is ArmLayout.COMPLEMENTARY:
        return masks.reshape(-1, 2, counts.shape[2])
    reference = np.broadcast_to(counts[[ALL_ON]], masks.shape)
    return np.concatenate([masks, reference], axis=1)


def dark_reference(samples: PassSamples, layout: ArmLayout, taken_at_ns: int) -> DarkReference:
    """Arm + from all-off; arm - from all-on, or from all-off where one detector stands for both."""
    counts = samples.counts
    minus = counts[ALL_ON, 1] if layout is ArmLayout.TWO else counts[ALL_OFF, 0]
    dark = np.stack([counts[ALL_OFF, 0], minus]).astype(np.float64)
    return DarkReference(dark.mean(axis=1), dark.std(axis=1), taken_at_ns)
