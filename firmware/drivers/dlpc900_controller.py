"""The commands of a DLPC900, one method each, typed on the host's side.

Ref: TI DLPU018J, the command pages; layouts are in ``dlpc900_patterns`` and
``dlpc900_status``.
"""

import contextlib
from collections.abc import Sequence
from typing import Final

from firmware.drivers.dlpc900_codes import (
    Command,
    DisplayMode,
    HardwareStatus,
    MainStatus,
    PowerMode,
    Sequencer,
    SystemStatus,
)
from firmware.drivers.dlpc900_link import Dlpc900Link
from firmware.drivers.dlpc900_patterns import (
    LutDefinition,
    image_block,
    image_start,
    lut_configuration,
    lut_reorder,
    trigger_in_1,
    trigger_out,
)
from firmware.drivers.dlpc900_status import (
    VERSION_BYTES,
    Dlpc900Status,
    DmdType,
    FirmwareVersion,
    text_of,
)
from firmware.interfaces import HidDevice
from lsi.errors import BusError, BusErrorKind

_IDLE_ON: Final = 1
# Unverified which of both ends idle mode: open drivers differ. The one that is refused is
# not tried again.
_IDLE_OFF: Final = (0, 3)
_START_COMMANDS: Final = (Command.IMAGE_START, Command.SECONDARY_IMAGE_START)
_BLOCK_COMMANDS: Final = (Command.IMAGE_BLOCK, Command.SECONDARY_IMAGE_BLOCK)


class Dlpc900Controller:
    """Every command raises ``BusError``: REFUSED with the controller's reason, TIMEOUT, FRAME, NO_DEVICE.

    Args:
        hid: The controller.
        reply_timeout_ms: How long one reply may take.
    """

    def __init__(self, hid: HidDevice, reply_timeout_ms: int) -> None:
        self._link = Dlpc900Link(hid, reply_timeout_ms)
        self._idle_off = list(_IDLE_OFF)

    # The controller itself

    def status(self) -> Dlpc900Status:
        """One look at everything; the error is read first, because other reads clear it."""
        code = self._link.read_byte(Command.ERROR_CODE)
        text = self._error_text() if code else ""
        return Dlpc900Status(
            firmware=FirmwareVersion.from_bytes(self._link.read(Command.FIRMWARE_VERSION, VERSION_BYTES)),
            dmd=self.dmd_type(),
            hardware=self.hardware_status(),
            system=SystemStatus(self._link.read_byte(Command.SYSTEM_STATUS)),
            main=self.main_status(),
            mode=self.mode(),
            error_code=code,
            error_text=text,
        )

    def dmd_type(self) -> DmdType:
        """Which DMD is attached."""
        return DmdType.from_bytes(self._link.read(Command.DMD_TYPE))

    def hardware_status(self) -> HardwareStatus:
        """Flags of 0x1A0A."""
        return HardwareStatus(self._link.read_byte(Command.HARDWARE_STATUS))

    def main_status(self) -> MainStatus:
        """Flags of 0x1A0C."""
        return MainStatus(self._link.read_byte(Command.MAIN_STATUS))

    def set_power(self, mode: PowerMode) -> None:
        """Normal, parked, or a reset, which loses all masks and may end the USB connection."""
        self._link.write(Command.POWER_MODE, bytes([mode]))

    def let_idle(self) -> None:
        """Let all mirrors flip, half the time to each side; nothing may be running."""
        self._link.write(Command.DMD_IDLE, bytes([_IDLE_ON]))

    def end_idle(self) -> None:
        """End idle mode; harmless when it is off."""
        try:
            self._link.write(Command.DMD_IDLE, bytes([self._idle_off[0]]))
        except BusError as error:
            if error.kind is not BusErrorKind.REFUSED or len(self._idle_off) == 1:
                raise
            self._link.write(Command.DMD_IDLE, bytes([self._idle_off[1]]))
            del self._idle_off[0]

    def flip(self, *, long_axis: bool, short_axis: bool) -> None:
        """Mirror what is shown along either axis; stays until the next reset."""
        self._link.write(Command.FLIP_LONG_AXIS, bytes([long_axis]))
        self._link.write(Command.FLIP_SHORT_AXIS, bytes([short_axis]))

    def mode(self) -> int:
        """The display mode, 0..3."""
        return self._link.read_byte(Command.DISPLAY_MODE) & 3

    def set_mode(self, mode: DisplayMode) -> None:
        """Ask for a display mode; it takes effect a little later."""
        self._link.write(Command.DISPLAY_MODE, bytes([mode]))

    def pause(self, duration_ms: int) -> None:
        """Let up to ``duration_ms`` pass."""
        self._link.pause(duration_ms)

    def drain(self) -> None:
        """Drop replies that an earlier host left unread."""
        self._link.drain()

    # Triggers; a sequence must be stopped

    def set_trigger_in_1(self, delay_us: int, *, on_falling_edge: bool = False) -> None:
        """TRIG_IN_1 shows the next pattern ``delay_us`` (105 or more) after its edge."""
        self._link.write(Command.TRIGGER_IN_1, trigger_in_1(delay_us, on_falling_edge=on_falling_edge))

    def set_trigger_in_2(self, *, on_falling_edge: bool) -> None:
        """TRIG_IN_2 starts and stops the sequence at its edges."""
        self._link.write(Command.TRIGGER_IN_2, bytes([on_falling_edge]))

    def set_trigger_out_1(self, rising_us: int, falling_us: int, *, is_inverted: bool = False) -> None:
        """TRIG_OUT_1 frames each exposure; delays of its edges, -20..20000 us."""
        data = trigger_out(rising_us, falling_us, is_inverted=is_inverted)
        self._link.write(Command.TRIGGER_OUT_1, data)

    def set_trigger_out_2(self, rising_us: int, falling_us: int, *, is_inverted: bool = False) -> None:
        """TRIG_OUT_2 gives a pulse when a pattern begins; delays as of TRIG_OUT_1."""
        data = trigger_out(rising_us, falling_us, is_inverted=is_inverted)
        self._link.write(Command.TRIGGER_OUT_2, data)

    # Patterns

    def define(self, entry: LutDefinition) -> None:
        """One entry of the look-up table; counts once :meth:`configure` has followed."""
        self._link.write(Command.LUT_DEFINITION, entry.to_bytes())

    def configure(self, entries: int, patterns_to_show: int) -> None:
        """Make the first ``entries`` definitions the table; ``patterns_to_show`` 0 is for ever."""
        self._link.write(Command.LUT_CONFIGURATION, lut_configuration(entries, patterns_to_show))

    def reorder(self, order: Sequence[int], patterns_to_show: int) -> None:
        """Show the uploaded patterns in another order."""
        self._link.write(Command.LUT_REORDER, lut_reorder(order, patterns_to_show))

    def invert(self, *, is_inverted: bool) -> None:
        """Exchange on and off of all mirrors. Unverified in on-the-fly mode."""
        self._link.write(Command.INVERT_PATTERNS, bytes([is_inverted]))

    def begin_image(self, index: int, size_bytes: int, *, part: int = 0) -> None:
        """Announce an image; ``part`` 1 is the right half, on the second controller."""
        self._link.write(_START_COMMANDS[part], image_start(index, size_bytes))

    def add_block(self, block: bytes, *, part: int = 0) -> None:
        """The next 1 to 504 bytes of the image that was announced."""
        self._link.write(_BLOCK_COMMANDS[part], image_block(block))

    # The sequence

    def start_sequence(self) -> None:
        """Show the table from its first entry, or go on after a pause."""
        self._link.write(Command.START_STOP, bytes([Sequencer.START]))

    def post_start(self) -> None:
        """As :meth:`start_sequence`, but do not wait until the controller says yes."""
        self._link.post(Command.START_STOP, bytes([Sequencer.START]))

    def confirm_start(self) -> None:
        """Wait for the controller's answer to :meth:`post_start`; nothing when it has come."""
        self._link.confirm()

    def pause_sequence(self) -> None:
        """Hold the sequence; a start shows the interrupted pattern again."""
        self._link.write(Command.START_STOP, bytes([Sequencer.PAUSE]))

    def stop_sequence(self) -> None:
        """End the sequence; harmless when none runs."""
        self._link.write(Command.START_STOP, bytes([Sequencer.STOP]))

    def _error_text(self) -> str:
        # Unverified: whether a text longer than one report continues in further ones.
        with contextlib.suppress(BusError):
            return text_of(self._link.read(Command.ERROR_TEXT))
        return ""
