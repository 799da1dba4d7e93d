"""Frames of the co-processor: golden bytes, round trips against the firmware's own code, noise."""

import struct
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.coproc_frames import (
    MAX_PAYLOAD_BYTES,
    Configuration,
    Data,
    Frame,
    FrameReader,
    Hello,
    Kind,
    Refusal,
    Summary,
    arm_payload,
    encode_frame,
    parse_data,
    parse_hello,
    parse_summary,
    parse_timing,
    resend_payload,
)
from hardware.coproc import framing
from lsi.errors import FrameError

# Both checks were computed bit by bit, without zlib.
GOLDEN_HELLO = bytes.fromhex("4ca5 01 01 3412 0000 ff16 ab8ad941")
CONFIGURATION = Configuration(guard_ns=15_000, tail_ns=105_000, spi_hz=20_000_000, masks=66, samples=6)

kinds = st.integers(0, 255)
sequences = st.integers(0, 0xFFFF)
payloads = st.binary(max_size=200)
frames = st.builds(Frame, kinds, sequences, payloads)


def encoded(frame: Frame) -> bytes:
    return encode_frame(frame.kind, frame.sequence, frame.payload)


def test_golden_bytes_of_a_command() -> None:
    assert encode_frame(Kind.HELLO, 0x1234) == GOLDEN_HELLO


def test_golden_payloads() -> None:
    assert CONFIGURATION.payload == bytes.fromhex("983a0000 289a0100 002d3101 42000000 0600 01 00")
    assert arm_payload(7, CONFIGURATION) == b"\x07" + struct.pack("<I", zlib.crc32(CONFIGURATION.payload))
    assert resend_payload(7, 16, 2) == bytes.fromhex("07 10000000 0200")


def test_golden_answers() -> None:
    hello = parse_hello(bytes.fromhex("01 010203 44332211 40597307 00200000"))
    assert hello == Hello(1, (1, 2, 3), 0x11223344, 125_000_000, 8192)
    timing = parse_timing(bytes.fromhex("40597307 0200 8500 ac030000"))
    assert (timing.guard_ns, timing.spacing_ns) == (15_040.0, 2128.0)
    assert parse_summary(bytes.fromhex("07 01 42000000 41000000 06000000")) == Summary(7, True, 66, 65, 6)
    data = parse_data(bytes.fromhex("07 00 0200 10000000 aabbccdd"))
    assert (data.first, data.masks, data.words) == (16, 2, bytes.fromhex("aabbccdd"))


def test_both_ends_use_the_same_numbers() -> None:
    for kind in Kind:
        assert getattr(framing, kind.name) == kind
    for refusal in Refusal:
        assert getattr(framing, refusal.name) == refusal


@given(frame=frames)
def test_the_board_writes_a_frame_as_the_host_does(frame: Frame) -> None:
    assert framing.frame(frame.kind, frame.sequence, frame.payload) == encoded(frame)


@given(sent=st.lists(frames, max_size=6), cuts=st.lists(st.integers(0, 1500), max_size=8))
def test_frames_come_out_as_they_went_in_however_the_line_cuts_them(
    sent: list[Frame], cuts: list[int]
) -> None:
    line, reader, received = b"".join(map(encoded, sent)), FrameReader(), []
    edges = sorted({0, len(line), *(cut for cut in cuts if cut < len(line))})
    for start, end in pairwise(edges):
        received += reader.feed(line[start:end])
    assert received == sent
    # A payload may hold what looks like a frame; it must not be taken for one.
    assert reader.damaged == 0


@given(noise=st.binary(max_size=300), frame=frames)
def test_a_frame_after_noise_is_found(noise: bytes, frame: Frame) -> None:
    reader = FrameReader()
    # Two, because noise may end in what looks like the header of a frame as long as the first.
    filler = encode_frame(Kind.DATA, 1, bytes(MAX_PAYLOAD_BYTES))
    received = reader.feed(noise + filler + filler + encoded(frame))
    assert received[-1] == frame


@settings(max_examples=150)
@given(
    frame=frames,
    damage=st.sampled_from(["flip", "lose", "insert"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_damaged_byte_never_gives_another_frame_and_the_next_one_is_whole(
    frame: Frame, damage: str, place: float, bit: int
) -> None:
    line = bytearray(encoded(frame))
    at = int(place * len(line))
    if damage == "flip":
        line[at] ^= 1 << bit
    elif damage == "lose":
        del line[at]
    else:
        line.insert(at, bit)
    after = Frame(Kind.END, 7, b"after")
    filler = Frame(Kind.DATA, 6, bytes(300))
    received = FrameReader().feed(bytes(line) + encoded(filler) + encoded(after))
    assert [one for one in received if one not in (filler, after)] in ([], [frame])
    assert received[-2:] == [filler, after]


def test_a_damaged_length_is_noticed_without_waiting_for_the_bytes_it_promises() -> None:
    line = bytearray(encode_frame(Kind.STATUS, 1))
    line[7] ^= 0x08
    reader = FrameReader()
    assert reader.feed(bytes(line)) == []
    assert reader.damaged == 1
    assert reader.feed(encode_frame(Kind.STATUS, 2)) == [Frame(Kind.STATUS, 2, b"")]


def test_another_version_is_no_frame() -> None:
    checked = struct.pack("<2sBBHH", b"L\xa5", 2, 1, 0, 0)
    start = checked + struct.pack("<H", zlib.crc32(checked) & 0xFFFF)
    reader = FrameReader()
    assert reader.feed(start + struct.pack("<I", zlib.crc32(start))) == []
    assert reader.damaged == 1


@given(sent=st.lists(st.tuples(st.integers(0, 255), sequences, st.binary(max_size=32)), max_size=5))
def test_the_board_reads_commands_as_the_host_writes_them(sent: list[tuple[int, int, bytes]]) -> None:
    reader, received = framing.CommandReader(), []
    line = b"\xa5L" + b"".join(encode_frame(*command) for command in sent)
    for start in range(0, len(line), 7):
        received += reader.feed(line[start : start + 7])
    assert received == sent


@given(noise=st.binary(max_size=200))
def test_the_board_finds_a_command_after_noise(noise: bytes) -> None:
    received = framing.CommandReader().feed(noise + bytes(64) + encode_frame(Kind.STOP, 3))
    assert received[-1] == (Kind.STOP, 3, b"")


@pytest.mark.parametrize("noise", [b"L\xa5", b"L\xa5\x01", b"L"])
def test_the_board_finds_a_command_right_behind_half_a_header(noise: bytes) -> None:
    received = framing.CommandReader().feed(noise + encode_frame(Kind.STOP, 3))
    assert received == [(Kind.STOP, 3, b"")]


def test_a_header_that_promises_too_much_is_noise() -> None:
    checked = struct.pack("<2sBBHH", b"L\xa5", 1, 1, 0, MAX_PAYLOAD_BYTES + 1)
    header = checked + struct.pack("<H", zlib.crc32(checked) & 0xFFFF)
    after = Frame(Kind.END, 7, b"after")
    assert FrameReader().feed(header + encoded(after)) == [after]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(FrameError, match="payload"):
        encode_frame(Kind.DATA, 0, bytes(MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(FrameError, match="does not fit"):
        _ = Configuration(1 << 32, 1, 1, 1, 1).payload


@pytest.mark.parametrize("parse", [parse_hello, parse_timing, parse_summary, parse_data])
def test_a_payload_of_another_length_is_refused(parse: Callable[[bytes], object]) -> None:
    with pytest.raises(FrameError):
        parse(bytes(3))


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(FrameError, match="clock"):
        parse_timing(bytes(12))


def test_no_repr_shows_a_sample() -> None:
    assert "ab" not in repr(Data(1, overrun=False, first=0, masks=1, words=b"\xab" * 8))
    assert "ab" not in repr(Frame(1, 2, b"\xab" * 8))
