"""The DLPC900's side of the wire: USB HID reports in and out, TRIG_IN_1 and TRIG_OUT_2.

Ref: TI DLPU018J, section 1.2 (USB protocol) and the command pages. Numbers are written
out here and shared with no driver.
"""

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import Clock
from firmware.sim.dlpc900_mirrors import ALL_OFF, IDLE, PARKED, MirrorTimeline, Shown
from firmware.sim.dlpc900_sequencer import (
    BAD_PARAMETER,
    DONE,
    NOT_NOW,
    PatternMemory,
    Sequencer,
    Waiting,
)
from lsi.errors import BusError, BusErrorKind, FrameError
from lsi.units import NS_PER_MS

_REPORT_BYTES: Final = 64
_MIN_MESSAGE_BYTES: Final = 6
_MAX_MESSAGE_BYTES: Final = 512
_BAD_COMMAND: Final = 3
_BAD_DELAY: Final = 13
_MODE_CHANGE_NS: Final = 30 * NS_PER_MS
_MIN_IN_US: Final = 105
_MIN_OUT_US: Final = -20
_MAX_OUT_US: Final = 20_000
_STANDBY: Final = 1
_RESET: Final = 2
_START: Final = 2
_READ_ERROR: Final = 0x0100
_RESET_MODE: Final = 1
_ON_THE_FLY: Final = 3


@dataclass(slots=True)
class Faults:
    """What is to go wrong, counted from now; a fault happens once.

    Attributes:
        lose_reply: Drop a reply after this many good ones.
        ignore_trigger: Miss a pulse of TRIG_IN_1 after this many good ones.
        refuse: Command code to error code.
    """

    lose_reply: int | None = None
    ignore_trigger: int | None = None
    refuse: dict[int, int] = field(default_factory=dict)

    def takes_reply(self) -> bool:
        """Whether this reply gets lost."""
        self.lose_reply, is_due = _counted_down(self.lose_reply)
        return is_due

    def takes_trigger(self) -> bool:
        """Whether this pulse gets lost."""
        self.ignore_trigger, is_due = _counted_down(self.ignore_trigger)
        return is_due


def _counted_down(left: int | None) -> tuple[int | None, bool]:
    if left is None or left == 0:
        return None, left == 0
    return left - 1, False


class SimDlpc900:
    """``HidDevice`` with a DLPC900 and a DLP6500 behind it.

    Args:
        clock: Time of the simulation; every report and every wait for one takes some.
        waiting: What a mask does after its exposure until the next trigger.
        report_ns: Time of one report, either way; one per USB frame.
    """

    # Set by every power-up.
    _message: bytearray
    _replies: deque[bytes]
    _error_code: int

    def __init__(self, clock: Clock, *, waiting: Waiting = "hold", report_ns: int = NS_PER_MS) -> None:
        self.faults = Faults()
        self._clock = clock
        self._waiting = waiting
        self._report_ns = report_ns
        self._is_plugged = True
        self._timeline = MirrorTimeline(clock.now_ns(), ALL_OFF)
        self._memory = PatternMemory()
        self._power_up()
        self._writes: dict[int, tuple[int | None, Callable[[bytes], int]]] = {
            0x0200: (1, self._set_power),
            0x0201: (1, self._set_idle),
            0x1A1B: (1, self._set_mode),
            0x1A1D: (5, self._set_trigger_out_1),
            0x1A1E: (5, self._set_trigger_out_2),
            0x1A24: (1, self._start_stop),
            0x1A2A: (6, self._begin_image),
            0x1A2B: (None, self._add_block),
            0x1A31: (6, self._configure),
            0x1A34: (12, self._define),
            0x1A35: (3, self._set_trigger_in),
        }
        self._reads: dict[int, Callable[[], bytes]] = {
            0x0100: lambda: bytes([self._error_code]),
            0x0206: lambda: b"\x01" + b"DLP6500 (simulated)".ljust(31, b"\0"),
            0x1A0A: lambda: bytes([0x01 | 0x40 * self._has_aborted]),
            0x1A0B: lambda: b"\x01",
            0x1A0C: lambda: bytes([self._main_status()]),
            0x1A1B: lambda: bytes([self._mode()]),
        }

    # The wire

    def write(self, report: bytes) -> None:
        """Take one output report: 64 bytes, or 65 with the report id 0 before them."""
        self._spend_report()
        if len(report) == _REPORT_BYTES + 1 and report[0] == 0:
            report = report[1:]
        if len(report) != _REPORT_BYTES:
            raise FrameError(f"An output report of {len(report)} bytes.", hint="64.")
        self._message += report
        length = 4 + int.from_bytes(self._message[2:4], "little")
        if length > _MAX_MESSAGE_BYTES or len(self._message) >= length:
            message = bytes(self._message[:length])
            self._message = bytearray()
            self._handle(message, is_sound=_MIN_MESSAGE_BYTES <= length <= _MAX_MESSAGE_BYTES)

    def read(self, timeout_ms: int) -> bytes:
        """The next reply, or ``b""`` after ``timeout_ms``."""
        self._spend_report()
        if self._replies:
            return self._replies.popleft()
        self._clock.wait_until_ns(self._now_ns() + timeout_ms * NS_PER_MS)
        return b""

    # The trigger lines and the light

    def trigger_in(self, now_ns: int) -> int | None:
        """A pulse on TRIG_IN_1 at ``now_ns``.

        Returns:
            Time of the edge on TRIG_OUT_2, at least 105 us later, or ``None`` when the
            pulse is ignored: not started, pass over, or the last exposure still runs.
        """
        if self.faults.takes_trigger() or not self._is_plugged:
            return None
        return self._sequencer.trigger_in(now_ns)

    def showing_at(self, time_ns: int) -> Shown:
        """What the mirrors do at ``time_ns``, past or planned."""
        return self._timeline.at(time_ns)

    def changes_until(self, start_ns: int, end_ns: int) -> list[tuple[int, Shown]]:
        """The state at ``start_ns`` and every change before ``end_ns``, as (time, state)."""
        return self._timeline.changes_until(start_ns, end_ns)

    @property
    def revision(self) -> int:
        """Changes whenever :meth:`open_fraction` or :meth:`mirror_plane` may."""
        return self._memory.revision

    def open_fraction(
        self, field_shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        """Share of open mirrors per square of ``scale_px`` mirrors, all masks of the table.

        Shape: (n, h, w), 0..1, in the order of the active look-up table; n is 0 when no
        sequence is loaded.
        """
        return self._memory.open_fraction(field_shape, origin_px, scale_px)

    def mirror_plane(self, k: int) -> NDArray[np.bool_]:
        """Mirrors of entry ``k`` of the active look-up table, (1080, 1920)."""
        return self._memory.plane(k)

    # Faults from outside

    def unplug(self) -> None:
        """Pull the cable and the power: the masks are lost, the mirrors park."""
        self._power_up()
        self._is_plugged = False
        self._timeline.change(self._now_ns(), PARKED)

    def plug_in(self) -> None:
        """Undo :meth:`unplug`; the masks stay lost."""
        self._is_plugged = True
        self._timeline.change(self._now_ns(), ALL_OFF)

    def reset(self) -> None:
        """Restart by watchdog, unnoticed on the USB side: the masks are lost."""
        self._power_up()

    def abort_sequencer(self) -> None:
        """Let the sequencer give up; the next stop clears it."""
        self._sequencer.stop(self._now_ns())
        self._has_aborted = True

    # Inside

    def _power_up(self) -> None:
        self._memory = PatternMemory(self._memory.revision + 1)
        self._sequencer = Sequencer(self._memory, self._timeline, self._waiting)
        self._timeline.change(self._now_ns(), ALL_OFF)
        self._message = bytearray()
        self._replies = deque()
        self._error_code = DONE
        self._is_idle = False
        self._is_parked = False
        self._has_aborted = False
        self._old_mode = self._new_mode = _RESET_MODE
        self._new_mode_from_ns = 0

    def _now_ns(self) -> int:
        return self._clock.now_ns()

    def _spend_report(self) -> None:
        if not self._is_plugged:
            found = "The simulated DLPC900 is not plugged in."
            raise BusError(found, kind=BusErrorKind.NO_DEVICE, hint="plug it in, then load again.")
        self._clock.wait_until_ns(self._now_ns() + self._report_ns)

    def _handle(self, message: bytes, *, is_sound: bool) -> None:
        flags, sequence = message[0], message[1]
        command = int.from_bytes(message[4:6], "little")
        answer = b""
        if not is_sound:
            code = BAD_PARAMETER
        elif command in self.faults.refuse:
            code = self.faults.refuse.pop(command)
        elif flags & 0x80:
            code = DONE if command in self._reads else _BAD_COMMAND
            answer = self._reads[command]() if code == DONE else b""
        else:
            code = self._write(command, message[6:])
        if command != _READ_ERROR:  # reading the error keeps it
            self._error_code = code
        if flags & 0x40 and not self.faults.takes_reply():
            head = struct.pack("<BBH", flags | 0x20 * (code != DONE), sequence, len(answer))
            self._replies.append((head + answer).ljust(_REPORT_BYTES, b"\0"))

    def _write(self, command: int, data: bytes) -> int:
        if command not in self._writes:
            return _BAD_COMMAND
        size, action = self._writes[command]
        return action(data) if size in (None, len(data)) else BAD_PARAMETER

    def _is_busy(self) -> bool:
        """The sequencer runs; it also does in idle mode (TI E2E 845747)."""
        return self._is_idle or self._is_parked or self._sequencer.is_running(self._now_ns())

    def _main_status(self) -> int:
        is_running = self._is_idle or self._sequencer.is_running(self._now_ns())
        return 0x01 * self._is_parked | 0x02 * is_running

    def _mode(self) -> int:
        return self._new_mode if self._now_ns() >= self._new_mode_from_ns else self._old_mode

    # Commands: data in, error code out

    def _set_power(self, data: bytes) -> int:
        if data[0] > _RESET:
            return BAD_PARAMETER
        if data[0] == _RESET:
            self._power_up()
            return DONE
        self._sequencer.stop(self._now_ns())
        self._is_idle = False
        self._is_parked = data[0] == _STANDBY
        self._timeline.change(self._now_ns(), PARKED if self._is_parked else ALL_OFF)
        return DONE

    def _set_idle(self, data: bytes) -> int:
        if data[0] > 1:
            return BAD_PARAMETER
        if self._is_parked or self._sequencer.is_running(self._now_ns()):
            return NOT_NOW
        self._is_idle = data[0] == 1
        self._timeline.change(self._now_ns(), IDLE if self._is_idle else ALL_OFF)
        return DONE

    def _set_mode(self, data: bytes) -> int:
        if self._is_busy():
            return NOT_NOW
        if data[0] > _ON_THE_FLY:
            return BAD_PARAMETER
        self._old_mode, self._new_mode = self._mode(), data[0]
        self._new_mode_from_ns = self._now_ns() + _MODE_CHANGE_NS
        return DONE

    def _set_trigger_out_1(self, data: bytes) -> int:
        return self._trigger_out_code(data)

    def _set_trigger_out_2(self, data: bytes) -> int:
        code = self._trigger_out_code(data)
        if code == DONE:
            self._sequencer.triggers.out_delay_us = struct.unpack("<xhh", data)[0]
        return code

    def _trigger_out_code(self, data: bytes) -> int:
        is_inverted, rising_us, falling_us = struct.unpack("<Bhh", data)
        if self._is_busy():
            return NOT_NOW
        in_range = min(rising_us, falling_us) >= _MIN_OUT_US and max(rising_us, falling_us) <= _MAX_OUT_US
        return DONE if in_range and (not is_inverted or rising_us >= falling_us) else _BAD_DELAY

    def _set_trigger_in(self, data: bytes) -> int:
        delay_us, edge = struct.unpack("<HB", data)
        if self._is_busy():
            return NOT_NOW
        if delay_us < _MIN_IN_US:
            return _BAD_DELAY
        if edge > 1:
            return BAD_PARAMETER
        self._sequencer.triggers.in_delay_us = delay_us
        return DONE

    def _start_stop(self, data: bytes) -> int:
        now_ns = self._now_ns()
        if data[0] == 0:
            self._has_aborted = False
            if not self._is_idle and not self._is_parked:
                self._sequencer.stop(now_ns)
            return DONE
        if data[0] != _START:  # pause is not modelled
            return BAD_PARAMETER
        if self._is_idle or self._is_parked or self._mode() != _ON_THE_FLY:
            return NOT_NOW
        return self._sequencer.start(now_ns)

    def _cannot_load(self) -> bool:
        return self._is_busy() or self._mode() != _ON_THE_FLY

    def _define(self, data: bytes) -> int:
        return NOT_NOW if self._cannot_load() else self._memory.define(data)

    def _configure(self, data: bytes) -> int:
        entries, patterns_to_show = struct.unpack("<HI", data)
        return NOT_NOW if self._cannot_load() else self._memory.configure(entries, patterns_to_show)

    def _begin_image(self, data: bytes) -> int:
        index, size = struct.unpack("<HI", data)
        return NOT_NOW if self._cannot_load() else self._memory.begin_image(index, size)

    def _add_block(self, data: bytes) -> int:
        if self._cannot_load():
            return NOT_NOW
        count = int.from_bytes(data[:2], "little")
        return self._memory.add_block(data[2:]) if count == len(data) - 2 else BAD_PARAMETER
