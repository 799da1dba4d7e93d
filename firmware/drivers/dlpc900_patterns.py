"""What the DLPC900's pattern commands carry, as pure functions of bytes.

Ref: TI DLPU018J, the command pages named beside each; every number is little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from firmware.drivers.dlpc900_frames import check_number

MAX_BLOCK_BYTES: Final = 504
MAX_IMAGE_INDEX: Final = 0x7FF
"""As wide as the field of a definition; 0x1A2A lists 0 to 17."""
MAX_REORDERED: Final = 250
"""Entries whose order fits into one message."""
MIN_TRIGGER_IN_DELAY_US: Final = 105


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
        check_number("LUT index", self.index, 0, 0xFFFF)
        check_number("exposure in us", self.exposure_us, 0, 0xFF_FFFF)
        check_number("dark time in us", self.dark_us, 0, 0xFF_FFFF)
        check_number("image index", self.image_index, 0, MAX_IMAGE_INDEX)
        check_number("bit position", self.bit_position, 0, 23)
        check_number("LED selection", self.leds, 0, 7)

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
        check_number("bytes of a LUT definition", len(data), 12, 12)
        options, image = data[5], int.from_bytes(data[10:12], "little")
        check_number("further bits of depth", options >> 1 & 7, 0, 0)
        check_number("options of byte 9", data[9], 0, 1)
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
    check_number("LUT entries", entries, 1, 0x7FF)
    check_number("patterns to show", patterns_to_show, 0, 0xFFFF_FFFF)
    return struct.pack("<HI", entries, patterns_to_show)


def lut_reorder(order: Sequence[int], patterns_to_show: int) -> bytes:
    """Data of 0x1A32: show the defined entries in another order, without an upload.

    Args:
        order: Indices of defined entries, at most 250: how a longer list is sent in
            several messages is not documented where we could read it.
        patterns_to_show: As in :func:`lut_configuration`.
    """
    check_number("reordered LUT entries", len(order), 1, MAX_REORDERED)
    for index in order:
        check_number("LUT index", index, 0, 0xFFFF)
    return struct.pack(f"<HI{len(order)}H", len(order), patterns_to_show, *order)


def trigger_in_1(delay_us: int, *, on_falling_edge: bool = False) -> bytes:
    """Data of 0x1A35: advance on an edge, shown ``delay_us`` (at least 105) after it."""
    check_number("trigger delay in us", delay_us, MIN_TRIGGER_IN_DELAY_US, 0xFFFF)
    return struct.pack("<HB", delay_us, on_falling_edge)


def trigger_out(rising_us: int, falling_us: int, *, is_inverted: bool = False) -> bytes:
    """Data of 0x1A1D and 0x1A1E: delays of both edges, -20..20000 us.

    Inverted, the rising delay must not be the smaller one.
    """
    check_number("rising delay in us", rising_us, -20, 20_000)
    check_number("falling delay in us", falling_us, -20, 20_000)
    if is_inverted:
        check_number("rising delay in us of an inverted output", rising_us, falling_us, 20_000)
    return struct.pack("<Bhh", is_inverted, rising_us, falling_us)


def image_start(image_index: int, size_bytes: int) -> bytes:
    """Data of 0x1A2A. ``size_bytes`` counts the 48-byte header too."""
    check_number("image index", image_index, 0, MAX_IMAGE_INDEX)
    check_number("image size in bytes", size_bytes, 48, 0xFFFF_FFFF)
    return struct.pack("<HI", image_index, size_bytes)


def image_block(block: bytes) -> bytes:
    """Data of 0x1A2B: 1 to 504 bytes of an image, preceded by their number."""
    check_number("bytes in an image block", len(block), 1, MAX_BLOCK_BYTES)
    return struct.pack("<H", len(block)) + block
