"""How warm the board is and whether it is slowed down, where it tells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lsi.status import Throttling

SYS: Final = Path("/sys")
MAX_FILE_BYTES: Final = 64
_MILLI: Final = 1000.0
_COLDEST_C: Final = -55.0
_HOTTEST_C: Final = 150.0
"""What no board measures is a sensor that is not there."""
_BITS: Final = (
    Throttling.UNDER_VOLTAGE,
    Throttling.FREQUENCY_CAPPED,
    Throttling.THROTTLED,
    Throttling.SOFT_TEMPERATURE_LIMIT,
)
"""From bit 0 of the firmware's word; the same bits 16 higher say "since the start" and are not told
(Linux of Raspberry Pi, drivers/firmware/raspberrypi.c; raspberrypi/linux pull request 2397)."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of the board: ``temperature_c`` of its processor, and what slows it down now."""

    temperature_c: float | None = None
    throttled: frozenset[Throttling] = frozenset()


def read_vitals(sys: Path = SYS) -> Vitals:
    """What the kernel tells under ``sys``; nothing on a board that does not."""
    return Vitals(_temperature_c(sys), _throttled(sys))


def _temperature_c(sys: Path) -> float | None:
    for zone in sorted((sys / "class/thermal").glob("thermal_zone*")):
        # "cpu-thermal" on a Pi, "cpu_thermal" on other boards.
        if _text(zone / "type").startswith("cpu"):
            try:
                celsius = int(_text(zone / "temp")) / _MILLI
            except ValueError:
                continue
            if _COLDEST_C < celsius < _HOTTEST_C:
                return celsius
    return None


def _throttled(sys: Path) -> frozenset[Throttling]:
    # soc/soc:firmware on Pi 4 and 5; the depth of the node has changed with device trees.
    for pattern in ("soc*/*firmware/get_throttled", "*firmware/get_throttled"):
        for path in (sys / "devices/platform").glob(pattern):
            try:
                word = int(_text(path), 16)
            except ValueError:
                continue
            return frozenset(code for bit, code in enumerate(_BITS) if word >> bit & 1)
    return frozenset()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
