"""Which module answers to the name ``RPi.GPIO``, whether it can work here, and its import.

Two packages have that name and exclude one another. The original writes to registers of
the processor; on a Pi 5 the header is on another chip, the RP1, and it fails ("Cannot
determine SOC peripheral base address"). rpi-lgpio offers the same API over the kernel's
GPIO character device.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from enum import StrEnum
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final, Protocol, cast

from firmware.buses.trigger_wires import TriggerWires, no_chip
from lsi.errors import BusError, BusErrorKind

MODEL_PATH: Final = Path("/proc/device-tree/model")
# Boards whose header hangs on the RP1: 5, 500 and 500+, Compute Module 5 and 5 Lite.
_HAS_RP1: Final = re.compile(r"Raspberry Pi (Compute Module )?5(00)?\b")
_INSTALL: Final = "pip install rpi-lgpio or apt install python3-rpi-lgpio; or take gpiod"


class Gpio(Protocol):
    """What is used of the module ``RPi.GPIO``, which ships without type information."""

    BCM: int
    IN: int
    OUT: int
    RISING: int
    PUD_DOWN: int

    def setmode(self, mode: int, /) -> None:
        """Number lines as ``BCM`` does."""
        ...

    def setup(self, channel: int, direction: int, *, pull_up_down: int = ..., initial: int = ...) -> None:
        """Request a line."""
        ...

    def output(self, channel: int, value: int, /) -> None:
        """Drive an output."""
        ...

    def add_event_detect(self, channel: int, edge: int, *, callback: Callable[[int], None]) -> None:
        """Call back on every edge, in a thread."""
        ...

    def cleanup(self, channels: list[int], /) -> None:
        """Give lines back, as inputs."""
        ...


class _Lgpio(Protocol):
    """What is used of the module ``lgpio``, to look for a chip."""

    error: type[Exception]

    def gpiochip_open(self, number: int, /) -> int: ...
    def gpiochip_close(self, handle: int, /) -> int: ...
    def gpio_get_chip_info(self, handle: int, /) -> list[object]: ...


class GpioModule(StrEnum):
    """Who provides ``RPi.GPIO``; the value is the package's name."""

    RPI_LGPIO = "rpi-lgpio"
    ORIGINAL = "RPi.GPIO"


def installed_gpio_module(search_path: list[str] | None = None) -> GpioModule | None:
    """Which ``RPi.GPIO`` would be imported, told without importing it; ``None`` for none.

    Only the original is built on an extension module ``RPi._GPIO``.
    """
    package = PathFinder.find_spec("RPi", search_path)
    if package is None or package.submodule_search_locations is None:
        return None
    inside = list(package.submodule_search_locations)
    if PathFinder.find_spec("RPi._GPIO", inside) is not None:
        return GpioModule.ORIGINAL
    return GpioModule.RPI_LGPIO if PathFinder.find_spec("RPi.GPIO", inside) is not None else None


def check_gpio_module(module: GpioModule | None, model_path: Path = MODEL_PATH) -> GpioModule:
    """``module``, unless it cannot work on this board.

    Args:
        module: What :func:`installed_gpio_module` found.
        model_path: Where the kernel names the board; absent on anything but a Pi.

    Raises:
        BusError: OTHER without a module, REFUSED for the original one on a Pi 5.
    """
    if module is None:
        raise BusError("No module RPi.GPIO is installed.", kind=BusErrorKind.OTHER, hint=f"{_INSTALL}.")
    model = _board_model(model_path)
    if module is GpioModule.ORIGINAL and _HAS_RP1.match(model):
        found = (
            f"The original RPi.GPIO{_version_of(module)} cannot drive a {model}: it writes to registers "
            "of the processor, and the header is on another chip, the RP1."
        )
        hint = f"pip uninstall RPi.GPIO, then {_INSTALL}."
        raise BusError(found, kind=BusErrorKind.REFUSED, hint=hint)
    return module


def import_gpio(module: GpioModule, wires: TriggerWires, dev_dir: Path = Path("/dev")) -> Gpio:
    """Import ``RPi.GPIO``; rpi-lgpio is told by RPI_LGPIO_CHIP which chip has the right label.

    Raises:
        BusError: NO_DEVICE without such a chip, PERMISSION, or OTHER when the import fails.
    """
    if module is GpioModule.RPI_LGPIO:
        lgpio = _import_lgpio()
        os.environ["RPI_LGPIO_CHIP"] = str(_chip_number(lgpio, wires, dev_dir))
    try:
        from RPi import GPIO  # noqa: PLC0415 - of the extra pi-lgpio, and it touches the board
    # "This module can only be run on a Raspberry Pi!" is a RuntimeError or its NotImplementedError.
    except (ImportError, RuntimeError) as error:
        found = f"RPi.GPIO of {module} cannot be imported: {error}."
        raise BusError(found, kind=BusErrorKind.OTHER, hint="take gpiod, which asks for no board.") from error
    return cast("Gpio", GPIO)


def gpio_failures() -> tuple[type[Exception], ...]:
    """What the functions of ``RPi.GPIO`` raise when they fail."""
    lgpio = sys.modules.get("lgpio")
    own: tuple[type[Exception], ...] = () if lgpio is None else (lgpio.error,)
    return (RuntimeError, OSError, ValueError, *own)


def _import_lgpio() -> _Lgpio:
    """Import lgpio, from any working directory.

    At import its C half makes a FIFO in $LG_WD or else in the working directory, and its
    Python half opens it in the working directory. A scratch directory that is both serves
    where the working directory cannot be written, and can go once the FIFO is open.
    """
    if "lgpio" not in sys.modules:
        wanted = os.environ.pop("LG_WD", None)
        try:
            with tempfile.TemporaryDirectory(prefix="lsi-lgpio-") as scratch, contextlib.chdir(scratch):
                import lgpio  # noqa: F401, PLC0415 - of the extra pi-lgpio, and it makes a file
        except ImportError as error:
            found = f"lgpio cannot be imported: {error}."
            raise BusError(found, kind=BusErrorKind.OTHER, hint=f"{_INSTALL}.") from error
        except OSError as error:
            found = (
                f"lgpio needs a directory that it can write to, and {tempfile.gettempdir()} is none: {error}."
            )
            hint = "TMPDIR; under systemd RuntimeDirectory=lsi-edge and Environment=TMPDIR=%t/lsi-edge."
            raise BusError(found, kind=BusErrorKind.PERMISSION, hint=hint) from error
        finally:
            if wanted is not None:
                os.environ["LG_WD"] = wanted
    return cast("_Lgpio", sys.modules["lgpio"])


def _chip_number(lgpio: _Lgpio, wires: TriggerWires, dev_dir: Path) -> int:
    """Number of the chip with one of the wanted labels, the first label first."""
    numbers: dict[str, int] = {}
    denied = []
    for node in sorted(dev_dir.glob("gpiochip*")):
        if node.is_symlink():
            continue
        if not os.access(node, os.R_OK | os.W_OK, effective_ids=True):
            denied.append(str(node))
            continue
        number = int(node.name.removeprefix("gpiochip"))
        with contextlib.suppress(lgpio.error):
            numbers.setdefault(_label_of(lgpio, number), number)
    for label in wires.chips:
        if label in numbers:
            return numbers[label]
    raise no_chip(wires, sorted(numbers), denied)


def _label_of(lgpio: _Lgpio, number: int) -> str:
    handle = lgpio.gpiochip_open(number)
    try:
        return str(lgpio.gpio_get_chip_info(handle)[3])
    finally:
        lgpio.gpiochip_close(handle)


def _board_model(model_path: Path) -> str:
    """What the kernel calls the board, e.g. "Raspberry Pi 5 Model B Rev 1.0"; empty if it does not."""
    try:
        return model_path.read_bytes().rstrip(b"\0").decode("ascii", "replace")
    except OSError:
        return ""


def _version_of(module: GpioModule) -> str:
    try:
        return f" {metadata.version(module)}"
    except metadata.PackageNotFoundError:
        return ""
