"""From wires to acquisition: the same for real buses and for simulated ones.

Drivers are imported where they are put in: a device reads only those of its own parts at a start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firmware.acquisition.steadiness import SteadinessLimits
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import Board, ConverterWiring
from firmware.drivers.ad738x_frames import MAX_REGISTER_HZ
from firmware.drivers.ad738x_frames import PARTS as AD738X
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.interfaces import (
    TRIG_OUT_1_EARLY_FALL_US,
    Acquisition,
    BucketDetector,
    Clock,
    PatternModulator,
    SampleStream,
    SpiDevice,
    StreamRole,
    TriggerLine,
)
from lsi.errors import BoardConfigError
from lsi.units import NS_PER_US

if TYPE_CHECKING:
    from firmware.drivers.ad738x import Ad738xLink
    from firmware.drivers.coproc_link import SerialDevice

MCP3208: Final = "mcp3208"
AD738X_INTERNAL_V: Final = 2.5
"""Reference that the parts have inside; another one is an external one."""


@dataclass(frozen=True, slots=True)
class ConverterBus:
    """The converter on the host's SPI: at the speed of conversions, and at one that registers can follow."""

    wiring: ConverterWiring
    conversions: SpiDevice
    registers: SpiDevice
    clock: Clock


def converter_bus(board: Board, open_spi: Callable[[int], SpiDevice], clock: Clock) -> ConverterBus:
    """Open the converter's bus, once or at two speeds.

    Args:
        board: Whose converter.
        open_spi: Opens the bus at a clock in Hz.
        clock: The rig's.

    Raises:
        BoardConfigError: The board has no converter.
        BusError: The bus cannot be opened.
    """
    wiring = board.converter
    if wiring is None:
        raise BoardConfigError(f"Board '{board.name}' has no converter.", hint="a section [converter].")
    conversions = open_spi(wiring.spi_hz)
    is_slow = wiring.kind not in AD738X or wiring.spi_hz <= MAX_REGISTER_HZ
    return ConverterBus(wiring, conversions, conversions if is_slow else open_spi(MAX_REGISTER_HZ), clock)


def stepped(
    board: Board, modulator: PatternModulator, bus: ConverterBus, trigger: TriggerLine
) -> SteppedAcquisition:
    """Acquisition mode ``stepped`` of ``board``.

    Raises:
        BoardConfigError: The converter cannot follow the board's timing.
    """
    return SteppedAcquisition(board.plan, modulator, _detector(board, bus), trigger, bus.clock)


def oversampled(board: Board, modulator: PatternModulator, bus: ConverterBus) -> Acquisition:
    """Acquisition mode ``oversampled`` of ``board``.

    Raises:
        BoardConfigError: The converter samples no trigger beside the arms.
    """
    from firmware.acquisition.oversampled import OversampledAcquisition

    return OversampledAcquisition(
        board.plan, modulator, _stream(board, bus), bus.clock, trimmed_count=board.trimmed_count
    )


def steadiness_limits(board: Board) -> SteadinessLimits | None:
    """What the drift check of ``board`` holds a scan to; ``None`` where it has none."""
    return SteadinessLimits() if board.checks_drift else None


def coproc(board: Board, modulator: PatternModulator, port: "SerialDevice", clock: Clock) -> Acquisition:
    """Acquisition mode ``coproc`` of ``board``.

    Raises:
        BoardConfigError: The board has no co-processor.
    """
    from firmware.acquisition.coproc_scan import CoprocAcquisition
    from firmware.drivers.coproc import Coproc, CoprocSettings
    from firmware.drivers.coproc_link import CoprocLink

    wiring = board.coprocessor
    if wiring is None:
        raise BoardConfigError(f"Board '{board.name}' has no co-processor.", hint="a section [coprocessor].")
    part = AD738X[wiring.converter]
    settings = CoprocSettings(wiring.spi_hz, wiring.arm_channels, TRIG_OUT_1_EARLY_FALL_US * NS_PER_US)
    chip = Coproc(CoprocLink(port, clock), board.plan, settings)
    scale = part.scale(_reference_v(board, wiring.converter))
    return CoprocAcquisition(board.plan, modulator, chip, scale, clock)


def _detector(board: Board, bus: ConverterBus) -> BucketDetector:
    kind, channels = bus.wiring.kind, bus.wiring.arm_channels
    if kind in AD738X:
        from firmware.drivers.ad738x import Ad738xDetector

        return Ad738xDetector(_ad738x(board, bus), channels)
    if kind == MCP3208:
        return Mcp3208Detector(bus.conversions, channels, board.sensor.vref_v)
    return _ads868x(board, bus)


def _ads868x(board: Board, bus: ConverterBus) -> BucketDetector:
    from firmware.drivers.ads868x import Ads868xDetector, Ads868xSettings, check_exposure
    from firmware.drivers.ads868x_frames import PARTS, unipolar_range

    check_exposure(board.plan)
    settings = Ads868xSettings(PARTS[bus.wiring.kind], bus.wiring.spi_hz, unipolar_range(board.sensor.vref_v))
    return Ads868xDetector(bus.conversions, settings)


def _stream(board: Board, bus: ConverterBus) -> SampleStream:
    from firmware.drivers.ad738x_stream import Ad738xStream

    wiring = bus.wiring
    channels = {
        StreamRole.ARM_PLUS: wiring.arm_plus_channel,
        StreamRole.ARM_MINUS: wiring.arm_minus_channel,
        StreamRole.TRIGGER: wiring.trigger_channel,
        StreamRole.LAMP: wiring.lamp_channel,
    }
    wired = {role: channel for role, channel in channels.items() if channel is not None}
    return Ad738xStream(_ad738x(board, bus), wired, bus.clock)


def _ad738x(board: Board, bus: ConverterBus) -> "Ad738xLink":
    from firmware.drivers.ad738x import Ad738xLink, Ad738xSettings

    vref_v = _reference_v(board, bus.wiring.kind)
    settings = Ad738xSettings(
        AD738X[bus.wiring.kind],
        bus.wiring.spi_hz,
        vref_v=vref_v,
        external_reference=vref_v != AD738X_INTERNAL_V,
        oversampling=bus.wiring.oversampling,
    )
    return Ad738xLink(bus.conversions, settings, bus.clock, bus.registers)


def _reference_v(board: Board, kind: str) -> float:
    """``sensor.vref_v`` is what the counts span: twice the reference of a part that is differential."""
    return board.sensor.vref_v / 2 if AD738X[kind].is_differential else board.sensor.vref_v
