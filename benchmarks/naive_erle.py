"""A plain Python encoder of the DLPC900's enhanced run-length code, one pixel at a time.

What a driver does that loops over pixels; the floor of ``upload_encode_speedup``. Same
format and same codes as ``firmware.drivers.dlpc900_image``: runs, and copies of what
stands in the line above.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from firmware.drivers.dlpc900_image import encode_masks, pack_planes
from firmware.drivers.dmds import dmd_named
from firmware.drivers.mirror_field import MirrorField
from lsi.units import NS_PER_S

MASKS: Final = 24
SIDE: Final = 256
SCALE_PX: Final = 4
ROUNDS: Final = 5
_OURS_PER_ROUND: Final = 16
_TWO_BYTES: Final = 0x80


def encode_naive(pixels: Sequence[Sequence[int]]) -> bytes:
    """One image, header included.

    Args:
        pixels: Rows of pixels, top down, 24 bits used.
    """
    data = bytearray()
    above: Sequence[int] = ()
    for row in pixels:
        column = 0
        while column < len(row):
            column += _add_code(data, row, above, column)
        data += b"\x00\x00"
        above = row
    data += b"\x00\x01\x00"
    data += bytes(-len(data) % 4)
    sizes = len(pixels[0]).to_bytes(2, "little") + len(pixels).to_bytes(2, "little")
    count = len(data).to_bytes(4, "little")
    return b"Spld" + sizes + count + b"\xff" * 8 + bytes(4) + b"\x01\x02\x01\0\0\x01" + bytes(18) + data


def measure_speedup(rounds: int = ROUNDS) -> tuple[float, float, int, int]:
    """Encode 24 random masks of 256 x 256, four mirrors a pixel, onto a DLP6500.

    Ours goes from masks to bytes; the naive one is handed the mirrors, so that placing the
    masks costs it nothing. CPU time, the best of all rounds.

    Returns:
        Seconds ours, seconds naive, bytes ours, bytes naive.
    """
    masks = np.random.default_rng(7).random((MASKS, SIDE, SIDE)) < 1 / 2
    field = MirrorField(dmd_named("DLP6500"), SIDE, SIDE, SCALE_PX)
    pixels: list[list[int]] = field.spread(pack_planes(masks)[0]).tolist()
    ours, naive = encode_masks(masks, field)[0][0], encode_naive(pixels)
    # In turns, so that a busy machine slows both.
    naive_s, ours_s = [], []
    for _ in range(rounds):
        naive_s.append(_seconds(lambda: encode_naive(pixels)))
        ours_s += [_seconds(lambda: encode_masks(masks, field)) for _ in range(_OURS_PER_ROUND)]
    return min(ours_s), min(naive_s), len(ours), len(naive)


def _add_code(data: bytearray, row: Sequence[int], above: Sequence[int], column: int) -> int:
    """The code that covers most pixels from ``column`` on; how many that are."""
    width = len(row)
    copy_end = column
    while above and copy_end < width and row[copy_end] == above[copy_end]:
        copy_end += 1
    value, run_end = row[column], column + 1
    while run_end < width and row[run_end] == value:
        run_end += 1
    if copy_end >= run_end:
        data += b"\x00\x01" + _length(copy_end - column)
        return copy_end - column
    data += _length(run_end - column) + value.to_bytes(3, "big")
    return run_end - column


def _length(count: int) -> bytes:
    if count < _TWO_BYTES:
        return bytes([count])
    return bytes([count & 0x7F | _TWO_BYTES, count >> 7])


def _seconds(encode: Callable[[], object]) -> float:
    started_ns = time.process_time_ns()
    encode()
    return (time.process_time_ns() - started_ns) / NS_PER_S
