"""Words of the AD7380 family, as pure functions of bytes.

Ref: Linux drivers/iio/adc/ad7380.c for registers, bits, code formats and times; Analog
Devices data sheets "AD7380/AD7381", "AD7383/AD7384" and "AD7383-4/AD7384-4". Unverified
is what says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import BoardConfigError, FrameError
from lsi.measurement import CountScale
from lsi.units import NS_PER_MS

CONFIG1: Final = 1
CONFIG2: Final = 2
ALERT_LOW: Final = 4
"""Addresses. 3 (alert) and 5 (high threshold) are of no use here."""

ONE_LINE: Final = 0x100
"""CONFIG2: all channels leave on SDOA. After a hard reset they share two lines."""
LINES_MASK: Final = 0x300
SOFT_RESET: Final = 0x3C
"""CONFIG2: empties the averaging block, keeps the registers."""
HARD_RESET: Final = 0xFF

REGISTER_BYTES: Final = 2
CHANNEL_BYTES: Final = 2
ZERO_COUNTS: Final = 32_768
"""Where unsigned counts have the zero of the signed code."""
FULL_SCALE_COUNTS: Final = 65_535
MAX_REGISTER_HZ: Final = 10_000_000
"""Clock up to which the kernel driver trusts register words."""
POWER_UP_NS: Final = 5 * NS_PER_MS
CONVERSION_NS: Final = 190

_WRITE: Final = 1 << 15
_DATA_MASK: Final = 0xFFF
_FIRST_OF_MANY_NS: Final = 10
_NEXT_OF_MANY_NS: Final = 500
_OSR_SHIFT: Final = 6
_WIDER_RESULT: Final = 1 << 2
_EXTERNAL_REFERENCE: Final = 1 << 1
_POWER_DOWN: Final = 1
_OSR_CODES: Final = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5}


@dataclass(frozen=True, slots=True)
class Ad738xPart:
    """One member of the family.

    ``is_differential``: the code is the difference of two driven inputs, +-Vref; otherwise
    AIN+ against a steady AIN-, +-Vref / 2.
    """

    name: str
    channels: int
    is_differential: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one conversion of all channels on one line."""
        return CHANNEL_BYTES * self.channels

    def scale(self, vref_v: float, common_v: float | None = None) -> CountScale:
        """What a count means.

        A step is 2 Vref / 2^16 on a differential part, Vref / 2^16 on the others.

        Args:
            vref_v: Reference.
            common_v: What AIN- of a part that is not differential is held at; Vref / 2 by default.
        """
        step_v = (2 if self.is_differential else 1) * vref_v / (FULL_SCALE_COUNTS + 1)
        middle_v = 0.0 if self.is_differential else vref_v / 2 if common_v is None else common_v
        return CountScale(FULL_SCALE_COUNTS, step_v, middle_v - ZERO_COUNTS * step_v)


PARTS: Final[Mapping[str, Ad738xPart]] = {
    part.name: part
    for part in (
        Ad738xPart("ad7380", 2, is_differential=True),
        Ad738xPart("ad7383", 2, is_differential=False),
        Ad738xPart("ad7383-4", 4, is_differential=False),
    )
}
"""Parts by the name that board files use."""

# Register word, 16 bits, most significant first. What it asks for is done when CS rises;
# what it reads is the low 12 bits of the next word, whatever that one sends.
#
#     bit   15     14 .. 12   11 ........... 0
#     out   write  address    data                 0x0000 is "nothing"
#     in    x      x          data
#
# CONFIG1   11 CH  10 SEQ  9 rolling average  8..6 OSR  5,4 CRC  3 alert  2 RES  1 ext. ref.  0 power down
# CONFIG2   9..8 lines (01: one)  7..0 reset (0x3C soft, 0xFF hard)
#
# Conversion frame on one line, started by the fall of CS, shifted out in the next frame:
#
#     2 channels   | A 15..0 | B 15..0 |                         two's complement, MSB first
#     4 channels   | A 15..0 | B 15..0 | C 15..0 | D 15..0 |
#
# Clock polarity and phase are unverified; the kernel's examples for this family set spi-cpol.


def write_register(address: int, data: int) -> bytes:
    """The word that puts ``data`` (12 bits) into register ``address`` (1..5).

    Raises:
        FrameError: No such register, or more than 12 bits.
    """
    _check_address(address)
    if data & ~_DATA_MASK:
        raise FrameError(f"AD738x registers hold 12 bits, found 0x{data:X}.", hint="0 to 0xFFF.")
    return (_WRITE | address << 12 | data).to_bytes(REGISTER_BYTES, "big")


def read_register(address: int) -> bytes:
    """The word after which the next one brings register ``address`` (1..5).

    Raises:
        FrameError: No such register.
    """
    _check_address(address)
    return (address << 12).to_bytes(REGISTER_BYTES, "big")


def no_operation(length: int) -> bytes:
    """``length`` bytes that ask for nothing and shift out what is ready."""
    return bytes(length)


def parse_register(word: bytes) -> int:
    """The 12 bits of a register in the word after :func:`read_register`.

    Raises:
        FrameError: Not two bytes.
    """
    if len(word) != REGISTER_BYTES:
        raise FrameError(f"AD738x answered {len(word)} bytes, expected {REGISTER_BYTES}.")
    return int.from_bytes(word, "big") & _DATA_MASK


def _check_address(address: int) -> None:
    if not CONFIG1 <= address <= ALERT_LOW + 1:
        raise FrameError(f"AD738x has no register {address}.", hint="1 to 5.")


@dataclass(frozen=True, slots=True)
class Config1:
    """CONFIG1, as far as it is used.

    Attributes:
        oversampling: Conversions averaged per result: 1, 2, 4, 8, 16 or 32.
        wider_result: RES, two more bits per result.
        external_reference: 2.5 to 3.3 V on REFIO instead of the internal 2.5 V.
        power_down: Converts nothing.
    """

    oversampling: int = 1
    wider_result: bool = False
    external_reference: bool = False
    power_down: bool = False

    def __post_init__(self) -> None:
        if self.oversampling not in _OSR_CODES:
            found = f"AD738x cannot average {self.oversampling} conversions."
            raise BoardConfigError(found, hint=f"one of {', '.join(map(str, _OSR_CODES))}.")

    @property
    def data(self) -> int:
        """The register's 12 bits."""
        return (
            _OSR_CODES[self.oversampling] << _OSR_SHIFT
            | _WIDER_RESULT * self.wider_result
            | _EXTERNAL_REFERENCE * self.external_reference
            | _POWER_DOWN * self.power_down
        )


def conversion_ns(oversampling: int) -> int:
    """From the fall of CS until the result can be shifted out."""
    if oversampling == 1:
        return CONVERSION_NS
    return _FIRST_OF_MANY_NS + _NEXT_OF_MANY_NS * (oversampling - 1)


def counts_of(received: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Unsigned counts in conversion frames; the signed zero is at ``ZERO_COUNTS``.

    Shape: (..., 2 C) bytes to (..., C).
    """
    counts: NDArray[np.uint16] = (codes_in(received) ^ ZERO_COUNTS).astype(np.uint16)
    return counts


def codes_in(received: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The frames' two's complement codes, still as unsigned words and big-endian; a view.

    Shape: (..., 2 C) bytes to (..., C).
    """
    codes: NDArray[np.uint16] = received.view(">u2")
    return codes
