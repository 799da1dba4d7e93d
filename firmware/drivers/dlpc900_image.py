"""Images for the DLPC900: 24 one-bit planes per image, enhanced run-length code.

Ref: TI DLPU018J, "Pattern Image Header", "Enhanced Run-Length Encoding" (table of control
bytes) and "Initialize Pattern BMP Load"; header bytes 24 and 29 as TI's own program
sends them (TI E2E 599044).
"""

import struct
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.dlpc900_grid import grid_of
from firmware.drivers.dmds import PLANES_PER_IMAGE
from firmware.drivers.mirror_field import MirrorField
from lsi.errors import FrameError

HEADER_BYTES: Final = 48
CODING_VERSION: Final = 2
"""Changes whenever the same masks give other bytes; part of what names a stored image."""
_UNCOMPRESSED: Final = 0
_ENHANCED_RLE: Final = 2
_MAX_RUN: Final = 0x7FFF
_TWO_BYTES: Final = 0x80

# Enhanced run-length code, lines top-down, a pixel is bits 23:16, 15:8, 7:0:
#
#     n pixel        n times the pixel
#     00 n pixels    n > 1 single pixels
#     00 01 n        n pixels of the line above
#     00 00          end of line (optional)
#     00 01 00       end of image
#
#     n is one byte below 128, else two: (n & 7F) | 80, n >> 7
_RUN: Final = 0
_SINGLES: Final = 1
_COPY: Final = 2
# The kind of a code is also how many bytes stand before its n.
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
_Numbers = NDArray[np.intp]


def pack_planes(masks: NDArray[np.bool_]) -> Pixels:
    """Masks as images of 24 planes: mask k is bit k % 24 of image k // 24.

    Shape: (M, H, W) bool to (ceil(M / 24), H, W) uint32.
    """
    images: Pixels = np.zeros((-(-len(masks) // PLANES_PER_IMAGE), *masks.shape[1:]), np.uint32)
    bits = masks.view(np.uint8)
    for start in range(0, len(masks), 8):
        image, plane = divmod(start, PLANES_PER_IMAGE)
        octet = np.zeros(masks.shape[1:], np.uint8)
        for bit in bits[start : start + 8][::-1]:
            octet += octet
            octet |= bit
        images[image] |= octet.astype(np.uint32) << np.uint32(plane)
    return images


def encode_masks(masks: NDArray[np.bool_], field: MirrorField) -> list[tuple[bytes, ...]]:
    """Images of all masks, each as one part per controller of the DMD, from the left.

    Shape: ``masks`` (M, mask_height, mask_width).
    """
    grids = grid_of(field).split(field.dmd.half_widths_px)
    return [
        tuple(encode_cells(grid.cells(image), grid.heights, grid.widths) for grid in grids)
        for image in pack_planes(masks)
    ]


def encode_image(pixels: Pixels) -> bytes:
    """Header and data of one image, in the shorter of enhanced run-length and no code.

    Shape: (H, W) uint32, 24 bits used, H and W as the controller has them.

    Raises:
        FrameError: A line longer than one run can be.
    """
    height, width = pixels.shape
    return encode_cells(pixels, np.ones(height, np.intp), np.ones(width, np.intp))


def encode_cells(pixels: Pixels, heights: _Numbers, widths: _Numbers) -> bytes:
    """As :func:`encode_image`, of an image that is a grid of rectangles.

    Shape: (R, C) uint32, one pixel per rectangle; (R,) and (C,) their sizes in mirrors.

    Raises:
        FrameError: A line longer than one run can be.
    """
    height, width = int(heights.sum()), int(widths.sum())
    if not 1 <= width <= _MAX_RUN or not 1 <= height <= _MAX_RUN:
        raise FrameError(f"An image of {width} x {height}.", hint=f"1 to {_MAX_RUN} pixels a side.")
    coded = _enhanced_rle(pixels, heights, widths)
    raw_bytes = 3 * height * width
    if len(coded) < raw_bytes:
        return _header(width, height, len(coded), _ENHANCED_RLE) + coded
    mirrors = pixels.repeat(heights, axis=0).repeat(widths, axis=1)
    return _header(width, height, raw_bytes, _UNCOMPRESSED) + _three_bytes(mirrors.reshape(-1)).tobytes()


def _header(width: int, height: int, data_bytes: int, compression: int) -> bytes:
    # Drivers differ in whether the count includes the header; without it is what two of
    # three do, and both are reported to work.
    return _HEADER.pack(b"Spld", width, height, data_bytes, b"\xff" * 8, bytes(4), 1, compression, 1, 1)


def _enhanced_rle(pixels: Pixels, heights: _Numbers, widths: _Numbers) -> bytes:
    again = b"\x00\x01" + _length(int(widths.sum())) + _END_OF_LINE
    lines: list[bytes] = []
    for line, height in zip(_coded_lines(pixels, widths), heights.tolist(), strict=True):
        lines += (line, _END_OF_LINE, again * (height - 1))
    data = b"".join(lines) + _END_OF_IMAGE
    return data + bytes(-len(data) % 4)


def _coded_lines(pixels: Pixels, widths: _Numbers) -> list[bytes]:
    """The code of each of (R, C), one after another."""
    begins = np.ones(pixels.shape, np.bool_)
    np.not_equal(pixels[:, 1:], pixels[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    # The place of each cell, counted in mirrors through all lines of cells.
    width = int(widths.sum())
    place = np.add.outer(np.arange(len(pixels)) * width, np.cumsum(widths) - widths).reshape(-1)
    places = np.append(place[starts], len(pixels) * width)
    kinds = _kinds(pixels, starts, np.diff(places))
    # Neighbouring runs of one line become one code where they are copies or single pixels.
    line_starts = np.append(0, np.cumsum(np.count_nonzero(begins, axis=1)))
    is_first = kinds == _RUN
    is_first[1:] |= kinds[1:] != kinds[:-1]
    is_first[line_starts[:-1]] = True
    firsts = np.flatnonzero(is_first)
    counts = np.diff(places[np.append(firsts, len(starts))])
    code, begin = _coded(kinds[firsts], counts, firsts, pixels.reshape(-1)[starts])
    line_begins = begin[np.searchsorted(firsts, line_starts)].tolist()
    return [code[a:b] for a, b in pairwise(line_begins)]


def _kinds(pixels: Pixels, starts: _Numbers, lengths: _Numbers) -> NDArray[np.int8]:
    """How each run is best told: as what stands above it, as a single pixel, or as a run."""
    differs = np.ones(pixels.shape, np.bool_)
    np.not_equal(pixels[1:], pixels[:-1], out=differs[1:])
    # How many cells before each run, and before the end, are not as the one above.
    before = np.append(0, np.cumsum(differs, dtype=np.int32))[np.append(starts, pixels.size)]
    kinds: NDArray[np.int8] = (lengths == 1).astype(np.int8) * np.int8(_SINGLES)
    kinds[before[1:] == before[:-1]] = _COPY
    return kinds


def _coded(
    kinds: NDArray[np.int8], counts: _Numbers, firsts: _Numbers, values: Pixels
) -> tuple[bytes, _Numbers]:
    """All codes, and where each begins and the last ends.

    Shape: ``kinds``, ``counts`` (n) and ``firsts`` (the code's first of ``values``) are (K,).
    """
    kinds[(kinds == _SINGLES) & (counts == 1)] = _RUN
    # A run below 128 is four bytes, n and the pixel; almost all are. The rest is odd.
    is_short = (kinds == _RUN) & (counts < _TWO_BYTES)
    short, odd = np.flatnonzero(is_short), np.flatnonzero(~is_short)
    kind, count = kinds[odd], counts[odd]
    head = 1 + kind + (count >= _TWO_BYTES)
    pixels: _Numbers = np.where(kind == _SINGLES, count, kind == _RUN)
    sizes = np.full(len(kinds), 4, np.intp)
    sizes[odd] = head + 3 * pixels
    begin: _Numbers = np.append(0, np.cumsum(sizes))
    code = np.zeros(int(begin[-1]), np.uint8)
    is_in_short = np.ones(len(code), np.bool_)
    is_in_short[_ranges(begin[odd], sizes[odd])] = False
    words = (counts.astype(np.uint32) << np.uint32(24) | values[firsts])[short]
    code[is_in_short] = words.astype(">u4").view(np.uint8)
    _write_heads(code, begin[odd], kind, count)
    three = _three_bytes(values[_ranges(firsts[odd], pixels)]).reshape(-1)
    code[_ranges(begin[odd] + head, 3 * pixels)] = three
    return code.tobytes(), begin


def _write_heads(code: NDArray[np.uint8], begin: _Numbers, kind: NDArray[np.int8], count: _Numbers) -> None:
    """What stands before the pixels of each code; zeros are there already."""
    at, is_long = begin + kind, count >= _TWO_BYTES
    code[begin[kind == _COPY] + 1] = 1
    code[at] = np.where(is_long, count & 0x7F | _TWO_BYTES, count)
    code[at[is_long] + 1] = count[is_long] >> 7


def _ranges(starts: _Numbers, counts: _Numbers) -> _Numbers:
    """``counts[k]`` numbers from ``starts[k]`` on, for every k."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) + (starts - before).repeat(counts)


def _length(count: int) -> bytes:
    if count < _TWO_BYTES:
        return bytes([count])
    return bytes([count & 0x7F | _TWO_BYTES, count >> 7])


def _three_bytes(values: Pixels) -> NDArray[np.uint8]:
    """(N,) to (N, 3): bits 23:16, 15:8, 7:0."""
    big_endian = np.ascontiguousarray(values, ">u4").view(np.uint8)
    three: NDArray[np.uint8] = big_endian.reshape(-1, 4)[:, 1:]
    return three
