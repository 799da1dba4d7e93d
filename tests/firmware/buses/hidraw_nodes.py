"""Serves ``/dev/hidrawN`` nodes of devices that echo, through umockdev, until its standard input ends.

    umockdev-wrapper python -m tests.firmware.buses.hidraw_nodes

Writes one line, the folder that clients need as UMOCKDEV_DIR, when it is ready. Ends
with ``NO_GI`` where PyGObject or umockdev's introspection data are missing.

Ref: Linux drivers/hid/hidraw.c and include/uapi/linux/hidraw.h.
"""

import errno
import importlib
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

NO_GI: Final = 77
DEBIAN_PACKAGES: Final = "/usr/lib/python3/dist-packages"
"""Where Debian's python3-gi lies; a virtual environment does not look there."""
HIDRAW_MAJOR: Final = 243
# One vendor-defined collection: 64 bytes in, 64 bytes out, no report ids.
DESCRIPTOR: Final = bytes.fromhex("0600FF0901A1011500 26FF007508954009018102 954009019102C0")
_HIDIOCGRDESCSIZE: Final = 0x80044801

GOOD, SAME, LEAVING, BROKEN, PARTIAL, SHORT, DEAF, VANISHING = range(0xC900, 0xC908)
LEAVES_AFTER: Final = 20
"""Reports that the first connection to ``LEAVING`` may send."""


@dataclass(slots=True)
class Node:
    """A device: what it is, and what is wrong with it."""

    product_id: int
    serial_number: str
    replies: deque[bytes] = field(default_factory=deque)
    path: Path = Path()
    written: int = 0
    has_left: bool = False
    is_away: bool = False

    def connect(self) -> None:
        """The kernel's ``open``."""
        self.is_away = False

    def write(self, report: bytes) -> int:
        """The kernel's ``write``; bytes taken."""
        self.written += 1
        if self.product_id == LEAVING and self.written > LEAVES_AFTER and not self.has_left:
            self.has_left = self.is_away = True
            self.replies.clear()
        if self.is_away:
            raise OSError(errno.ENODEV, "left")
        if self.product_id == VANISHING:
            self.path.unlink(missing_ok=True)
            raise OSError(errno.EPIPE, "left, and the kernel does not know yet")
        if self.product_id == BROKEN:
            raise OSError(errno.EPIPE, "stalled")
        if len(report) != 65 or report[0] != 0:
            raise OSError(errno.EINVAL, "no report of this device")
        if self.product_id == PARTIAL:
            return 30
        self.replies.append(report[1:])
        return len(report)

    def read(self) -> bytes:
        """The kernel's ``read`` on a node that does not block."""
        if self.product_id == SHORT:
            return bytes(4)
        if self.product_id == DEAF or not self.replies:
            raise OSError(errno.EAGAIN, "nothing there")
        return self.replies.popleft()


NODES: Final[Mapping[str, tuple[int, str]]] = {
    "hidraw0": (GOOD, "A1"),
    "hidraw1": (SAME, "X1"),
    "hidraw2": (SAME, "X2"),
    "hidraw3": (LEAVING, ""),
    "hidraw4": (BROKEN, ""),
    "hidraw5": (PARTIAL, ""),
    "hidraw6": (SHORT, ""),
    "hidraw7": (DEAF, ""),
    "hidraw8": (VANISHING, ""),
}

_DEVICE: Final = """P: /devices/usb/{name}
E: SUBSYSTEM=hid
E: HID_ID=0003:00000451:{product_id:08X}
E: HID_NAME=simulated
E: HID_UNIQ={serial_number}
H: report_descriptor={descriptor}

P: /devices/usb/{name}/hidraw/{name}
N: {name}=00
E: DEVNAME=/dev/{name}
E: SUBSYSTEM=hidraw
E: MAJOR={major}
E: MINOR={minor}
A: dev={major}:{minor}\\n
L: device=../..

"""


def serve_ioctl(_base: object, client: Any) -> bool:  # noqa: ANN401 - UMockdev.IoctlClient, which ships no types
    """Size of the report descriptor; nothing else is asked."""
    if client.get_request() & 0xFFFF_FFFF == _HIDIOCGRDESCSIZE:
        client.get_arg().resolve(0, 4).update(0, list(len(DESCRIPTOR).to_bytes(4, sys.byteorder)))
        client.complete(0, 0)
    else:
        client.complete(-1, errno.ENOTTY)
    return True


def serve_write(client: Any, node: Node) -> bool:  # noqa: ANN401 - as above
    """One output report."""
    try:
        client.complete(node.write(bytes(client.get_arg().retrieve())), 0)
    except OSError as error:
        client.complete(-1, error.errno or errno.EIO)
    return True


def serve_read(client: Any, node: Node) -> bool:  # noqa: ANN401 - as above
    """One input report."""
    try:
        report = node.read()
        client.get_arg().update(0, list(report))
        client.complete(len(report), 0)
    except OSError as error:
        client.complete(-1, error.errno or errno.EIO)
    return True


def main() -> int:
    """Offer the nodes and serve them."""
    sys.path.append(DEBIAN_PACKAGES)
    try:
        importlib.import_module("gi").require_version("UMockdev", "1.0")
        library = importlib.import_module("gi.repository.UMockdev")
        glib = importlib.import_module("gi.repository.GLib")
    except (ImportError, ValueError):
        return NO_GI
    testbed = library.Testbed.new()
    handlers = []
    for minor, (name, (product_id, serial_number)) in enumerate(NODES.items()):
        node = Node(product_id, serial_number, path=Path(testbed.get_root_dir()) / "dev" / name)
        text = _DEVICE.format(
            name=name,
            product_id=product_id,
            serial_number=serial_number,
            descriptor=DESCRIPTOR.hex().upper(),
            major=HIDRAW_MAJOR,
            minor=minor,
        )
        testbed.add_from_string(text)
        handler = library.IoctlBase.new()
        handler.connect("client-connected", lambda _base, _client, node=node: node.connect())
        handler.connect("handle-ioctl", serve_ioctl)
        handler.connect("handle-write", lambda _base, client, node=node: serve_write(client, node))
        handler.connect("handle-read", lambda _base, client, node=node: serve_read(client, node))
        testbed.attach_ioctl(f"/dev/{name}", handler)
        handlers.append(handler)
    loop = glib.MainLoop()
    glib.io_add_watch(sys.stdin.fileno(), glib.IO_HUP | glib.IO_IN, lambda *_: loop.quit())
    sys.stdout.write(f"{Path(testbed.get_root_dir())}\n")
    sys.stdout.flush()
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
