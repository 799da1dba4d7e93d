"""A USB HID device through the ``hidraw`` module of the ``hidapi`` package.

Not through its module ``hid`` (libusb): there only the first of 20 replies of a device
arrived (tried with hidapi 0.15 and a gadget behind Linux' own USB stack).

Ref: kernel Documentation/hid/hidraw.rst: the first byte written is the report id, 0
where a device has none; what is read has no such byte then.
"""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

from lsi.errors import BusError, BusErrorKind, FrameError

DLPC900_VENDOR_ID: Final = 0x0451
"""Texas Instruments."""
DLPC900_PRODUCT_ID: Final = 0xC900
REPORT_BYTES: Final = 64
_REPORT_ID: Final = b"\0"

# What hidapi 0.15 says after an unplug: errno's own words from write(), these from poll().
_DISCONNECTED: Final = ("device disconnected", os.strerror(errno.ENODEV))


class _OpenDevice(Protocol):
    """``hidraw.device``."""

    def open_path(self, path: bytes) -> None: ...
    def set_nonblocking(self, v: int) -> int: ...
    def write(self, buff: bytes) -> int: ...
    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]: ...
    def error(self) -> str: ...
    def close(self) -> None: ...


class _Client(Protocol):
    """The module ``hidraw``, which ships without type information."""

    def enumerate(self, vendor_id: int, product_id: int) -> list[dict[str, Any]]: ...
    def device(self) -> _OpenDevice: ...


class HidrawDevice:
    """``HidDevice`` on ``/dev/hidrawN``, found by its USB ids.

    A device that was unplugged, or re-enumerated after a reset, costs one ``NO_DEVICE``;
    the next :meth:`write` or :meth:`read` looks for it again. So whoever talks to it learns that it may
    have forgotten everything. Not for use from two threads at once.

    Args:
        vendor_id: USB vendor.
        product_id: USB product.
        serial_number: Which of several; any by default.

    Raises:
        BusError: NO_DEVICE when there is none, REFUSED when there are several, PERMISSION
            when the node may not be opened; OTHER without the package.
    """

    def __init__(
        self,
        vendor_id: int = DLPC900_VENDOR_ID,
        product_id: int = DLPC900_PRODUCT_ID,
        serial_number: str | None = None,
    ) -> None:
        self._client = _import_client()
        self._ids = (vendor_id, product_id)
        self._serial_number = serial_number
        self._path = ""
        self._device: _OpenDevice | None = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The device node, ``/dev/hidrawN``; may be another after a reconnect."""
        return self._path

    def write(self, report: bytes) -> None:
        """Send one report of 64 bytes.

        Raises:
            BusError: NO_DEVICE when it is gone, OTHER when it does not take the report, or
                why it cannot be opened.
            FrameError: Not 64 bytes.
        """
        if len(report) != REPORT_BYTES:
            raise FrameError(f"An output report of {len(report)} bytes.", hint=f"{REPORT_BYTES}.")
        device = self._opened()
        try:
            # -1, not an exception, is how hidapi reports a failed write.
            written = device.write(_REPORT_ID + report)
        except OSError as error:
            raise self._failure("a report could not be written") from error
        if written != len(_REPORT_ID) + REPORT_BYTES:
            raise self._failure(f"{written} of {len(_REPORT_ID) + REPORT_BYTES} bytes were written")

    def read(self, timeout_ms: int) -> bytes:
        """The next report, or ``b""`` when none came in ``timeout_ms``; 0 does not wait.

        Raises:
            BusError: NO_DEVICE when it is gone, OTHER when it cannot be read, or why it
                cannot be opened.
            FrameError: A report of another length.
        """
        device = self._opened()
        try:
            report = bytes(device.read(REPORT_BYTES, max(timeout_ms, 0)))
        except OSError as error:
            raise self._failure("no report could be read") from error
        if report and len(report) != REPORT_BYTES:
            raise FrameError(
                f"An input report of {len(report)} bytes.", hint=f"a device with {REPORT_BYTES}."
            )
        return report

    def close(self) -> None:
        """Let go of the device; safe twice. Whoever uses it again opens it again."""
        if self._device is not None:
            self._device.close()
            self._device = None

    @property
    def _name(self) -> str:
        return "USB device {:04x}:{:04x}".format(*self._ids)

    def _opened(self) -> _OpenDevice:
        if self._device is None:
            self._device = self._open()
        return self._device

    def _open(self) -> _OpenDevice:
        path = self._find()
        self._path = os.fsdecode(path)
        device = self._client.device()
        try:
            device.open_path(path)
        except OSError as error:
            raise self._unopened(device.error()) from error
        # hidapi waits for ever on a timeout of 0 unless it is told not to.
        device.set_nonblocking(1)
        return device

    def _find(self) -> bytes:
        """Path of the one device; hidapi lists a device once per usage it declares."""
        entries = self._client.enumerate(*self._ids)
        serial_numbers = {entry["path"]: str(entry["serial_number"]) for entry in entries}
        wanted = self._serial_number
        paths = [path for path, number in serial_numbers.items() if wanted in (None, number)]
        if len(paths) == 1:
            return cast("bytes", paths[0])
        present = ", ".join(sorted(repr(number) for number in serial_numbers.values()))
        if paths:
            found = f"{len(paths)} devices are {self._name}, with serial numbers {present}."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint="name one of them, or unplug the rest.")
        if serial_numbers:
            found = f"No {self._name} has serial number {wanted!r}; there is {present}."
            raise BusError(found, kind=BusErrorKind.NO_DEVICE, hint="name one of these, or none.")
        raise self._absent("is not connected")

    def _absent(self, what: str) -> BusError:
        hint = "power of the board, then the USB cable; `lsusb` must list it."
        return BusError(f"{self._name} {what}.", kind=BusErrorKind.NO_DEVICE, hint=hint)

    def _unopened(self, reason: str) -> BusError:
        if not Path(self._path).exists():
            return self._absent(f"left while {self._path} was opened")
        if os.access(self._path, os.R_OK | os.W_OK, effective_ids=True):
            found = f"{self._path} of {self._name} cannot be opened: {reason}."
            return BusError(found, kind=BusErrorKind.OTHER, hint="plug it in again.")
        vendor_id, product_id = self._ids
        found = f"{self._path} of {self._name} may not be opened by this user."
        hint = (
            f'a udev rule KERNEL=="hidraw*", ATTRS{{idVendor}}=="{vendor_id:04x}", '
            f'ATTRS{{idProduct}}=="{product_id:04x}", GROUP="plugdev", MODE="0660"; '
            "the user in that group; then plug it in again."
        )
        return BusError(found, kind=BusErrorKind.PERMISSION, hint=hint)

    def _failure(self, what: str) -> BusError:
        """Why a transfer failed. Gives the device up when it is gone, and only then.

        While it is open its node keeps its number, so a node that is there is the same device.
        """
        reason = self._device.error() if self._device is not None else ""
        if Path(self._path).exists() and not any(sign in reason for sign in _DISCONNECTED):
            found = f"{self._name}: {what} ({reason})."
            return BusError(found, kind=BusErrorKind.OTHER, hint="the USB cable, then power-cycle the board.")
        self.close()
        return self._absent("was unplugged or has restarted")


def _import_client() -> _Client:
    try:
        import hidraw  # noqa: PLC0415 - of the extra pi
    except ImportError as error:
        found = f"The module hidraw of the package hidapi cannot be imported: {error}."
        raise BusError(found, kind=BusErrorKind.OTHER, hint="pip install 'lsi-edge[pi]'.") from error
    return cast("_Client", hidraw)
