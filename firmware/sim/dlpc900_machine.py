"""What the DLPC900 does with a command, behind its USB port.

Ref: TI DLPU018J, the command pages. Numbers are written out here and shared with no
driver.
"""

import struct
from collections.abc import Callable
from typing import Final

from firmware.interfaces import Clock
from firmware.sim.dlpc900_memory import BAD_PARAMETER, DONE, NOT_NOW, PatternMemory, SimDmd
from firmware.sim.dlpc900_mirrors import ALL_OFF, IDLE, PARKED, MirrorTimeline
from firmware.sim.dlpc900_outputs import OutputSettings, TriggerOutputs
from firmware.sim.dlpc900_sequencer import Sequencer, Waiting
from lsi.units import NS_PER_MS

BAD_COMMAND: Final = 3
_BAD_DELAY: Final = 13
_MODE_CHANGE_NS: Final = 30 * NS_PER_MS
_MIN_IN_US: Final = 105
_MIN_OUT_US: Final = -20
_MAX_OUT_US: Final = 20_000
_STANDBY: Final = 1
_RESET: Final = 2
_STOP: Final = 0
_PAUSE: Final = 1
_START: Final = 2
_READS_OF_ERRORS: Final = (0x0100, 0x0101)
_RESET_MODE: Final = 1
_ON_THE_FLY: Final = 3
_TEXT_BYTES: Final = 128
_IDLE_ON: Final = 1
_TEXTS: Final = {
    3: b"unknown command",
    5: b"command not allowed in this mode",
    6: b"invalid parameter",
    7: b"a pattern has no image",
    9: b"unknown compression",
}
# Application 6.0.1, API 6.0.0, software configuration 2.1.0, sequencer 6.0.0: patch u16,
# minor, major.
_VERSION: Final = bytes.fromhex("01 00 00 06 00 00 00 06 00 00 01 02 00 00 00 06")


class Machine:
    """State that a reset loses, and the commands that change it.

    Args:
        clock: Time of the simulation.
        dmd: What is attached.
        timeline: Told what the mirrors do.
        outputs: The two trigger outputs.
        waiting: What a mask does after its exposure until the next trigger.
        idle_off: Values of 0x0201 that end idle mode.
    """

    # Set by every power-up.
    memory: PatternMemory
    sequencer: Sequencer
    _is_idle: bool
    _is_parked: bool
    _has_aborted: bool
    _old_mode: int
    _new_mode: int
    _new_mode_from_ns: int

    def __init__(  # noqa: PLR0913 - keyword-only, each a different part
        self,
        *,
        clock: Clock,
        dmd: SimDmd,
        timeline: MirrorTimeline,
        outputs: TriggerOutputs,
        waiting: Waiting,
        idle_off: tuple[int, ...],
    ) -> None:
        self._clock = clock
        self._dmd = dmd
        self._timeline = timeline
        self._outputs = outputs
        self._waiting = waiting
        self._idle_off = idle_off
        self._error_code = DONE
        self._error_text = bytearray(_TEXT_BYTES)
        self.memory = PatternMemory(dmd)
        self.sequencer = Sequencer(self.memory, timeline, outputs, waiting)
        self.power_up()
        self._writes: dict[int, tuple[int | None, Callable[[bytes], int]]] = {
            0x0200: (1, self._set_power),
            0x0201: (1, self._set_idle),
            0x1008: (1, lambda data: self._flip(1, data)),
            0x1009: (1, lambda data: self._flip(0, data)),
            0x1A1B: (1, self._set_mode),
            0x1A1D: (5, lambda data: self._set_trigger_out(outputs.frame, data)),
            0x1A1E: (5, lambda data: self._set_trigger_out(outputs.start, data)),
            0x1A24: (1, self._start_stop),
            0x1A2A: (6, lambda data: self._begin_image(0, data)),
            0x1A2B: (None, lambda data: self._add_block(0, data)),
            0x1A2C: (6, lambda data: self._begin_image(1, data)),
            0x1A2D: (None, lambda data: self._add_block(1, data)),
            0x1A30: (1, self._invert),
            0x1A31: (6, self._configure),
            0x1A32: (None, self._reorder),
            0x1A34: (12, self._define),
            0x1A35: (3, self._set_trigger_in_1),
            0x1A36: (1, self._set_trigger_in_2),
        }
        self._reads: dict[int, Callable[[], bytes]] = {
            0x0100: lambda: bytes([self._error_code]),
            0x0101: lambda: bytes(self._error_text),
            0x0205: lambda: _VERSION,
            0x0206: lambda: bytes([dmd.code]) + b"simulated".ljust(31, b"\0"),
            0x1A0A: lambda: bytes([0x01 | 0x10 * (dmd.controllers - 1) | 0x40 * self._has_aborted]),
            0x1A0B: lambda: b"\x01",
            0x1A0C: lambda: bytes([self._main_status()]),
            0x1A1B: lambda: bytes([self._mode()]),
        }

    def execute(self, command: int, data: bytes, *, is_read: bool, refusal: int | None) -> tuple[int, bytes]:
        """Error code and answer of a message; with a ``refusal`` nothing is done but that."""
        answer = b""
        if refusal is not None:
            code = refusal
        elif is_read:
            code = DONE if command in self._reads else BAD_COMMAND
            answer = self._reads[command]() if code == DONE else b""
        else:
            code = self._write(command, data)
        if command not in _READS_OF_ERRORS:  # reading the error keeps it
            self._set_error(code)
        return code, answer

    def power_up(self) -> None:
        """Start from nothing: all masks are lost."""
        self.sequencer.stop(self._now_ns())
        self.memory = PatternMemory(self._dmd, self.memory.revision + 1)
        self._outputs.frame, self._outputs.start = OutputSettings(), OutputSettings()
        self.sequencer = Sequencer(self.memory, self._timeline, self._outputs, self._waiting)
        self._timeline.change(self._now_ns(), ALL_OFF)
        self._set_error(DONE)
        self._is_idle = False
        self._is_parked = False
        self._has_aborted = False
        self._old_mode = self._new_mode = _RESET_MODE
        self._new_mode_from_ns = 0

    def abort(self) -> None:
        """The sequencer gives up by itself."""
        self.sequencer.stop(self._now_ns())
        self._has_aborted = True

    def _now_ns(self) -> int:
        return self._clock.now_ns()

    def _set_error(self, code: int) -> None:
        self._error_code = code
        # What was longer before stays behind the NUL.
        text = _TEXTS.get(code, b"" if code == DONE else b"error") + b"\0"
        self._error_text[: len(text)] = text

    def _write(self, command: int, data: bytes) -> int:
        if command not in self._writes:
            return BAD_COMMAND
        size, action = self._writes[command]
        return action(data) if size in (None, len(data)) else BAD_PARAMETER

    def _is_busy(self) -> bool:
        """The sequencer runs; it also does in idle mode (TI E2E 845747)."""
        return self._is_idle or self._is_parked or self.sequencer.is_running(self._now_ns())

    def _main_status(self) -> int:
        is_running = self._is_idle or self.sequencer.is_running(self._now_ns())
        return 0x01 * self._is_parked | 0x02 * is_running

    def _mode(self) -> int:
        return self._new_mode if self._now_ns() >= self._new_mode_from_ns else self._old_mode

    # Commands: data in, error code out

    def _set_power(self, data: bytes) -> int:
        if data[0] > _RESET:
            return BAD_PARAMETER
        if data[0] == _RESET:
            self.power_up()
            return DONE
        self.sequencer.stop(self._now_ns())
        self._is_idle = False
        self._is_parked = data[0] == _STANDBY
        self._timeline.change(self._now_ns(), PARKED if self._is_parked else ALL_OFF)
        return DONE

    def _set_idle(self, data: bytes) -> int:
        if data[0] != _IDLE_ON and data[0] not in self._idle_off:
            return BAD_PARAMETER
        if self._is_parked or self.sequencer.is_running(self._now_ns()):
            return NOT_NOW
        self._is_idle = data[0] == _IDLE_ON
        self._timeline.change(self._now_ns(), IDLE if self._is_idle else ALL_OFF)
        return DONE

    def _flip(self, axis: int, data: bytes) -> int:
        if data[0] > 1:
            return BAD_PARAMETER
        self.memory.flip(axis, is_flipped=bool(data[0]))
        return DONE

    def _invert(self, data: bytes) -> int:
        if data[0] > 1:
            return BAD_PARAMETER
        if self._is_busy():
            return NOT_NOW
        self.memory.invert(is_inverted=bool(data[0]))
        return DONE

    def _set_mode(self, data: bytes) -> int:
        if self._is_busy():
            return NOT_NOW
        if data[0] > _ON_THE_FLY:
            return BAD_PARAMETER
        self._old_mode, self._new_mode = self._mode(), data[0]
        self._new_mode_from_ns = self._now_ns() + _MODE_CHANGE_NS
        return DONE

    def _set_trigger_out(self, output: OutputSettings, data: bytes) -> int:
        inverted, rising_us, falling_us = struct.unpack("<Bhh", data)
        if self._is_busy():
            return NOT_NOW
        in_range = min(rising_us, falling_us) >= _MIN_OUT_US and max(rising_us, falling_us) <= _MAX_OUT_US
        if not in_range or (inverted and rising_us < falling_us):
            return _BAD_DELAY
        output.rising_us, output.falling_us, output.is_inverted = rising_us, falling_us, bool(inverted)
        return DONE

    def _set_trigger_in_1(self, data: bytes) -> int:
        delay_us, edge = struct.unpack("<HB", data)
        if self._is_busy():
            return NOT_NOW
        if delay_us < _MIN_IN_US:
            return _BAD_DELAY
        if edge > 1:
            return BAD_PARAMETER
        self.sequencer.trigger_input.delay_us = delay_us
        return DONE

    def _set_trigger_in_2(self, data: bytes) -> int:
        """Accepted; nothing is wired to TRIG_IN_2 here."""
        if self._is_busy():
            return NOT_NOW
        return DONE if data[0] <= 1 else BAD_PARAMETER

    def _start_stop(self, data: bytes) -> int:
        now_ns = self._now_ns()
        if data[0] in (_STOP, _PAUSE):
            is_ours = not self._is_idle and not self._is_parked
            if data[0] == _STOP:
                self._has_aborted = False
            if is_ours:
                (self.sequencer.stop if data[0] == _STOP else self.sequencer.pause)(now_ns)
            return DONE
        if data[0] != _START:
            return BAD_PARAMETER
        if self._is_idle or self._is_parked or self._mode() != _ON_THE_FLY:
            return NOT_NOW
        return self.sequencer.start(now_ns)

    def _cannot_load(self) -> bool:
        return self._is_busy() or self._mode() != _ON_THE_FLY

    def _define(self, data: bytes) -> int:
        return NOT_NOW if self._cannot_load() else self.memory.define(data)

    def _configure(self, data: bytes) -> int:
        entries, patterns_to_show = struct.unpack("<HI", data)
        return NOT_NOW if self._cannot_load() else self.memory.configure(entries, patterns_to_show)

    def _reorder(self, data: bytes) -> int:
        if self._cannot_load():
            return NOT_NOW
        count = int.from_bytes(data[:2], "little")
        if len(data) != 6 + 2 * count:
            return BAD_PARAMETER
        order = list(struct.unpack_from(f"<{count}H", data, 6))
        return self.memory.reorder(order, int.from_bytes(data[2:6], "little"))

    def _begin_image(self, part: int, data: bytes) -> int:
        index, size = struct.unpack("<HI", data)
        return NOT_NOW if self._cannot_load() else self.memory.begin_image(part, index, size)

    def _add_block(self, part: int, data: bytes) -> int:
        if self._cannot_load():
            return NOT_NOW
        count = int.from_bytes(data[:2], "little")
        return self.memory.add_block(part, data[2:]) if count == len(data) - 2 else BAD_PARAMETER
