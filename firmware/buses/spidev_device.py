"""``SpidevDevice``: a chip behind the kernel's spidev driver, ``/dev/spidevB.C``.

Single frames go through py-spidev, messages through one prepared ``SPI_IOC_MESSAGE``,
which py-spidev has no call for.
"""

import errno
import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from firmware.buses.spi_ioctl import (
    BITS_PER_WORD,
    alignment_bytes,
    buffered_bytes,
    lay_out,
    message_request,
    rows_of,
)
from firmware.interfaces import MAX_MESSAGE_TRANSFERS
from lsi.errors import BusError, BusErrorKind

BUFSIZ_FILE: Final = Path("/sys/module/spidev/parameters/bufsiz")
DEFAULT_BUFSIZ_BYTES: Final = 4096
"""Linux drivers/spi/spidev.c; what holds where the parameter cannot be read."""
XFER2_MAX_BYTES: Final = 4096
"""py-spidev refuses longer lists (spidev_module.c, SPIDEV_MAXPATH)."""
_CLOSED: Final = -1
_NODE: Final = re.compile(r"/dev/spidev(\d{1,5})\.(\d{1,5})")

_NOT_THERE: Final = (
    "dtparam=spi=on (bus 0) or dtoverlay=spi1-1cs (bus 1) in /boot/firmware/config.txt, then reboot."
)
_SEE_LOG: Final = "read the kernel's log: dmesg."
_REASONS: Final = {
    errno.ENOENT: (BusErrorKind.NO_DEVICE, _NOT_THERE),
    errno.ENODEV: (BusErrorKind.NO_DEVICE, _NOT_THERE),
    errno.ENXIO: (BusErrorKind.NO_DEVICE, _NOT_THERE),
    errno.ESHUTDOWN: (BusErrorKind.NO_DEVICE, "the bus was unbound from its driver: reboot."),
    errno.EACCES: (BusErrorKind.PERMISSION, 'sudo usermod -aG spi "$USER", then log in again.'),
    errno.EPERM: (BusErrorKind.PERMISSION, 'sudo usermod -aG spi "$USER", then log in again.'),
    errno.EBUSY: (BusErrorKind.REFUSED, "stop what else uses the bus: sudo fuser -v /dev/spidev*."),
    errno.ENOTTY: (BusErrorKind.REFUSED, "the path of an SPI device: ls /dev/spidev*."),
    errno.EINVAL: (BusErrorKind.REFUSED, "a mode and clock that the controller of this bus has."),
    errno.EMSGSIZE: (BusErrorKind.REFUSED, "spidev.bufsiz=65536 in /boot/firmware/cmdline.txt, then reboot."),
    errno.ETIMEDOUT: (BusErrorKind.TIMEOUT, "a newer kernel: sudo apt full-upgrade."),
}
"""What an error number of open or ioctl means, and what to try."""


class _SpiDev(Protocol):
    """What is used of ``spidev.SpiDev``."""

    mode: int
    max_speed_hz: int
    bits_per_word: int

    def open(self, bus: int, device: int) -> None: ...

    def fileno(self) -> int: ...

    def xfer2(self, values: bytes) -> list[int]: ...

    def close(self) -> None: ...


class SpidevDevice:
    """``SpiDevice`` on a node of the spidev driver. Opens it; a context closes it.

    Args:
        path: ``/dev/spidevB.C``, bus B and chip select C, or a link to it.
        speed_hz: Clock of the bus; the controller takes the next lower one it has.
        mode: SPI mode 0 to 3, read back after it was set.
        bufsiz_file: Where the kernel tells how many bytes a message may take.
        alignment: What the kernel rounds each transfer of a message up to; by default that of this machine.

    Raises:
        BusError: NO_DEVICE, PERMISSION or REFUSED, with what to try; OTHER without the package ``spidev``.
    """

    def __init__(
        self,
        path: str,
        *,
        speed_hz: int,
        mode: int = 0,
        bufsiz_file: Path = BUFSIZ_FILE,
        alignment: int | None = None,
    ) -> None:
        self.path = path
        self._speed_hz = speed_hz
        self._bufsiz = _read_bufsiz(bufsiz_file)
        self._alignment = alignment or alignment_bytes()
        self._spi = _opened(path, mode, speed_hz)
        self._fd = self._spi.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the node back. Safe twice; what is asked of the bus afterwards is NO_DEVICE."""
        self._fd = _CLOSED
        self._spi.close()

    def transfer(self, sent: bytes) -> bytes:
        """Shift ``sent`` out and return what came in; see ``SpiDevice``.

        py-spidev does not tell how many bytes were moved; the kernel moves all or fails.
        """
        self._check_size(1, len(sent))
        if len(sent) > XFER2_MAX_BYTES:
            found = f"{self.path}: {len(sent)} bytes are no single frame."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint=f"at most {XFER2_MAX_BYTES}.")
        self._check_open()
        try:
            return bytes(self._spi.xfer2(sent))
        except OSError as cause:
            raise _bus_error(self.path, "transfer", cause) from cause

    def message(self, words: Sequence[bytes]) -> "SpidevMessage":
        """Lay out ``words``; see ``SpiDevice``."""
        if not 0 < len(words) <= MAX_MESSAGE_TRANSFERS or len(set(map(len, words))) != 1:
            found = f"{self.path}: {len(words)} words of {sorted(set(map(len, words)))} bytes are no message."
            hint = f"1 to {MAX_MESSAGE_TRANSFERS} words of one length."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint=hint)
        self._check_size(len(words), len(words[0]))
        return SpidevMessage(self, words, self._speed_hz)

    def shift(self, request: int, transfers: memoryview, expected_bytes: int) -> None:
        """Run prepared transfers; for ``SpidevMessage``.

        Raises:
            BusError: See ``SpiMessage``.
        """
        self._check_open()
        try:
            moved = fcntl.ioctl(self._fd, request, transfers)
        except OSError as cause:
            raise _bus_error(self.path, "message", cause) from cause
        if moved != expected_bytes:
            found = f"{self.path}: a message moved {moved} of {expected_bytes} bytes."
            raise BusError(found, kind=BusErrorKind.FRAME, hint=_SEE_LOG)

    def _check_open(self) -> None:
        if self._fd == _CLOSED:
            raise BusError(f"{self.path} is closed.", kind=BusErrorKind.NO_DEVICE)

    def _check_size(self, transfers: int, word_bytes: int) -> None:
        if word_bytes == 0:
            raise BusError(f"{self.path}: no bytes to shift.", kind=BusErrorKind.REFUSED)
        needed = buffered_bytes(transfers, word_bytes, self._alignment)
        if needed > self._bufsiz:
            found = (
                f"{self.path}: {transfers} transfers of {word_bytes} bytes take {needed} bytes "
                f"({self._alignment} or a multiple each), the kernel buffers {self._bufsiz}."
            )
            hint = f"spidev.bufsiz={_round_up(needed)} at the end of /boot/firmware/cmdline.txt, then reboot."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint=hint)


class SpidevMessage:
    """``SpiMessage``: buffers and transfers stay where they are, a run is one system call."""

    def __init__(self, device: SpidevDevice, words: Sequence[bytes], speed_hz: int) -> None:
        self._device = device
        self._sent = rows_of(words)
        self.received: NDArray[np.uint8] = np.zeros(self._sent.shape, np.uint8)
        self._transfers = lay_out(self._sent, self.received, speed_hz).data
        self._request = message_request(len(words))

    def run(self) -> None:
        """Shift all words; see ``SpiMessage``."""
        self._device.shift(self._request, self._transfers, self._sent.size)


def _opened(path: str, mode: int, speed_hz: int) -> _SpiDev:
    # By numbers: opening by path came with py-spidev 3.8, Debian 12 and 13 have 3.6.
    node = _NODE.fullmatch(str(Path(path).resolve()))
    if node is None:
        found = f"{path} is not /dev/spidevB.C."
        raise BusError(found, kind=BusErrorKind.REFUSED, hint="the path of an SPI device: ls /dev/spidev*.")
    spi = _new_spidev()
    try:
        spi.open(int(node[1]), int(node[2]))
        spi.mode = mode
        spi.max_speed_hz = speed_hz
        spi.bits_per_word = BITS_PER_WORD
    except OSError as cause:
        spi.close()
        raise _bus_error(path, f"mode {mode} at {speed_hz} Hz", cause) from cause
    return spi


def _new_spidev() -> _SpiDev:
    try:
        import spidev  # noqa: PLC0415 - optional: a simulated board runs without it
    except ImportError as cause:
        found = "The Python package 'spidev' is not installed."
        hint = "sudo apt install python3-spidev, or pip install 'lsi-edge[pi]' where a compiler is."
        raise BusError(found, kind=BusErrorKind.OTHER, hint=hint) from cause
    device: _SpiDev = spidev.SpiDev()
    return device


def _read_bufsiz(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return DEFAULT_BUFSIZ_BYTES


def _round_up(size: int) -> int:
    """The next power of two: what a person would set."""
    return 1 << (size - 1).bit_length()


def _bus_error(path: str, doing: str, cause: OSError) -> BusError:
    if cause.errno is None:  # py-spidev's own complaint: a mode that does not read back
        hint = "a mode that this bus has, 0 to 3."
        return BusError(f"{path}: {cause}.", kind=BusErrorKind.REFUSED, hint=hint)
    kind, hint = _REASONS.get(cause.errno, (BusErrorKind.OTHER, _SEE_LOG))
    return BusError(f"{path}: {doing}: {os.strerror(cause.errno)}.", kind=kind, hint=hint)
