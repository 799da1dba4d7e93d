"""How many independent numbers a set of masks can see of a scene, and how many it may."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lsi.disclosure import PayloadMode
from lsi.errors import MaskRankError
from lsi.patterns import PatternSet

RANK_CAP: Final[Mapping[PayloadMode, int]] = MappingProxyType(
    {PayloadMode.AGG: 64, PayloadMode.ATTR_LITE: 64, PayloadMode.ATTR: 128, PayloadMode.LATENT: 512}
)
"""Most independent masks per payload mode. A full bank of 64 x 64 would be a camera."""

_BLOCK: Final = 8192
"""Mirrors taken at a time: 512 masks in float32 need 16 MiB."""


def mask_rank(patterns: PatternSet) -> int:
    """Rank over the real numbers of the masks as rows of 0 and 1.

    It is the rank of their Gram matrix, whose entries are whole numbers below 2**24 and so
    exact in float32. An eigenvalue that rounding hides belongs to a combination of masks
    with less than a millionth of the strongest one's signal.
    """
    rows = patterns.masks.reshape(len(patterns), -1)
    gram = np.zeros((len(rows), len(rows)), np.float64)
    for start in range(0, rows.shape[1], _BLOCK):
        block = rows[:, start : start + _BLOCK].astype(np.float32)
        gram += block @ block.T
    return int(np.linalg.matrix_rank(gram, hermitian=True))


def check_mask_rank(patterns: PatternSet, *modes: PayloadMode) -> None:
    """Refuse masks that see more than every one of ``modes`` may.

    Raises:
        MaskRankError: The rank is above the smallest cap of ``modes``.
    """
    mode = min(modes, key=RANK_CAP.__getitem__)
    # The rank is at most the number of masks, so that a small bank needs no arithmetic.
    if len(patterns) <= RANK_CAP[mode]:
        return
    rank = mask_rank(patterns)
    if rank > RANK_CAP[mode]:
        found = f"The masks have rank {rank}; in mode '{mode}' at most {RANK_CAP[mode]} are allowed."
        raise MaskRankError(found, hint="a bundle with fewer masks, or one made for a wider mode.")
