"""Bytes of the DLPC900's USB messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.dlpc900_codes import Command, ErrorCode, HardwareStatus, MainStatus, meaning_of
from firmware.drivers.dlpc900_frames import MAX_REPLY_BYTES, Reply, Request, further_reports
from firmware.drivers.dlpc900_patterns import (
    LutDefinition,
    image_block,
    image_start,
    lut_configuration,
    lut_reorder,
    trigger_in_1,
    trigger_out,
)
from lsi.errors import FrameError

requests = st.builds(
    Request,
    command=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 0xFF),
    data=st.binary(max_size=506),
    is_read=st.booleans(),
    wants_reply=st.just(value=True),
)
replies = st.builds(
    Reply,
    sequence=st.integers(0, 0xFF),
    data=st.binary(max_size=200),
    is_read=st.booleans(),
    is_refused=st.booleans(),
)
definitions = st.builds(
    LutDefinition,
    index=st.integers(0, 0xFFFF),
    exposure_us=st.integers(0, 0xFF_FFFF),
    image_index=st.integers(0, 0x7FF),
    bit_position=st.integers(0, 23),
    leds=st.integers(0, 7),
    waits_for_trigger=st.booleans(),
    clears_after_exposure=st.booleans(),
    dark_us=st.integers(0, 0xFF_FFFF),
    disables_trigger_out_2=st.booleans(),
)


def test_a_read_is_the_manuals_example() -> None:
    # DLPU018J 1.2: read of 0x1100, sequence 0x11
    (report,) = Request(0x1100, 0x11, is_read=True).reports()
    assert report == bytes.fromhex("C0 11 02 00 00 11") + bytes(58)


def test_the_manuals_reply_is_read() -> None:
    # DLPU018J 1.2: six bytes of data, which begin at offset 4
    reply = Reply.from_reports([bytes.fromhex("C0 11 06 00 FF 01 FF 01 FF 01") + bytes(54)])
    assert reply == Reply(0x11, bytes.fromhex("FF 01 FF 01 FF 01"), is_read=True)


def test_a_write_sends_the_low_byte_of_its_command_first() -> None:
    # DLPU018J 1.2: 0x1A1B is sent 1B 1A; flag 0x40 asks for a reply
    (report,) = Request(Command.DISPLAY_MODE, 7, b"\x03").reports()
    assert report == bytes.fromhex("40 07 03 00 1B 1A 03") + bytes(57)


def test_a_write_without_reply_has_no_flags() -> None:
    assert Request(Command.START_STOP, 0, b"\x02", wants_reply=False).reports()[0][0] == 0x00


def test_later_reports_carry_data_and_no_header() -> None:
    data = bytes(range(1, 101))
    first, second = Request(Command.IMAGE_BLOCK, 1, data).reports()
    assert first[6:] == data[:58]
    assert second == data[58:] + bytes(64 - 42)


def test_the_largest_message_fills_eight_reports() -> None:
    reports = Request(Command.IMAGE_BLOCK, 1, image_block(b"\xff" * 504)).reports()
    assert [len(report) for report in reports] == [64] * 8
    assert reports[-1][-1] == 0xFF


@pytest.mark.parametrize("size", [58, 59, 122, 123])
def test_a_full_report_is_followed_by_no_empty_one(size: int) -> None:
    assert len(Request(Command.IMAGE_BLOCK, 1, bytes(size)).reports()) == -(-(6 + size) // 64)


@given(requests)
def test_requests_survive_a_round_trip(request_: Request) -> None:
    assert Request.from_reports(request_.reports()) == request_


@given(requests, st.data())
def test_a_request_without_all_its_reports_is_refused(request_: Request, data: st.DataObject) -> None:
    reports = request_.reports()
    keep = data.draw(st.integers(0, len(reports) - 1))
    with pytest.raises(FrameError):
        Request.from_reports(reports[:keep])


@given(requests)
def test_a_request_with_a_surplus_report_is_refused(request_: Request) -> None:
    with pytest.raises(FrameError):
        Request.from_reports((*request_.reports(), bytes(64)))


def test_a_request_too_short_for_a_command_is_refused() -> None:
    with pytest.raises(FrameError):
        Request.from_reports([bytes.fromhex("40 00 01 00") + bytes(60)])


def test_a_refusal_is_no_request() -> None:
    with pytest.raises(FrameError):
        Request.from_reports([bytes.fromhex("60 00 02 00 24 1A") + bytes(58)])


@pytest.mark.parametrize(
    ("command", "sequence", "data"),
    [(0x10000, 0, b""), (-1, 0, b""), (0, 256, b""), (0, -1, b""), (0, 0, bytes(507))],
)
def test_a_request_out_of_range_is_refused(command: int, sequence: int, data: bytes) -> None:
    with pytest.raises(FrameError):
        Request(command, sequence, data)


def test_a_read_that_wants_no_reply_is_refused() -> None:
    with pytest.raises(FrameError):
        Request(Command.MAIN_STATUS, 0, is_read=True, wants_reply=False)


@given(replies)
def test_replies_survive_a_round_trip(reply: Reply) -> None:
    reports = reply.reports()
    assert Reply.from_reports(reports) == reply
    assert further_reports(reports[0]) == len(reports) - 1


def test_a_long_reply_goes_on_in_reports_without_a_header() -> None:
    first, second = Reply(3, bytes(range(1, 101)), is_read=True).reports()
    assert first[:5] == bytes.fromhex("C0 03 64 00 01")
    assert second[:1] == bytes([61])
    assert second[40:] == bytes(24)


def test_bit_5_of_a_reply_is_a_refusal() -> None:
    assert Reply.from_reports([bytes.fromhex("60 2A 00 00") + bytes(60)]) == Reply(0x2A, is_refused=True)


@given(replies, st.integers(0, 63))
def test_a_truncated_reply_is_refused(reply: Reply, size: int) -> None:
    *before, last = reply.reports()
    with pytest.raises(FrameError):
        Reply.from_reports([*before, last[:size]])


@given(replies)
def test_a_reply_with_a_report_too_few_or_too_many_is_refused(reply: Reply) -> None:
    for reports in (reply.reports()[:-1], (*reply.reports(), bytes(64))):
        with pytest.raises(FrameError):
            Reply.from_reports(reports)


@pytest.mark.parametrize("start", ["40 00 FD 01", "40 00 3D 00", "FF FF FF FF", "41 00 00 00", "48 00 00 00"])
def test_a_reply_that_makes_no_sense_is_refused(start: str) -> None:
    with pytest.raises(FrameError):
        Reply.from_reports([bytes.fromhex(start) + bytes(60)])


def test_a_reply_longer_than_a_message_cannot_be_built() -> None:
    with pytest.raises(FrameError):
        Reply(0, bytes(MAX_REPLY_BYTES + 1))


def test_a_definition_is_the_manuals_first_example() -> None:
    # DLPU018J 5.3 step 2: pattern 0, 200 us, red, 1 bit
    assert LutDefinition(0, 200, 0, 0, leds=1).to_bytes().hex(" ") == "00 00 c8 00 00 11 00 00 00 00 00 00"


def test_a_bit_position_is_in_the_upper_five_bits() -> None:
    # DLPU018J 5.3 step 3: pattern 1 at bit position 1 ends 00 08
    assert LutDefinition(1, 400, 0, 1, leds=2).to_bytes().hex(" ") == "01 00 90 01 00 21 00 00 00 00 00 08"


def test_waiting_for_the_trigger_is_bit_7() -> None:
    data = LutDefinition(0, 105, 2, 23, waits_for_trigger=True).to_bytes()
    assert data.hex(" ") == "00 00 69 00 00 f1 00 00 00 00 02 b8"


def test_bit_0_of_byte_9_disables_the_output_trigger() -> None:
    assert LutDefinition(0, 105, 0, 0, disables_trigger_out_2=True).to_bytes()[9] == 1


@given(definitions)
def test_definitions_survive_a_round_trip(definition: LutDefinition) -> None:
    assert LutDefinition.from_bytes(definition.to_bytes()) == definition


@given(definitions, st.integers(0, 11))
def test_a_truncated_definition_is_refused(definition: LutDefinition, size: int) -> None:
    with pytest.raises(FrameError):
        LutDefinition.from_bytes(definition.to_bytes()[:size])


def test_a_definition_of_two_bits_is_refused() -> None:
    # DLPU018J 5.3 step 3 as printed: 2 bit
    with pytest.raises(FrameError):
        LutDefinition.from_bytes(bytes.fromhex("01 00 90 01 00 23 00 00 00 00 00 08"))


@pytest.mark.parametrize(
    ("exposure_us", "image", "bit", "leds"),
    [(1 << 24, 0, 0, 0), (-1, 0, 0, 0), (105, 0x800, 0, 0), (105, 0, 24, 0), (105, 0, 0, 8)],
)
def test_a_definition_out_of_range_is_refused(exposure_us: int, image: int, bit: int, leds: int) -> None:
    with pytest.raises(FrameError):
        LutDefinition(0, exposure_us, image, bit, leds)


def test_a_configuration_is_the_manuals_example() -> None:
    # DLPU018J 5.3 step 4: two patterns, repeating
    assert lut_configuration(2, 0).hex(" ") == "02 00 00 00 00 00"


def test_an_order_is_a_configuration_and_its_indices() -> None:
    # 0x1A32: entries u16, patterns u32, then one u16 per place
    assert lut_reorder([2, 0, 258], 0x10203).hex(" ") == "03 00 03 02 01 00 02 00 00 00 02 01"


def test_an_image_start_is_the_manuals_example() -> None:
    # DLPU018J 5.3 step 5: 6009 bytes and the header
    assert image_start(0, 6009 + 48).hex(" ") == "00 00 a9 17 00 00"


def test_a_full_block_is_the_manuals_example() -> None:
    # DLPU018J 5.3 step 6
    assert image_block(b"\xaa" * 504)[:3].hex(" ") == "f8 01 aa"


def test_the_trigger_input_is_a_delay_and_an_edge() -> None:
    assert trigger_in_1(105).hex(" ") == "69 00 00"
    assert trigger_in_1(300, on_falling_edge=True).hex(" ") == "2c 01 01"


def test_the_trigger_output_has_signed_delays() -> None:
    assert trigger_out(-20, 20_000).hex(" ") == "00 ec ff 20 4e"
    assert trigger_out(300, -1, is_inverted=True).hex(" ") == "01 2c 01 ff ff"


@pytest.mark.parametrize(
    "build",
    [
        lambda: lut_configuration(0, 0),
        lambda: trigger_in_1(104),
        lambda: trigger_out(-21, 0),
        lambda: trigger_out(0, 20_001),
        lambda: trigger_out(0, 1, is_inverted=True),
        lambda: lut_reorder([], 0),
        lambda: lut_reorder([0] * 251, 0),
        lambda: lut_reorder([0x10000], 0),
        lambda: image_start(0x800, 100),
        lambda: image_start(0, 47),
        lambda: image_block(b""),
        lambda: image_block(bytes(505)),
    ],
)
def test_data_out_of_range_are_refused(build: object) -> None:
    assert callable(build)
    with pytest.raises(FrameError):
        build()


def test_error_codes_have_words() -> None:
    # 0x0100: 14 exposure, 255 internal
    assert meaning_of(14) == "bad exposure"
    assert meaning_of(255) == "internal"
    assert meaning_of(99) == "unlisted error 99"
    assert [code.value for code in ErrorCode] == [*range(18), 255]


def test_status_bits_are_where_the_manual_has_them() -> None:
    # DLPU018J 0x1A0A: b6 abort, b7 error; 0x1A0C: b0 parked, b1 running
    assert HardwareStatus(0xC1) == (
        HardwareStatus.INITIALISED | HardwareStatus.SEQUENCER_ABORT | HardwareStatus.SEQUENCER_ERROR
    )
    assert MainStatus(0x03) == MainStatus.PARKED | MainStatus.SEQUENCER_RUNNING
