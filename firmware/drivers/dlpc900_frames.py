"""Messages of the TI DLPC900 over USB HID, as pure functions of bytes.

Ref: DLPC900 Programmer's Guide, TI DLPU018J, section 1.2 (USB protocol); every number is
little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from lsi.errors import FrameError

REPORT_BYTES: Final = 64
MAX_DATA_BYTES: Final = 506
"""A message has at most 512 bytes: 4 header, 2 command, 506 data (DLPU018J 1.2)."""
_HEADER: Final = struct.Struct("<BBH")
_COMMAND_BYTES: Final = 2

MAX_REPLY_BYTES: Final = 508
"""A reply is no longer than a message either; its header has no command."""

# One message, cut into reports of 64 bytes; only the first has a header:
#
#     byte   0     1         2  3      4  5        6 ..
#     out    flag  sequence  length    command     data, zero-padded in the last report
#     in     flag  sequence  length    data, zero-padded in the last report
#
#     flag   7 read, 6 reply wanted, 5 refused (replies only), 4:3 reserved, 2:0 destination 0
#     length counts what follows: command and data out, data alone in


class Flag(IntFlag):
    """First byte of a message."""

    REFUSED = 0x20
    REPLY = 0x40
    READ = 0x80


_NONSENSE_FLAGS: Final = 0x1F


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
        check_number("command", self.command, 0, 0xFFFF)
        check_number("sequence", self.sequence, 0, 0xFF)
        check_number("bytes of data", len(self.data), 0, MAX_DATA_BYTES)
        if self.is_read and not self.wants_reply:
            raise FrameError("A read without reply.", hint="wants_reply=True.")

    def reports(self) -> tuple[bytes, ...]:
        """The message as reports of 64 bytes, in the order of sending."""
        flags = Flag.READ * self.is_read | Flag.REPLY * self.wants_reply
        header = _HEADER.pack(flags, self.sequence, _COMMAND_BYTES + len(self.data))
        return _cut(header + self.command.to_bytes(_COMMAND_BYTES, "little") + self.data)

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
    """What the controller answers.

    Attributes:
        sequence: That of the request.
        data: At most 508 bytes; empty after a write (unverified on a device).
        is_read: The request was a read.
        is_refused: The controller did not accept the request.
    """

    sequence: int
    data: bytes = b""
    is_read: bool = False
    is_refused: bool = False

    def __post_init__(self) -> None:
        check_number("bytes of data in a reply", len(self.data), 0, MAX_REPLY_BYTES)

    def reports(self) -> tuple[bytes, ...]:
        """The reply as reports of 64 bytes, in the order of sending."""
        flags = Flag.REPLY | Flag.READ * self.is_read | Flag.REFUSED * self.is_refused
        return _cut(_HEADER.pack(flags, self.sequence, len(self.data)) + self.data)

    @classmethod
    def from_reports(cls, reports: Sequence[bytes]) -> "Reply":
        """The inverse of :meth:`reports`.

        Raises:
            FrameError: Not 64 bytes each, another number of reports than the length asks
                for, or unknown flags.
        """
        first = reports[0] if reports else b""
        flags, sequence, length = _header_of(first, 0)
        needed = further_reports(first) + 1
        if len(reports) != needed or {len(report) for report in reports} != {REPORT_BYTES}:
            raise FrameError(f"{len(reports)} reports for a reply of length {length}.")
        data = b"".join(reports)[_HEADER.size : _HEADER.size + length]
        return cls(sequence, data, bool(flags & Flag.READ), bool(flags & Flag.REFUSED))


def further_reports(first: bytes) -> int:
    """How many reports follow the first one of a reply.

    Raises:
        FrameError: Not the first report of a reply.
    """
    _, _, length = _header_of(first, 0)
    check_number("bytes of data in a reply", length, 0, MAX_REPLY_BYTES)
    return -(-(_HEADER.size + length) // REPORT_BYTES) - 1


def _cut(message: bytes) -> tuple[bytes, ...]:
    starts = range(0, len(message), REPORT_BYTES)
    return tuple(message[start : start + REPORT_BYTES].ljust(REPORT_BYTES, b"\0") for start in starts)


def _header_of(report: bytes, forbidden: int) -> tuple[int, int, int]:
    if len(report) != REPORT_BYTES:
        raise FrameError(f"A report of {len(report)} bytes, expected {REPORT_BYTES}.")
    flags, sequence, length = _HEADER.unpack_from(report)
    if flags & (_NONSENSE_FLAGS | forbidden):
        raise FrameError(f"A report with flags {flags:#04x}.", hint="a DLPC900 on this HID device?")
    return flags, sequence, length


def check_number(what: str, value: int, lowest: int, highest: int) -> None:
    """Refuse a ``value`` that a field of a message cannot hold.

    Raises:
        FrameError: Outside ``lowest`` to ``highest``.
    """
    if not lowest <= value <= highest:
        raise FrameError(f"{value} is no valid number of {what}.", hint=f"{lowest} to {highest}.")
