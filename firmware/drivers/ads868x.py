"""One arm on an ADS8681, ADS8685 or ADS8689: 16 bits, wide inputs, and a slow filter in front.

Ref: see ``ads868x_frames``. The filter cannot be bypassed: this is a part for slow masks.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.ads868x_frames import (
    EXTERNAL_REFERENCE,
    FRAME_BYTES,
    ID_MASK,
    INTERNAL_VREF_V,
    PARITY,
    TEST_PATTERNS,
    Ads868xPart,
    Ads868xRange,
    Opcode,
    Register,
    counts_of,
    frame_of,
    parse_register,
    read_register,
    write_register,
)
from firmware.drivers.pass_rows import PassRows, message_sizes
from firmware.interfaces import SELECT_GAP_NS, SpiDevice
from lsi.errors import BoardConfigError, FrameError
from lsi.measurement import CountScale, ScanPlan
from lsi.units import NS_PER_S, NS_PER_US

FILTER_HZ: Final = 15_000.0
"""-3 dB of the filter in front of the converter. Unverified, as is that it is a Butterworth."""
UNSETTLED: Final = 1e-3
"""Share of the step from one pattern to the next that may be left at the first conversion."""
MARK: Final = 0xA
"""Put into the device's address, which nobody uses: a chip that lost it was reset."""
_ALL_ONES: Final = 0xFF
_NOTHING: Final = frame_of(Opcode.NO_OPERATION)
_TESTED: Final = (6, 7)
"""Test patterns that hold both levels."""


def settling_ns(part: float) -> int:
    """After a step at the input, when the output stays within ``part`` of the step.

    The filter's answer to a step is short of it by sqrt(2) exp(-a t) cos(a t - pi / 4) with
    a = 2 pi f / sqrt(2); the bound leaves out the cosine. 109 us to 1e-3, 143 us to 1e-4, 172 us
    to 1.5e-5, as unverified as ``FILTER_HZ``.

    Args:
        part: 0..1, both excluded.
    """
    decay_hz = 2 * math.pi * FILTER_HZ / math.sqrt(2)
    return math.ceil(math.log(math.sqrt(2) / part) / decay_hz * NS_PER_S)


def check_exposure(plan: ScanPlan, part: float = UNSETTLED) -> None:
    """Refuse a plan that samples before the filter has forgotten the pattern before.

    Args:
        plan: When conversions begin.
        part: What may be left of the step between two patterns.

    Raises:
        BoardConfigError: With the shortest ``settle_us``, and the exposure that leaves as much
            time for conversions as the plan has now.
    """
    needed_ns = settling_ns(part)
    if plan.settle_ns >= needed_ns:
        return
    settle_us = math.ceil(needed_ns / NS_PER_US)
    exposure_us = settle_us + math.ceil((plan.exposure_ns - plan.settle_ns) / NS_PER_US)
    found = (
        f"The ADS868x has a filter of {FILTER_HZ / 1e3:g} kHz in front of its converter: "
        f"{plan.settle_ns / NS_PER_US:g} us after a mask has changed, more than {part:g} of the one before "
        "is left."
    )
    hint = (
        f"scan.settle_us at least {settle_us}, scan.exposure_us {exposure_us}; or an AD7380 for faster masks."
    )
    raise BoardConfigError(found, hint=hint)


@dataclass(frozen=True, slots=True)
class Ads868xSettings:
    """How one chip is used.

    Attributes:
        part: Which member of the family.
        spi_hz: Clock of the frames.
        input_range: Of the converter.
        vref_v: Reference; 4.096 V where it is the internal one.
        external_reference: Whether ``vref_v`` is fed in.
        parity: Whether every result is sent with parity.
        select_gap_ns: How long the host leaves CS high between two frames of a message.

    Raises:
        BoardConfigError: Frames that come faster than the part converts.
    """

    part: Ads868xPart
    spi_hz: int
    input_range: Ads868xRange
    vref_v: float = INTERNAL_VREF_V
    external_reference: bool = False
    parity: bool = False
    select_gap_ns: int = SELECT_GAP_NS

    def __post_init__(self) -> None:
        frame_ns = 8 * FRAME_BYTES * NS_PER_S // self.spi_hz
        part, gap_ns = self.part, self.select_gap_ns
        if gap_ns < part.conversion_ns or frame_ns + gap_ns < part.cycle_ns:
            found = (
                f"{part.name} needs {part.conversion_ns} ns after a frame and {part.cycle_ns} ns for each."
            )
            raise BoardConfigError(found, hint="a lower spi_hz, or a longer pause between frames.")

    @property
    def range_register(self) -> int:
        """RANGE_SEL."""
        return self.input_range.code | EXTERNAL_REFERENCE * self.external_reference

    @property
    def output_register(self) -> int:
        """DATAOUT_CTL."""
        return PARITY * self.parity

    @property
    def scale(self) -> CountScale:
        """What a count means."""
        return self.input_range.scale(self.vref_v)


class Ads868xDetector:
    """``BucketDetector`` with one arm: the chip has one input.

    Args:
        spi: The chip, mode 0, one frame per transfer.
        settings: How it is used.
    """

    def __init__(self, spi: SpiDevice, settings: Ads868xSettings) -> None:
        self.scale = settings.scale
        self._spi = spi
        self._settings = settings
        self._is_configured = False
        self._expected = (settings.range_register, settings.output_register, MARK)
        asked = (Register.RANGE_SEL, Register.DATAOUT_CTL, Register.DEVICE_ID_HIGH)
        self._read_back = spi.message([*map(read_register, asked), _NOTHING])

    def sampler(self, patterns: int, samples: int) -> "Ads868xSampler":
        """Room for ``samples`` of the arm, any number of them; sets the chip up if need be.

        Raises:
            BoardConfigError: Less than one sample.
            FrameError: The chip fails its own test.
            BusError: The bus failed.
        """
        if samples < 1:
            raise BoardConfigError(f"{samples} samples per pattern.", hint="at least 1.")
        if not self._is_configured:
            self.configure()
        return Ads868xSampler(self, self._spi, patterns, samples)

    def configure(self) -> None:
        """Set the chip up, let it send its test patterns and read the registers back.

        Raises:
            FrameError: A test pattern or a register is wrong.
            BusError: The bus failed.
        """
        self._is_configured = False
        # Ends a frame that a host which failed may have left open.
        self._spi.transfer(_NOTHING)
        self._spi.transfer(write_register(Register.RANGE_SEL, self._settings.range_register))
        self._spi.transfer(write_register(Register.DEVICE_ID_HIGH, MARK))
        for pattern in _TESTED:
            self._check_pattern(pattern)
        self._spi.transfer(write_register(Register.DATAOUT_CTL, self._settings.output_register))
        if self._kept() != self._expected:
            found = f"The {self._settings.part.name} does not keep what is written into its registers."
            raise FrameError(found, hint="check MOSI, chip select, power and SPI mode.")
        self._is_configured = True

    def counts_in(self, results: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Results of a pass (..., 4) as counts, once it is sure that the chip was set up all the time.

        Raises:
            FrameError: It was reset (it is set up again), does not answer, or parity is wrong.
            BusError: The bus failed.
        """
        if not self._is_configured or self._kept() != self._expected:
            self.configure()
            found = f"The {self._settings.part.name} was reset while it was in use; it is set up again."
            raise FrameError(found, hint="scan again; if it returns, check the converter's supply.")
        # Ones behind the result are no field that was asked for.
        floating = int(np.count_nonzero((results == _ALL_ONES).all(axis=-1)))
        if floating:
            found = f"The converter does not answer: all bits read 1 in {floating} results."
            raise FrameError(found, hint="check MISO, chip select and power of the converter.")
        return counts_of(results, parity=self._settings.parity)

    def _check_pattern(self, pattern: int) -> None:
        self._spi.transfer(write_register(Register.DATAOUT_CTL, pattern))
        # Whether the frame that follows at once has the pattern already is unverified.
        self._spi.transfer(_NOTHING)
        answer = self._spi.transfer(_NOTHING)
        if parse_register(answer) == TEST_PATTERNS[pattern]:
            return
        name = self._settings.part.name
        if len(set(answer)) == 1 and answer[0] in (0, _ALL_ONES):
            found = f"The {name} does not answer: its line reads {answer[0] & 1} all the time."
        else:
            found = f"The {name} sent another test pattern than it was asked for."
        raise FrameError(found, hint="check MISO, chip select, power, SPI mode and clock.")

    def _kept(self) -> tuple[int, ...]:
        """RANGE_SEL, DATAOUT_CTL and the mark, as the chip has them."""
        self._read_back.run()
        low, control, address = (parse_register(row.tobytes()) for row in self._read_back.received[1:])
        return low, control, address & ID_MASK


class Ads868xSampler:
    """``Sampler`` of an ADS868x.

    A frame begins a conversion when CS rises at its end and brings the result of the frame
    before it. S samples take S + 1 frames: sample k is taken when CS rises after frame k,
    all of them between the call of ``take`` and its return. What frame 0 brings was
    converted earlier, and what the last frame begins is never used.
    """

    def __init__(self, detector: Ads868xDetector, spi: SpiDevice, patterns: int, samples: int) -> None:
        self._detector = detector
        messages = [spi.message([_NOTHING] * size) for size in message_sizes(samples + 1)]
        self._rows = PassRows(messages, patterns)

    def take(self, index: int) -> None:
        """Convert all samples of pattern ``index`` now; see ``Sampler``."""
        self._rows.take(index)

    def counts(self) -> NDArray[np.uint16]:
        """(patterns, 1, samples); see ``Sampler``. Reads the registers back.

        Raises:
            FrameError: The chip was reset, does not answer, or parity is wrong.
            BusError: The bus failed.
        """
        return self._detector.counts_in(self._rows.received[:, 1:])[:, np.newaxis]
