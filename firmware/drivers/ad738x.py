"""One or two arms on an AD7380, AD7383 or AD7383-4: 16 bits, all channels at one instant.

Ref: see ``ad738x_frames``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.ad738x_frames import (
    ALERT_LOW,
    CONFIG1,
    CONFIG2,
    HARD_RESET,
    LINES_MASK,
    MAX_REGISTER_HZ,
    ONE_LINE,
    POWER_UP_NS,
    REGISTER_BYTES,
    SOFT_RESET,
    Ad738xPart,
    Config1,
    conversion_ns,
    counts_of,
    no_operation,
    parse_register,
    read_register,
    write_register,
)
from firmware.drivers.pass_rows import PassRows, message_sizes
from firmware.interfaces import SELECT_GAP_NS, Clock, SpiDevice, SpiMessage
from lsi.errors import BoardConfigError, FrameError
from lsi.measurement import CountScale
from lsi.units import NS_PER_S

MARK: Final = 0xA5A
"""Put into the low alert threshold, which nobody uses: a chip that lost it was reset."""
_READ_BACK: Final = (CONFIG1, CONFIG2, ALERT_LOW)
_STUCK_BYTES: Final = (0x00, 0xFF)


@dataclass(frozen=True, slots=True)
class Ad738xSettings:
    """How one chip is used.

    Attributes:
        part: Which member of the family.
        spi_hz: Clock of the conversion frames.
        vref_v: Reference; 2.5 V where it is the internal one.
        external_reference: Whether ``vref_v`` is fed into REFIO.
        common_v: AIN- of a part that is not differential; half of ``vref_v`` by default.
        oversampling: Conversions averaged per sample, 500 ns apart.
        select_gap_ns: How long the host leaves CS high between two frames of a message.

    Raises:
        BoardConfigError: An average that is not done before the next frame asks for it.
    """

    part: Ad738xPart
    spi_hz: int
    vref_v: float = 2.5
    external_reference: bool = False
    common_v: float | None = None
    oversampling: int = 1
    select_gap_ns: int = SELECT_GAP_NS

    def __post_init__(self) -> None:
        frame_ns = 8 * self.part.frame_bytes * NS_PER_S // self.spi_hz + self.select_gap_ns
        needed_ns = conversion_ns(self.config1.oversampling)
        if needed_ns > frame_ns:
            found = f"{self.part.name}: an average of {self.oversampling} takes {needed_ns} ns,"
            raise BoardConfigError(
                f"{found} a frame and its pause {frame_ns} ns.", hint="a lower ratio or a lower spi_hz."
            )

    @property
    def config1(self) -> Config1:
        """The register that these settings need. Counts have 16 bits, so results are not widened."""
        return Config1(oversampling=self.oversampling, external_reference=self.external_reference)

    @property
    def scale(self) -> CountScale:
        """What a count means."""
        return self.part.scale(self.vref_v, self.common_v)


class Ad738xLink:
    """The chip: set up when it is first needed, checked, and set up again when it was reset.

    Args:
        spi: The chip, one conversion frame per transfer. Mode 2 or 3 (unverified).
        settings: How it is used.
        clock: For the time that a reset takes.
        registers: The same chip at 10 MHz or less; ``spi`` where that is slow enough.

    Raises:
        BoardConfigError: ``spi`` is too fast for registers and there is nothing else for them.
    """

    def __init__(
        self, spi: SpiDevice, settings: Ad738xSettings, clock: Clock, registers: SpiDevice | None = None
    ) -> None:
        if registers is None and settings.spi_hz > MAX_REGISTER_HZ:
            found = f"{settings.part.name}: registers are not reliable at {settings.spi_hz} Hz."
            raise BoardConfigError(found, hint=f"spi_hz at most {MAX_REGISTER_HZ}, or a slower bus for them.")
        self.settings = settings
        self._spi = spi
        self._registers = registers or spi
        self._clock = clock
        self._is_configured = False
        self._expected = (settings.config1.data, ONE_LINE, MARK)
        words = [*map(read_register, _READ_BACK), no_operation(REGISTER_BYTES)]
        self._read_back = self._registers.message(words)

    def conversions(self, frames: int) -> SpiMessage:
        """``frames`` conversion frames, laid out; each brings what the one before it began."""
        return self._spi.message([no_operation(self.settings.part.frame_bytes)] * frames)

    def ensure_configured(self) -> None:
        """Set the chip up unless that has been done.

        Raises:
            FrameError: It does not keep what is written.
            BusError: The bus failed.
        """
        if not self._is_configured:
            self.configure()

    def configure(self) -> None:
        """Reset the chip, set it up and read the registers back; takes 5 ms.

        Raises:
            FrameError: It does not keep what is written.
            BusError: The bus failed.
        """
        self._is_configured = False
        write = self._registers.transfer
        write(write_register(CONFIG2, HARD_RESET))
        self._clock.wait_until_ns(self._clock.now_ns() + POWER_UP_NS)
        write(write_register(CONFIG2, ONE_LINE))
        write(write_register(CONFIG1, self.settings.config1.data))
        write(write_register(CONFIG2, ONE_LINE | SOFT_RESET))
        write(write_register(ALERT_LOW, MARK))
        found = self._kept()
        if found != self._expected:
            raise FrameError(self._unanswered(), hint="check SDOA, chip select, power and SPI mode.")
        # The first frame after a reset is not a conversion.
        self._spi.transfer(no_operation(self.settings.part.frame_bytes))
        self._is_configured = True

    def check(self) -> None:
        """Make sure that the chip was set up all the time; if not, set it up for the next time.

        Raises:
            FrameError: It was reset, or does not answer: what was converted does not count.
            BusError: The bus failed.
        """
        if self._is_configured and self._kept() == self._expected:
            return
        self.configure()
        found = f"The {self.settings.part.name} was reset while it was in use; it is set up again."
        raise FrameError(found, hint="scan again; if it returns, check the converter's supply.")

    def _kept(self) -> tuple[int, ...]:
        """CONFIG1, the lines of CONFIG2 and the mark, as the chip has them."""
        self._read_back.run()
        config1, config2, mark = (parse_register(row.tobytes()) for row in self._read_back.received[1:])
        return config1, config2 & LINES_MASK, mark

    def _unanswered(self) -> str:
        """What is wrong when the registers are not as they were written."""
        name, answer = self.settings.part.name, self._read_back.received[1:]
        for stuck in _STUCK_BYTES:
            if (answer == stuck).all():
                return f"The {name} does not answer: its line reads {stuck & 1} all the time."
        return f"The {name} does not keep what is written into its registers."


class Ad738xDetector:
    """``BucketDetector`` on one or two channels of one chip, both sampled at once.

    Args:
        link: The chip.
        channels: Channel of arm + and, where there is one, of arm -.
    """

    def __init__(self, link: Ad738xLink, channels: Sequence[int]) -> None:
        check_channels(link.settings.part, channels)
        self.scale = link.settings.scale
        self._link = link
        self._channels = tuple(channels)

    def sampler(self, patterns: int, samples: int) -> "Ad738xSampler":
        """Room for ``samples`` per arm, any number of them; sets the chip up if need be.

        Raises:
            BoardConfigError: Less than one sample.
            FrameError: The chip does not keep what is written.
            BusError: The bus failed.
        """
        if samples < 1:
            raise BoardConfigError(f"{samples} samples per pattern.", hint="at least 1.")
        self._link.ensure_configured()
        return Ad738xSampler(self._link, self._channels, patterns, samples)


class Ad738xSampler:
    """``Sampler`` of an AD738x.

    A frame begins a conversion when CS falls and brings the result of the frame before
    it. S samples therefore take S + 1 frames: sample k is taken at the fall of CS of frame k
    (with averaging, from then on), all of them between the call of ``take`` and its
    return. What frame 0 brings was converted earlier, and what the last frame begins is
    never used.
    """

    def __init__(self, link: Ad738xLink, channels: Sequence[int], patterns: int, samples: int) -> None:
        self._link = link
        self._channels = list(channels)
        messages = [link.conversions(size) for size in message_sizes(samples + 1)]
        self._rows = PassRows(messages, patterns)

    def take(self, index: int) -> None:
        """Convert all samples of pattern ``index`` now; see ``Sampler``."""
        self._rows.take(index)

    def counts(self) -> NDArray[np.uint16]:
        """(patterns, arms, samples); see ``Sampler``. Reads the registers back.

        Raises:
            FrameError: The chip was reset, does not answer, or its line stood still for a
                pattern (which two inputs that read exactly 0 V without noise do too).
            BusError: The bus failed.
        """
        self._link.check()
        results = self._rows.received[:, 1:]
        still = stuck(results.reshape(len(results), -1))
        if still.any():
            found = (
                f"The converter's line stood still during {np.count_nonzero(still)} of {still.size} patterns."
            )
            raise FrameError(found, hint="check the wire from SDOA to MISO.")
        return np.ascontiguousarray(counts_of(results)[..., self._channels].swapaxes(1, 2))


def stuck(received: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows (n, bytes) are all zeros or all ones, as of a line that nobody drives."""
    first = received[:, :1]
    is_still: NDArray[np.bool_] = (received == first).all(axis=1) & np.isin(first[:, 0], _STUCK_BYTES)
    return is_still


def check_channels(part: Ad738xPart, channels: Sequence[int]) -> None:
    """Raise unless ``channels`` are different ones of ``part``.

    Raises:
        BoardConfigError: None, one twice, or one that the part does not have.
    """
    fits = 1 <= len(channels) == len(set(channels)) and all(0 <= one < part.channels for one in channels)
    if not fits:
        found = f"{part.name}: channels {list(channels)} of {part.channels}."
        raise BoardConfigError(found, hint=f"different ones of 0 to {part.channels - 1}.")
