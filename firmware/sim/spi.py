"""The bus between a driver and a simulated SPI chip, clock edge by clock edge."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import MAX_MESSAGE_TRANSFERS
from firmware.sim.clock import SimClock
from lsi.errors import BusError, BusErrorKind
from lsi.units import NS_PER_S

FLOATING: Final = 1
"""What the master reads while no chip drives the line (pull-up)."""
SELECT_GAP_NS: Final = 13_000
"""From one transfer of a message to the next.

The kernel holds the chip deselected for 10 us (Linux drivers/spi/spi.c, default of cs_change); the
controller of a Pi adds about 3 (raspberrypi/linux #4567).
"""

VoltsAt = Callable[[int, int], float]
"""Volts on an input: (channel, time in ns)."""
Amplifier = Callable[[int, float], float]
"""What stands between optics and converter: (channel, volts in) to volts out."""


class SpiChip(Protocol):
    """What a simulated chip does at the edges of its pins."""

    def select(self, now_ns: int) -> None:
        """CS falls."""
        ...

    def clock_edge(self, bit_in: int, now_ns: int) -> int:
        """One clock: ``bit_in`` is what the master drives, the result what the chip does."""
        ...

    def deselect(self, now_ns: int) -> None:
        """CS rises."""
        ...


@runtime_checkable
class FramedChip(SpiChip, Protocol):
    """A chip that can also answer a whole frame at once, as its edges would."""

    def frame(self, sent: bytes, selected_ns: int, deselected_ns: int) -> bytes:
        """CS falls, ``sent`` is shifted, CS rises."""
        ...


class SimSpi:
    """``SpiDevice`` between the driver and a simulated chip; takes its time on the clock.

    Args:
        chip: The chip behind the wires.
        clock: Advanced by the overhead of a call, by every bit and by the gaps of a message.
        spi_hz: Clock frequency of the bus.
        overhead_ns: From the call to the first clock edge.
    """

    def __init__(self, chip: SpiChip, clock: SimClock, spi_hz: int, overhead_ns: int) -> None:
        self._chip = chip
        self._framed = chip if isinstance(chip, FramedChip) else None
        self._clock = clock
        self._bit_ns = NS_PER_S / spi_hz
        self._overhead_ns = overhead_ns

    def transfer(self, sent: bytes) -> bytes:
        """Shift bits both ways, most significant first; see ``SpiDevice``."""
        self._clock.advance(self._overhead_ns)
        return self._shift(sent)

    def message(self, words: Sequence[bytes]) -> "SimSpiMessage":
        """Lay out ``words``; see ``SpiDevice``."""
        if not 0 < len(words) <= MAX_MESSAGE_TRANSFERS or len(set(map(len, words))) != 1:
            found = f"{len(words)} words of {sorted(set(map(len, words)))} bytes are no message."
            raise BusError(
                found, kind=BusErrorKind.REFUSED, hint=f"1 to {MAX_MESSAGE_TRANSFERS} words of one length."
            )
        return SimSpiMessage(self, words)

    def run(self, words: Sequence[bytes], received: NDArray[np.uint8]) -> None:
        """One system call for all ``words``."""
        self._clock.advance(self._overhead_ns)
        for row, word in zip(received, words, strict=True):
            row[:] = np.frombuffer(self._shift(word), np.uint8)
            self._clock.advance(SELECT_GAP_NS)

    def _shift(self, sent: bytes) -> bytes:
        now_ns = self._clock.now_ns()
        if self._framed is not None:
            self._clock.advance(int(8 * len(sent) * self._bit_ns))
            return self._framed.frame(sent, now_ns, self._clock.now_ns())
        self._chip.select(now_ns)
        word, received, length = int.from_bytes(sent, "big"), 0, 8 * len(sent)
        for index in range(length):
            bit_in = word >> (length - 1 - index) & 1
            received = received << 1 | self._chip.clock_edge(bit_in, now_ns + int(index * self._bit_ns))
        self._clock.advance(int(length * self._bit_ns))
        self._chip.deselect(self._clock.now_ns())
        return received.to_bytes(len(sent), "big")


class SimSpiMessage:
    """``SpiMessage`` of a simulated bus."""

    def __init__(self, spi: SimSpi, words: Sequence[bytes]) -> None:
        self._spi = spi
        self._words = tuple(words)
        self.received: NDArray[np.uint8] = np.zeros((len(words), len(words[0])), np.uint8)

    def run(self) -> None:
        """Shift all words; see ``SpiMessage``."""
        self._spi.run(self._words, self.received)
