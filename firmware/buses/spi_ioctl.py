"""``SPI_IOC_MESSAGE`` in bytes: many transfers to one chip, laid out once.

Ref: Linux include/uapi/linux/spi/spidev.h; drivers/spi/spidev.c ``spidev_message`` and
drivers/spi/spi.c ``_spi_transfer_cs_change_delay`` (both 5.9 and newer).
"""

import platform
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS_PER_WORD: Final = 8
"""Wider words would be taken from memory in the byte order of the machine."""

# struct spi_ioc_transfer, the same with 32-bit and 64-bit programs:
#
#     byte  0        8        16    20         24            26              27          28         29..31
#           tx_buf   rx_buf   len   speed_hz   delay_usecs   bits_per_word   cs_change   tx_nbits   0
#
# ``cs_change`` = 1 lets CS go high before the next transfer, for 10 us: the kernel's default, which
# this interface has no field for. In the last transfer it would keep CS low after the message.
TRANSFER: Final = np.dtype(
    [
        ("tx_buf", "=u8"),
        ("rx_buf", "=u8"),
        ("len", "=u4"),
        ("speed_hz", "=u4"),
        ("delay_usecs", "=u2"),
        ("bits_per_word", "u1"),
        ("cs_change", "u1"),
        ("tx_nbits", "u1"),
        ("rx_nbits", "u1"),
        ("word_delay_usecs", "u1"),
        ("pad", "u1"),
    ]
)
"""``struct spi_ioc_transfer``, 32 bytes."""

_WRITE: Final = 1 << 30
_MAGIC: Final = ord("k")
_ALIGNMENT_BYTES: Final = {"aarch64": 128, "armv7l": 64, "armv6l": 32}
"""ARCH_DMA_MINALIGN (arch/arm64/include/asm/cache.h; 32-bit Arm: a line of the first cache)."""
_OTHER_ALIGNMENT_BYTES: Final = 8


def message_request(transfers: int) -> int:
    """The request number ``SPI_IOC_MESSAGE(transfers)``; its 14-bit size field ends at 511."""
    return _WRITE | (transfers * TRANSFER.itemsize) << 16 | _MAGIC << 8


def lay_out(sent: NDArray[np.uint8], received: NDArray[np.uint8], speed_hz: int) -> NDArray[np.uint8]:
    """The transfers that shift each row of ``sent`` out and into the same row of ``received``.

    Args:
        sent: (n, bytes of a word). Its memory, and that of ``received``, must outlive the result.
        received: As ``sent``.
        speed_hz: Clock of the bus.

    Returns:
        (32 n,) bytes, for :func:`message_request`. CS rises after every row.
    """
    transfers = np.zeros(len(sent), TRANSFER)
    rows = np.arange(len(sent), dtype=np.uint64)
    transfers["tx_buf"] = sent.ctypes.data + rows * np.uint64(sent.strides[0])
    transfers["rx_buf"] = received.ctypes.data + rows * np.uint64(received.strides[0])
    transfers["len"] = sent.shape[1]
    transfers["speed_hz"] = speed_hz
    transfers["bits_per_word"] = BITS_PER_WORD
    transfers["cs_change"][:-1] = 1
    return transfers.view(np.uint8)


def rows_of(words: Sequence[bytes]) -> NDArray[np.uint8]:
    """``words`` (all of one length) as (n, bytes of a word)."""
    return np.frombuffer(b"".join(words), np.uint8).reshape(len(words), -1)


def alignment_bytes(machine: str | None = None) -> int:
    """What spidev rounds each transfer up to in its buffers, on ``machine`` or on this one.

    128 on a 64-bit Arm: a word of 4 bytes takes 128 of ``bufsiz``.
    """
    return _ALIGNMENT_BYTES.get(machine or platform.machine(), _OTHER_ALIGNMENT_BYTES)


def buffered_bytes(transfers: int, word_bytes: int, alignment: int) -> int:
    """Bytes of ``bufsiz`` that a message takes, in each direction."""
    return transfers * -(-word_bytes // alignment) * alignment
