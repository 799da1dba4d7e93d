"""Messages of the TI DLPC900 over USB HID, as pure functions of bytes.

Ref: DLPC900 Programmer's Guide, TI DLPU018J, section 1.2 (USB protocol) and the command
pages named beside each type; every number is little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from lsi.errors import FrameError

REPORT_BYTES: Final = 64
MAX_DATA_BYTES: Final = 506
"""A message has at most 512 bytes: 4 header, 2 command, 506 data (DLPU018J 1.2)."""
MAX_BLOCK_BYTES: Final = 504
_HEADER: Final = struct.Struct("<BBH")
_COMMAND_BYTES: Final = 2

# One message, cut into reports of 64 bytes; only the first has a header:
#
#     byte   0     1         2  3      4  5        6 ..
#     out    flag  sequence  length    command     data, zero-padded in the last report
#     in     flag  sequence  length    data, zero-padded
#
#     flag   7 read, 6 reply wanted, 5 refused (replies only), 4:3 reserved, 2:0 destination 0
#     length counts what follows: command and data out, data alone in


class Flag(IntFlag):
    """First byte of a message."""

    REFUSED = 0x20
    REPLY = 0x40
    READ = 0x80


_NONSENSE_FLAGS: Final = 0x1F


class Command(IntEnum):
    """The commands this project uses (DLPU018J section 2)."""

    ERROR_CODE = 0x0100
    POWER_MODE = 0x0200
    DMD_IDLE = 0x0201
    HARDWARE_STATUS = 0x1A0A
    MAIN_STATUS = 0x1A0C
    DISPLAY_MODE = 0x1A1B
    TRIGGER_OUT_2 = 0x1A1E
    START_STOP = 0x1A24
    IMAGE_START = 0x1A2A
    IMAGE_BLOCK = 0x1A2B
    LUT_CONFIGURATION = 0x1A31
    LUT_DEFINITION = 0x1A34
    TRIGGER_IN_1 = 0x1A35


class DisplayMode(IntEnum):
    """Data of 0x1A1B."""

    VIDEO = 0
    PRE_STORED = 1
    VIDEO_PATTERN = 2
    ON_THE_FLY = 3


class Sequencer(IntEnum):
    """Data of 0x1A24."""

    STOP = 0
    PAUSE = 1
    START = 2


class HardwareStatus(IntFlag):
    """Reply to 0x1A0A."""

    INITIALISED = 0x01
    INCOMPATIBLE_DMD = 0x02
    RESET_CONTROLLER_ERROR = 0x04
    FORCED_SWAP = 0x08
    SECONDARY_PRESENT = 0x10
    SEQUENCER_ABORT = 0x40
    SEQUENCER_ERROR = 0x80


class MainStatus(IntFlag):
    """Reply to 0x1A0C."""

    PARKED = 0x01
    SEQUENCER_RUNNING = 0x02
    VIDEO_FROZEN = 0x04
    SOURCE_LOCKED = 0x08
    PORT_1_SYNC = 0x10
    PORT_2_SYNC = 0x20


class ErrorCode(IntEnum):
    """Reply to 0x0100."""

    NONE = 0
    BATCH_CHECKSUM = 1
    DEVICE_FAILURE = 2
    BAD_COMMAND = 3
    INCOMPATIBLE_DMD = 4
    NOT_ALLOWED_NOW = 5
    BAD_PARAMETER = 6
    ITEM_ABSENT = 7
    OUT_OF_MEMORY = 8
    BAD_COMPRESSION = 9
    BAD_BIT_NUMBER = 10
    IMAGE_NOT_IN_FLASH = 11
    BAD_DARK_TIME = 12
    BAD_SIGNAL_DELAY = 13
    BAD_EXPOSURE = 14
    BAD_PATTERN_NUMBER = 15
    BAD_PATTERN_DEFINITION = 16
    BAD_IMAGE_ADDRESS = 17
    INTERNAL = 255


def meaning_of(code: int) -> str:
    """What error ``code`` says, in words; a code that no list names is said as a number."""
    try:
        return ErrorCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"unlisted error {code}"


@dataclass(frozen=True, slots=True)
class Request:
    """What the host sends.

    Attributes:
        command: Command code, 0..0xFFFF.
        sequence: Echoed in the reply, 0..255.
        data: At most 506 bytes.
        is_read: Asks for data; a read always gets a reply.
        wants_reply: Asks a write to be acknowledged.
    """

    command: int
    sequence: int
    data: bytes = b""
    is_read: bool = False
    wants_reply: bool = True

    def __post_init__(self) -> None:
        _check("command", self.command, 0, 0xFFFF)
        _check("sequence", self.sequence, 0, 0xFF)
        _check("bytes of data", len(self.data), 0, MAX_DATA_BYTES)
        if self.is_read and not self.wants_reply:
            raise FrameError("A read without reply.", hint="wants_reply=True.")

    def reports(self) -> tuple[bytes, ...]:
        """The message as reports of 64 bytes, in the order of sending."""
        flags = Flag.READ * self.is_read | Flag.REPLY * self.wants_reply
        header = _HEADER.pack(flags, self.sequence, _COMMAND_BYTES + len(self.data))
        message = header + self.command.to_bytes(_COMMAND_BYTES, "little") + self.data
        starts = range(0, len(message), REPORT_BYTES)
        return tuple(message[start : start + REPORT_BYTES].ljust(REPORT_BYTES, b"\0") for start in starts)

    @classmethod
    def from_reports(cls, reports: Sequence[bytes]) -> "Request":
        """The inverse of :meth:`reports`.

        Raises:
            FrameError: Cut off, too long, or flags that no request has.
        """
        flags, sequence, length = _header_of(reports[0] if reports else b"", Flag.REFUSED)
        message = b"".join(reports)[_HEADER.size :]
        needed = -(-(_HEADER.size + length) // REPORT_BYTES)
        if (
            length < _COMMAND_BYTES
            or {len(report) for report in reports} != {REPORT_BYTES}
            or len(reports) != needed
        ):
            found = f"{len(reports)} reports for a request of length {length}."
            raise FrameError(found, hint="all reports of one request, 64 bytes each.")
        return cls(
            int.from_bytes(message[:_COMMAND_BYTES], "little"),
            sequence,
            message[_COMMAND_BYTES:length],
            is_read=bool(flags & Flag.READ),
            wants_reply=bool(flags & Flag.REPLY),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the controller answers, in one report.

    Attributes:
        sequence: That of the request.
        data: At most 60 bytes; empty after a write.
        is_read: The request was a read.
        is_refused: The controller did not accept the request.
    """

    sequence: int
    data: bytes = b""
    is_read: bool = False
    is_refused: bool = False

    def report(self) -> bytes:
        """The reply as one report of 64 bytes.

        Raises:
            FrameError: More data than one report holds.
        """
        _check("bytes of data in a reply", len(self.data), 0, REPORT_BYTES - _HEADER.size)
        flags = Flag.REPLY | Flag.READ * self.is_read | Flag.REFUSED * self.is_refused
        header = _HEADER.pack(flags, self.sequence, len(self.data))
        return (header + self.data).ljust(REPORT_BYTES, b"\0")

    @classmethod
    def from_report(cls, report: bytes) -> "Reply":
        """Read one input report.

        Raises:
            FrameError: Not 64 bytes, a length that does not fit, or unknown flags.
        """
        flags, sequence, length = _header_of(report, 0)
        _check("bytes of data in a reply", length, 0, REPORT_BYTES - _HEADER.size)
        data = report[_HEADER.size : _HEADER.size + length]
        return cls(sequence, data, bool(flags & Flag.READ), bool(flags & Flag.REFUSED))


@dataclass(frozen=True, slots=True)
class LutDefinition:
    """One entry of the pattern look-up table (DLPU018J, 0x1A34), 12 bytes.

    Attributes:
        index: Place in the order of display.
        exposure_us: Shown this long; 24 bit, at least 105 for one bit.
        image_index: The 24-plane image that holds the pattern.
        bit_position: Its plane there, 0..23.
        leds: 1 red, 2 green, 4 blue; 7 all.
        waits_for_trigger: Shown after the next edge of TRIG_IN_1 only.
        clears_after_exposure: All mirrors off when the exposure has ended.
        dark_us: Darkness after the exposure.
        disables_trigger_out_2: No edge of TRIG_OUT_2 for this pattern.
    """

    index: int
    exposure_us: int
    image_index: int
    bit_position: int
    leds: int = 7
    waits_for_trigger: bool = False
    clears_after_exposure: bool = True
    dark_us: int = 0
    disables_trigger_out_2: bool = False

    def __post_init__(self) -> None:
        _check("LUT index", self.index, 0, 0xFFFF)
        _check("exposure in us", self.exposure_us, 0, 0xFF_FFFF)
        _check("dark time in us", self.dark_us, 0, 0xFF_FFFF)
        _check("image index", self.image_index, 0, 0x7FF)
        _check("bit position", self.bit_position, 0, 23)
        _check("LED selection", self.leds, 0, 7)

    def to_bytes(self) -> bytes:
        """Data of 0x1A34; the depth is always 1 bit."""
        options = self.clears_after_exposure | self.leds << 4 | self.waits_for_trigger << 7
        image = self.image_index | self.bit_position << 11
        return (
            self.index.to_bytes(2, "little")
            + self.exposure_us.to_bytes(3, "little")
            + bytes([options])
            + self.dark_us.to_bytes(3, "little")
            + bytes([self.disables_trigger_out_2])
            + image.to_bytes(2, "little")
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "LutDefinition":
        """The inverse of :meth:`to_bytes`.

        Raises:
            FrameError: Not 12 bytes, or a pattern of more than one bit.
        """
        _check("bytes of a LUT definition", len(data), 12, 12)
        options, image = data[5], int.from_bytes(data[10:12], "little")
        _check("further bits of depth", options >> 1 & 7, 0, 0)
        _check("options of byte 9", data[9], 0, 1)
        return cls(
            index=int.from_bytes(data[0:2], "little"),
            exposure_us=int.from_bytes(data[2:5], "little"),
            image_index=image & 0x7FF,
            bit_position=image >> 11,
            leds=options >> 4 & 7,
            waits_for_trigger=bool(options & 0x80),
            clears_after_exposure=bool(options & 1),
            dark_us=int.from_bytes(data[6:9], "little"),
            disables_trigger_out_2=bool(data[9]),
        )


def lut_configuration(entries: int, patterns_to_show: int) -> bytes:
    """Data of 0x1A31. ``patterns_to_show`` = ``entries`` shows each once, 0 repeats for ever."""
    _check("LUT entries", entries, 1, 0x7FF)
    _check("patterns to show", patterns_to_show, 0, 0xFFFF_FFFF)
    return struct.pack("<HI", entries, patterns_to_show)


def trigger_in_1(delay_us: int, *, on_falling_edge: bool = False) -> bytes:
    """Data of 0x1A35: advance on an edge, shown ``delay_us`` (at least 105) after it."""
    _check("trigger delay in us", delay_us, 105, 0xFFFF)
    return struct.pack("<HB", delay_us, on_falling_edge)


def trigger_out(rising_us: int, falling_us: int, *, is_inverted: bool = False) -> bytes:
    """Data of 0x1A1D and 0x1A1E: delays of both edges, -20..20000 us."""
    _check("rising delay in us", rising_us, -20, 20_000)
    _check("falling delay in us", falling_us, -20, 20_000)
    return struct.pack("<Bhh", is_inverted, rising_us, falling_us)


def image_start(image_index: int, size_bytes: int) -> bytes:
    """Data of 0x1A2A. ``size_bytes`` counts the 48-byte header too."""
    _check("image index", image_index, 0, 17)
    _check("image size in bytes", size_bytes, 48, 0xFFFF_FFFF)
    return struct.pack("<HI", image_index, size_bytes)


def image_block(block: bytes) -> bytes:
    """Data of 0x1A2B: 1 to 504 bytes of an image, preceded by their number."""
    _check("bytes in an image block", len(block), 1, MAX_BLOCK_BYTES)
    return struct.pack("<H", len(block)) + block


def _header_of(report: bytes, forbidden: int) -> tuple[int, int, int]:
    if len(report) != REPORT_BYTES:
        raise FrameError(f"A report of {len(report)} bytes, expected {REPORT_BYTES}.")
    flags, sequence, length = _HEADER.unpack_from(report)
    if flags & (_NONSENSE_FLAGS | forbidden):
        raise FrameError(f"A report with flags {flags:#04x}.", hint="a DLPC900 on this HID device?")
    return flags, sequence, length


def _check(what: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise FrameError(f"{value} is no valid number of {what}.", hint=f"{lowest} to {highest}.")
