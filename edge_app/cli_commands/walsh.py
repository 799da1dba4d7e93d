"""Sixteen fixed patterns for looking at a scan before any bundle is there."""

import numpy as np

from lsi.patterns import PatternSet

SIDE_PX = 64
_ORDER = 4


def walsh_patterns() -> PatternSet:
    """The 16 lowest two-dimensional Walsh functions on 64 x 64 mirrors.

    Too few and too coarse to show more than a 4 x 4 picture; used by ``lsi-edge scan``
    when no bundle is named.
    """
    rows = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0]], np.bool_)
    wide = np.repeat(rows, SIDE_PX // _ORDER, axis=1)
    # Product of signs: equal signs give +, so "not xor".
    masks = ~(wide[:, None, :, None] ^ wide[None, :, None, :])
    return PatternSet(masks.reshape(_ORDER * _ORDER, SIDE_PX, SIDE_PX))
