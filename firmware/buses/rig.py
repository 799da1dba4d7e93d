"""A real board: its buses opened, its parts assembled."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from firmware.acquisition.dark_average import DarkAverage
from firmware.acquisition.scan import ScanParts
from firmware.assembly import converter_bus, coproc, oversampled, steadiness_limits, stepped
from firmware.boards.board import Board, ScanMode
from firmware.buses.hidraw_device import HidrawDevice
from firmware.buses.lgpio_trigger import LgpioTriggerLine
from firmware.buses.spidev_device import SpidevDevice
from firmware.buses.trigger_wires import TriggerWires
from firmware.buses.upload_log import UploadLog
from firmware.clock import MonotonicClock
from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_cache import EncodedCache
from firmware.interfaces import Acquisition, Clock, PatternModulator, SpiDevice, TriggerLine
from firmware.rig import Rig
from lsi.errors import BoardConfigError
from lsi.placement import Placement


def real_rig(board: Board, placement: Placement, cache: Path | None) -> Rig:
    """Open the buses of ``board``, all or none; see ``firmware.factory.open_rig``."""
    clock = MonotonicClock()
    with contextlib.ExitStack() as opened:
        wiring = board.modulator
        hid = opened.enter_context(HidrawDevice(serial_number=wiring.usb_serial))
        modulator = Dlpc900(
            hid,
            wiring.dmd,
            mirror_scale_px=wiring.mirror_scale_px,
            placement=placement,
            progress=UploadLog(),
            clock=clock,
            cache=None if cache is None else EncodedCache(cache),
        )
        acquisition, spi = _acquisition(board, modulator, clock, opened)
        parts = ScanParts(modulator, acquisition, clock, board.layout, steadiness_limits(board))
        dark = DarkAverage(board.dark_max_age_ns)
        return Rig(board, parts, buses=opened.pop_all(), spi=spi, dark=dark)


def _acquisition(
    board: Board, modulator: PatternModulator, clock: Clock, opened: contextlib.ExitStack
) -> tuple[Acquisition, SpiDevice | None]:
    if board.mode is ScanMode.COPROC:
        return _coproc(board, modulator, clock, opened), None
    bus = converter_bus(board, lambda spi_hz: _spi(board, spi_hz, opened), clock)
    if board.mode is ScanMode.OVERSAMPLED:
        return oversampled(board, modulator, bus), bus.conversions
    return stepped(board, modulator, bus, _trigger(board, clock, opened)), bus.conversions


def _spi(board: Board, spi_hz: int, opened: contextlib.ExitStack) -> SpiDevice:
    wiring = board.converter
    if wiring is None or wiring.device is None:
        raise BoardConfigError(f"Board '{board.name}' names no SPI node.", hint="converter.device.")
    return opened.enter_context(SpidevDevice(wiring.device, speed_hz=spi_hz, mode=wiring.spi_mode))


def _trigger(board: Board, clock: Clock, opened: contextlib.ExitStack) -> TriggerLine:
    wiring = board.trigger
    if wiring is None:
        raise BoardConfigError(f"Board '{board.name}' has no trigger wires.", hint="a section [trigger].")
    wires = TriggerWires(wiring.advance_line, wiring.exposure_line, wiring.chip_labels)
    if wiring.kind == "rpi-lgpio":
        return opened.enter_context(LgpioTriggerLine(wires, clock))
    with _package_of("gpiod"):
        from firmware.buses.gpiod_trigger import GpiodTriggerLine  # noqa: PLC0415 - of the extra pi
    return opened.enter_context(GpiodTriggerLine(wires, clock))


def _coproc(
    board: Board, modulator: PatternModulator, clock: Clock, opened: contextlib.ExitStack
) -> Acquisition:
    wiring = board.coprocessor
    if wiring is None or wiring.device is None:
        raise BoardConfigError(f"Board '{board.name}' names no serial line.", hint="coprocessor.device.")
    with _package_of("pyserial"):
        from firmware.buses.serial_port import SerialPort, find_port  # noqa: PLC0415 - of the extra pi
    port = SerialPort(find_port(wiring.device))
    opened.callback(port.close)
    return coproc(board, modulator, port, clock)


@contextlib.contextmanager
def _package_of(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as cause:
        found = f"The Python package '{name}' is not installed."
        raise BoardConfigError(found, hint="pip install 'lsi-edge[pi]'.") from cause
