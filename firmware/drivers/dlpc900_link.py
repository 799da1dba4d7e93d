"""Request and reply with a DLPC900: sequence numbers, refusals, late and lost replies."""

import logging
from typing import Final

from firmware.drivers.dlpc900_frames import Command, Reply, Request, meaning_of
from firmware.interfaces import HidDevice
from lsi.errors import BusError, BusErrorKind, FrameError

_log = logging.getLogger(__name__)

# Late replies to requests that were given up; more than this is another program talking
# to the same controller.
MAX_STALE_REPLIES: Final = 16


class Dlpc900Link:
    """One exchange at a time over a HID device.

    Every request asks for a reply, so that nothing is taken for done that was not.

    Args:
        hid: The controller, 0x0451:0xC900.
        reply_timeout_ms: How long one reply may take.
    """

    def __init__(self, hid: HidDevice, reply_timeout_ms: int) -> None:
        self._hid = hid
        self._reply_timeout_ms = reply_timeout_ms
        self._sequence = 0

    def write(self, command: Command, data: bytes = b"") -> None:
        """Send ``data`` and wait until the controller has accepted it.

        Raises:
            BusError: REFUSED with the controller's reason, TIMEOUT, FRAME or NO_DEVICE.
        """
        self._exchange(command, data, is_read=False)

    def read_byte(self, command: Command) -> int:
        """The first byte of what ``command`` reads.

        Raises:
            BusError: As :meth:`write`; FRAME when the reply holds no data.
        """
        data = self._exchange(command, b"", is_read=True)
        if not data:
            raise _broken(command, "an empty reply")
        return data[0]

    def pause(self, duration_ms: int) -> None:
        """Let up to ``duration_ms`` pass and drop a late reply, should one come in."""
        self._hid.read(duration_ms)

    def _exchange(self, command: Command, data: bytes, *, is_read: bool) -> bytes:
        self._sequence = (self._sequence + 1) % 0x100
        request = Request(command, self._sequence, data, is_read=is_read)
        _log.debug("%s %s, %d bytes", "read" if is_read else "write", command.name, len(data))
        for report in request.reports():
            self._hid.write(report)
        reply = self._reply_to(command)
        if reply.is_refused:
            raise self._refusal_of(command)
        return reply.data

    def _reply_to(self, command: Command) -> Reply:
        for _ in range(MAX_STALE_REPLIES + 1):
            report = self._hid.read(self._reply_timeout_ms)
            if not report:
                found = f"DLPC900: no reply to {_words(command)} within {self._reply_timeout_ms} ms."
                raise BusError(
                    found, kind=BusErrorKind.TIMEOUT, hint="the USB cable, then power-cycle the board."
                )
            try:
                reply = Reply.from_report(report)
            except FrameError as error:
                raise _broken(command, error.found) from error
            if reply.sequence == self._sequence:
                return reply
        raise _broken(command, f"{MAX_STALE_REPLIES + 1} replies to other requests")

    def _refusal_of(self, command: Command) -> BusError:
        reason = "no reason given"
        if command is not Command.ERROR_CODE:
            reason = meaning_of(self.read_byte(Command.ERROR_CODE))
        found = f"DLPC900 refuses {_words(command)}: {reason}."
        return BusError(found, kind=BusErrorKind.REFUSED, hint="stop the controller and load again.")


def _words(command: Command) -> str:
    return f"{command.name.lower().replace('_', ' ')} ({command:#06x})"


def _broken(command: Command, found: str) -> BusError:
    found = f"DLPC900 answers {_words(command)} with nonsense: {found}"
    return BusError(found, kind=BusErrorKind.FRAME, hint="close other programs that use the controller.")
