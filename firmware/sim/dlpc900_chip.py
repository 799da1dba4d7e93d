"""The DLPC900's side of the wire: USB HID reports in and out, TRIG_IN_1 and both TRIG_OUT.

Ref: TI DLPU018J, section 1.2 (USB protocol). Numbers are written out here and shared with
no driver.
"""

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import Clock
from firmware.sim.dlpc900_machine import Machine
from firmware.sim.dlpc900_memory import BAD_PARAMETER, DMDS, DONE
from firmware.sim.dlpc900_mirrors import ALL_OFF, PARKED, MirrorTimeline, Shown
from firmware.sim.dlpc900_outputs import TriggerOutputs
from firmware.sim.dlpc900_sequencer import Waiting
from lsi.errors import BusError, BusErrorKind, FrameError
from lsi.units import NS_PER_MS

_REPORT_BYTES: Final = 64
_MIN_MESSAGE_BYTES: Final = 6
_MAX_MESSAGE_BYTES: Final = 512
IDLE_OFF: Final = (0, 3)
"""Which of both is right is not known; a controller here takes either unless told otherwise."""


@dataclass(slots=True)
class Faults:
    """What is to go wrong, counted from now; a fault happens once.

    Attributes:
        lose_reply: Drop a reply after this many good ones.
        delay_reply: Hold a reply back, after this many good ones, until somebody has
            waited for it in vain.
        ignore_trigger: Miss a pulse of TRIG_IN_1 after this many good ones.
        unplug: Lose cable and power after this many reports of the host.
        refuse: Command code to error code.
    """

    lose_reply: int | None = None
    delay_reply: int | None = None
    ignore_trigger: int | None = None
    unplug: int | None = None
    refuse: dict[int, int] = field(default_factory=dict)

    def takes_reply(self) -> bool:
        """Whether this reply gets lost."""
        self.lose_reply, is_due = _counted_down(self.lose_reply)
        return is_due

    def holds_reply(self) -> bool:
        """Whether this reply comes late."""
        self.delay_reply, is_due = _counted_down(self.delay_reply)
        return is_due

    def takes_trigger(self) -> bool:
        """Whether this pulse gets lost."""
        self.ignore_trigger, is_due = _counted_down(self.ignore_trigger)
        return is_due

    def takes_power(self) -> bool:
        """Whether the cable is pulled now."""
        self.unplug, is_due = _counted_down(self.unplug)
        return is_due


def _counted_down(left: int | None) -> tuple[int | None, bool]:
    if left is None or left == 0:
        return None, left == 0
    return left - 1, False


class SimDlpc900:
    """``HidDevice`` with a DLPC900 and its DMD behind it.

    Args:
        clock: Time of the simulation; every report and every wait for one takes some.
        waiting: What a mask does after its exposure until the next trigger.
        report_ns: Time of one report, either way; one per USB frame.
        dmd: Type of the DMD.
        idle_off: Values of command 0x0201 that end idle mode.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        waiting: Waiting = "hold",
        report_ns: int = NS_PER_MS,
        dmd: str = "DLP6500",
        idle_off: tuple[int, ...] = IDLE_OFF,
    ) -> None:
        self.faults = Faults()
        self._clock = clock
        self._report_ns = report_ns
        self._is_plugged = True
        self._dmd = DMDS[dmd]
        self._timeline = MirrorTimeline(clock.now_ns(), ALL_OFF)
        self._outputs = TriggerOutputs()
        self._machine = Machine(
            clock=clock,
            dmd=self._dmd,
            timeline=self._timeline,
            outputs=self._outputs,
            waiting=waiting,
            idle_off=idle_off,
        )
        self._message = bytearray()
        self._replies: deque[bytes] = deque()
        self._late_replies: deque[bytes] = deque()

    # The wire

    def write(self, report: bytes) -> None:
        """Take one output report: 64 bytes, or 65 with the report id 0 before them."""
        if self.faults.takes_power():
            self.unplug()
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
        """The next report of a reply, or ``b""`` after ``timeout_ms``."""
        self._spend_report()
        if self._replies:
            return self._replies.popleft()
        self._clock.wait_until_ns(self._now_ns() + timeout_ms * NS_PER_MS)
        self._replies += self._late_replies
        self._late_replies.clear()
        return b""

    # The trigger lines and the light

    def trigger_in(self, now_ns: int) -> int | None:
        """A pulse on TRIG_IN_1 at ``now_ns``.

        Returns:
            Time of the edge on TRIG_OUT_2, at least 105 us later, or ``None`` when the
            pulse is ignored: not started, pass over, the last exposure still runs, or
            the next pattern waits for no trigger.
        """
        if self.faults.takes_trigger() or not self._is_plugged:
            return None
        return self._machine.sequencer.trigger_in(now_ns)

    def exposure_level_at(self, now_ns: int) -> bool:
        """Level of TRIG_OUT_1 at ``now_ns``, past or planned."""
        self._machine.sequencer.advance_to(now_ns)
        return self._outputs.frame_level_at(now_ns)

    def exposure_edges(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Pulses of TRIG_OUT_1 that begin from ``start_ns`` to before ``end_ns``, as (rise, fall).

        An inverted output falls first. Exposures that are not parted by darkness or delays
        are one pulse.
        """
        self._machine.sequencer.advance_to(end_ns)
        return self._outputs.frames(start_ns, end_ns)

    def pattern_starts(self, start_ns: int, end_ns: int) -> list[int]:
        """Pulses of TRIG_OUT_2 that begin from ``start_ns`` to before ``end_ns``."""
        self._machine.sequencer.advance_to(end_ns)
        return self._outputs.starts(start_ns, end_ns)

    def showing_at(self, time_ns: int) -> Shown:
        """What the mirrors do at ``time_ns``, past or planned."""
        self._machine.sequencer.advance_to(time_ns)
        return self._timeline.at(time_ns)

    def changes_until(self, start_ns: int, end_ns: int) -> list[tuple[int, Shown]]:
        """The state at ``start_ns`` and every change before ``end_ns``, as (time, state)."""
        self._machine.sequencer.advance_to(end_ns)
        return self._timeline.changes_until(start_ns, end_ns)

    @property
    def size_px(self) -> tuple[int, int]:
        """Mirrors of the DMD: (rows, columns)."""
        return self._dmd.height_px, self._dmd.width_px

    @property
    def revision(self) -> int:
        """Changes whenever :meth:`open_fraction` or :meth:`mirror_plane` may."""
        return self._machine.memory.revision

    def open_fraction(
        self, field_shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        """Share of open mirrors per square of ``scale_px`` mirrors, all masks of the table.

        Shape: (n, h, w), 0..1, in the order of the active look-up table; n is 0 when no
        sequence is loaded.
        """
        return self._machine.memory.open_fraction(field_shape, origin_px, scale_px)

    def mirror_plane(self, k: int) -> NDArray[np.bool_]:
        """Mirrors of entry ``k`` of the active look-up table, ``size_px``."""
        return self._machine.memory.plane(k)

    # Faults from outside

    def unplug(self) -> None:
        """Pull the cable and the power: the masks are lost, the mirrors park."""
        self.reset()
        self._is_plugged = False
        self._timeline.change(self._now_ns(), PARKED)

    def plug_in(self) -> None:
        """Undo :meth:`unplug`; the masks stay lost."""
        self._is_plugged = True
        self._timeline.change(self._now_ns(), ALL_OFF)

    def reset(self) -> None:
        """Restart by watchdog, unnoticed on the USB side: the masks are lost."""
        self._machine.power_up()
        self._message = bytearray()
        self._replies.clear()
        self._late_replies.clear()

    def abort_sequencer(self) -> None:
        """Let the sequencer give up; the next stop clears it."""
        self._machine.abort()

    # Inside

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
        refusal = self.faults.refuse.pop(command, None) if is_sound else BAD_PARAMETER
        code, answer = self._machine.execute(
            command, message[6:], is_read=bool(flags & 0x80), refusal=refusal
        )
        if flags & 0x40:
            head = struct.pack("<BBH", flags | 0x20 * (code != DONE), sequence, len(answer))
            self._send(head + answer)

    def _send(self, reply: bytes) -> None:
        if self.faults.takes_reply():
            return
        replies = self._late_replies if self.faults.holds_reply() else self._replies
        for start in range(0, len(reply), _REPORT_BYTES):
            replies.append(reply[start : start + _REPORT_BYTES].ljust(_REPORT_BYTES, b"\0"))
