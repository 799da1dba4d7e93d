"""What the controller says about itself, and the commands that a load does not use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.dlpc900_codes import HardwareStatus, MainStatus, SystemStatus
from firmware.drivers.dlpc900_controller import Dlpc900Controller
from firmware.drivers.dlpc900_patterns import LutDefinition
from firmware.drivers.dlpc900_status import Dlpc900Status, DmdType, FirmwareVersion, Version, text_of
from firmware.sim.dlpc900_mirrors import MOVE_NS
from lsi.errors import BusError, BusErrorKind, FrameError
from tests.firmware.drivers.dlpc900_bench import EXPOSURE_NS, SCALE, Bench, masks
from tests.firmware.drivers.scripted_hid import ScriptedHid, Step

versions = st.builds(Version, st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def controller(bench: Bench) -> Dlpc900Controller:
    return Dlpc900Controller(bench, 50)


# Frames


def test_a_version_is_patch_minor_major_four_times() -> None:
    data = bytes.fromhex("02 01 03 04 00 00 00 06 05 00 01 02 07 00 00 01")
    version = FirmwareVersion.from_bytes(data)
    assert version.application == Version(4, 3, 0x102)
    assert [str(part) for part in (version.api, version.software_configuration)] == ["6.0.0", "2.1.5"]
    assert version.sequencer_configuration == Version(1, 0, 7)


@given(st.builds(FirmwareVersion, versions, versions, versions, versions))
def test_versions_survive_a_round_trip(version: FirmwareVersion) -> None:
    assert FirmwareVersion.from_bytes(version.to_bytes()) == version


def test_a_dmd_type_is_a_code_and_a_tag() -> None:
    found = DmdType.from_bytes(b"\x04" + b"EVM".ljust(31, b"\0"))
    assert (found.name, found.tag) == ("DLP500YX", "EVM")


@pytest.mark.parametrize(
    "read", [lambda: FirmwareVersion.from_bytes(bytes(15)), lambda: DmdType.from_bytes(b"")]
)
def test_replies_that_are_too_short_are_refused(read: object) -> None:
    assert callable(read)
    with pytest.raises(FrameError):
        read()


def test_a_text_ends_at_its_first_nul_and_holds_nothing_unprintable() -> None:
    assert text_of(b"bad mode\0ter\0") == "bad mode"
    assert text_of(b"\x1b[2Jred\xff\n") == "[2Jred\N{REPLACEMENT CHARACTER}"
    assert text_of(b"") == ""


# Status


def test_a_status_says_what_is_attached_and_what_it_does(bench: Bench) -> None:
    bench.driver.load(masks(1), EXPOSURE_NS)
    bench.driver.start()
    status = bench.driver.status()
    assert str(status.firmware.application) == "6.0.1"
    assert (status.dmd.name, status.mode, status.error_code) == ("DLP6500", 3, 0)
    assert status.main == MainStatus.SEQUENCER_RUNNING
    assert status.problems == ()
    assert str(status).splitlines() == [
        "firmware    6.0.1 (API 6.0.0)",
        "DMD         DLP6500 simulated",
        "mode        on the fly",
        "hardware    initialised",
        "system      memory test passed",
        "state       sequencer running",
        "last error  none",
        "problems    none",
    ]


def test_a_status_carries_the_last_error_in_the_controllers_own_words(bench: Bench) -> None:
    bench.chip.faults.refuse[0x1A24] = 255
    with pytest.raises(BusError):
        bench.driver.stop()
    with pytest.raises(BusError):
        Dlpc900Controller(bench, 50).reorder([0], 1)
    status = bench.driver.status()
    # A shorter text than the one before: what is left of that stays behind the NUL.
    assert (status.error_code, status.error_text) == (5, "command not allowed in this mode")
    assert "last error  5, command not allowed in this mode" in str(status)


def test_a_text_that_ends_with_its_first_report_is_left_out() -> None:
    version = bytes.fromhex("C0 03 10 00") + bytes(16)
    answers = [
        (0x0100, [bytes.fromhex("C0 01 01 00 06")]),
        (0x0101, [bytes.fromhex("C0 02 80 00") + b"cut off".ljust(60, b".")]),
        (0x0205, [version]),
        (0x0206, [bytes.fromhex("C0 04 01 00 01")]),
        (0x1A0A, [bytes.fromhex("C0 05 01 00 01")]),
        (0x1A0B, [bytes.fromhex("C0 06 01 00 01")]),
        (0x1A0C, [bytes.fromhex("C0 07 01 00 00")]),
        (0x1A1B, [bytes.fromhex("C0 08 01 00 00")]),
    ]
    steps = [
        Step(bytes([0xC0, k + 1, 2, 0]) + command.to_bytes(2, "little"), replies)
        for k, (command, replies) in enumerate(answers)
    ]
    hid = ScriptedHid(steps)
    status = Dlpc900Controller(hid, 5).status()
    assert (status.error_code, status.error_text) == (6, "")
    assert "last error  6, bad parameter" in str(status)
    hid.finish()


@pytest.mark.parametrize(
    ("hardware", "system", "main", "words"),
    [
        (0x00, 1, 0, "the controller is not initialised"),
        (0x03, 1, 0, "the controller reports incompatible dmd"),
        (0x41, 1, 0, "the controller reports sequencer abort"),
        (0x01, 0, 0, "its memory test failed"),
        (0x11, 1, 1, "the mirrors are parked"),
    ],
)
def test_what_is_wrong_is_said_in_words(hardware: int, system: int, main: int, words: str) -> None:
    version = FirmwareVersion.from_bytes(bytes(16))
    status = Dlpc900Status(
        version, DmdType(1, ""), HardwareStatus(hardware), SystemStatus(system), MainStatus(main), 0, 0
    )
    assert status.problems == (words,)
    assert words in str(status)


def test_a_status_without_the_device_forgets_the_masks(bench: Bench) -> None:
    bench.driver.load(masks(1), EXPOSURE_NS)
    bench.chip.unplug()
    with pytest.raises(BusError) as caught:
        bench.driver.status()
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert bench.driver.loaded_digest is None


# Further commands


def test_another_order_is_shown_without_an_upload(bench: Bench, controller: Dlpc900Controller) -> None:
    sequence = masks(4)
    bench.driver.load(sequence, EXPOSURE_NS)
    controller.reorder([3, 1, 3, 0, 2], 5)
    for k, index in enumerate([3, 1, 3, 0, 2]):
        shown = bench.chip.open_fraction((6, 6), ((1080 - 96) // 2, (1920 - 96) // 2), SCALE)[k]
        assert np.array_equal(shown, sequence.masks[index])
    bench.driver.start()
    bench.show_all(5)
    assert not bench.driver.is_running()


@pytest.mark.parametrize(("order", "reason"), [([4], "bad pattern definition"), ([0] * 250, "")])
def test_an_order_names_only_what_is_defined(
    bench: Bench, controller: Dlpc900Controller, order: list[int], reason: str
) -> None:
    bench.driver.load(masks(4), EXPOSURE_NS)
    if not reason:
        controller.reorder(order, len(order))
        return
    with pytest.raises(BusError, match=reason):
        controller.reorder(order, len(order))


def test_inverting_and_flipping_change_the_mirrors(bench: Bench, controller: Dlpc900Controller) -> None:
    bench.driver.load(masks(1), EXPOSURE_NS)
    before, revision = bench.chip.mirror_plane(0), bench.chip.revision
    controller.invert(is_inverted=True)
    assert np.array_equal(bench.chip.mirror_plane(0), ~before)
    assert bench.chip.revision != revision
    controller.invert(is_inverted=False)
    controller.flip(long_axis=True, short_axis=False)
    assert np.array_equal(bench.chip.mirror_plane(0), before[:, ::-1])
    controller.flip(long_axis=True, short_axis=True)
    assert np.array_equal(bench.chip.mirror_plane(0), before[::-1, ::-1])
    fractions = bench.chip.open_fraction((6, 6), (492, 912), SCALE)[0]
    assert np.array_equal(fractions, masks(1).masks[0][::-1, ::-1])


def test_a_pause_is_ended_by_a_start(bench: Bench, controller: Dlpc900Controller) -> None:
    bench.driver.load(masks(3), EXPOSURE_NS)
    bench.driver.start()
    bench.show_all(1)
    controller.pause_sequence()
    assert bench.chip.trigger_in(bench.clock.now_ns()) is None
    controller.start_sequence()
    edge_ns = bench.chip.trigger_in(bench.clock.now_ns())
    assert edge_ns is not None
    assert bench.chip.showing_at(edge_ns + MOVE_NS).plane == 1


def test_triggers_are_sent_as_bytes(bench: Bench, controller: Dlpc900Controller) -> None:
    controller.set_trigger_in_1(300, on_falling_edge=True)
    controller.set_trigger_in_2(on_falling_edge=True)
    controller.set_trigger_out_1(-20, 20_000)
    controller.set_trigger_out_2(5, 4, is_inverted=True)
    assert [(request.command, request.data.hex(" ")) for request in bench.sent] == [
        (0x1A35, "2c 01 01"),
        (0x1A36, "01"),
        (0x1A1D, "00 ec ff 20 4e"),
        (0x1A1E, "01 05 00 04 00"),
    ]


def test_a_definition_is_checked_before_it_is_sent(controller: Dlpc900Controller, bench: Bench) -> None:
    with pytest.raises(FrameError):
        controller.define(LutDefinition(0, 1 << 24, 0, 0))
    assert bench.sent == []
