"""Masks as planes of RGB video frames, for controllers in external (video) pattern mode.

Such a controller shows each bit of a 24-bit frame for a time of its own, so that one
frame carries 24 masks: 1,440 masks/s at 60 Hz. Which bit is shown when differs between
controllers and is found by calibration (``PlaneOrder``), not looked up.

The frames must reach the controller bit by bit as they are: RGB888 of full range, no
dither, no scaling, one per refresh.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.mirror_field import MirrorField
from lsi.errors import FrameError, TriggerCountError
from lsi.patterns import PatternSet

PLANES: Final = 24
"""Bits of a pixel, and masks of a frame."""
MARKERS: Final = 2
"""All-white, then all-black, at the beginning of every pass."""
WHITE_SHARE: Final = 0.9
BLACK_SHARE: Final = 0.1
"""A plane is white or black when arm + gets more or less than this share of the light of both arms."""
CLEAR_RATIO: Final = 4.0
"""How much brighter than all other planes a lit one has to be for an order to be believed."""

Frames = NDArray[np.uint8]
"""(F, H, W, 3): red, green, blue."""

# A pixel, as three bytes and as one word:
#
#     byte     0               1               2
#              red             green           blue
#     bit      23 .......  16  15 ........  8  7 .........  0
_CHANNEL_SHIFTS: Final = (16, 8, 0)


@dataclass(frozen=True, slots=True)
class PlaneOrder:
    """When a controller shows which bit of a pixel.

    Attributes:
        bits: For each of the 24 planes of a frame, in the order of time, the bit of the
            pixel (23 is the highest of red, 0 the lowest of blue) that is shown.

    Raises:
        FrameError: Not every bit exactly once.
    """

    bits: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.bits) != list(range(PLANES)):
            found = f"A plane order of {len(self.bits)} bits does not name each of {PLANES} once."
            raise FrameError(found, hint="calibrate the plane order again.")

    @classmethod
    def from_levels(cls, levels: NDArray[np.float64]) -> "PlaneOrder":
        """The order of a controller, from what a detector saw.

        Shape: ``levels`` (24, 24): row b holds the light of the 24 planes, in the order of
        time, while frames with bit b alone were shown; dark already subtracted.

        Raises:
            FrameError: A bit that lit no plane clearly, or two that lit the same.
        """
        if levels.shape != (PLANES, PLANES) or not np.isfinite(levels).all():
            raise FrameError(f"Levels of shape {levels.shape}.", hint=f"{PLANES} planes of {PLANES} frames.")
        ordered = np.sort(levels, axis=1)
        dim = int(np.count_nonzero(ordered[:, -1] <= CLEAR_RATIO * np.maximum(ordered[:, -2], 0)))
        if dim:
            found = f"{dim} of {PLANES} bits lit no plane clearly."
            raise FrameError(found, hint="more light, and frames without dither or scaling.")
        plane_of_bit = levels.argmax(axis=1)
        shared = PLANES - len(np.unique(plane_of_bit))
        if shared:
            found = f"{shared} bits lit a plane that another bit lit too."
            raise FrameError(found, hint="native resolution, full range, no dither.")
        return cls(tuple(int(bit) for bit in np.argsort(plane_of_bit)))


RED_FIRST: Final = PlaneOrder(tuple(range(23, -1, -1)))
"""Bits from the highest of red to the lowest of blue: a plain order for simulations."""
GREEN_RED_BLUE: Final = PlaneOrder((*range(8, 16), *range(16, 24), *range(8)))
"""Unverified: the order expected of DLPC350 and DLPC900, lowest bit of each colour first. Calibrate."""


def with_markers(patterns: PatternSet) -> PatternSet:
    """All-white and all-black before ``patterns``, by which the first frame of a pass is found."""
    markers = np.zeros((MARKERS, *patterns.shape[1:]), np.bool_)
    markers[0] = True
    return PatternSet(np.concatenate([markers, patterns.masks]))


def frames_needed(patterns: int) -> int:
    """Frames that carry ``patterns`` planes; unused planes of the last one are black."""
    return -(-patterns // PLANES)


def pack_frames(patterns: PatternSet, order: PlaneOrder) -> Frames:
    """Frame f carries masks 24 f .. 24 f + 23, shown in that order.

    Shape: masks (M, H, W) to (ceil(M / 24), H, W, 3).
    """
    return _to_rgb(_words(patterns, order))


def video_frames(patterns: PatternSet, order: PlaneOrder, field: MirrorField) -> Iterator[Frames]:
    """The frames of a pass, one at a time, on all mirrors of a DMD: (1, height_px, width_px, 3).

    Raises:
        ShapeMismatchError: Masks of another shape than ``field`` is made for.
    """
    for words in _words(patterns, order):
        yield _to_rgb(field.spread(words)[np.newaxis])


def unpack_frames(frames: Frames, order: PlaneOrder, patterns: int) -> PatternSet:
    """The first ``patterns`` planes that a controller of ``order`` shows.

    Raises:
        FrameError: Fewer planes than that, or not RGB frames.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or not 0 < patterns <= PLANES * len(frames):  # noqa: PLR2004 - axes
        found = f"Frames of shape {frames.shape} for {patterns} masks."
        raise FrameError(found, hint="(F, H, W, 3), F as frames_needed says.")
    words = np.zeros(frames.shape[:3], np.uint32)
    for channel, shift in enumerate(_CHANNEL_SHIFTS):
        words |= frames[..., channel].astype(np.uint32) << np.uint32(shift)
    planes = [words[k // PLANES] >> np.uint32(order.bits[k % PLANES]) & 1 for k in range(patterns)]
    return PatternSet(np.stack(planes).astype(np.bool_))


@dataclass(frozen=True, slots=True)
class FrameTally:
    """What the markers say about the frames that were really shown.

    Attributes:
        starts: Planes at which a pass begins, in the order of time.
        repeated: Frames too many, in all passes that were seen from marker to marker.
        dropped: Frames too few.
    """

    starts: tuple[int, ...]
    repeated: int
    dropped: int

    @property
    def is_clean(self) -> bool:
        """Whether every pass had its number of frames."""
        return not self.repeated and not self.dropped


def tally_frames(plus_share: NDArray[np.float64], frames_per_pass: int) -> FrameTally:
    """Find passes by their markers and compare their lengths.

    A repeated and a dropped frame within one pass make up for each other and are not seen
    here: who presents the frames has to count its refreshes too.

    Shape: ``plus_share`` (N,): share of both arms' light on arm +, plane by plane, over
    at least one pass and the marker after it.

    Raises:
        TriggerCountError: Fewer than two markers, or a distance that is not whole frames:
            planes were lost, and nothing can be said about any of them.
    """
    starts = _marker_planes(plus_share)
    if len(starts) < 2:  # noqa: PLR2004 - a beginning and an end
        found = f"{len(starts)} markers among {len(plus_share)} planes."
        raise TriggerCountError(found, hint="show the pass again; check that both arms see light.")
    lengths = np.diff(starts)
    if (lengths % PLANES).any():
        found = f"{np.count_nonzero(lengths % PLANES)} of {len(lengths)} passes are no whole frames."
        raise TriggerCountError(found, hint="check the trigger wires for lost and false edges.")
    surplus = lengths // PLANES - frames_per_pass
    return FrameTally(
        starts=tuple(int(start) for start in starts),
        repeated=int(surplus[surplus > 0].sum()),
        dropped=int(-surplus[surplus < 0].sum()),
    )


def _marker_planes(plus_share: NDArray[np.float64]) -> NDArray[np.intp]:
    is_white, is_black = plus_share >= WHITE_SHARE, plus_share <= BLACK_SHARE
    found: NDArray[np.intp] = np.flatnonzero(is_white[:-1] & is_black[1:])
    return found


def _words(patterns: PatternSet, order: PlaneOrder) -> NDArray[np.uint32]:
    """Pixels (F, H, W) of 24 bits."""
    count, height, width = patterns.shape
    words: NDArray[np.uint32] = np.zeros((frames_needed(count), height, width), np.uint32)
    for k, mask in enumerate(patterns.masks):
        words[k // PLANES] |= mask.astype(np.uint32) << np.uint32(order.bits[k % PLANES])
    return words


def _to_rgb(words: NDArray[np.uint32]) -> Frames:
    """(F, H, W) to (F, H, W, 3)."""
    channels = [(words >> np.uint32(shift)).astype(np.uint8) for shift in _CHANNEL_SHIFTS]
    return np.stack(channels, axis=-1)
