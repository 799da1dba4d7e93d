"""``SerialDevice`` over pyserial: a USB serial line, found by name and opened for one owner alone.

pyserial is part of the extra ``pi``; nothing else imports this module before it is needed.
"""

import contextlib
import errno
import select
from pathlib import Path
from typing import Final

import serial

from lsi.errors import BoardConfigError, BusError, BusErrorKind

COPROC_PATTERN: Final = "/dev/serial/by-id/usb-MicroPython_Board_in_FS_mode_*-if00"
"""udev's name, made from maker, product and serial number: it outlives a replug."""
BAUD: Final = 115_200
"""Any: a USB line has no bit rate of its own."""
_WRITE_TIMEOUT_S: Final = 1.0
_KINDS: Final = {
    errno.ENOENT: BusErrorKind.NO_DEVICE,
    errno.ENODEV: BusErrorKind.NO_DEVICE,
    errno.ENXIO: BusErrorKind.NO_DEVICE,
    errno.EIO: BusErrorKind.NO_DEVICE,
    errno.EACCES: BusErrorKind.PERMISSION,
    errno.EPERM: BusErrorKind.PERMISSION,
    errno.EWOULDBLOCK: BusErrorKind.REFUSED,
    errno.EBUSY: BusErrorKind.REFUSED,
}
_HINTS: Final = {
    BusErrorKind.NO_DEVICE: "plug the co-processor in; see flash-the-coprocessor.md.",
    BusErrorKind.PERMISSION: "add the user to the group dialout.",
    BusErrorKind.REFUSED: "end the other program that holds the line.",
}


def find_port(pattern: str = COPROC_PATTERN) -> Path:
    """The one serial line that ``pattern`` fits: a path, or a pattern for the last part of one.

    Raises:
        BusError: NO_DEVICE when there is none.
        BoardConfigError: There are several.
    """
    found = sorted(Path(pattern).parent.glob(Path(pattern).name))
    if not found:
        message = f"No serial line {pattern}."
        raise BusError(message, kind=BusErrorKind.NO_DEVICE, hint=_HINTS[BusErrorKind.NO_DEVICE])
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise BoardConfigError(f"Several serial lines fit: {names}.", hint="name one in coprocessor.device.")
    return found[0]


class SerialPort:
    """A raw serial line. Opened when first used, and again after it was unplugged.

    Args:
        path: Device node, best one of ``/dev/serial/by-id``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._serial: serial.Serial | None = None

    def write(self, sent: bytes) -> None:
        """Send all of ``sent``; see ``SerialDevice``.

        Raises:
            BusError: NO_DEVICE when it is gone, TIMEOUT when the other end takes nothing.
        """
        port = self._opened()
        try:
            port.write(sent)
        except serial.SerialTimeoutException as error:
            found = f"{self._path} takes no bytes."
            raise BusError(found, kind=BusErrorKind.TIMEOUT, hint="restart the co-processor.") from error
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def read(self, timeout_ms: int) -> bytes:
        """Everything that has come in; see ``SerialDevice``.

        Raises:
            BusError: NO_DEVICE when it is gone.
        """
        port = self._opened()
        try:
            if not select.select([port], [], [], timeout_ms / 1000)[0]:
                return b""
            # At least one: a line that is readable without bytes has hung up, and read() says so.
            return bytes(port.read(max(1, port.in_waiting)))
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Give the line back; twice does no harm."""
        if self._serial is not None:
            # Closing a device that is gone may fail, and there is nothing left to close.
            with contextlib.suppress(OSError, serial.SerialException):
                self._serial.close()
            self._serial = None

    def _opened(self) -> serial.Serial:
        if self._serial is None:
            try:
                port = serial.Serial(
                    str(self._path), BAUD, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True
                )
            except (OSError, serial.SerialException) as error:
                raise self._error(error) from error
            # DTR tells a USB serial device that somebody listens. A pseudo terminal has no such wire.
            with contextlib.suppress(OSError):
                port.dtr = True
            self._serial = port
        return self._serial

    def _lost(self, error: Exception) -> BusError:
        """The line failed while open: it is opened anew next time."""
        self.close()
        found = f"{self._path} is gone: {error}."
        return BusError(found, kind=BusErrorKind.NO_DEVICE, hint=_HINTS[BusErrorKind.NO_DEVICE])

    def _error(self, error: Exception) -> BusError:
        kind = _KINDS.get(getattr(error, "errno", None) or 0, BusErrorKind.OTHER)
        found = f"{self._path} cannot be opened: {error}."
        return BusError(found, kind=kind, hint=_HINTS.get(kind, ""))
