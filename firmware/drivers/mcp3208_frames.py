"""Words of the MCP3208, as pure functions of bytes.

Ref: Microchip MCP3204/3208, DS21298, section 5 "Serial Communication" and 6.1 "Using
the MCP3204/3208 with Microcontroller SPI Ports" (byte-aligned form).
"""

from typing import Final

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


def parse_conversion(received: bytes) -> int:
    """Counts (0..4095) in the answer to :func:`request_conversion`.

    Raises:
        FrameError: Not three bytes, or the null bit is not 0: the line floats.
    """
    if len(received) != CONVERSION_BYTES:
        raise FrameError(f"MCP3208 answered {len(received)} bytes, expected {CONVERSION_BYTES}.")
    word = int.from_bytes(received, "big")
    if word & _NULL_BIT:
        found = "MCP3208 does not answer: its null bit reads 1."
        raise FrameError(found, hint="check MISO, chip select and power of the converter.")
    return word & FULL_SCALE_COUNTS
