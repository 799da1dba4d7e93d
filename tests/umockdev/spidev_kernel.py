"""The kernel's side of ``/dev/spidevB.C``, above a simulated chip.

Ref: Linux drivers/spi/spidev.c and drivers/spi/spi.c (6.1), include/uapi/linux/spi/spidev.h.
"""

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from firmware.sim.clock import SimClock
from firmware.sim.spi import SpiChip
from lsi.units import NS_PER_S, NS_PER_US

TRANSFER: Final = struct.Struct("=QQIIHBBBBBx")
MAGIC: Final = ord("k")
READ: Final = 2
MESSAGE, MODE, LSB_FIRST, BITS, SPEED, MODE32 = range(6)
CS_CHANGE_NS: Final = 10 * NS_PER_US
_EIGHT_BITS: Final = (0, 8)
_MODES: Final = 0b11


class UserMemory(Protocol):
    """Memory of the program that calls, from the argument of its ioctl on."""

    def read(self, size: int) -> bytes:
        """``size`` bytes."""
        ...

    def write(self, content: bytes) -> None:
        """Put ``content`` there."""
        ...

    def follow(self, offset: int, size: int) -> "UserMemory":
        """What the pointer at ``offset`` points at."""
        ...


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a bus: errors of messages, bytes that are not moved, a mode that is not taken."""

    message_errno: int = 0
    missing_bytes: int = 0
    stuck_mode: int | None = None


NO_FAULTS: Final = Faults()


@dataclass(frozen=True, slots=True)
class _Transfer:
    tx_buf: int
    rx_buf: int
    length: int
    speed_hz: int
    delay_usecs: int
    bits_per_word: int
    cs_change: int


class SpidevNode:
    """One node: settings, the bounce buffer's limit, chip select and shift register.

    Args:
        chip: What is selected and clocked.
        clock: Moved by every bit and by the pauses in which chip select is high.
        bufsiz: Bytes that a message may take in each direction.
        alignment: Each transfer takes a multiple of so many (ARCH_DMA_MINALIGN).
        faults: What is wrong.
    """

    def __init__(
        self, chip: SpiChip, clock: SimClock, bufsiz: int, alignment: int = 8, faults: Faults = NO_FAULTS
    ) -> None:
        self._chip = chip
        self._clock = clock
        self._bufsiz = bufsiz
        self._alignment = alignment
        self._faults = faults
        self._settings = {MODE: 0, LSB_FIRST: 0, BITS: 8, SPEED: 500_000, MODE32: 0}
        self._selected = False

    def ioctl(self, request: int, memory: UserMemory) -> int:
        """Serve one call; its result.

        Raises:
            OSError: The number that the call fails with.
        """
        number, size = request & 0xFF, request >> 16 & 0x3FFF
        if request >> 8 & 0xFF != MAGIC or number > MODE32:
            raise OSError(errno.ENOTTY, "not spidev's")
        if number == MESSAGE:
            return self._message(memory, size)
        if request >> 30 == READ:
            memory.write(self._settings[number].to_bytes(size, "little"))
        else:
            self._set(number, int.from_bytes(memory.read(size), "little"))
        return 0

    def _set(self, number: int, value: int) -> None:
        if number in {MODE, MODE32}:
            stuck = self._faults.stuck_mode
            self._settings[MODE] = self._settings[MODE32] = value if stuck is None else stuck
        else:
            self._settings[number] = value

    def _message(self, memory: UserMemory, size: int) -> int:
        if self._faults.message_errno:
            raise OSError(self._faults.message_errno, "fault")
        if size == 0 or size % TRANSFER.size:
            raise OSError(errno.EINVAL, "no whole transfers")
        raw = memory.read(size)
        transfers = [_Transfer(*fields[:7]) for fields in TRANSFER.iter_unpack(raw)]
        self._check(transfers)
        for index, transfer in enumerate(transfers):
            sent = bytes(transfer.length)
            if transfer.tx_buf:
                sent = memory.follow(index * TRANSFER.size, transfer.length).read(transfer.length)
            received = self._shift(sent, transfer.speed_hz or self._settings[SPEED])
            if transfer.rx_buf:
                memory.follow(index * TRANSFER.size + 8, transfer.length).write(received)
            # Between transfers cs_change lets go of the chip; in the last one it holds on to it.
            if bool(transfer.cs_change) != (index == len(transfers) - 1):
                self._deselect()
        return sum(transfer.length for transfer in transfers) - self._faults.missing_bytes

    def _check(self, transfers: Sequence[_Transfer]) -> None:
        taken = sum(-(-transfer.length // self._alignment) * self._alignment for transfer in transfers)
        if taken > self._bufsiz:
            raise OSError(errno.EMSGSIZE, "more than bufsiz")
        if any(transfer.bits_per_word not in _EIGHT_BITS for transfer in transfers):
            raise OSError(errno.EINVAL, "only bytes are simulated")

    def _shift(self, sent: bytes, speed_hz: int) -> bytes:
        if not self._selected:
            self._chip.select(self._clock.now_ns())
            self._selected = True
        received, length = 0, 8 * len(sent)
        started_ns, word = self._clock.now_ns(), int.from_bytes(sent, "big")
        for index in range(length):
            bit_in = word >> (length - 1 - index) & 1
            edge_ns = started_ns + index * NS_PER_S // speed_hz
            received = received << 1 | self._chip.clock_edge(bit_in, edge_ns)
        self._clock.advance(length * NS_PER_S // speed_hz)
        return received.to_bytes(len(sent), "big")

    def _deselect(self) -> None:
        self._chip.deselect(self._clock.now_ns())
        self._selected = False
        self._clock.advance(CS_CHANGE_NS)
