"""Request and reply with a DLPC900: sequence numbers, refusals, late and lost replies."""

import logging
from typing import Final

from firmware.drivers.dlpc900_codes import Command, meaning_of
from firmware.drivers.dlpc900_frames import Reply, Request, further_reports
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
        self._posted: Command | None = None

    def write(self, command: Command, data: bytes = b"") -> None:
        """Send ``data`` and wait until the controller has accepted it.

        Raises:
            BusError: REFUSED with the controller's reason, TIMEOUT, FRAME or NO_DEVICE.
        """
        self._exchange(command, data, is_read=False)

    def post(self, command: Command, data: bytes = b"") -> None:
        """Send ``data`` and return at once; :meth:`confirm` waits for what came of it.

        Raises:
            BusError: NO_DEVICE.
        """
        self._send(command, data, is_read=False)
        self._posted = command

    def confirm(self) -> None:
        """Wait until what was posted last has been accepted; nothing when it was confirmed.

        Raises:
            BusError: As :meth:`write`.
        """
        posted, self._posted = self._posted, None
        if posted is not None:
            self._receive(posted)

    def read(self, command: Command, least_bytes: int = 1) -> bytes:
        """What ``command`` reads, as long as the controller makes it.

        Raises:
            BusError: As :meth:`write`; FRAME when that is less than ``least_bytes``.
        """
        data = self._exchange(command, b"", is_read=True)
        if len(data) < least_bytes:
            raise _broken(command, f"a reply of {len(data)} bytes, expected {least_bytes}")
        return data

    def read_byte(self, command: Command) -> int:
        """The first byte of what ``command`` reads; see :meth:`read`."""
        return self.read(command)[0]

    def pause(self, duration_ms: int) -> None:
        """Let up to ``duration_ms`` pass and drop a late reply, should one come in."""
        self._hid.read(duration_ms)

    def drain(self) -> None:
        """Drop what an earlier host left unread, so that its numbers are not taken for ours."""
        for _ in range(MAX_STALE_REPLIES):
            if not self._hid.read(0):
                return

    def _exchange(self, command: Command, data: bytes, *, is_read: bool) -> bytes:
        self._send(command, data, is_read=is_read)
        return self._receive(command)

    def _send(self, command: Command, data: bytes, *, is_read: bool) -> None:
        # The reply to something posted and never confirmed counts as late.
        self._posted = None
        self._sequence = (self._sequence + 1) % 0x100
        request = Request(command, self._sequence, data, is_read=is_read)
        _log.debug("%s %s, %d bytes", "read" if is_read else "write", command.name, len(data))
        for report in request.reports():
            self._hid.write(report)

    def _receive(self, command: Command) -> bytes:
        reply = self._reply_to(command)
        if reply.is_refused:
            raise self._refusal_of(command)
        return reply.data

    def _reply_to(self, command: Command) -> Reply:
        for _ in range(MAX_STALE_REPLIES + 1):
            first = self._hid.read(self._reply_timeout_ms)
            if not first:
                found = f"DLPC900: no reply to {_words(command)} within {self._reply_timeout_ms} ms."
                raise BusError(
                    found, kind=BusErrorKind.TIMEOUT, hint="the USB cable, then power-cycle the board."
                )
            try:
                reply = self._whole_reply(first)
            except FrameError as error:
                raise _broken(command, error.found) from error
            if reply.sequence == self._sequence:
                return reply
        raise _broken(command, f"{MAX_STALE_REPLIES + 1} replies to other requests")

    def _whole_reply(self, first: bytes) -> Reply:
        reports = [first]
        for _ in range(further_reports(first)):
            reports.append(self._hid.read(self._reply_timeout_ms))
            if not reports[-1]:
                raise FrameError("A reply that is cut off.")
        return Reply.from_reports(reports)

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
