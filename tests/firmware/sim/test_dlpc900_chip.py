"""The simulated controller's replies, error codes and faults, spoken to in bytes."""

import pytest

from firmware.sim.dlpc900_mirrors import MirrorState, Shown
from lsi.errors import BusError, BusErrorKind, FrameError
from tests.firmware.sim.dlpc900_host import BLACK, START, STOP, Host, configuration, definition, image


@pytest.fixture
def host() -> Host:
    return Host()


# The wire


def test_a_reply_repeats_flags_and_sequence_and_has_no_data_after_a_write(host: Host) -> None:
    assert host.exchange(0x1A24, STOP) == bytes([0x40, 1]) + bytes(62)


def test_a_write_that_asks_for_no_reply_gets_none_and_is_done(host: Host) -> None:
    assert host.exchange(0x0201, b"\x01", flags=0x00) == b""
    assert host.state().state is MirrorState.IDLE


def test_a_leading_report_id_is_accepted(host: Host) -> None:
    host.chip.write(b"\0" + bytes.fromhex("C0 11 02 00 0C 1A") + bytes(58))
    assert host.chip.read(10)[:5] == bytes.fromhex("C0 11 01 00 00")


@pytest.mark.parametrize("size", [0, 63, 66])
def test_a_report_of_another_size_is_refused(host: Host, size: int) -> None:
    with pytest.raises(FrameError):
        host.chip.write(bytes(size))


@pytest.mark.parametrize("length", [0, 1, 509, 0xFFFF])
def test_a_message_of_impossible_length_is_refused_and_forgotten(host: Host, length: int) -> None:
    host.chip.write(bytes([0x40, 9]) + length.to_bytes(2, "little") + bytes(60))
    assert host.chip.read(10)[:2] == bytes([0x60, 9])
    assert host.read(0x1A0B) == 1


def test_no_reply_takes_the_whole_timeout(host: Host) -> None:
    before = host.clock.now_ns()
    assert host.chip.read(25) == b""
    assert host.clock.now_ns() - before >= 25_000_000


def test_each_report_takes_a_usb_frame(host: Host) -> None:
    before = host.clock.now_ns()
    host.exchange(0x1A24, STOP)
    assert host.clock.now_ns() - before == 2_000_000


def test_an_unknown_command_is_error_3(host: Host) -> None:
    assert host.code(0x1FFF) == 3
    assert host.exchange(0x1FFF, flags=0xC0)[0] == 0xE0


def test_the_error_code_stays_until_the_next_command(host: Host) -> None:
    host.exchange(0x1FFF)
    assert [host.read(0x0100), host.read(0x0100)] == [3, 3]
    host.exchange(0x1A24, STOP)
    assert host.read(0x0100) == 0


def test_it_says_that_it_is_a_dlp6500(host: Host) -> None:
    # 0x0206 byte 0: 1 is the DLP6500
    assert host.read(0x0206) == 1


# Error codes (DLPU018J, 0x0100)


@pytest.mark.parametrize(
    ("code", "command", "data"),
    [
        (6, 0x1A24, b""),
        (6, 0x1A24, b"\x03"),
        (6, 0x1A1B, b"\x04"),
        (6, 0x0200, b"\x03"),
        (6, 0x0201, b"\x02"),
        (6, 0x1A34, bytes(11)),
        (6, 0x1A35, bytes.fromhex("69 00 02")),
        (7, 0x1A24, START),
        (13, 0x1A35, bytes.fromhex("68 00 00")),
        (13, 0x1A1E, bytes.fromhex("00 EB FF 00 00")),
        (13, 0x1A1D, bytes.fromhex("00 00 00 21 4E")),
        (13, 0x1A1E, bytes.fromhex("01 00 00 01 00")),
        (10, 0x1A34, definition(0, bit=24)),
        (14, 0x1A34, definition(0, 104)),
        (15, 0x1A34, definition(400)),
        (15, 0x1A31, configuration(401, 401)),
        (15, 0x1A31, configuration(0, 0)),
        (16, 0x1A31, configuration(1, 1)),
        (16, 0x1A34, definition(0, options=0xF3)),
        (17, 0x1A34, definition(0, image=18)),
        (5, 0x1A2A, bytes.fromhex("00 00 00 10 00 00")),
        (5, 0x1A2B, bytes.fromhex("01 00 00")),
    ],
)
def test_what_cannot_be_done_has_its_code(host: Host, code: int, command: int, data: bytes) -> None:
    host.enter_on_the_fly()
    assert host.code(command, data) == code


@pytest.mark.parametrize(
    ("command", "data"), [(0x1A34, definition(0)), (0x1A31, configuration(1, 1)), (0x1A24, START)]
)
def test_patterns_need_on_the_fly_mode(host: Host, command: int, data: bytes) -> None:
    assert host.code(command, data) == 5


@pytest.mark.parametrize("makes_busy", [(0x1A24, START), (0x0201, b"\x01"), (0x0200, b"\x01")])
@pytest.mark.parametrize(
    ("command", "data"),
    [
        (0x1A1B, b"\x00"),
        (0x1A35, bytes.fromhex("69 00 00")),
        (0x1A1E, bytes(5)),
        (0x1A34, definition(0)),
        (0x1A31, configuration(1, 1)),
        (0x1A2A, bytes.fromhex("00 00 00 10 00 00")),
        (0x1A2B, bytes.fromhex("01 00 00")),
    ],
)
def test_nothing_changes_while_running_idle_or_parked(
    host: Host, makes_busy: tuple[int, bytes], command: int, data: bytes
) -> None:
    host.load()
    host.do(*makes_busy)
    assert host.code(command, data) == 5


def test_idle_needs_a_stopped_sequence(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    assert host.code(0x0201, b"\x01") == 5


def test_a_start_needs_idle_to_end(host: Host) -> None:
    host.load()
    host.do(0x0201, b"\x01")
    assert host.code(0x1A24, START) == 5
    host.do(0x0201, b"\x00")
    host.do(0x1A24, START)


def test_definitions_count_only_once_configured(host: Host) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    assert host.code(0x1A24, START) == 7


def test_a_new_definition_needs_a_new_upload(host: Host) -> None:
    host.load()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(2, 2))
    assert host.code(0x1A24, START) == 7


def test_images_must_come_last_first(host: Host) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0, image=0))
    host.do(0x1A34, definition(1, image=1))
    host.do(0x1A31, configuration(2, 2))
    assert host.code(0x1A2A, bytes.fromhex("00 00 00 10 00 00")) == 17
    assert host.upload(image(), index=1) == 0
    assert host.upload(image(), index=0) == 0


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        (9, image(compression=3)),
        (6, image(compression=1)),
        (6, image(width=1919)),
        (6, b"Sp1d" + image()[4:]),
        (6, image(body=BLACK[:-3])),
        (6, image(compression=0)),
    ],
)
def test_a_broken_image_is_refused_with_its_last_block(host: Host, code: int, broken: bytes) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    assert host.upload(broken) == code
    assert host.code(0x1A24, START) == 7


@pytest.mark.parametrize("block", ["03 00 00 00", "01 00 00 00"])
def test_a_block_that_is_not_as_long_as_it_says_is_refused(host: Host, block: str) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    host.do(0x1A2A, bytes.fromhex("00 00 00 10 00 00"))
    assert host.code(0x1A2B, bytes.fromhex(block)) == 6


def test_more_bytes_than_announced_are_refused(host: Host) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    host.do(0x1A2A, bytes.fromhex("00 00 40 00 00 00"))
    assert host.code(0x1A2B, bytes.fromhex("41 00") + bytes(65)) == 6


@pytest.mark.parametrize("size", [48, 0, 0xFFFF_FFFF])
def test_an_impossible_image_size_is_refused(host: Host, size: int) -> None:
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    assert host.code(0x1A2A, bytes(2) + size.to_bytes(4, "little")) == 6


def test_an_empty_block_is_accepted(host: Host) -> None:
    # One open driver sends one when the size is a multiple of 504.
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    host.do(0x1A2A, bytes.fromhex("00 00 40 00 00 00"))
    host.do(0x1A2B, bytes(2))


def test_each_upload_and_loss_changes_the_revision(host: Host) -> None:
    seen = [host.chip.revision]
    host.load()
    seen.append(host.chip.revision)
    host.chip.reset()
    seen.append(host.chip.revision)
    assert len(set(seen)) == 3
    assert host.chip.open_fraction((4, 4), (0, 0), 2).shape == (0, 4, 4)


# Faults


def test_one_reply_gets_lost_but_the_command_is_done(host: Host) -> None:
    host.chip.faults.lose_reply = 1
    assert host.exchange(0x1A24, STOP) != b""
    assert host.exchange(0x0201, b"\x01") == b""
    assert host.read(0x1A0C) == 2


def test_one_pulse_gets_lost(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    host.chip.faults.ignore_trigger = 0
    now_ns = host.clock.now_ns()
    assert host.chip.trigger_in(now_ns) is None
    assert host.chip.trigger_in(now_ns) is not None


def test_a_command_is_refused_once(host: Host) -> None:
    host.chip.faults.refuse[0x1A24] = 255
    assert [host.code(0x1A24, STOP), host.code(0x1A24, STOP)] == [255, 0]


def test_an_abort_is_a_status_bit_that_a_stop_clears(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    host.chip.abort_sequencer()
    assert host.read(0x1A0A) == 0x41
    assert host.read(0x1A0C) & 2 == 0
    host.do(0x1A24, STOP)
    assert host.read(0x1A0A) == 0x01


def test_an_unplugged_controller_answers_nothing_and_parks(host: Host) -> None:
    host.load()
    host.do(0x1A24, START)
    host.chip.unplug()
    for use in (lambda: host.chip.write(bytes(64)), lambda: host.chip.read(1)):
        with pytest.raises(BusError) as caught:
            use()
        assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert host.chip.trigger_in(host.clock.now_ns()) is None
    assert host.state() == Shown(MirrorState.PARKED)
    host.chip.plug_in()
    assert host.read(0x1A1B) == 1
    assert host.state() == Shown(MirrorState.ALL_OFF)


def test_a_software_reset_loses_the_masks(host: Host) -> None:
    host.load()
    host.exchange(0x0200, b"\x02")
    host.enter_on_the_fly()
    assert host.code(0x1A24, START) == 7
