"""Programs on the device's side of a node: real py-spidev, our adapter, the shipping driver.

    umockdev-wrapper python -m tests.umockdev.spi_programs NAME ARGUMENT ...

Each prints one JSON document; a ``BusError`` as its kind, sentence and hint.
"""

import json
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Final

import spidev

from firmware.buses.spidev_device import SpidevDevice
from firmware.clock import MonotonicClock
from firmware.drivers.ad738x import Ad738xDetector, Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS
from firmware.drivers.ad738x_stream import Ad738xStream
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.drivers.mcp3208_frames import parse_conversions, request_conversion
from firmware.interfaces import StreamRole
from lsi.errors import BusError

SPEED_HZ: Final = 1_000_000
VREF_V: Final = 3.3
AD738X_HZ: Final = 10_000_000
AD738X_MODE: Final = 2


def settings(path: str, mode: str) -> object:
    """What the kernel holds after the adapter has opened the node."""
    with SpidevDevice(path, speed_hz=SPEED_HZ, mode=int(mode)):
        reader = spidev.SpiDev()
        reader.open(*map(int, path.removeprefix("/dev/spidev").split(".")))
        found = {"mode": reader.mode, "bits": reader.bits_per_word, "speed_hz": reader.max_speed_hz}
        reader.close()
    return found


def frame(path: str, sent: str) -> object:
    """One transfer, in hexadecimal digits."""
    with SpidevDevice(path, speed_hz=SPEED_HZ) as spi:
        return spi.transfer(bytes.fromhex(sent)).hex()


def message(path: str, transfers: str, alignment: str = "8") -> object:
    """Two runs of one message; counts of both, and the most memory that the second took."""
    with SpidevDevice(path, speed_hz=SPEED_HZ, alignment=int(alignment)) as spi:
        prepared = spi.message([request_conversion(0)] * int(transfers))
        address = prepared.received.ctypes.data
        prepared.run()
        first = parse_conversions(prepared.received).tolist()
        tracemalloc.start()
        prepared.run()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        second = parse_conversions(prepared.received).tolist()
        same = address == prepared.received.ctypes.data
    return {"first": first, "second": second, "same_buffer": same, "peak_bytes": peak_bytes}


def patterns(path: str, channels: str, count: str, samples: str) -> object:
    """Counts of ``count`` patterns by the shipping driver."""
    with SpidevDevice(path, speed_hz=SPEED_HZ) as spi:
        detector = Mcp3208Detector(spi, [int(channel) for channel in channels], VREF_V)
        sampler = detector.sampler(int(count), int(samples))
        for index in range(int(count)):
            sampler.take(index)
        return sampler.counts().tolist()


def ad7383_4(path: str, count: str, samples: str) -> object:
    """Counts of both arms, and of one block of a stream on all channels, by the shipping drivers."""
    with SpidevDevice(path, speed_hz=AD738X_HZ, mode=AD738X_MODE) as spi:
        clock = MonotonicClock()
        link = Ad738xLink(spi, Ad738xSettings(PARTS["ad7383-4"], AD738X_HZ), clock)
        sampler = Ad738xDetector(link, (0, 1)).sampler(int(count), int(samples))
        for index in range(int(count)):
            sampler.take(index)
        block = Ad738xStream(link, {role: column for column, role in enumerate(StreamRole)}, clock).read()
        return {"arms": sampler.counts().tolist(), "block": block.counts.tolist()}


PROGRAMS: Final[Mapping[str, Callable[..., object]]] = {
    program.__name__: program for program in (settings, frame, message, patterns, ad7383_4)
}


def main() -> None:
    """Run one program."""
    _, name, *arguments = sys.argv
    try:
        document = PROGRAMS[name](*arguments)
    except BusError as error:
        document = {"kind": error.kind, "found": error.found, "hint": error.hint}
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
