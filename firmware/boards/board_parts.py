"""What a board is made of, as frozen values: parts, wires, physics, timing, limits."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from lsi.measurement import ArmLayout, ScanPlan
from lsi.sensor import SensorModel


class ScanMode(StrEnum):
    """Who sets the pace of a pass.

    ``STEPPED``: the host advances each pattern and samples it. ``OVERSAMPLED``: the
    modulator runs freely, arms and trigger are sampled without a pause and cut into
    patterns afterwards. ``COPROC``: the co-processor samples at the modulator's trigger.
    """

    STEPPED = "stepped"
    OVERSAMPLED = "oversampled"
    COPROC = "coproc"


@dataclass(frozen=True, slots=True)
class ConverterKind:
    """What a converter can do, as far as a board file has to fit it.

    Attributes:
        adc_bits: Width of a result.
        channels: Inputs.
        frame_bits: Clocks of one conversion of one channel, or of all where ``simultaneous``.
        simultaneous: All channels are sampled at the same instant.
        max_spi_hz: Highest clock.
        spi_mode: Mode unless the board file names another.
        averages: The chip can average conversions by itself.
    """

    adc_bits: int
    channels: int
    frame_bits: int
    simultaneous: bool
    max_spi_hz: int
    spi_mode: int
    averages: bool = False


def _ad738x(channels: int) -> ConverterKind:
    # One output line carries all channels, 16 bits each (Linux, drivers/iio/adc/ad7380.c).
    # Unverified: clock and mode; the kernel's device tree binding has 80 MHz and spi-cpol.
    return ConverterKind(
        adc_bits=16,
        channels=channels,
        frame_bits=16 * channels,
        simultaneous=True,
        max_spi_hz=80_000_000,
        spi_mode=2,
        averages=True,
    )


# Unverified: 66 MHz. One input a chip; 32-bit frames.
_ADS868X: Final = ConverterKind(16, 1, 32, simultaneous=True, max_spi_hz=66_000_000, spi_mode=0)

CONVERTERS: Final = {
    # DS21298: 2 MHz at 5 V (unverified), 1 MHz at 2.7 V.
    "mcp3208": ConverterKind(12, 8, 24, simultaneous=False, max_spi_hz=2_000_000, spi_mode=0),
    "ad7380": _ad738x(2),
    "ad7383": _ad738x(2),
    "ad7383-4": _ad738x(4),
    "ads8681": _ADS868X,
    "ads8685": _ADS868X,
    "ads8689": _ADS868X,
}
"""Kinds by the name that board files use."""


@dataclass(frozen=True, slots=True)
class ModulatorWiring:
    """The DMD, how masks are laid on its mirrors, and which controller it is if there are several."""

    dmd: str
    mirror_scale_px: int
    kind: str = "dlpc900-usb"
    usb_serial: str | None = None


@dataclass(frozen=True, slots=True)
class ConverterWiring:
    """The converter on the host's bus, and which input is what.

    ``device`` is the node in ``/dev``; ``None`` on a simulated board. ``None`` as a channel:
    nothing is wired there. ``oversampling`` conversions are averaged by the chip itself.
    """

    kind: str
    device: str | None
    spi_hz: int
    spi_mode: int
    arm_plus_channel: int
    arm_minus_channel: int | None = None
    trigger_channel: int | None = None
    lamp_channel: int | None = None
    oversampling: int = 1

    @property
    def arm_channels(self) -> tuple[int, ...]:
        """Channel of arm + and, where there is one, of arm -."""
        return arm_channels(self.arm_plus_channel, self.arm_minus_channel)


@dataclass(frozen=True, slots=True)
class TriggerWiring:
    """The two GPIO lines between host and controller, as numbers of lines on the chip.

    ``chip_labels`` are those of the chip that drives the 40-pin header, one per model of
    host; the first that is there is meant.
    """

    kind: Literal["gpiod", "rpi-lgpio"]
    chip_labels: tuple[str, ...]
    advance_line: int
    exposure_line: int


@dataclass(frozen=True, slots=True)
class CoprocessorWiring:
    """The co-processor and the converter behind it.

    Conversions follow each other as fast as ``spi_hz`` lets them. ``device`` is a path or a
    shell pattern (``/dev/serial/by-id/usb-...-if00``); ``None`` on a simulated board.
    """

    device: str | None
    converter: str
    spi_hz: int
    arm_plus_channel: int
    arm_minus_channel: int | None = None

    @property
    def arm_channels(self) -> tuple[int, ...]:
        """Channel of arm + and, where there is one, of arm -."""
        return arm_channels(self.arm_plus_channel, self.arm_minus_channel)


def arm_channels(plus: int, minus: int | None) -> tuple[int, ...]:
    """The channels of the arms that are wired, arm + first."""
    return (plus,) if minus is None else (plus, minus)


@dataclass(frozen=True, slots=True)
class SelftestLimits:
    """What a healthy board stays within.

    Attributes:
        dark_max_counts: Highest mean of an arm that gets no light of the scene.
        dark_noise_max_counts: Highest standard deviation of one sample in the dark.
        full_on_min_counts: Lowest mean of an arm, above its dark, with all mirrors sent to it
            and the field evenly lit.
        linearity_max: Largest departure from a straight line through light against the share
            of open mirrors, as a share of full-on.
        arm_imbalance_max: Largest |full-on of arm + / full-on of arm - - 1|, both above dark.
    """

    dark_max_counts: float
    dark_noise_max_counts: float
    full_on_min_counts: float
    linearity_max: float
    arm_imbalance_max: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """What only a simulated board has to be told.

    ``waiting`` is what a mask does after its exposure until the next trigger.
    ``spi_overhead_ns`` passes between a call and its first clock edge; in a stream of
    conversions it is the gap between two messages.
    """

    waiting: Literal["hold", "dark"]
    spi_overhead_ns: int
    seed: int


@dataclass(frozen=True, slots=True)
class Board:
    """One board: parts, wires, physics, timing.

    ``converter`` is ``None`` where the co-processor holds the converter; ``trigger`` where
    no GPIO lines go to the controller. ``trimmed_count`` of the sorted samples of a pattern
    are left out at either end. With ``checks_drift`` the first mask is shown again at the end of
    a pass; dark references no older than ``dark_max_age_ns`` are averaged.
    """

    name: str
    provides: frozenset[str]
    modulator: ModulatorWiring
    converter: ConverterWiring | None
    trigger: TriggerWiring | None
    coprocessor: CoprocessorWiring | None
    sensor: SensorModel
    plan: ScanPlan
    mode: ScanMode
    layout: ArmLayout
    trimmed_count: int
    checks_drift: bool
    dark_max_age_ns: int
    limits: SelftestLimits
    simulation: Simulation | None

    @property
    def simulated(self) -> bool:
        """Whether controller and converter are simulated."""
        return self.simulation is not None

    @property
    def arm_channels(self) -> tuple[int, ...]:
        """Channel of arm + and, where there is one, of arm -, on whichever converter there is."""
        for wiring in (self.converter, self.coprocessor):
            if wiring is not None:
                return wiring.arm_channels
        return ()
