"""What the adapter does where no bus is; ``tests/umockdev`` has the real one."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.buses.spidev_device import SpidevDevice
from firmware.interfaces import SpiDevice
from lsi.errors import BusError, BusErrorKind


class ScriptedSpiDev:
    """``spidev.SpiDev`` on a pipe: remembers what it was told, answers what was sent, inverted."""

    def __init__(self) -> None:
        self.mode, self.max_speed_hz, self.bits_per_word = 0, 0, 0
        self.opened: list[tuple[int, int]] = []
        self.fails_with = 0
        self.is_open = False
        self._ends: list[int] = []

    def open(self, bus: int, device: int) -> None:
        self.opened.append((bus, device))
        if self.fails_with:
            raise OSError(self.fails_with, "scripted")
        self.is_open = True
        self._ends = list(os.pipe())

    def fileno(self) -> int:
        return self._ends[0]

    def xfer2(self, values: bytes) -> list[int]:
        if self.fails_with:
            raise OSError(self.fails_with, "scripted")
        return [value ^ 0xFF for value in values]

    def close(self) -> None:
        for end in self._ends:
            os.close(end)
        self._ends = []
        self.is_open = False


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedSpiDev]:
    scripted = ScriptedSpiDev()
    monkeypatch.setattr("firmware.buses.spidev_device._new_spidev", lambda: scripted)
    yield scripted
    scripted.close()


@pytest.fixture
def bufsiz_file(tmp_path: Path) -> Path:
    path = tmp_path / "bufsiz"
    path.write_text("65536\n", "ascii")
    return path


def opened(bufsiz_file: Path, alignment: int = 8) -> SpidevDevice:
    return SpidevDevice(
        "/dev/spidev0.0", speed_hz=2_000_000, mode=3, bufsiz_file=bufsiz_file, alignment=alignment
    )


def test_opening_sets_mode_speed_and_bits(client: ScriptedSpiDev, bufsiz_file: Path) -> None:
    with opened(bufsiz_file) as spi:
        assert client.opened == [(0, 0)]
        assert (client.mode, client.max_speed_hz, client.bits_per_word) == (3, 2_000_000, 8)
        device: SpiDevice = spi
        assert device.transfer(b"\x0f\x00") == b"\xf0\xff"


@pytest.mark.usefixtures("client")
def test_a_closed_device_is_gone_and_may_be_closed_again(bufsiz_file: Path) -> None:
    with opened(bufsiz_file) as spi:
        message = spi.message([b"\0"])
    spi.close()
    for use in (message.run, lambda: spi.transfer(b"\0")):
        with pytest.raises(BusError, match="is closed") as failed:
            use()
        assert failed.value.kind is BusErrorKind.NO_DEVICE


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], "0 words"),
        ([b"\0"] * 512, "512 words"),
        ([b"\0", b"\0\0"], r"words of \[1, 2\] bytes"),
        ([b""], "no bytes"),
    ],
)
def test_what_is_no_message_is_refused(bufsiz_file: Path, words: list[bytes], found: str) -> None:
    with opened(bufsiz_file) as spi, pytest.raises(BusError, match=found) as failed:
        spi.message(words)
    assert failed.value.kind is BusErrorKind.REFUSED


@pytest.mark.usefixtures("client")
def test_the_buffer_of_the_kernel_is_counted_in_aligned_transfers(bufsiz_file: Path) -> None:
    with opened(bufsiz_file, alignment=128) as spi:
        spi.message([b"\0\0\0"] * 511)
    bufsiz_file.write_text("65407\n", "ascii")
    with opened(bufsiz_file, alignment=128) as spi, pytest.raises(BusError) as failed:
        spi.message([b"\0\0\0"] * 511)
    assert "511 transfers of 3 bytes take 65408 bytes (128 or a multiple each)" in failed.value.found
    assert failed.value.hint.startswith("spidev.bufsiz=65536 at the end of /boot/firmware/cmdline.txt")


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("content", ["", "many"])
def test_a_buffer_size_that_cannot_be_read_is_the_kernels_default(bufsiz_file: Path, content: str) -> None:
    bufsiz_file.write_text(content, "ascii")
    with opened(bufsiz_file) as spi:
        spi.transfer(bytes(4096))
        with pytest.raises(BusError, match=r"the kernel buffers 4096\."):
            spi.transfer(bytes(4097))


@pytest.mark.usefixtures("client")
def test_a_frame_that_py_spidev_would_not_take_is_refused(bufsiz_file: Path) -> None:
    with opened(bufsiz_file) as spi, pytest.raises(BusError, match="4097 bytes are no single frame"):
        spi.transfer(bytes(4097))


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.ENODEV, BusErrorKind.NO_DEVICE, "dtparam=spi=on"),
        (errno.ESHUTDOWN, BusErrorKind.NO_DEVICE, "reboot"),
        (errno.EACCES, BusErrorKind.PERMISSION, "usermod -aG spi"),
        (errno.EBUSY, BusErrorKind.REFUSED, "fuser"),
        (errno.EINVAL, BusErrorKind.REFUSED, "mode and clock"),
        (errno.ETIMEDOUT, BusErrorKind.TIMEOUT, "kernel"),
        (errno.EIO, BusErrorKind.OTHER, "dmesg"),
    ],
)
def test_each_error_number_has_a_kind_and_a_fix(
    client: ScriptedSpiDev, bufsiz_file: Path, number: int, kind: BusErrorKind, hint: str
) -> None:
    with opened(bufsiz_file) as spi:
        client.fails_with = number
        with pytest.raises(BusError, match=os.strerror(number)) as transfer:
            spi.transfer(b"\0")
    with pytest.raises(BusError, match=os.strerror(number)) as opening:
        opened(bufsiz_file)
    for failed in (transfer, opening):
        assert failed.value.kind is kind
        assert hint in failed.value.hint


def test_a_node_that_opens_but_does_not_take_its_settings_is_given_back(
    client: ScriptedSpiDev, bufsiz_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_device: ScriptedSpiDev, _mode: int) -> None:
        raise OSError(errno.EINVAL, "scripted")

    monkeypatch.setattr(ScriptedSpiDev, "mode", property(lambda _: 0, refuse), raising=False)
    with pytest.raises(BusError, match="mode 3 at 2000000 Hz: Invalid argument"):
        opened(bufsiz_file)
    assert client.opened == [(0, 0)]
    assert not client.is_open


def test_a_message_on_something_else_than_spidev_is_refused(
    client: ScriptedSpiDev, bufsiz_file: Path
) -> None:
    del client
    with opened(bufsiz_file) as spi, pytest.raises(BusError, match="Inappropriate ioctl") as failed:
        spi.message([b"\0"]).run()
    assert failed.value.kind is BusErrorKind.REFUSED


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spidev", None)
    with pytest.raises(BusError, match="'spidev' is not installed") as failed:
        SpidevDevice("/dev/spidev0.0", speed_hz=1_000_000)
    assert "python3-spidev" in failed.value.hint


@pytest.mark.parametrize("path", ["/dev/null", "/dev/spidev0", "/dev/spidev0.0x", "/tmp/spidev0.0", ""])  # noqa: S108 - is not made
def test_a_path_that_is_no_spi_device_is_refused(client: ScriptedSpiDev, path: str) -> None:
    with pytest.raises(BusError, match=r"is not /dev/spidevB\.C") as failed:
        SpidevDevice(path, speed_hz=1_000_000)
    assert failed.value.kind is BusErrorKind.REFUSED
    assert client.opened == []


def test_a_link_to_a_node_opens_the_node(client: ScriptedSpiDev, tmp_path: Path) -> None:
    link = tmp_path / "converter"
    link.symlink_to("/dev/spidev10.2")
    SpidevDevice(str(link), speed_hz=1_000_000).close()
    assert client.opened == [(10, 2)]


def test_the_real_package_says_that_a_bus_is_not_there() -> None:
    pytest.importorskip("spidev", reason="spidev is not installed (pip install 'lsi-edge[pi]')")
    with pytest.raises(BusError, match=r"/dev/spidev99\.0.*No such file") as failed:
        SpidevDevice("/dev/spidev99.0", speed_hz=1_000_000)
    assert failed.value.kind is BusErrorKind.NO_DEVICE
