import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.buses.spi_ioctl import alignment_bytes, buffered_bytes, lay_out, message_request, rows_of
from firmware.interfaces import MAX_MESSAGE_TRANSFERS

KERNEL_STRUCT = struct.Struct("=QQIIHBBBBBB")
WORDS = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=MAX_MESSAGE_TRANSFERS)
)


# _IOW('k', 0, char[32 n]) of include/uapi/linux/spi/spidev.h
@pytest.mark.parametrize(("transfers", "request_number"), [(1, 0x4020_6B00), (511, 0x7FE0_6B00)])
def test_the_request_number_is_that_of_the_kernel_header(transfers: int, request_number: int) -> None:
    assert message_request(transfers) == request_number


def test_two_words_are_these_bytes() -> None:
    sent, received = rows_of([b"\x06\x00\x00", b"\x06\x40\x00"]), np.zeros((2, 3), np.uint8)
    tx, rx = sent.ctypes.data, received.ctypes.data
    first = struct.pack("=QQ", tx, rx) + bytes.fromhex("03000000 40420f00 0000 08 01 00 00 00 00")
    last = struct.pack("=QQ", tx + 3, rx + 3) + bytes.fromhex("03000000 40420f00 0000 08 00 00 00 00 00")
    assert lay_out(sent, received, 1_000_000).tobytes() == first + last


@settings(max_examples=30)
@given(WORDS, st.integers(1, 2**32 - 1))
def test_each_transfer_points_at_its_own_word_and_only_the_last_keeps_no_pause(
    words: list[bytes], speed_hz: int
) -> None:
    sent, received = rows_of(words), np.zeros((len(words), len(words[0])), np.uint8)
    transfers = list(KERNEL_STRUCT.iter_unpack(lay_out(sent, received, speed_hz).tobytes()))
    assert [sent.tobytes()[fields[0] - sent.ctypes.data :][: fields[2]] for fields in transfers] == words
    assert [fields[1] - received.ctypes.data for fields in transfers] == [
        index * len(words[0]) for index in range(len(words))
    ]
    assert [fields[6] for fields in transfers] == [1] * (len(words) - 1) + [0]
    assert {fields[3] for fields in transfers} == {speed_hz}


@pytest.mark.parametrize(
    ("machine", "alignment"), [("aarch64", 128), ("armv7l", 64), ("armv6l", 32), ("x86_64", 8)]
)
def test_each_machine_rounds_transfers_up_to_its_cache_line(machine: str, alignment: int) -> None:
    assert alignment_bytes(machine) == alignment
    assert buffered_bytes(511, 3, alignment) == 511 * alignment


@given(st.integers(1, 511), st.integers(1, 600), st.sampled_from([8, 32, 64, 128]))
def test_a_message_takes_at_least_its_bytes_and_less_than_a_line_more_each(
    transfers: int, word_bytes: int, alignment: int
) -> None:
    taken = buffered_bytes(transfers, word_bytes, alignment)
    assert taken % alignment == 0
    assert transfers * word_bytes <= taken < transfers * (word_bytes + alignment)
