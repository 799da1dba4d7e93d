"""Words of the ADS868x, against bytes worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.ads868x_frames import (
    PARTS,
    RANGES,
    Opcode,
    Register,
    counts_of,
    frame_of,
    parse_register,
    read_register,
    unipolar_range,
    write_register,
)
from lsi.errors import BoardConfigError, FrameError


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (frame_of(Opcode.NO_OPERATION), "00 00 00 00"),
        (write_register(Register.RANGE_SEL, 0x0B), "D0 14 00 0B"),
        (read_register(Register.RANGE_SEL), "C8 14 00 00"),
        (write_register(Register.DATAOUT_CTL, 0x0E), "D0 10 00 0E"),
        (write_register(Register.DEVICE_ID_HIGH, 0xA), "D0 02 00 0A"),
        (frame_of(Opcode.WRITE_HIGH_BYTE, Register.RST_PWRCTL, 0x6900), "D2 04 69 00"),
        (frame_of(Opcode.WRITE_LOW_BYTE, Register.ALARM_LOW, 0x7F), "D4 28 00 7F"),
        (frame_of(Opcode.SET_BITS, Register.SDO_CTL, 0x1000), "D8 0C 10 00"),
        (frame_of(Opcode.CLEAR_BITS, Register.SDI_CTL, 3), "C0 08 00 03"),
        (frame_of(Opcode.READ_BYTE, 0x1FF), "49 FF 00 00"),
    ],
)
def test_frames_are_these_bytes(frame: bytes, expected: str) -> None:
    assert frame == bytes.fromhex(expected)


@pytest.mark.parametrize(("address", "data"), [(0x200, 0), (0, 0x10000)])
def test_what_does_not_fit_into_a_frame_is_refused(address: int, data: int) -> None:
    with pytest.raises(FrameError, match="too wide"):
        write_register(address, data)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_a_register_is_the_upper_half_of_the_next_frame(value: int, rest: int) -> None:
    assert parse_register((value << 16 | rest).to_bytes(4, "big")) == value


def test_an_answer_has_four_bytes() -> None:
    with pytest.raises(FrameError, match="expected 4"):
        parse_register(b"\0\0\0")
    with pytest.raises(FrameError, match="expected 4"):
        counts_of(np.zeros((2, 3), np.uint8))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0x3FFF)), min_size=1, max_size=6))
def test_results_come_back_with_and_without_parity(results: list[tuple[int, int]]) -> None:
    words = [count << 16 | (count.bit_count() & 1) << 15 | rest for count, rest in results]
    received = np.array(words, ">u4").view(np.uint8).reshape(-1, 4)
    expected = [count for count, _ in results]
    assert counts_of(received).tolist() == expected
    assert counts_of(received, parity=True).tolist() == expected


@given(st.integers(0, 0xFFFF), st.integers(0, 16))
def test_one_wrong_bit_in_result_or_parity_is_found(count: int, flipped: int) -> None:
    word = (count << 1 | count.bit_count() & 1) ^ 1 << flipped
    received = np.frombuffer((word << 15).to_bytes(4, "big"), np.uint8)
    with pytest.raises(FrameError, match="parity is wrong in 1 of 1"):
        counts_of(received, parity=True)


@pytest.mark.parametrize(
    ("code", "low_v", "high_v"),
    [
        (0, -12.288, 12.288),
        (2, -6.144, 6.144),
        (4, -2.56, 2.56),
        (8, 0, 12.288),
        (0xA, 0, 6.144),
        (0xB, 0, 5.12),
    ],
)
def test_a_range_goes_from_its_low_end_to_its_high_end(code: int, low_v: float, high_v: float) -> None:
    scale = {one.code: one for one in RANGES}[code].scale(4.096)
    assert scale.zero_v == pytest.approx(low_v)
    assert 65536 * scale.v_per_count + scale.zero_v == pytest.approx(high_v)


def test_a_range_is_found_by_the_volts_it_ends_at() -> None:
    assert unipolar_range(5.12).code == 0xB
    assert unipolar_range(7.5, vref_v=2.5).code == 0x8
    with pytest.raises(BoardConfigError, match=r"one of 5\.12, 6\.144, 10\.24, 12\.288 V"):
        unipolar_range(3.3)


@pytest.mark.parametrize(("name", "cycle_ns"), [("ads8681", 1_000), ("ads8685", 2_000), ("ads8689", 10_000)])
def test_a_part_converts_within_its_cycle(name: str, cycle_ns: int) -> None:
    assert PARTS[name].cycle_ns == cycle_ns > PARTS[name].conversion_ns
