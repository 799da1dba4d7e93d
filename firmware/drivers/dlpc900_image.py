"""Images for the DLPC900: 24 one-bit planes per image, enhanced run-length code.

Ref: TI DLPU018J, "Pattern Image Header", "Enhanced Run-Length Encoding" (table of control
bytes) and "Initialize Pattern BMP Load"; header bytes 24 and 29 as TI's own program
sends them (TI E2E 599044).
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import FrameError

PLANES: Final = 24
HEADER_BYTES: Final = 48
_UNCOMPRESSED: Final = 0
_ENHANCED_RLE: Final = 2
_MAX_RUN: Final = 0x7FFF
_TWO_BYTES: Final = 0x80

# Enhanced run-length code, lines top-down, a pixel is bits 23:16, 15:8, 7:0:
#
#     n pixel        n times the pixel
#     00 01 n        n pixels of the line above
#     00 00          end of line (optional)
#     00 01 00       end of image
#     00 n pixels    n > 1 single pixels; not used here
#
#     n is one byte below 128, else two: (n & 7F) | 80, n >> 7
_END_OF_LINE: Final = b"\x00\x00"
_END_OF_IMAGE: Final = b"\x00\x01\x00"

_HEADER: Final = struct.Struct("<4sHHI8s4sBBBxxB18x")
#                               |  | | |  |  | | | |  byte 29
#                               |  | | |  |  | | | byte 26
#                               |  | | |  |  | | compression
#                               |  | | |  |  | byte 24
#                               |  | | |  |  background
#                               |  | | |  reserved
#                               |  | | byte count
#                               |  width, height
#                               signature

Pixels = NDArray[np.uint32]


def pack_planes(masks: NDArray[np.bool_]) -> Pixels:
    """Masks as images of 24 planes: mask k is bit k % 24 of image k // 24.

    Shape: (M, H, W) bool to (ceil(M / 24), H, W) uint32.
    """
    count, height, width = masks.shape
    images: Pixels = np.zeros((-(-count // PLANES), height, width), np.uint32)
    for k, mask in enumerate(masks):
        images[k // PLANES] |= mask.astype(np.uint32) << np.uint32(k % PLANES)
    return images


def encode_image(pixels: Pixels) -> bytes:
    """Header and data of one image, in the shorter of enhanced run-length and no code.

    Shape: (H, W) uint32, 24 bits used, H and W as the DMD has them.

    Raises:
        FrameError: A line longer than one run can be.
    """
    height, width = pixels.shape
    if not 1 <= width <= _MAX_RUN or not 1 <= height <= _MAX_RUN:
        raise FrameError(f"An image of {width} x {height}.", hint=f"1 to {_MAX_RUN} pixels a side.")
    raw_bytes = 3 * height * width
    coded = _enhanced_rle(pixels)
    if len(coded) < raw_bytes:
        return _header(width, height, len(coded), _ENHANCED_RLE) + coded
    return _header(width, height, raw_bytes, _UNCOMPRESSED) + _three_bytes(pixels.reshape(-1)).tobytes()


def _header(width: int, height: int, data_bytes: int, compression: int) -> bytes:
    # Drivers differ in whether the count includes the header; without it is what two of
    # three do, and both are reported to work.
    return _HEADER.pack(b"Spld", width, height, data_bytes, b"\xff" * 8, bytes(4), 1, compression, 1, 1)


def _enhanced_rle(pixels: Pixels) -> bytes:
    height, width = pixels.shape
    is_new = np.ones(height, np.bool_)
    is_new[1:] = (pixels[1:] != pixels[:-1]).any(axis=1)
    fresh = iter(_coded_lines(pixels[is_new]))
    copy = b"\x00\x01" + _length(width)
    lines = [next(fresh) if new else copy for new in is_new.tolist()]
    data = _END_OF_LINE.join(lines) + _END_OF_LINE + _END_OF_IMAGE
    return data + bytes(-len(data) % 4)


def _coded_lines(lines: Pixels) -> list[bytes]:
    """Each line of (L, W) as runs."""
    begins = np.ones(lines.shape, np.bool_)
    begins[:, 1:] = lines[:, 1:] != lines[:, :-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=lines.size)
    is_long = lengths >= _TWO_BYTES
    ends = np.cumsum(4 + is_long)
    code = np.empty(int(ends[-1]), np.uint8)
    pixel = _three_bytes(lines.reshape(-1)[starts])
    for byte in range(3):
        code[ends - 3 + byte] = pixel[:, byte]
    code[ends - 4 - is_long] = np.where(is_long, lengths & 0x7F | _TWO_BYTES, lengths)
    code[ends[is_long] - 4] = lengths[is_long] >> 7
    line_ends = ends[np.cumsum(begins.sum(axis=1)) - 1].tolist()
    return [code[a:b].tobytes() for a, b in zip([0, *line_ends[:-1]], line_ends, strict=True)]


def _length(count: int) -> bytes:
    if count < _TWO_BYTES:
        return bytes([count])
    return bytes([count & 0x7F | _TWO_BYTES, count >> 7])


def _three_bytes(values: Pixels) -> NDArray[np.uint8]:
    """(N,) to (N, 3): bits 23:16, 15:8, 7:0."""
    big_endian = np.ascontiguousarray(values, ">u4").view(np.uint8)
    three: NDArray[np.uint8] = big_endian.reshape(-1, 4)[:, 1:]
    return three
