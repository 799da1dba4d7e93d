"""The patterns of a calibration: a fixed list, none of which follows from what was measured.

Letters: N is the side of a mask in pixels, M the number of patterns. x runs to the right,
y down, both from -1/2 to 1/2 across the field.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ShapeMismatchError
from lsi.patterns import PatternSet

BLOCKS: Final = 8
"""Blocks along a side of the throughput map."""
STEPS: Final = 8
"""Open fractions of the linearity check: 1/8 to 8/8."""
FLAT_REPEATS: Final = 3
"""All-on and all-off are shown so often among the patterns for a white card."""
DIRECTIONS_DEG: Final = (0, 45, 90, 135)
"""Along which edges are moved: right, right and down, down, left and down."""
EDGES: Final = 15
"""Places of the edge along each direction, every sixteenth of the field."""


@dataclass(frozen=True, slots=True)
class WhitePatterns:
    """What a white card is measured with: flat, steps of open fraction, blocks, flat.

    Each group is a slice of ``patterns``; ``all_on`` and ``all_off`` are indices.
    """

    patterns: PatternSet
    all_on: tuple[int, ...]
    all_off: tuple[int, ...]
    steps: slice
    blocks: slice


@cache
def white_patterns(side_px: int) -> WhitePatterns:
    """The patterns for a white card on masks of ``side_px`` x ``side_px``.

    Raises:
        ShapeMismatchError: The blocks do not fit evenly.
    """
    _check_side(side_px)
    flat = np.zeros((2, side_px, side_px), np.bool_)
    flat[0] = True
    steps, blocks = _steps(side_px), _walsh_blocks(side_px)
    middle = 2 + len(steps)
    last = middle + 2 + len(blocks)
    return WhitePatterns(
        PatternSet(np.concatenate([flat, steps, flat, blocks, flat])),
        all_on=(0, middle, last),
        all_off=(1, middle + 1, last + 1),
        steps=slice(2, middle),
        blocks=slice(middle + 2, last),
    )


def walsh_signs() -> NDArray[np.float64]:
    """Which blocks are open (1) and which are not (-1) in each block pattern.

    Shape: (64, 64), pattern by block, blocks row by row. Rows are orthogonal: a Walsh
    matrix whose rows have the signs of a bent function, so that an offset of all ratios
    spreads evenly over the blocks instead of falling on one.
    """
    pair = np.array([[1.0, 1.0], [1.0, -1.0]])
    walsh = np.ones((1, 1))
    for _ in range(6):
        walsh = np.kron(walsh, pair)
    index = np.arange(BLOCKS**2)
    # The bent function is the parity of the neighbouring pairs of ones (Golay-Rudin-Shapiro).
    odd = np.array([int(number).bit_count() % 2 for number in index & index >> 1])
    signs: NDArray[np.float64] = walsh * np.where(odd, -1.0, 1.0)[:, None]
    return signs


@dataclass(frozen=True, slots=True)
class EdgePatterns:
    """What the printed target is measured with: half of the field, moved across it.

    ``directions_deg`` (M,) says along which direction each edge moves.
    """

    patterns: PatternSet
    directions_deg: tuple[int, ...]


@cache
def edge_patterns(side_px: int) -> EdgePatterns:
    """Edges in four directions on masks of ``side_px`` x ``side_px``.

    What lies before the edge is open. Together they are the light's projections on four
    lines, summed up: 60 numbers, no more than the masks of the narrowest payload mode.

    Raises:
        ShapeMismatchError: The blocks of the white card do not fit evenly.
    """
    _check_side(side_px)
    x, y = centres(side_px)
    places = np.arange(1, EDGES + 1) / (EDGES + 1) - 0.5
    masks, directions = [], []
    for degrees in DIRECTIONS_DEG:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        along = x * cos + y * sin
        # Moved by a hair: no edge goes through the middle of a pixel, where rounding would decide.
        masks.append(along[None] < places[:, None, None] + 1e-9)
        directions += [degrees] * EDGES
    return EdgePatterns(PatternSet(np.concatenate(masks)), tuple(directions))


def centres(side_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of the middles of the pixels: x and y, (N, N) each."""
    axis = (np.arange(side_px) + 0.5) / side_px - 0.5
    x, y = np.meshgrid(axis, axis)
    return x, y


def _steps(side_px: int) -> NDArray[np.bool_]:
    """1/8 to 8/8 of the pixels of every 8 x 8 square, evenly spread: vignetting does not count."""
    row, column = np.indices((side_px, side_px))
    rank = (3 * row + column) % STEPS
    steps: NDArray[np.bool_] = rank[None] < np.arange(1, STEPS + 1)[:, None, None]
    return steps


def _walsh_blocks(side_px: int) -> NDArray[np.bool_]:
    pixels = side_px // BLOCKS
    blocks = (walsh_signs() > 0).reshape(-1, BLOCKS, BLOCKS)
    enlarged: NDArray[np.bool_] = blocks.repeat(pixels, axis=1).repeat(pixels, axis=2)
    return enlarged


def _check_side(side_px: int) -> None:
    if side_px < 2 * BLOCKS or side_px % BLOCKS:
        found = f"Calibration patterns of {side_px} x {side_px} pixels."
        raise ShapeMismatchError(found, hint=f"a multiple of {BLOCKS} from {2 * BLOCKS} on.")
