"""The far end of a USB HID device: the kernel's ``/dev/uhid``, with a simulated controller behind it.

Ref: kernel Documentation/hid/uhid.rst and linux/uhid.h. An event is a 32-bit type and its data:

    CREATE2  name 128, phys 64, uniq 64, rd_size u16, bus u16, vendor, product, version, country u32, rd
    OUTPUT   data 4096, size u16, type u8
    INPUT2   size u16, data
"""

import os
import select
import struct
from threading import Thread
from types import TracebackType
from typing import Self

from firmware.sim.dlpc900_chip import SimDlpc900

DESTROY, OUTPUT, CREATE2, INPUT2 = 1, 6, 11, 12
BUS_USB = 3
EVENT_BYTES = 4380
# One vendor-defined collection: 64 bytes in, 64 bytes out, no report ids.
COLLECTION = bytes.fromhex("06 00 FF 09 01 A1 01 15 00 26 FF 00 75 08 95 40 09 01 81 02 95 40 09 01 91 02 C0")
# A second one, of another usage and without reports.
SECOND_COLLECTION = bytes.fromhex("06 01 FF 09 02 A1 01 C0")


class UhidDevice:
    """A controller on a USB port: plugged in while in the context, or by hand."""

    def __init__(
        self, controller: SimDlpc900, serial_number: str = "", descriptor: bytes = COLLECTION
    ) -> None:
        self.controller = controller
        self.received: list[bytes] = []
        self._serial_number = serial_number
        self._descriptor = descriptor
        self._fd = -1
        self._thread = Thread()
        self._stop_fds = (-1, -1)

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            self.unplug()

    def plug_in(self) -> None:
        self._fd = os.open("/dev/uhid", os.O_RDWR)
        head = struct.pack(
            "<I128s64s64sHHIIII",
            CREATE2,
            b"TI DLPC900 (simulated)",
            b"guest",
            self._serial_number.encode(),
            len(self._descriptor),
            BUS_USB,
            0x0451,
            0xC900,
            0,
            0,
        )
        os.write(self._fd, head + self._descriptor)
        self._stop_fds = os.pipe()
        self._thread = Thread(target=self._serve, name="uhid")
        self._thread.start()

    def unplug(self) -> None:
        """Leave the bus at once; what the controller held is not touched."""
        os.write(self._stop_fds[1], b"x")
        self._thread.join()
        os.write(self._fd, struct.pack("<I", DESTROY))
        for fd in (self._fd, *self._stop_fds):
            os.close(fd)
        self._fd = -1

    def send(self, report: bytes) -> None:
        """An input report that nobody asked for."""
        os.write(self._fd, struct.pack("<IH", INPUT2, len(report)) + report)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stop_fds[0], select.POLLIN)
        while self._stop_fds[0] not in dict(poll.poll()):
            event = os.read(self._fd, EVENT_BYTES)
            if int.from_bytes(event[:4], "little") == OUTPUT:
                size = int.from_bytes(event[4100:4102], "little")
                self.received.append(event[4 : 4 + size])
                self.controller.write(event[4 : 4 + size])
                while self.controller._replies:
                    self.send(self.controller.read(0))
