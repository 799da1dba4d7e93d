"""Frames of the serial line, on the co-processor's side.

For MicroPython (1.22 or newer) and CPython alike. The layout stands in
``docs/reference/coprocessor-protocol.md``. Length and magic instead of byte stuffing:
samples go from the DMA's ring onto the line without being touched, and CRC-32 is C
code in both Pythons.
"""

import binascii
import struct

MAGIC = b"L\xa5"
VERSION = 1
HEADER_BYTES = 10
CRC_BYTES = 4
MAX_COMMAND_BYTES = 32
"""Longest payload of a command; a header that names more is damaged."""

HELLO = 0x01
CONFIGURE = 0x02
ARM = 0x03
STOP = 0x04
STATUS = 0x05
RESEND = 0x06
REPLY = 0x80
"""Added to a command's kind in its reply."""
DATA = 0x90
END = 0x91
BOOT = 0x92
REFUSED = 0xFF

UNKNOWN_COMMAND = 1
NOT_CONFIGURED = 2
OUT_OF_RANGE = 3
CONVERTER_SILENT = 4
MALFORMED = 5
GONE = 6

OVERRUN = 1
"""Flag: samples were lost between converter and line."""

HELLO_LAYOUT = "<BBBBIII"
CONFIGURE_LAYOUT = "<IIIIHBB"
TIMING_LAYOUT = "<IHHI"
ARM_LAYOUT = "<BI"
RESEND_LAYOUT = "<BIH"
DATA_LAYOUT = "<BBHI"
SUMMARY_LAYOUT = "<BBIII"
_HEADER_LAYOUT = "<2sBBHHH"
_CHECKED_BYTES = 8


def header(kind: int, sequence: int, length: int) -> bytes:
    """The ten bytes before a payload of ``length`` bytes."""
    checked = struct.pack("<2sBBHH", MAGIC, VERSION, kind, sequence & 0xFFFF, length)
    return checked + struct.pack("<H", binascii.crc32(checked) & 0xFFFF)


def frame(kind: int, sequence: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    start = header(kind, sequence, len(payload)) + payload
    return start + struct.pack("<I", binascii.crc32(start))


class CommandReader:
    """Finds commands in what comes in, and gets back into step after noise."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, chunk: bytes) -> list[tuple[int, int, bytes]]:
        """Whole commands so far: kind, sequence number, payload."""
        commands: list[tuple[int, int, bytes]] = []
        data, at = self._left + chunk, 0
        while True:
            at = data.find(MAGIC, at)
            if at < 0:
                self._left = data[-1:] if data[-1:] == MAGIC[:1] else b""
                return commands
            end = _end_of_frame(data, at)
            if end > len(data):
                self._left = data[at:]
                return commands
            if (
                end
                and binascii.crc32(data[at : end - CRC_BYTES]) == struct.unpack_from("<I", data, end - 4)[0]
            ):
                kind, sequence = struct.unpack_from("<BH", data, at + 3)
                commands.append((kind, sequence, data[at + HEADER_BYTES : end - CRC_BYTES]))
                at = end
            else:
                at += 1


def _end_of_frame(data: bytes, at: int) -> int:
    """Where the frame at ``at`` ends; beyond ``data`` when unknown yet, 0 when this is no header."""
    if len(data) - at < HEADER_BYTES:
        return len(data) + 1
    _, version, _, _, length, check = struct.unpack_from(_HEADER_LAYOUT, data, at)
    if binascii.crc32(data[at : at + _CHECKED_BYTES]) & 0xFFFF != check:
        return 0
    if version != VERSION or length > MAX_COMMAND_BYTES:
        return 0
    return at + HEADER_BYTES + int(length) + CRC_BYTES
