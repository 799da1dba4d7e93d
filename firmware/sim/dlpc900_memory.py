"""The pattern memory inside the simulated DLPC900.

Ref: TI DLPU018J, pages of 0x1A2A, 0x1A2B, 0x1A31, 0x1A32 and 0x1A34. Codes that methods
return are those of command 0x0100; 0 is "done". Not modelled: more than one bit of depth.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.sim.dlpc900_image import (
    COMPRESSIONS,
    HEADER_BYTES,
    StoredImage,
    compression_of,
    decode_image,
    side_by_side,
)
from lsi.errors import FrameError
from lsi.units import NS_PER_US

DONE: Final = 0
NOT_NOW: Final = 5
BAD_PARAMETER: Final = 6
ABSENT: Final = 7
BAD_COMPRESSION: Final = 9
BAD_BIT: Final = 10
BAD_EXPOSURE: Final = 14
BAD_NUMBER: Final = 15
BAD_DEFINITION: Final = 16
BAD_IMAGE: Final = 17

_BITS: Final = 24
_MIN_EXPOSURE_US: Final = 105
_CLEAR: Final = 0x01
_DEPTH: Final = 0x0E
_WAIT: Final = 0x80


@dataclass(frozen=True, slots=True)
class SimDmd:
    """What the controller knows of its DMD; unverified figures as in ``firmware.drivers.dmds``."""

    code: int
    width_px: int
    height_px: int
    entries: int = 400
    images: int = 18
    controllers: int = 1


DMDS: Final = {
    "DLP6500": SimDmd(1, 1920, 1080),
    "DLP9000": SimDmd(2, 2560, 1600, controllers=2),
    "DLP670S": SimDmd(3, 2716, 1600, controllers=2),
    "DLP500YX": SimDmd(4, 2048, 1200, controllers=2),
    "DLP5500": SimDmd(5, 1024, 768, entries=960, images=43),
}


@dataclass(frozen=True, slots=True)
class LutEntry:
    """One definition of 0x1A34."""

    exposure_ns: int
    dark_ns: int
    image: int
    bit: int
    waits_for_trigger: bool
    gives_trigger_out: bool


class _Upload:
    """The image that comes in at one controller."""

    def __init__(self) -> None:
        self.images: dict[int, StoredImage] = {}
        self.next_image = 0
        self.index = 0
        self.size: int | None = None
        self.data = bytearray()


class PatternMemory:
    """Definitions, the active look-up table and the images; ``revision`` counts changes."""

    def __init__(self, dmd: SimDmd, revision: int = 0) -> None:
        self.revision = revision
        self.active: list[LutEntry] = []
        self.patterns_to_show = 0
        self._dmd = dmd
        self._half_width = dmd.width_px // dmd.controllers
        self._defined: dict[int, LutEntry] = {}
        self._uploads = [_Upload() for _ in range(dmd.controllers)]
        self._images: dict[int, StoredImage] = {}
        self._flips = [False, False]
        self._is_inverted = False

    def define(self, data: bytes) -> int:
        """0x1A34. Images must be uploaded again after a definition."""
        index, options = int.from_bytes(data[:2], "little"), data[5]
        exposure_us = int.from_bytes(data[2:5], "little")
        image = int.from_bytes(data[10:12], "little")
        checks = (
            (index < self._dmd.entries, BAD_NUMBER),
            (exposure_us >= _MIN_EXPOSURE_US, BAD_EXPOSURE),
            (options & _DEPTH == 0, BAD_DEFINITION),
            (image >> 11 < _BITS, BAD_BIT),
            (image & 0x7FF < self._dmd.images, BAD_IMAGE),
        )
        code = next((code for holds, code in checks if not holds), DONE)
        if code == DONE:
            self._defined[index] = LutEntry(
                exposure_us * NS_PER_US,
                int.from_bytes(data[6:9], "little") * NS_PER_US,
                image & 0x7FF,
                image >> 11,
                waits_for_trigger=bool(options & _WAIT),
                gives_trigger_out=data[9] & 1 == 0,
            )
            for upload in self._uploads:
                upload.images.clear()
            self._images.clear()
        return code

    def configure(self, entries: int, patterns_to_show: int) -> int:
        """0x1A31: make the first ``entries`` definitions the active table."""
        if not 1 <= entries <= self._dmd.entries:
            return BAD_NUMBER
        return self._activate(list(range(entries)), patterns_to_show)

    def reorder(self, order: list[int], patterns_to_show: int) -> int:
        """0x1A32: another order of what is defined; the images stay."""
        if not self.active:
            return NOT_NOW
        if not 1 <= len(order) <= self._dmd.entries:
            return BAD_NUMBER
        return self._activate(order, patterns_to_show)

    def _activate(self, order: list[int], patterns_to_show: int) -> int:
        if any(k not in self._defined for k in order):
            return BAD_DEFINITION
        self.active = [self._defined[k] for k in order]
        self.patterns_to_show = patterns_to_show
        for upload in self._uploads:
            upload.next_image = self._last_image
        self.revision += 1
        return DONE

    @property
    def _last_image(self) -> int:
        return max(entry.image for entry in self.active)

    def begin_image(self, part: int, index: int, size: int) -> int:
        """0x1A2A or 0x1A2C: the last image of the active table first, then downwards."""
        if not self.active or part >= len(self._uploads):
            return NOT_NOW
        upload = self._uploads[part]
        if index >= self._dmd.images or index not in (upload.next_image, self._last_image):
            return BAD_IMAGE
        largest = HEADER_BYTES + 4 * self._half_width * self._dmd.height_px
        if not HEADER_BYTES < size <= largest:
            return BAD_PARAMETER
        upload.images.pop(index, None)
        self._images.pop(index, None)
        upload.data, upload.index, upload.size = bytearray(), index, size
        upload.next_image = index - 1
        return DONE

    def add_block(self, part: int, block: bytes) -> int:
        """0x1A2B or 0x1A2D: the next bytes of the image that was begun; none do no harm."""
        if not block:
            return DONE
        if part >= len(self._uploads) or self._uploads[part].size is None:
            return NOT_NOW
        upload = self._uploads[part]
        upload.data += block
        if upload.size is None or len(upload.data) < upload.size:
            return DONE
        is_whole = len(upload.data) == upload.size
        upload.size = None
        return self._store(upload) if is_whole else BAD_PARAMETER

    def _store(self, upload: _Upload) -> int:
        image = bytes(upload.data)
        if compression_of(image) not in COMPRESSIONS:
            return BAD_COMPRESSION
        try:
            upload.images[upload.index] = decode_image(image, self._half_width, self._dmd.height_px)
        except FrameError:
            return BAD_PARAMETER
        if all(upload.index in other.images for other in self._uploads):
            self._images[upload.index] = side_by_side([other.images[upload.index] for other in self._uploads])
        self.revision += 1
        return DONE

    def flip(self, axis: int, *, is_flipped: bool) -> None:
        """0x1008 (axis 1, the long one) and 0x1009 (axis 0)."""
        self._flips[axis] = is_flipped
        self.revision += 1

    def invert(self, *, is_inverted: bool) -> None:
        """0x1A30. Unverified that it works on patterns that are loaded already."""
        self._is_inverted = is_inverted
        self.revision += 1

    def plane(self, k: int) -> NDArray[np.bool_]:
        """Mirrors of entry ``k`` of the active table, (height, width)."""
        entry = self.active[k]
        plane: NDArray[np.bool_] = self._images[entry.image].plane(entry.bit) != self._is_inverted
        for axis, is_flipped in enumerate(self._flips):
            if is_flipped:
                plane = np.flip(plane, axis)
        return plane

    def open_fraction(
        self, shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        """Share of open mirrors per square of ``scale_px``, (n, h, w) in the order of the table."""
        fractions = [self._fraction(k, shape, origin_px, scale_px) for k in range(len(self.active))]
        return np.stack(fractions) if fractions else np.zeros((0, *shape), np.float32)

    def _fraction(
        self, k: int, shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        entry = self.active[k]
        if not (self._is_inverted or any(self._flips)):
            return self._images[entry.image].open_fraction(entry.bit, shape, origin_px, scale_px)
        (height, width), (top, left) = shape, origin_px
        field = self.plane(k)[top : top + height * scale_px, left : left + width * scale_px]
        squares = field.reshape(height, scale_px, width, scale_px)
        share: NDArray[np.float32] = squares.mean(axis=(1, 3)).astype(np.float32)
        return share

    @property
    def is_complete(self) -> bool:
        """Whether there is a table and every image it names."""
        return bool(self.active) and all(entry.image in self._images for entry in self.active)
