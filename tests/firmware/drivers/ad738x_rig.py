"""A simulated AD738x on a bus, and the driver that is set on it."""

from dataclasses import dataclass

from firmware.drivers.ad738x import Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.clock import SimClock
from firmware.sim.spi import SimSpi, VoltsAt

SPI_HZ = 10_000_000
OVERHEAD_NS = 25_000


def volts_of_channel(channel: int, _: int) -> float:
    return 0.4 + 0.5 * channel


@dataclass(slots=True)
class Rig:
    chip: Ad738xChip
    clock: SimClock
    spi: SimSpi
    link: Ad738xLink


def rig_with(  # noqa: PLR0913 - keyword-only, what a test may vary
    name: str = "ad7383-4",
    volts_at: VoltsAt = volts_of_channel,
    *,
    vref_v: float = 2.5,
    common_v: float | None = None,
    oversampling: int = 1,
    spi_hz: int = SPI_HZ,
) -> Rig:
    part, clock = PARTS[name], SimClock()
    chip = Ad738xChip(volts_at, name, vref_v, common_v)
    spi = SimSpi(chip, clock, spi_hz, OVERHEAD_NS)
    settings = Ad738xSettings(part, spi_hz, vref_v, common_v=common_v, oversampling=oversampling)
    return Rig(chip, clock, spi, Ad738xLink(spi, settings, clock))
