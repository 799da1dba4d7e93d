"""A whole simulated board: controller, optics and converter behind the shipping drivers.

Chips are imported where they are put in, as in ``firmware.assembly``.
"""

from dataclasses import dataclass

from firmware.acquisition.dark_average import DarkAverage
from firmware.acquisition.scan import ScanParts
from firmware.assembly import (
    MCP3208,
    ConverterBus,
    converter_bus,
    coproc,
    oversampled,
    steadiness_limits,
    stepped,
)
from firmware.boards.board import Board, ScanMode, Simulation
from firmware.drivers.ad738x_frames import PARTS as AD738X
from firmware.drivers.dlpc900 import Dlpc900
from firmware.interfaces import Acquisition, PatternModulator
from firmware.rig import Rig
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import LightSource, StillLight, smooth_field
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.optics import Optics
from firmware.sim.spi import Amplifier, SimSpi, SpiChip, VoltsAt
from firmware.sim.trigger import SimTriggerLine
from lsi.measurement import CountScale
from lsi.placement import Placement


@dataclass(frozen=True, slots=True)
class Bench:
    """The simulated far ends of a board's wires."""

    clock: SimClock
    controller: SimDlpc900
    volts_at: VoltsAt


@dataclass(frozen=True, slots=True)
class SimulatedSurroundings:
    """What a simulated board stands in; ``None``: a smooth field, nothing between optics and converter."""

    simulation: Simulation
    light: LightSource | None = None
    amplifier: Amplifier | None = None


def simulated_rig(board: Board, around: SimulatedSurroundings, placement: Placement) -> Rig:
    """Open the simulated ``board``; see ``firmware.factory.open_rig``."""
    simulation, shining = around.simulation, around.light or StillLight(smooth_field())
    bench = _bench(board, simulation, shining, around.amplifier)
    wiring = board.modulator
    modulator = Dlpc900(
        bench.controller,
        wiring.dmd,
        mirror_scale_px=wiring.mirror_scale_px,
        placement=placement,
        clock=bench.clock,
    )
    bus = _bus(board, simulation, bench) if board.converter is not None else None
    acquisition = _acquisition(board, modulator, bench, bus)
    parts = ScanParts(modulator, acquisition, bench.clock, board.layout, steadiness_limits(board))
    spi = None if bus is None else bus.conversions
    return Rig(board, parts, shining.advance, spi=spi, dark=DarkAverage(board.dark_max_age_ns))


def _bench(board: Board, simulation: Simulation, light: LightSource, amplifier: Amplifier | None) -> Bench:
    clock = SimClock()
    controller = SimDlpc900(clock, waiting=simulation.waiting, dmd=board.modulator.dmd)
    converter = board.converter
    optics = Optics(
        controller=controller,
        light=light,
        sensor=board.sensor,
        channels=board.arm_channels,
        mirror_scale_px=board.modulator.mirror_scale_px,
        seed=simulation.seed,
        trigger_channel=None if converter is None else converter.trigger_channel,
        lamp_channel=None if converter is None else converter.lamp_channel,
    )
    return Bench(clock, controller, _amplified(optics.volts_at, amplifier))


def _amplified(volts_at: VoltsAt, amplifier: Amplifier | None) -> VoltsAt:
    if amplifier is None:
        return volts_at
    return lambda channel, now_ns: amplifier(channel, volts_at(channel, now_ns))


def _acquisition(
    board: Board, modulator: PatternModulator, bench: Bench, bus: ConverterBus | None
) -> Acquisition:
    if bus is None:
        from firmware.sim.coproc_chip import SimCapture, SimCoproc

        # Codes around half scale, as an AD7383 sends them.
        full_scale_counts = board.sensor.full_scale_counts
        scale = CountScale(full_scale_counts, board.sensor.vref_v / (full_scale_counts + 1))
        capture = SimCapture(bench.clock, bench.volts_at, bench.controller.exposure_edges, scale)
        return coproc(board, modulator, SimCoproc(capture, bench.clock), bench.clock)
    if board.mode is ScanMode.OVERSAMPLED:
        return oversampled(board, modulator, bus)
    return stepped(board, modulator, bus, SimTriggerLine(bench.controller, bench.clock))


def _bus(board: Board, simulation: Simulation, bench: Bench) -> ConverterBus:
    chip = _chip(board, bench.volts_at)

    def open_spi(spi_hz: int) -> SimSpi:
        return SimSpi(chip, bench.clock, spi_hz, simulation.spi_overhead_ns)

    return converter_bus(board, open_spi, bench.clock)


def _chip(board: Board, volts_at: VoltsAt) -> SpiChip:
    kind = MCP3208 if board.converter is None else board.converter.kind
    if kind in AD738X:
        from firmware.sim.ad738x_chip import Ad738xChip

        return Ad738xChip(volts_at, kind, board.sensor.vref_v / (2 if AD738X[kind].is_differential else 1))
    if kind == MCP3208:
        return Mcp3208Chip(volts_at, board.sensor)
    from firmware.sim.ads868x_chip import Ads868xChip

    return Ads868xChip(volts_at, kind)
