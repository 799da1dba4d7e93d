"""Frames of the serial co-processor, as pure functions of bytes, on the host's side.

Ref: ``docs/reference/coprocessor-protocol.md``. All numbers are little-endian.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lsi.errors import FrameError

# A frame:
#
#     0  magic 4C A5 | version | kind | sequence u16 | length n u16 | check u16
#    10  payload, n bytes
#  10+n  CRC-32 of everything before it
#
# The check is the low half of the CRC-32 of the eight bytes before it: a length that noise
# has changed is found at once, not after waiting for bytes that never come.
MAGIC: Final = b"L\xa5"
VERSION: Final = 1
MAX_PAYLOAD_BYTES: Final = 4096
_CHECKED: Final = struct.Struct("<2sBBHH")
_HEADER: Final = struct.Struct("<2sBBHHH")
_CRC: Final = struct.Struct("<I")
_HALF: Final = 0xFFFF

_HELLO: Final = struct.Struct("<BBBBIII")
_CONFIGURE: Final = struct.Struct("<IIIIHBB")
_TIMING: Final = struct.Struct("<IHHI")
_ARM: Final = struct.Struct("<BI")
_RESEND: Final = struct.Struct("<BIH")
_DATA: Final = struct.Struct("<BBHI")
_SUMMARY: Final = struct.Struct("<BBIII")
_AD738X: Final = 1
_PS_PER_S: Final = 1_000_000_000_000


class Kind(IntEnum):
    """What a frame is; ``REPLY`` is added to a command's kind in its reply."""

    HELLO = 0x01
    CONFIGURE = 0x02
    ARM = 0x03
    STOP = 0x04
    STATUS = 0x05
    RESEND = 0x06
    REPLY = 0x80
    DATA = 0x90
    END = 0x91
    BOOT = 0x92
    REFUSED = 0xFF


class Refusal(IntEnum):
    """Why a command was not carried out."""

    UNKNOWN_COMMAND = 1
    NOT_CONFIGURED = 2
    OUT_OF_RANGE = 3
    CONVERTER_SILENT = 4
    MALFORMED = 5
    GONE = 6


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One frame whose checks hold."""

    kind: int
    sequence: int
    payload: bytes

    def __repr__(self) -> str:
        return f"Frame(kind=0x{self.kind:02x}, sequence={self.sequence}, bytes={len(self.payload)})"


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers. ``boot`` differs after every start; ``chip`` is 1 RP2040, 2 RP2350, 0 none."""

    chip: int
    firmware: tuple[int, int, int]
    boot: int
    clock_hz: int
    ring_words: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """How a pass is sampled.

    ``samples`` conversions per mask, the first ``guard_ns`` after the edge. For ``tail_ns`` after the last
    one edges are still counted, then the pass ends.
    """

    guard_ns: int
    tail_ns: int
    spi_hz: int
    masks: int
    samples: int

    @property
    def payload(self) -> bytes:
        """Payload of CONFIGURE.

        Raises:
            FrameError: A number that its field does not hold.
        """
        fields = (self.guard_ns, self.tail_ns, self.spi_hz, self.masks, self.samples, _AD738X, 0)
        try:
            return _CONFIGURE.pack(*fields)
        except struct.error as error:
            raise FrameError(
                f"{self} does not fit into its frame.", hint="32 bits; 16 for samples."
            ) from error

    @property
    def check(self) -> int:
        """By which ARM names the configuration that it means."""
        return zlib.crc32(self.payload)


@dataclass(frozen=True, slots=True)
class Timing:
    """What a configuration became, in whole cycles of the sampling program."""

    cycle_ps: float
    frame_cycles: int
    guard_cycles: int

    @property
    def guard_ns(self) -> float:
        """From the edge to the first conversion."""
        return self.guard_cycles * self.cycle_ps / 1000

    @property
    def spacing_ns(self) -> float:
        """From one conversion to the next."""
        return self.frame_cycles * self.cycle_ps / 1000


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a pass: rising ``edges``, exposures ``captured``, conversions ``dropped``."""

    pass_number: int
    overrun: bool
    edges: int
    captured: int
    dropped: int


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    """Exposures ``first`` to ``first + masks`` of a pass; ``words`` are theirs, untouched."""

    pass_number: int
    overrun: bool
    first: int
    masks: int
    words: bytes

    def __repr__(self) -> str:
        return f"Data(pass_number={self.pass_number}, first={self.first}, masks={self.masks})"


class FrameReader:
    """Finds frames in what comes in, and gets back into step after noise.

    ``damaged`` counts places that looked like a frame and were none.
    """

    def __init__(self) -> None:
        self._left = b""
        self.damaged = 0

    def clear(self) -> None:
        """Forget what is left of an unfinished frame."""
        self._left = b""

    def feed(self, chunk: bytes) -> list[Frame]:
        """All frames that are complete now."""
        frames: list[Frame] = []
        data, at = self._left + chunk, 0
        while (at := data.find(MAGIC, at)) >= 0:
            end = _end_of_frame(data, at)
            if end > len(data):
                self._left = data[at:]
                return frames
            if end and zlib.crc32(memoryview(data)[at : end - 4]) == _CRC.unpack_from(data, end - 4)[0]:
                _, _, kind, sequence, _, _ = _HEADER.unpack_from(data, at)
                frames.append(Frame(kind, sequence, data[at + _HEADER.size : end - 4]))
                at = end
            else:
                # The next frame may begin within the bytes that this one claimed.
                self.damaged += 1
                at += 1
        self._left = MAGIC[:1] if data.endswith(MAGIC[:1]) else b""
        return frames


def encode_frame(kind: int, sequence: int, payload: bytes = b"") -> bytes:
    """One whole frame.

    Raises:
        FrameError: A payload longer than ``MAX_PAYLOAD_BYTES``.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(f"A payload of {len(payload)} bytes.", hint=f"at most {MAX_PAYLOAD_BYTES}.")
    checked = _CHECKED.pack(MAGIC, VERSION, kind, sequence & _HALF, len(payload))
    start = checked + struct.pack("<H", zlib.crc32(checked) & _HALF) + payload
    return start + _CRC.pack(zlib.crc32(start))


def arm_payload(pass_number: int, configuration: Configuration) -> bytes:
    """Payload of ARM; ``pass_number`` is one byte."""
    return _ARM.pack(pass_number, configuration.check)


def resend_payload(pass_number: int, first: int, masks: int) -> bytes:
    """Payload of RESEND: the exposures ``first`` to ``first + masks`` once more."""
    return _RESEND.pack(pass_number, first, masks)


def parse_hello(payload: bytes) -> Hello:
    """Payload of BOOT and of the reply to HELLO.

    Raises:
        FrameError: Another length.
    """
    chip, major, minor, patch, boot, clock_hz, ring_words = _unpack(_HELLO, payload, "HELLO")
    return Hello(chip, (major, minor, patch), boot, clock_hz, ring_words)


def parse_timing(payload: bytes) -> Timing:
    """Reply to CONFIGURE.

    Raises:
        FrameError: Another length, or a clock that stands still.
    """
    clock_hz, divider, frame_cycles, guard_cycles = _unpack(_TIMING, payload, "CONFIGURE")
    if not clock_hz:
        raise FrameError("The co-processor says that its clock stands still.")
    return Timing(_PS_PER_S * divider / clock_hz, frame_cycles, guard_cycles)


def parse_summary(payload: bytes) -> Summary:
    """Payload of END and of the reply to STOP.

    Raises:
        FrameError: Another length.
    """
    pass_number, flags, edges, captured, dropped = _unpack(_SUMMARY, payload, "END")
    return Summary(pass_number, bool(flags & 1), edges, captured, dropped)


def parse_data(payload: bytes) -> Data:
    """Payload of DATA.

    Raises:
        FrameError: Shorter than its own header.
    """
    if len(payload) < _DATA.size:
        raise FrameError(f"DATA of {len(payload)} bytes has no header.")
    pass_number, flags, masks, first = _DATA.unpack_from(payload)
    return Data(pass_number, bool(flags & 1), first, masks, payload[_DATA.size :])


def _end_of_frame(data: bytes, at: int) -> int:
    """Where the frame at ``at`` ends; beyond ``data`` when unknown yet, 0 when this is no header."""
    if len(data) - at < _HEADER.size:
        return len(data) + 1
    _, version, _, _, length, check = _HEADER.unpack_from(data, at)
    if zlib.crc32(data[at : at + _CHECKED.size]) & _HALF != check:
        return 0
    if version != VERSION or length > MAX_PAYLOAD_BYTES:
        return 0
    return at + _HEADER.size + int(length) + _CRC.size


def _unpack(layout: struct.Struct, payload: bytes, name: str) -> tuple[int, ...]:
    if len(payload) != layout.size:
        found = f"{name} came with {len(payload)} bytes, expected {layout.size}."
        raise FrameError(found, hint="the same version of firmware and host.")
    return layout.unpack(payload)
