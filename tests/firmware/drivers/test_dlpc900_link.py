"""Exchanges with a DLPC900, byte by byte, against a script."""

import pytest

from firmware.drivers.dlpc900_codes import Command
from firmware.drivers.dlpc900_link import MAX_STALE_REPLIES, Dlpc900Link
from lsi.errors import BusError, BusErrorKind
from tests.firmware.drivers.scripted_hid import ScriptedHid, Step

STOP_1 = bytes.fromhex("40 01 03 00 24 1A 00")
DONE_1 = bytes.fromhex("40 01 00 00")


def link_with(*steps: Step) -> tuple[Dlpc900Link, ScriptedHid]:
    hid = ScriptedHid(steps)
    return Dlpc900Link(hid, reply_timeout_ms=70), hid


def test_a_write_asks_for_a_reply_and_waits_for_it() -> None:
    link, hid = link_with(Step(STOP_1, [DONE_1]))
    link.write(Command.START_STOP, b"\x00")
    hid.finish()


def test_a_read_returns_the_first_byte_of_data() -> None:
    link, hid = link_with(Step(bytes.fromhex("C0 01 02 00 0C 1A"), [bytes.fromhex("C0 01 01 00 02")]))
    assert link.read_byte(Command.MAIN_STATUS) == 2
    hid.finish()


def test_a_long_reply_is_read_to_its_end() -> None:
    ask = bytes.fromhex("C0 01 02 00 01 01")
    text = bytes(range(1, 129))
    replies = [bytes.fromhex("C0 01 80 00") + text[:60], text[60:124], text[124:]]
    link, hid = link_with(Step(ask, replies))
    assert link.read(Command.ERROR_TEXT) == text
    hid.finish()


def test_a_late_long_reply_is_skipped_whole() -> None:
    late = [bytes.fromhex("C0 F0 64 00") + bytes([255]) * 60, bytes([255]) * 40]
    link, hid = link_with(Step(STOP_1, [*late, DONE_1]))
    link.write(Command.START_STOP, b"\x00")
    hid.finish()


def test_a_reply_that_is_shorter_than_asked_for_is_an_error_of_the_frame() -> None:
    link, _ = link_with(Step(bytes.fromhex("C0 01 02 00 05 02"), [bytes.fromhex("C0 01 0F 00")]))
    with pytest.raises(BusError, match="15 bytes, expected 16") as caught:
        link.read(Command.FIRMWARE_VERSION, 16)
    assert caught.value.kind is BusErrorKind.FRAME


def test_what_is_posted_is_sent_at_once_and_waited_for_later() -> None:
    link, hid = link_with(Step(STOP_1, [DONE_1]))
    link.post(Command.START_STOP, b"\x00")
    assert hid.waited_ms == []
    link.confirm()
    hid.finish()
    link.confirm()
    assert hid.waited_ms == []


def test_a_refusal_of_what_was_posted_comes_with_its_confirmation() -> None:
    reason = Step(bytes.fromhex("C0 02 02 00 00 01"), [bytes.fromhex("C0 02 01 00 07")])
    link, hid = link_with(Step(STOP_1, [bytes.fromhex("60 01 00 00")]), reason)
    link.post(Command.START_STOP, b"\x00")
    with pytest.raises(BusError, match="item absent"):
        link.confirm()
    hid.finish()


def test_an_answer_that_nobody_confirmed_is_skipped_by_the_next_exchange() -> None:
    stop_2 = bytes.fromhex("40 02 03 00 24 1A 00")
    link, hid = link_with(
        Step(STOP_1, [bytes.fromhex("60 01 00 00")]), Step(stop_2, [bytes.fromhex("40 02")])
    )
    link.post(Command.START_STOP, b"\x00")
    link.write(Command.START_STOP, b"\x00")
    link.confirm()
    hid.finish()


def test_draining_ends_with_silence_or_after_enough() -> None:
    link, hid = link_with(Step(STOP_1, [DONE_1, DONE_1]))
    link.write(Command.START_STOP, b"\x00")
    link.drain()
    hid.finish()
    assert hid.waited_ms == [0]
    busy, hid = link_with(Step(STOP_1, [DONE_1] * (MAX_STALE_REPLIES + 2)))
    busy.write(Command.START_STOP, b"\x00")
    busy.drain()
    assert len(hid.waited_ms) == 0


def test_every_message_has_the_next_sequence_number_and_255_is_followed_by_0() -> None:
    numbers = [n % 256 for n in range(1, 259)]
    steps = [Step(bytes([0x40, n, 3, 0, 0x24, 0x1A, 0]), [bytes([0x40, n])]) for n in numbers]
    link, hid = link_with(*steps)
    for _ in numbers:
        link.write(Command.START_STOP, b"\x00")
    hid.finish()


def test_no_reply_is_a_timeout_that_names_the_command() -> None:
    link, hid = link_with(Step(STOP_1))
    with pytest.raises(BusError, match=r"start stop \(0x1a24\)") as caught:
        link.write(Command.START_STOP, b"\x00")
    assert caught.value.kind is BusErrorKind.TIMEOUT
    assert hid.waited_ms == [70]


def test_a_refusal_carries_the_reason_that_the_controller_gives() -> None:
    reason = Step(bytes.fromhex("C0 02 02 00 00 01"), [bytes.fromhex("C0 02 01 00 05")])
    link, hid = link_with(Step(STOP_1, [bytes.fromhex("60 01 00 00")]), reason)
    with pytest.raises(BusError, match=r"refuses start stop .*: not allowed now") as caught:
        link.write(Command.START_STOP, b"\x00")
    assert caught.value.kind is BusErrorKind.REFUSED
    hid.finish()


def test_a_refusal_of_the_reason_itself_ends() -> None:
    link, hid = link_with(Step(bytes.fromhex("C0 01 02 00 00 01"), [bytes.fromhex("E0 01 00 00")]))
    with pytest.raises(BusError, match="no reason given"):
        link.read_byte(Command.ERROR_CODE)
    hid.finish()


def test_late_replies_to_other_requests_are_skipped() -> None:
    stale = [bytes.fromhex("60 F0 00 00")] * MAX_STALE_REPLIES
    link, hid = link_with(Step(STOP_1, [*stale, DONE_1]))
    link.write(Command.START_STOP, b"\x00")
    hid.finish()


def test_a_flood_of_other_replies_is_an_error() -> None:
    link, _ = link_with(Step(STOP_1, [bytes.fromhex("40 F0 00 00")] * (MAX_STALE_REPLIES + 1) + [DONE_1]))
    with pytest.raises(BusError) as caught:
        link.write(Command.START_STOP, b"\x00")
    assert caught.value.kind is BusErrorKind.FRAME


@pytest.mark.parametrize("reply", ["FF FF FF FF", "40 01 FF 00"])
def test_nonsense_is_an_error_of_the_frame(reply: str) -> None:
    link, _ = link_with(Step(STOP_1, [bytes.fromhex(reply)]))
    with pytest.raises(BusError) as caught:
        link.write(Command.START_STOP, b"\x00")
    assert caught.value.kind is BusErrorKind.FRAME


def test_a_read_without_data_is_an_error_of_the_frame() -> None:
    link, _ = link_with(Step(bytes.fromhex("C0 01 02 00 0C 1A"), [bytes.fromhex("C0 01 00 00")]))
    with pytest.raises(BusError) as caught:
        link.read_byte(Command.MAIN_STATUS)
    assert caught.value.kind is BusErrorKind.FRAME


def test_a_pause_waits_that_long() -> None:
    link, hid = link_with()
    link.pause(20)
    assert hid.waited_ms == [20]
