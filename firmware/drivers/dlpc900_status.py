"""What a DLPC900 says about itself, for a person and for a self-test.

Ref: TI DLPU018J, pages of 0x1A0A to 0x1A0C; layouts of 0x0101, 0x0205 and 0x0206 as
open drivers read them.
"""

import struct
from dataclasses import dataclass
from typing import Final, Self

from firmware.drivers.dlpc900_codes import (
    DisplayMode,
    ErrorCode,
    HardwareStatus,
    MainStatus,
    SystemStatus,
    meaning_of,
)
from firmware.drivers.dlpc900_frames import check_number
from firmware.drivers.dmds import name_of_type

VERSION_BYTES: Final = 16
DMD_TYPE_BYTES: Final = 1
TEXT_BYTES: Final = 128
_PART: Final = struct.Struct("<HBB")

FAULTS: Final = (
    HardwareStatus.INCOMPATIBLE_DMD
    | HardwareStatus.RESET_CONTROLLER_ERROR
    | HardwareStatus.SEQUENCER_ABORT
    | HardwareStatus.SEQUENCER_ERROR
)
"""Bits of 0x1A0A that a working controller has not set."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version number: patch u16, minor u8, major u8, in this order on the wire."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class FirmwareVersion:
    """Reply to 0x0205: four versions of four bytes."""

    application: Version
    api: Version
    software_configuration: Version
    sequencer_configuration: Version

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a reply; anything after 16 bytes is left alone.

        Raises:
            FrameError: Fewer than 16 bytes.
        """
        check_number("bytes of a firmware version", len(data), VERSION_BYTES, len(data))
        parts = [_PART.unpack_from(data, _PART.size * k) for k in range(4)]
        return cls(*(Version(major, minor, patch) for patch, minor, major in parts))

    def to_bytes(self) -> bytes:
        """The inverse of :meth:`from_bytes`."""
        parts = (self.application, self.api, self.software_configuration, self.sequencer_configuration)
        return b"".join(_PART.pack(part.patch, part.minor, part.major) for part in parts)


@dataclass(frozen=True, slots=True)
class DmdType:
    """Reply to 0x0206: which DMD is attached, and a tag of the firmware's maker."""

    code: int
    tag: str

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a reply.

        Raises:
            FrameError: No byte at all.
        """
        check_number("bytes of a DMD type", len(data), DMD_TYPE_BYTES, len(data))
        return cls(data[0], text_of(data[1:]))

    @property
    def name(self) -> str:
        """The DMD as TI writes it."""
        return name_of_type(self.code)


@dataclass(frozen=True, slots=True)
class Dlpc900Status:
    """One look at a controller; ``str`` is for a person.

    Attributes:
        firmware: Versions.
        dmd: The DMD that is attached.
        hardware: Flags of 0x1A0A.
        system: Flags of 0x1A0B.
        main: Flags of 0x1A0C.
        mode: Display mode, 0..3.
        error_code: Of the command before this look; 0 is none.
        error_text: The controller's own words, empty when it gave none.
    """

    firmware: FirmwareVersion
    dmd: DmdType
    hardware: HardwareStatus
    system: SystemStatus
    main: MainStatus
    mode: int
    error_code: int
    error_text: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the controller from showing masks, in words; empty when nothing does."""
        faults = self.hardware & FAULTS
        checks = (
            (HardwareStatus.INITIALISED in self.hardware, "the controller is not initialised"),
            (not faults, f"the controller reports {_names(faults)}"),
            (SystemStatus.MEMORY_TEST_PASSED in self.system, "its memory test failed"),
            (MainStatus.PARKED not in self.main, "the mirrors are parked"),
        )
        return tuple(words for holds, words in checks if not holds)

    def __str__(self) -> str:
        error = "none"
        if self.error_code != ErrorCode.NONE:
            error = f"{self.error_code}, {self.error_text or meaning_of(self.error_code)}"
        lines = (
            ("firmware", f"{self.firmware.application} (API {self.firmware.api})"),
            ("DMD", f"{self.dmd.name} {self.dmd.tag}".strip()),
            ("mode", DisplayMode(self.mode).name.lower().replace("_", " ")),
            ("hardware", _names(self.hardware)),
            ("system", _names(self.system)),
            ("state", _names(self.main)),
            ("last error", error),
            ("problems", "; ".join(self.problems) or "none"),
        )
        return "\n".join(f"{name:10}  {value}" for name, value in lines)


def text_of(data: bytes) -> str:
    """Text up to the first NUL; what stands behind it is left over from earlier replies."""
    text, _, _ = data.partition(b"\0")
    return "".join(letter for letter in text.decode("ascii", "replace") if letter.isprintable()).strip()


def _names(flags: HardwareStatus | SystemStatus | MainStatus) -> str:
    return (flags.name or "none").lower().replace("_", " ").replace("|", ", ")
