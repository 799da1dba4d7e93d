"""Words of the ADS8681, ADS8685 and ADS8689, as pure functions of bytes.

Ref: registers, bits and opcodes as several public drivers of the family have them; TI E2E
1397626 (a conversion begins when CONVST/CS rises and takes 665 ns) and 1571016. Unverified is
what says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import BoardConfigError, FrameError
from lsi.measurement import CountScale

FRAME_BYTES: Final = 4
FULL_SCALE_COUNTS: Final = 65_535
INTERNAL_VREF_V: Final = 4.096

# Input frame, most significant bit first. CS falls: the frame opens. CS rises: what it asks
# for is done, and the next conversion begins (unverified).
#
#     bit   31 .. 25   24 .. 16    15 .. 0
#     out   opcode     address     data
#
# Output frame: the result of the conversion that the frame before it began, or the half word
# that it asked for; then whatever DATAOUT_CTL adds, then zeros (unverified).
#
#     bit   31 .. 16   15 ..
#     in    result     [address 4] [supply alarms 2] [input alarms 2] [range 4] [parity 2]


class Opcode(IntEnum):
    """What a frame asks for (7 bits)."""

    NO_OPERATION = 0b0000000
    CLEAR_BITS = 0b1100000
    READ_HALF_WORD = 0b1100100
    READ_BYTE = 0b0100100
    WRITE_HALF_WORD = 0b1101000
    WRITE_HIGH_BYTE = 0b1101001
    WRITE_LOW_BYTE = 0b1101010
    SET_BITS = 0b1101100


class Register(IntEnum):
    """Addresses; ``DEVICE_ID_HIGH`` is the upper half word of a 32-bit register."""

    DEVICE_ID = 0x00
    DEVICE_ID_HIGH = 0x02
    RST_PWRCTL = 0x04
    SDI_CTL = 0x08
    SDO_CTL = 0x0C
    DATAOUT_CTL = 0x10
    RANGE_SEL = 0x14
    ALARM = 0x20
    ALARM_HIGH = 0x24
    ALARM_LOW = 0x28


ID_MASK: Final = 0xF
"""DEVICE_ID_HIGH: four bits that may hold anything, bits 19:16 of the register."""
PARITY: Final = 1 << 3
"""DATAOUT_CTL: two parity bits after the other fields."""
EXTERNAL_REFERENCE: Final = 1 << 6
"""RANGE_SEL."""
TEST_PATTERNS: Final[Mapping[int, int]] = {4: 0x0000, 5: 0xFFFF, 6: 0x5555, 7: 0x3333}
"""DATA_VAL of DATAOUT_CTL, and what it puts in place of results (bit order unverified)."""
_RESULT_PARITY_BIT: Final = 15
"""Where the first parity bit is when parity is all that is added."""


@dataclass(frozen=True, slots=True)
class Ads868xPart:
    """One member of the family; both figures are unverified but for 665 ns."""

    name: str
    rate_hz: int
    conversion_ns: int

    @property
    def cycle_ns(self) -> int:
        """The least time from one conversion to the next."""
        return 1_000_000_000 // self.rate_hz


PARTS: Final[Mapping[str, Ads868xPart]] = {
    part.name: part
    for part in (
        Ads868xPart("ads8681", 1_000_000, 665),
        Ads868xPart("ads8685", 500_000, 1_000),
        Ads868xPart("ads8689", 100_000, 5_000),
    )
}
"""Parts by the name that board files use."""


@dataclass(frozen=True, slots=True)
class Ads868xRange:
    """One input range, in units of the reference; results are straight binary from its low end."""

    code: int
    low_vrefs: float
    span_vrefs: float

    def scale(self, vref_v: float) -> CountScale:
        """What a count means."""
        step_v = self.span_vrefs * vref_v / (FULL_SCALE_COUNTS + 1)
        return CountScale(FULL_SCALE_COUNTS, step_v, self.low_vrefs * vref_v)


_BIPOLAR: Final = {0: 3.0, 1: 2.5, 2: 1.5, 3: 1.25, 4: 0.625}
_UNIPOLAR: Final = {0x8: 3.0, 0x9: 2.5, 0xA: 1.5, 0xB: 1.25}
RANGES: Final = (
    *(Ads868xRange(code, -vrefs, 2 * vrefs) for code, vrefs in _BIPOLAR.items()),
    *(Ads868xRange(code, 0.0, vrefs) for code, vrefs in _UNIPOLAR.items()),
)


def unipolar_range(full_scale_v: float, vref_v: float = INTERNAL_VREF_V) -> Ads868xRange:
    """The range from 0 V to ``full_scale_v``.

    Raises:
        BoardConfigError: There is none.
    """
    spans = {round(one.span_vrefs * vref_v, 6): one for one in RANGES if one.low_vrefs == 0}
    found = spans.get(round(full_scale_v, 6))
    if found is None:
        message = f"ADS868x has no range of 0 to {full_scale_v} V."
        raise BoardConfigError(message, hint=f"one of {', '.join(map(str, sorted(spans)))} V.")
    return found


def frame_of(opcode: Opcode, address: int = 0, data: int = 0) -> bytes:
    """The input frame.

    Raises:
        FrameError: More than 9 bits of address or 16 of data.
    """
    if address >> 9 or data >> 16:
        raise FrameError(
            f"ADS868x: address 0x{address:X} or data 0x{data:X} is too wide.", hint="9, 16 bits."
        )
    return (opcode << 25 | address << 16 | data).to_bytes(FRAME_BYTES, "big")


def write_register(address: int, data: int) -> bytes:
    """The frame that puts ``data`` (16 bits) at ``address``. Not 0xD8, which only sets bits."""
    return frame_of(Opcode.WRITE_HALF_WORD, address, data)


def read_register(address: int) -> bytes:
    """The frame after which the next one brings the half word at ``address``."""
    return frame_of(Opcode.READ_HALF_WORD, address)


def parse_register(frame: bytes) -> int:
    """The half word in the frame after :func:`read_register`; also a result.

    Raises:
        FrameError: Not four bytes.
    """
    if len(frame) != FRAME_BYTES:
        raise FrameError(f"ADS868x answered {len(frame)} bytes, expected {FRAME_BYTES}.")
    return int.from_bytes(frame, "big") >> 16


def is_odd(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """1 where the number of ones is odd."""
    for shift in (8, 4, 2, 1):
        values = values ^ values >> np.uint16(shift)
    odd: NDArray[np.uint16] = values & np.uint16(1)
    return odd


def counts_of(received: NDArray[np.uint8], *, parity: bool = False) -> NDArray[np.uint16]:
    """Results in output frames.

    Shape: (..., 4) bytes to (...).

    Args:
        received: What came in.
        parity: Whether two parity bits follow. The first is that of the result, even; of the
            second public sources differ in what it covers, so it is not looked at.

    Raises:
        FrameError: Not four bytes each, or a parity bit that does not fit.
    """
    if received.shape[-1] != FRAME_BYTES:
        raise FrameError(f"ADS868x answered {received.shape[-1]} bytes, expected {FRAME_BYTES}.")
    words = received.view(">u2")
    counts: NDArray[np.uint16] = words[..., 0].astype(np.uint16)
    if parity:
        wrong = int(np.count_nonzero(is_odd(counts) != words[..., 1] >> _RESULT_PARITY_BIT))
        if wrong:
            found = f"ADS868x: parity is wrong in {wrong} of {counts.size} results."
            raise FrameError(found, hint="a slower clock, shorter wires.")
    return counts
