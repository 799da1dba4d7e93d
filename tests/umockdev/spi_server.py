"""Serves the nodes of ``spi_nodes`` through umockdev until its standard input ends.

    umockdev-wrapper python -m tests.umockdev.spi_server

Writes one line, the folder that clients need as UMOCKDEV_DIR, when it is ready. Ends
with ``NO_GI`` where PyGObject or umockdev's introspection data are missing.
"""

import errno
import importlib
import sys
from pathlib import Path
from typing import Any, Final

from firmware.sim.clock import SimClock
from tests.umockdev.chips import CHIPS
from tests.umockdev.spi_nodes import BUFSIZ, NODES
from tests.umockdev.spidev_kernel import SpidevNode

NO_GI: Final = 77
DEBIAN_PACKAGES: Final = "/usr/lib/python3/dist-packages"
"""Where Debian's python3-gi lies; a virtual environment does not look there."""
_SPIDEV_MAJOR: Final = 153

_DEVICE: Final = """P: /devices/spi/{name}
N: {name}
E: DEVNAME=/dev/{name}
E: SUBSYSTEM=spidev
E: MAJOR={major}
E: MINOR={minor}
A: dev={major}:{minor}\\n

"""


class IoctlMemory:
    """``UserMemory`` of umockdev's client."""

    def __init__(self, data: Any) -> None:  # noqa: ANN401 - UMockdev.IoctlData, which ships no types
        self._data = data

    def read(self, size: int) -> bytes:
        """``size`` bytes."""
        return bytes(self._data.retrieve())[:size]

    def write(self, content: bytes) -> None:
        """Put ``content`` there."""
        self._data.update(0, list(content))

    def follow(self, offset: int, size: int) -> "IoctlMemory":
        """What the pointer at ``offset`` points at."""
        return IoctlMemory(self._data.resolve(offset, size))


def serve(node: SpidevNode, client: Any) -> bool:  # noqa: ANN401 - UMockdev.IoctlClient, which ships no types
    """Answer one ioctl; true: it has been handled."""
    request = client.get_request() & 0xFFFF_FFFF
    try:
        result = node.ioctl(request, IoctlMemory(client.get_arg().resolve(0, request >> 16 & 0x3FFF)))
    except OSError as error:
        client.complete(-1, error.errno or errno.EIO)
    else:
        client.complete(result, 0)
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
    root = Path(testbed.get_root_dir())
    handlers = []
    for minor, (name, setup) in enumerate(NODES.items()):
        testbed.add_from_string(_DEVICE.format(name=name, major=_SPIDEV_MAJOR, minor=minor))
        node = SpidevNode(CHIPS[setup.chip](), SimClock(), BUFSIZ, setup.alignment, setup.faults)
        handler = library.IoctlBase.new()
        handler.connect("handle-ioctl", lambda _base, client, node=node: serve(node, client))
        testbed.attach_ioctl(f"/dev/{name}", handler)
        handlers.append(handler)
    parameters = root / "sys/module/spidev/parameters"
    parameters.mkdir(parents=True)
    (parameters / "bufsiz").write_text(f"{BUFSIZ}\n", "ascii")
    loop = glib.MainLoop()
    glib.io_add_watch(sys.stdin.fileno(), glib.IO_HUP | glib.IO_IN, lambda *_: loop.quit())
    sys.stdout.write(f"{root}\n")
    sys.stdout.flush()
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
