"""A whole simulated board in mode ``oversampled``: DLPC900, optics, AD7383-4, shipping drivers."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.acquisition.oversampled import OversampledAcquisition
from firmware.acquisition.scan import ScanParts
from firmware.drivers.ad738x import Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS
from firmware.drivers.ad738x_stream import Ad738xStream
from firmware.drivers.dlpc900 import Dlpc900
from firmware.interfaces import StreamRole
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import LightSource
from firmware.sim.optics import Optics
from firmware.sim.spi import SimSpi, VoltsAt
from lsi.measurement import ScanPlan
from lsi.sensor import SensorModel

SENSOR = SensorModel(
    adc_bits=16,
    vref_v=2.5,
    responsivity_a_per_w=0.3,
    transimpedance_ohm=1e6,
    voltage_gain=8.0,
    bandwidth_hz=50_000.0,
    temperature_k=298.0,
    read_noise_v=42e-6,
    offset_v=0.2,
    stray_nw=1.0,
    power_nw=500.0,
)
PLAN = ScanPlan(400_000, 40_000, 16, 20_000_000)
SCALE_PX = 16
SPI_HZ = 20_000_000
CHANNELS = {
    StreamRole.ARM_PLUS: 0,
    StreamRole.ARM_MINUS: 1,
    StreamRole.TRIGGER: 2,
    StreamRole.LAMP: 3,
}


@dataclass(slots=True)
class Bench:
    parts: ScanParts
    acquisition: OversampledAcquisition
    controller: SimDlpc900
    clock: SimClock


def bench(light: LightSource, wires: Callable[[VoltsAt], VoltsAt] = lambda volts_at: volts_at) -> Bench:
    """The board under ``light``; ``wires`` may put a fault between optics and converter."""
    clock = SimClock()
    controller = SimDlpc900(clock)
    optics = Optics(
        controller=controller,
        light=light,
        sensor=SENSOR,
        channels=(0, 1),
        mirror_scale_px=SCALE_PX,
        seed=3,
        trigger_channel=CHANNELS[StreamRole.TRIGGER],
        lamp_channel=CHANNELS[StreamRole.LAMP],
    )
    part = PARTS["ad7383-4"]
    chip = Ad738xChip(wires(optics.volts_at), part.name, SENSOR.vref_v)
    spi, registers = (SimSpi(chip, clock, spi_hz, 25_000) for spi_hz in (SPI_HZ, 10_000_000))
    link = Ad738xLink(spi, Ad738xSettings(part, SPI_HZ, SENSOR.vref_v), clock, registers)
    stream = Ad738xStream(link, CHANNELS, clock)
    modulator = Dlpc900(controller, mirror_scale_px=SCALE_PX)
    acquisition = OversampledAcquisition(PLAN, modulator, stream, clock, trimmed_count=2)
    return Bench(ScanParts(modulator, acquisition, clock), acquisition, controller, clock)
