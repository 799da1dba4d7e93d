"""Words of the MCP3208, as pure functions of bytes.

Ref: Microchip MCP3204/3208, DS21298, section 5 "Serial Communication" and 6.1 "Using
the MCP3204/3208 with Microcontroller SPI Ports" (byte-aligned form).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import FrameError

CHANNELS: Final = 8
CONVERSION_BYTES: Final = 3
FULL_SCALE_COUNTS: Final = 4095

# Sent and received, one conversion, most significant bit first:
#
#     bit   23 .. 19 18 17 16 | 15 14 13 12 11 ............ 0
#     out    0  0  0  1  S  C |  C  C  x  x  x              x    S single-ended, C channel
#     in     x  x  x  x  x  x |  x  x  x  0  result, 12 bits     0 is the null bit
#
# Five leading zeros put the result into the low 12 bits. A 1 in the null bit's place
# means that nobody drives the line, so it is an error and not a reading of 4095.
_START_SINGLE_ENDED: Final = 0b0000_0110
_NULL_BIT: Final = 1 << 12


def request_conversion(channel: int) -> bytes:
    """What to send for one single-ended conversion of ``channel`` (0..7).

    Raises:
        FrameError: No such channel.
    """
    if not 0 <= channel < CHANNELS:
        raise FrameError(f"MCP3208 has no channel {channel}.", hint=f"0 to {CHANNELS - 1}.")
    return bytes([_START_SINGLE_ENDED | channel >> 2, (channel & 0b11) << 6, 0])


def parse_conversions(received: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Counts (0..4095) in the answers to :func:`request_conversion`.

    Shape: (..., 3) bytes to (...).

    Raises:
        FrameError: Not three bytes each, or a null bit that is not 0: the line floats.
    """
    if received.shape[-1] != CONVERSION_BYTES:
        raise FrameError(f"MCP3208 answered {received.shape[-1]} bytes, expected {CONVERSION_BYTES}.")
    words = received[..., 1].astype(np.uint16) << 8 | received[..., 2]
    floating = int(np.count_nonzero(words & _NULL_BIT))
    if floating:
        found = f"MCP3208 does not answer: the null bit reads 1 in {floating} of {words.size} conversions."
        raise FrameError(found, hint="check MISO, chip select and power of the converter.")
    counts: NDArray[np.uint16] = np.bitwise_and(words, FULL_SCALE_COUNTS, dtype=np.uint16)
    return counts
