"""``HidrawDevice`` with the real hidapi over the kernel's uhid; runs in the guest only.

Behind the kernel answers the simulated DLPC900 of the other tests, in real time.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware.buses.hidraw_device import HidrawDevice
from firmware.clock import MonotonicClock
from firmware.drivers.dlpc900 import Dlpc900
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from lsi.errors import BusError, BusErrorKind, FrameError
from lsi.patterns import PatternSet
from lsi.units import NS_PER_MS, NS_PER_US
from tests.guest.uhid_device import COLLECTION, SECOND_COLLECTION, UhidDevice

NOBODY = 65_534
SCALE = 16


def question(sequence: int) -> bytes:
    """Read the hardware status, 0x1A0A."""
    return bytes([0xC0, sequence, 2, 0, 0x0A, 0x1A]).ljust(64, b"\0")


QUESTION = question(7)
# Initialised, nothing wrong.
ANSWER = bytes.fromhex("C0 07 01 00 01").ljust(64, b"\0")


def controller() -> SimDlpc900:
    return SimDlpc900(MonotonicClock(), report_ns=50 * NS_PER_US)


def until(condition: Callable[[], bool]) -> None:
    """The kernel adds and removes devices in a worker of its own."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def nodes() -> int:
    return len(list(Path("/dev").glob("hidraw*")))


@pytest.fixture
def board() -> Iterator[UhidDevice]:
    with UhidDevice(controller(), "A1") as device:
        until(lambda: nodes() == 1)
        yield device
    until(lambda: nodes() == 0)


@pytest.fixture
def hid(board: UhidDevice) -> Iterator[HidrawDevice]:
    assert board.received == []
    with HidrawDevice() as device:
        yield device


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


def masks(count: int, seed: int = 0) -> PatternSet:
    return PatternSet(np.random.default_rng(seed).random((count, 6, 6)) < 0.5)


def replug(board: UhidDevice) -> None:
    board.unplug()
    until(lambda: nodes() == 0)
    board.plug_in()
    until(lambda: nodes() == 1)


# Reports


def test_a_report_of_64_bytes_arrives_whole_and_is_answered(board: UhidDevice, hid: HidrawDevice) -> None:
    hid.write(QUESTION)
    assert hid.read(2_000) == ANSWER
    # The kernel hands a virtual device the report id too; on a USB cable it takes it off.
    assert [report[-64:] for report in board.received] == [QUESTION]


def test_reports_keep_their_order(hid: HidrawDevice) -> None:
    for sequence in range(30):
        hid.write(question(sequence))
    assert [hid.read(2_000)[1] for _ in range(30)] == list(range(30))


def test_without_a_report_a_read_ends_empty_when_its_time_is_over(hid: HidrawDevice) -> None:
    started_s = time.monotonic()
    assert hid.read(80) == b""
    assert time.monotonic() - started_s >= 0.08


def test_a_read_with_no_time_does_not_wait(hid: HidrawDevice) -> None:
    assert hid.read(0) == b""


@pytest.mark.parametrize("size", [0, 63, 65])
def test_only_whole_reports_are_sent(board: UhidDevice, hid: HidrawDevice, size: int) -> None:
    with pytest.raises(FrameError, match=f"{size} bytes"):
        hid.write(bytes(size))
    assert board.received == []


# Finding


def test_without_a_device_nothing_opens() -> None:
    with pytest.raises(BusError, match="0451:c900 is not connected") as caught:
        HidrawDevice()
    assert kind_of(caught) is BusErrorKind.NO_DEVICE


@pytest.mark.usefixtures("board")
def test_another_device_is_not_taken() -> None:
    with pytest.raises(BusError, match="0451:6401") as caught:
        HidrawDevice(product_id=0x6401)
    assert kind_of(caught) is BusErrorKind.NO_DEVICE


def test_of_two_devices_none_is_taken_unless_its_serial_number_is_named(board: UhidDevice) -> None:
    with UhidDevice(controller(), "B2") as second:
        until(lambda: nodes() == 2)
        with pytest.raises(BusError, match=r"2 devices .*'A1', 'B2'") as caught:
            HidrawDevice()
        assert kind_of(caught) is BusErrorKind.REFUSED
        with HidrawDevice(serial_number="B2") as hid:
            hid.write(QUESTION)
            assert hid.read(2_000) == ANSWER
        assert (len(board.received), len(second.received)) == (0, 1)
    until(lambda: nodes() == 1)


@pytest.mark.usefixtures("board")
def test_a_serial_number_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BusError, match="serial number 'C3'; there is 'A1'") as caught:
        HidrawDevice(serial_number="C3")
    assert kind_of(caught) is BusErrorKind.NO_DEVICE


def test_a_device_with_two_usages_is_one_device() -> None:
    with UhidDevice(controller(), descriptor=COLLECTION + SECOND_COLLECTION):
        until(lambda: nodes() == 1)
        with HidrawDevice() as hid:
            hid.write(QUESTION)
            assert hid.read(2_000) == ANSWER
    until(lambda: nodes() == 0)


@pytest.mark.usefixtures("board")
def test_a_device_that_may_not_be_opened_names_the_udev_rule() -> None:
    os.seteuid(NOBODY)
    try:
        with pytest.raises(BusError, match=r'ATTRS\{idProduct\}=="c900"') as caught:
            HidrawDevice()
    finally:
        os.seteuid(0)
    assert kind_of(caught) is BusErrorKind.PERMISSION


# Coming and going


@pytest.mark.parametrize("action", ["read", "write"])
def test_after_an_unplug_the_device_is_gone_until_it_comes_back(
    board: UhidDevice, hid: HidrawDevice, action: str
) -> None:
    actions: dict[str, Callable[[], object]] = {
        "read": lambda: hid.read(100),
        "write": lambda: hid.write(QUESTION),
    }
    board.unplug()
    until(lambda: nodes() == 0)
    for _ in range(2):
        with pytest.raises(BusError) as caught:
            actions[action]()
        assert kind_of(caught) is BusErrorKind.NO_DEVICE
    board.plug_in()
    until(lambda: nodes() == 1)
    hid.write(QUESTION)
    assert hid.read(2_000) == ANSWER


def test_a_device_that_was_away_between_two_writes_is_noticed(board: UhidDevice, hid: HidrawDevice) -> None:
    hid.write(QUESTION)
    hid.read(2_000)
    replug(board)
    with pytest.raises(BusError, match="unplugged or has restarted") as caught:
        hid.write(QUESTION)
    assert kind_of(caught) is BusErrorKind.NO_DEVICE
    hid.write(QUESTION)
    assert hid.read(2_000) == ANSWER


def test_what_came_before_a_reconnect_is_not_read_after_it(board: UhidDevice, hid: HidrawDevice) -> None:
    hid.write(QUESTION)
    replug(board)
    with pytest.raises(BusError):
        hid.write(QUESTION)
    hid.write(question(9))
    assert hid.read(2_000)[1] == 9


@pytest.mark.usefixtures("board")
def test_a_closed_device_is_opened_by_its_next_use(hid: HidrawDevice) -> None:
    hid.close()
    hid.close()
    assert hid.read(10) == b""
    hid.close()
    hid.write(QUESTION)
    assert hid.read(2_000) == ANSWER


def test_after_a_lost_reply_the_next_exchange_works(board: UhidDevice, hid: HidrawDevice) -> None:
    board.controller.faults.lose_reply = 0
    hid.write(QUESTION)
    assert hid.read(200) == b""
    hid.write(question(9))
    assert hid.read(2_000)[1] == 9


# The whole driver


def test_masks_loaded_over_the_wire_are_those_loaded_without_one(
    board: UhidDevice, hid: HidrawDevice
) -> None:
    sequence = masks(30)
    Dlpc900(hid, mirror_scale_px=SCALE).load(sequence, NS_PER_MS)
    direct = SimDlpc900(SimClock())
    Dlpc900(direct, mirror_scale_px=SCALE).load(sequence, NS_PER_MS)
    for k in range(len(sequence)):
        assert np.array_equal(board.controller.mirror_plane(k), direct.mirror_plane(k))
    assert board.controller.mirror_plane(0).any()


def test_an_unplug_during_an_upload_loses_the_masks_and_a_second_load_succeeds(board: UhidDevice) -> None:
    with HidrawDevice() as hid:

        def leave(*_progress: object) -> None:
            if board.controller is first:
                board.unplug()
                board.controller = controller()
                until(lambda: nodes() == 0)

        first = board.controller
        driver = Dlpc900(hid, mirror_scale_px=SCALE, progress=leave)
        with pytest.raises(BusError) as caught:
            driver.load(masks(3), NS_PER_MS)
        assert kind_of(caught) is BusErrorKind.NO_DEVICE
        assert driver.loaded_digest is None
        board.plug_in()
        until(lambda: nodes() == 1)
        driver.load(masks(3), NS_PER_MS)
        assert driver.loaded_digest == masks(3).digest


def test_a_controller_that_was_replugged_between_passes_has_lost_its_masks(
    board: UhidDevice, hid: HidrawDevice
) -> None:
    driver = Dlpc900(hid, mirror_scale_px=SCALE)
    driver.load(masks(3), NS_PER_MS)
    replug(board)
    with pytest.raises(BusError) as caught:
        driver.start()
    assert kind_of(caught) is BusErrorKind.NO_DEVICE
    assert driver.loaded_digest is None
