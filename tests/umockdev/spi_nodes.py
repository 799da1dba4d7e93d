"""The nodes that the server offers: a chip each, and what is wrong with some of them."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.umockdev.spidev_kernel import NO_FAULTS, Faults

BUFSIZ: Final = 4096
"""The kernel's default: 511 words of up to 8 bytes where transfers are aligned to 8."""


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """One node; see ``SpidevNode``."""

    chip: str
    alignment: int = 8
    faults: Faults = NO_FAULTS


STEADY: Final = "spidev0.0"
COUNTING: Final = "spidev0.1"
SHORT: Final = "spidev1.0"
TIMED_OUT: Final = "spidev1.1"
UNBOUND: Final = "spidev1.2"
STUCK_MODE: Final = "spidev2.0"
ARM64: Final = "spidev2.1"
AD7383_4: Final = "spidev3.0"

NODES: Final[Mapping[str, NodeSetup]] = {
    STEADY: NodeSetup("mcp3208"),
    COUNTING: NodeSetup("mcp3208-counting"),
    SHORT: NodeSetup("mcp3208", faults=Faults(missing_bytes=3)),
    TIMED_OUT: NodeSetup("mcp3208", faults=Faults(message_errno=errno.ETIMEDOUT)),
    UNBOUND: NodeSetup("mcp3208", faults=Faults(message_errno=errno.ESHUTDOWN)),
    STUCK_MODE: NodeSetup("mcp3208", faults=Faults(stuck_mode=0)),
    ARM64: NodeSetup("mcp3208", alignment=128),
    AD7383_4: NodeSetup("ad7383-4"),
}
"""Name under /dev to what is behind it."""
