"""The serial adapter on pyserial itself, over pseudo terminals."""

import os
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware.buses.serial_port import SerialPort, find_port
from firmware.clock import MonotonicClock
from lsi.errors import BoardConfigError, BusError, BusErrorKind
from tests.hardware.coproc_bench import Bench, acquisition_over
from tests.hardware.coproc_pty import PtyCoproc


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, Path(os.ttyname(slave))
    os.close(master)
    os.close(slave)


@pytest.fixture
def port(terminal: tuple[int, Path]) -> Iterator[SerialPort]:
    opened = SerialPort(terminal[1])
    assert opened.read(0) == b""
    yield opened
    opened.close()


def test_bytes_go_both_ways_unchanged(terminal: tuple[int, Path], port: SerialPort) -> None:
    every = bytes(range(256))
    port.write(every)
    assert os.read(terminal[0], 1000) == every
    os.write(terminal[0], every)
    assert port.read(1000) == every


def test_a_read_without_bytes_ends_at_its_timeout(port: SerialPort) -> None:
    assert port.read(1) == b""


def test_nothing_of_before_the_opening_is_read(terminal: tuple[int, Path]) -> None:
    os.write(terminal[0], b"MicroPython v1.29")
    port = SerialPort(terminal[1])
    assert port.read(1) == b""
    port.close()


def test_a_second_owner_is_refused(terminal: tuple[int, Path], port: SerialPort) -> None:
    del port
    with pytest.raises(BusError, match="cannot be opened") as caught:
        SerialPort(terminal[1]).read(0)
    assert caught.value.kind is BusErrorKind.REFUSED


def test_after_closing_another_owner_may_have_it(terminal: tuple[int, Path], port: SerialPort) -> None:
    port.close()
    port.close()
    second = SerialPort(terminal[1])
    assert second.read(0) == b""
    second.close()


def test_a_line_that_does_not_exist_is_no_device(tmp_path: Path) -> None:
    with pytest.raises(BusError) as caught:
        SerialPort(tmp_path / "none").write(b"x")
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert caught.value.hint


def test_a_line_that_is_not_allowed_says_which_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(BusError) as caught:
        SerialPort(tmp_path / "tty").read(0)
    assert caught.value.kind is BusErrorKind.PERMISSION
    assert "dialout" in caught.value.hint


@pytest.mark.parametrize("reading", [True, False])
def test_an_unplugged_line_is_no_device(reading: bool) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    port = SerialPort(Path(os.ttyname(slave)))
    port.read(0)
    os.close(slave)
    os.close(master)
    with pytest.raises(BusError) as caught:
        port.read(100) if reading else port.write(b"x")
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    port.close()


def test_a_line_is_found_by_its_name(tmp_path: Path) -> None:
    name = "usb-MicroPython_Board_in_FS_mode_e6614c311b-if00"
    (tmp_path / name).touch()
    (tmp_path / "usb-FTDI_FT232R-if00").touch()
    assert find_port(f"{tmp_path}/usb-MicroPython_*-if00") == tmp_path / name
    assert find_port(str(tmp_path / name)) == tmp_path / name


def test_no_line_of_that_name_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BusError) as caught:
        find_port(f"{tmp_path}/by-id/usb-*")
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert "flash-the-coprocessor" in caught.value.hint


def test_of_two_lines_one_has_to_be_named(tmp_path: Path) -> None:
    for serial in "ab":
        (tmp_path / f"usb-MicroPython_Board_in_FS_mode_{serial}-if00").touch()
    with pytest.raises(BoardConfigError, match=r"_a-if00.*_b-if00"):
        find_port(f"{tmp_path}/usb-*")


def test_passes_over_a_real_terminal_are_those_of_memory() -> None:
    bench, memory = Bench(66), Bench(66)
    with PtyCoproc(bench.chip) as served:
        port = SerialPort(served.path)
        acquisition = acquisition_over(port, bench.modulator, MonotonicClock())
        passes = [acquisition.acquire(66).counts for _ in range(3)]
        port.close()
    expected = memory.acquisition.acquire(66).counts
    for counts in passes:
        # Each pass starts elsewhere on the ramp; what lies between its samples is the same.
        steps = counts[1:].astype(np.int64) - counts[:-1]
        assert np.abs(steps - (expected[1:].astype(np.int64) - expected[:-1])).max() <= 1


def test_a_replugged_co_processor_is_opened_again(tmp_path: Path) -> None:
    bench = Bench(18)
    link = tmp_path / "coproc"
    with PtyCoproc(bench.chip) as first:
        link.symlink_to(first.path)
        port = SerialPort(link)
        acquisition = acquisition_over(port, bench.modulator, MonotonicClock())
        acquisition.acquire(18)
    with pytest.raises(BusError) as caught:
        acquisition.acquire(18)
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    link.unlink()
    with PtyCoproc(bench.chip) as second:
        link.symlink_to(second.path)
        bench.chip.restart()
        assert acquisition.acquire(18).counts.shape == (18, 2, 6)
        port.close()
    link.unlink()
