"""The mirrors as a grid of equal cells: what is encoded instead of two million mirrors.

Masks are enlarged, so most rows of mirrors equal the row above and most mirrors their
neighbour. Where that is so follows from where the masks lie, not from the masks, and is
worked out once.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.mirror_field import MirrorField
from lsi.placement import CENTRED

_OUTSIDE: Final = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MirrorGrid:
    """Rectangles of mirrors that show the same mask pixel in every mask.

    Attributes:
        index: (R, C) what each cell shows: 1 plus the flat index of a mask pixel, or 0
            outside the field.
        heights: (R,) mirrors in a column of each row of cells.
        widths: (C,) mirrors in a row of each column of cells.
    """

    index: NDArray[np.intp]
    heights: NDArray[np.intp]
    widths: NDArray[np.intp]

    def cells(self, image: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """What the cells show of an image of packed masks: (mask_height, mask_width) to (R, C)."""
        padded: NDArray[np.uint32] = np.concatenate([np.zeros(1, np.uint32), image.reshape(-1)])
        return padded[self.index]

    def columns(self, start_px: int, end_px: int) -> "MirrorGrid":
        """The grid between two columns of mirrors; cells across the cut are cut."""
        right = np.cumsum(self.widths)
        left = right - self.widths
        widths = np.minimum(right, end_px) - np.maximum(left, start_px)
        return MirrorGrid(self.index[:, widths > 0], self.heights, widths[widths > 0])

    def split(self, widths_px: tuple[int, ...]) -> tuple["MirrorGrid", ...]:
        """One grid for each controller, from the left."""
        ends = np.cumsum(widths_px).tolist()
        return tuple(self.columns(end - width, end) for end, width in zip(ends, widths_px, strict=True))


@lru_cache(maxsize=2)
def grid_of(field: MirrorField) -> MirrorGrid:
    """The grid of a field; remembered, because a rig has one."""
    return centred_grid(field) if field.placement == CENTRED else traced_grid(field)


def centred_grid(field: MirrorField) -> MirrorGrid:
    """The grid of a field that is neither moved nor turned: its pixels and a border."""
    shape = (field.mask_height, field.mask_width)
    (top, left), (height, width) = field.origin_px, field.size_px
    inside = np.arange(1, shape[0] * shape[1] + 1).reshape(shape)
    index = np.pad(inside, 1, constant_values=_OUTSIDE)
    heights = _with_border(shape[0], field.mirror_scale_px, top, field.dmd.height_px - top - height)
    widths = _with_border(shape[1], field.mirror_scale_px, left, field.dmd.width_px - left - width)
    # A border may have no mirrors.
    return MirrorGrid(index[heights > 0][:, widths > 0], heights[heights > 0], widths[widths > 0])


def traced_grid(field: MirrorField) -> MirrorGrid:
    """The grid of any field, found by asking which pixel each mirror shows."""
    shape = (field.mask_height, field.mask_width)
    shown = field.spread(np.arange(1, shape[0] * shape[1] + 1, dtype=np.intp).reshape(shape))
    rows = np.flatnonzero(np.append(True, (shown[1:] != shown[:-1]).any(axis=1)))
    shown = shown[rows]
    columns = np.flatnonzero(np.append(True, (shown[:, 1:] != shown[:, :-1]).any(axis=0)))
    heights = np.diff(rows, append=field.dmd.height_px)
    widths = np.diff(columns, append=field.dmd.width_px)
    return MirrorGrid(shown[:, columns], heights, widths)


def _with_border(pixels: int, scale_px: int, before_px: int, after_px: int) -> NDArray[np.intp]:
    return np.array([before_px, *[scale_px] * pixels, after_px], np.intp)
