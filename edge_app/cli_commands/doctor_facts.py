"""What ``lsi-edge doctor`` looks at: the machine it runs on, gathered once."""

import fcntl
import getpass
import grp
import os
import platform
import resource
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from edge_app.wall_clock import SystemWallClock

PACKAGES: Final = ("hidapi", "spidev", "gpiod", "pyserial", "rpi-lgpio", "RPi.GPIO")
"""Distributions that a real board may need, or must not have."""

# struct gpiochip_info (linux/gpio.h): what GPIO_GET_CHIPINFO_IOCTL fills in.
#
#     0            32            64          68
#     name, char[32] | label, char[32] | lines u32
_CHIP_INFO: Final = struct.Struct("32s32sI")
_GET_CHIP_INFO: Final = 0x8044_B401


@dataclass(frozen=True, slots=True)
class GpioChip:
    """A GPIO chip: its node and label. ``label`` is ``None`` where the node may not be opened."""

    node: str
    label: str | None


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One machine as it is now.

    Attributes:
        root: Where ``/dev``, ``/sys``, ``/proc`` and ``/boot`` are.
        user: Who is asking.
        groups: The user's groups.
        kernel: As ``uname -r`` says.
        gpio_chips: In the order of their nodes.
        packages: Version of each of ``PACKAGES`` that is installed.
        rtprio_max: Highest real-time priority the user may take; ``None`` is no limit.
        memlock_bytes: Memory the user may lock; ``None`` is no limit.
        is_clock_synced: Whether the time of day follows a server.
        is_folder_writable: Whether files can be made in the working directory.
        machine: As ``uname -m`` says.
        may_open: Whether a node can be opened for reading and writing.
    """

    root: Path
    user: str
    groups: frozenset[str]
    kernel: str
    gpio_chips: tuple[GpioChip, ...]
    packages: Mapping[str, str]
    rtprio_max: int | None
    memlock_bytes: int | None
    is_clock_synced: bool
    is_folder_writable: bool
    machine: str
    may_open: Callable[[Path], bool] = _may_open

    def at(self, path: str) -> Path:
        """An absolute path of the machine, under ``root``."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """What a small file holds, without NUL bytes and space around it; ``None`` if it cannot be read."""
        try:
            return self.at(path).read_bytes().decode("utf-8", "replace").replace("\0", "").strip()
        except OSError:
            return None


def host_facts(root: Path = Path("/")) -> HostFacts:
    """Look at this machine. Opens GPIO chips for their labels and nothing else."""
    is_root = os.geteuid() == 0
    return HostFacts(
        root=root,
        user=getpass.getuser(),
        groups=frozenset(filter(None, map(_group_name, os.getgroups()))),
        kernel=platform.release(),
        gpio_chips=gpio_chips(root),
        packages=installed_packages(),
        rtprio_max=None if is_root else _limit(resource.RLIMIT_RTPRIO),
        memlock_bytes=None if is_root else _limit(resource.RLIMIT_MEMLOCK),
        is_clock_synced=SystemWallClock().source() == "ntp",
        is_folder_writable=os.access(Path.cwd(), os.W_OK),
        machine=platform.machine(),
    )


def gpio_chips(root: Path) -> tuple[GpioChip, ...]:
    """The GPIO chips under ``root``/dev."""
    nodes = sorted((root / "dev").glob("gpiochip*"))
    return tuple(GpioChip(f"/dev/{node.name}", _label(node)) for node in nodes)


def installed_packages() -> dict[str, str]:
    """Version of each of ``PACKAGES`` that is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def parse_chip_info(info: bytes) -> str:
    """The label in an answer to GPIO_GET_CHIPINFO_IOCTL."""
    _name, label, _lines = _CHIP_INFO.unpack(info)
    text: bytes = label.partition(b"\0")[0]
    return text.decode("utf-8", "replace")


def _label(node: Path) -> str | None:
    try:
        with node.open("rb", buffering=0) as chip:
            return parse_chip_info(fcntl.ioctl(chip, _GET_CHIP_INFO, bytes(_CHIP_INFO.size)))
    except OSError:
        return None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _limit(which: int) -> int | None:
    soft, _hard = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft
