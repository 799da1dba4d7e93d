"""Opens a ``HidrawDevice`` and takes steps with it; prints what each gave, as JSON.

    umockdev-wrapper python -m tests.firmware.buses.hidraw_steps PRODUCT_ID SERIAL STEP...

A step is ``write``, ``read``, ``poll`` (a read that does not wait) or ``close``. Opening is
the first step. Every report that is written has its number in its second byte.
"""

import json
import sys
from collections.abc import Callable
from functools import partial

from firmware.buses.hidraw_device import HidrawDevice
from lsi.errors import BusError, FrameError


def take(device: HidrawDevice, step: str, number: int) -> bytes | None:
    """Take one step; what a read gave."""
    match step:
        case "write":
            device.write(bytes([0xC0, number]).ljust(64, b"\x55"))
        case "read" | "poll":
            return device.read(50 if step == "read" else 0)
        case "close":
            device.close()
        case _:
            raise ValueError(step)
    return None


def main(product_id: str, serial_number: str, *steps: str) -> None:
    """Take ``steps``; an empty serial number is none."""
    devices: list[HidrawDevice] = []
    results: list[dict[str, str]] = []

    def attempt(step: Callable[[], bytes | None]) -> None:
        try:
            results.append({"read": (step() or b"").hex()})
        except BusError as error:
            results.append({"kind": error.kind.value, "found": error.found, "hint": error.hint})
        except FrameError as error:
            results.append({"kind": "frame_error", "found": error.found})

    def begin() -> None:
        devices.append(HidrawDevice(product_id=int(product_id, 16), serial_number=serial_number or None))

    attempt(begin)
    for number, step in enumerate(steps):
        attempt(partial(take, devices[0], step, number))
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
