"""Commands of the TI DLPC900 and what their single numbers mean.

Ref: DLPC900 Programmer's Guide, TI DLPU018J, section 2; codes of section 2 that only
open drivers show are as three of them agree.
"""

from enum import IntEnum, IntFlag


class Command(IntEnum):
    """The commands this project knows (DLPU018J section 2)."""

    ERROR_CODE = 0x0100
    ERROR_TEXT = 0x0101
    POWER_MODE = 0x0200
    DMD_IDLE = 0x0201
    FIRMWARE_VERSION = 0x0205
    DMD_TYPE = 0x0206
    FLIP_LONG_AXIS = 0x1008
    FLIP_SHORT_AXIS = 0x1009
    HARDWARE_STATUS = 0x1A0A
    SYSTEM_STATUS = 0x1A0B
    MAIN_STATUS = 0x1A0C
    DISPLAY_MODE = 0x1A1B
    TRIGGER_OUT_1 = 0x1A1D
    TRIGGER_OUT_2 = 0x1A1E
    START_STOP = 0x1A24
    IMAGE_START = 0x1A2A
    IMAGE_BLOCK = 0x1A2B
    SECONDARY_IMAGE_START = 0x1A2C
    SECONDARY_IMAGE_BLOCK = 0x1A2D
    INVERT_PATTERNS = 0x1A30
    LUT_CONFIGURATION = 0x1A31
    LUT_REORDER = 0x1A32
    LUT_DEFINITION = 0x1A34
    TRIGGER_IN_1 = 0x1A35
    TRIGGER_IN_2 = 0x1A36


class PowerMode(IntEnum):
    """Data of 0x0200."""

    NORMAL = 0
    STANDBY = 1
    RESET = 2


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


class SystemStatus(IntFlag):
    """Reply to 0x1A0B."""

    MEMORY_TEST_PASSED = 0x01


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
