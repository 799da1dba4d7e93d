"""How the DLPC900 reads an uploaded image; shares nothing with the driver's encoder.

Ref: TI DLPU018J, "Pattern Image Header", "Run-Length Encoding" and "Enhanced Run-Length
Encoding".
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import FrameError

HEADER_BYTES: Final = 48
UNCOMPRESSED: Final = 0
PLAIN_RLE: Final = 1
ENHANCED_RLE: Final = 2
COMPRESSIONS: Final = (UNCOMPRESSED, PLAIN_RLE, ENHANCED_RLE)
_COMPRESSION_AT: Final = 25
_PIXEL_BYTES: Final = 3
_MAX_PADDING: Final = 3
_TWO_BYTES: Final = 0x80
_LINE_STEP: Final = 4

Line = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, repr=False)
class StoredImage:
    """24 planes; equal neighbouring lines are kept once.

    Shape: ``lines`` (U, W) uint32, ``line_of`` (H,) index of each row's line.
    """

    lines: Line
    line_of: NDArray[np.intp]

    def plane(self, bit: int) -> NDArray[np.bool_]:
        """Mirrors of one plane, (H, W)."""
        mirrors: NDArray[np.bool_] = (self.lines >> np.uint32(bit) & np.uint32(1)).astype(np.bool_)
        return mirrors[self.line_of]

    def open_fraction(
        self, bit: int, shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        """Share of open mirrors in each square of ``scale_px``, (h, w) in 0..1."""
        (height, width), (top, left) = shape, origin_px
        rows = self.line_of[top : top + height * scale_px]
        field = self.lines[rows.min() : rows.max() + 1, left : left + width * scale_px]
        open_mirrors = field >> np.uint32(bit) & np.uint32(1)
        across = open_mirrors.reshape(len(field), width, scale_px).sum(axis=2, dtype=np.uint32)
        blocks = across[rows - rows.min()].reshape(height, scale_px, width).sum(axis=1)
        share: NDArray[np.float32] = (blocks / scale_px**2).astype(np.float32)
        return share


def side_by_side(parts: Sequence[StoredImage]) -> StoredImage:
    """One image of the parts that the controllers of a DMD hold, from the left."""
    if len(parts) == 1:
        return parts[0]
    rows = np.stack([part.line_of for part in parts])
    pairs, line_of = np.unique(rows, axis=1, return_inverse=True)
    lines = np.concatenate([part.lines[index] for part, index in zip(parts, pairs, strict=True)], axis=1)
    return StoredImage(lines, line_of.reshape(-1))


def compression_of(image: bytes) -> int:
    """Compression byte of an image that has at least a header."""
    return image[_COMPRESSION_AT]


def decode_image(image: bytes, width: int, height: int) -> StoredImage:
    """Read header and data of an image for a DMD of ``width`` x ``height``.

    The header's byte count may include the header or not, and padding or not: all four
    are in use.

    Raises:
        FrameError: Another size, or data that are not what the header says.
    """
    signature, found_width, found_height, count = struct.unpack_from("<4sHHI", image)
    if signature != b"Spld" or (found_width, found_height) != (width, height):
        raise FrameError(f"Not an image of {width} x {height}.")
    rest = len(image) - count
    if not (0 <= rest <= _MAX_PADDING or 0 <= rest - HEADER_BYTES <= _MAX_PADDING):
        raise FrameError(f"The header counts {count} bytes, {len(image)} came.")
    data = image[HEADER_BYTES:]
    if compression_of(image) == ENHANCED_RLE:
        return _Decoder(data, width, height).run()
    if compression_of(image) == PLAIN_RLE:
        return _PlainDecoder(data, width, height).run()
    return _raw(data, width, height)


def _raw(data: bytes, width: int, height: int) -> StoredImage:
    if not 0 <= len(data) - _PIXEL_BYTES * width * height <= _MAX_PADDING:
        raise FrameError(f"{len(data)} bytes are no image of {width} x {height}.")
    lines = _pixels(data[: _PIXEL_BYTES * width * height]).reshape(height, width)
    return StoredImage(lines, np.arange(height))


def _pixels(data: bytes) -> Line:
    """Three bytes each: bits 23:16, 15:8, 7:0."""
    three = np.frombuffer(data, np.uint8).reshape(-1, _PIXEL_BYTES).astype(np.uint32)
    pixels: Line = three[:, 0] << np.uint32(16) | three[:, 1] << np.uint32(8) | three[:, 2]
    return pixels


class _Decoder:
    """Reads control bytes, fills lines from the top."""

    def __init__(self, data: bytes, width: int, height: int) -> None:
        self._data = data
        self._at = 0
        self._width = width
        self._height = height
        self._lines: list[Line] = []
        self._line_of: list[int] = []
        self._line: Line = np.zeros(width, np.uint32)
        self._column = 0
        self._has_just_ended = False

    def run(self) -> StoredImage:
        while self._take_token():
            pass
        padding = len(self._data) - self._at
        if padding > _MAX_PADDING or self._column or len(self._line_of) != self._height:
            raise FrameError(f"{len(self._line_of)} of {self._height} lines, {padding} bytes left over.")
        return StoredImage(np.stack(self._lines), np.array(self._line_of))

    def _take_token(self) -> bool:
        """One code; ``False`` at the end of the image."""
        first = self._byte()
        if first:
            self._fill(self._count(first), _pixels(self._take(_PIXEL_BYTES)))
            return True
        second = self._byte()
        if second == 0:
            self._end_line()
        elif second == 1:
            third = self._byte()
            if third == 0:
                return False
            self._copy(self._count(third))
        else:
            count = self._count(second)
            self._fill(count, _pixels(self._take(_PIXEL_BYTES * count)))
        return True

    def _fill(self, count: int, pixels: Line) -> None:
        """``count`` pixels, which may run over the end of a line."""
        done = 0
        while done < count:
            step = min(count - done, self._width - self._column)
            source = pixels if len(pixels) == 1 else pixels[done : done + step]
            self._line[self._column : self._column + step] = source
            done += step
            self._move(step)

    def _copy(self, count: int) -> None:
        if not self._line_of:
            raise FrameError("A copy without a line above.")
        if self._column == 0 and count == self._width:
            self._end()
            return
        while count:
            step = min(count, self._width - self._column)
            above = self._lines[-1][self._column : self._column + step]
            self._line[self._column : self._column + step] = above
            count -= step
            self._move(step)

    def _move(self, step: int) -> None:
        self._column += step
        self._has_just_ended = False
        if self._column == self._width:
            self._lines.append(self._line.copy())
            self._end()

    def _end(self) -> None:
        """The row is full; it shows the latest line."""
        if len(self._line_of) == self._height:
            raise FrameError(f"More than {self._height} lines.")
        self._line_of.append(len(self._lines) - 1)
        self._column = 0
        self._has_just_ended = True

    def _end_line(self) -> None:
        if not self._has_just_ended:
            raise FrameError(f"Line {len(self._line_of)} ends after {self._column} pixels.")
        self._has_just_ended = False

    def _count(self, first: int) -> int:
        count = first if first < _TWO_BYTES else first - _TWO_BYTES + (self._byte() << 7)
        if count == 0:
            raise FrameError("A run of no pixels.")
        return count

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise FrameError(f"The image is cut off after {len(self._data)} bytes.")
        self._at += count
        return taken


class _PlainDecoder(_Decoder):
    """Plain run-length code: one-byte lengths, no copies, lines begin at multiples of four bytes.

    TI E2E 1117715 has lengths and alignment; that 00 01 ends the image is unverified.
    """

    def _take_token(self) -> bool:
        first = self._byte()
        if first:
            self._fill(first, _pixels(self._take(_PIXEL_BYTES)))
            return True
        second = self._byte()
        if second == 0:
            self._end_line()
            self._take(-self._at % _LINE_STEP)
        elif second == 1:
            return False
        else:
            self._fill(second, _pixels(self._take(_PIXEL_BYTES * second)))
        return True
