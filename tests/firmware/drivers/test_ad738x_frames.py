"""Words of the AD7380 family, against bytes worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.ad738x_frames import (
    ALERT_LOW,
    CONFIG1,
    CONFIG2,
    HARD_RESET,
    ONE_LINE,
    PARTS,
    SOFT_RESET,
    Config1,
    conversion_ns,
    counts_of,
    parse_register,
    read_register,
    write_register,
)
from lsi.errors import BoardConfigError, FrameError


# Linux drivers/iio/adc/ad7380.c: bit 15 writes, 14..12 address, 11..0 data.
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (write_register(CONFIG2, HARD_RESET), "A0 FF"),
        (write_register(CONFIG2, ONE_LINE), "A1 00"),
        (write_register(CONFIG2, ONE_LINE | SOFT_RESET), "A1 3C"),
        (write_register(CONFIG1, Config1(8).data), "90 C0"),
        (write_register(CONFIG1, Config1().data), "90 00"),
        (write_register(CONFIG1, Config1(4).data), "90 80"),
        (write_register(CONFIG1, Config1(16).data), "91 00"),
        (write_register(CONFIG1, Config1(32, external_reference=True).data), "91 42"),
        (write_register(CONFIG1, Config1(2, wider_result=True, power_down=True).data), "90 45"),
        (write_register(ALERT_LOW, 0xA5A), "CA 5A"),
        (read_register(CONFIG1), "10 00"),
        (read_register(CONFIG2), "20 00"),
        (read_register(ALERT_LOW), "40 00"),
    ],
)
def test_register_words_are_these_bytes(word: bytes, expected: str) -> None:
    assert word == bytes.fromhex(expected)


@given(st.integers(0, 0xFFF), st.integers(0, 0xF))
def test_a_register_is_the_low_twelve_bits_whatever_stands_above(data: int, above: int) -> None:
    assert parse_register((above << 12 | data).to_bytes(2, "big")) == data


@pytest.mark.parametrize("ratio", [0, 3, 64])
def test_a_ratio_that_the_part_lacks_is_refused_with_those_it_has(ratio: int) -> None:
    with pytest.raises(BoardConfigError, match="one of 1, 2, 4, 8, 16, 32"):
        Config1(ratio)


@pytest.mark.parametrize(("address", "data"), [(0, 0), (6, 0), (1, 0x1000), (1, -1)])
def test_a_register_that_does_not_exist_or_is_too_narrow_is_refused(address: int, data: int) -> None:
    with pytest.raises(FrameError):
        write_register(address, data)


def test_a_register_answer_has_two_bytes() -> None:
    with pytest.raises(FrameError, match="expected 2"):
        parse_register(b"\0\0\0")


# Two's complement: 0x8000 is the lowest code, 0x0000 the middle, 0x7FFF the highest.
@pytest.mark.parametrize(
    ("frame", "counts"),
    [
        ("80 00 7F FF", [0, 65535]),
        ("00 00 FF FF", [32768, 32767]),
        ("00 01 80 01 12 34 FE DC", [32769, 1, 0x9234, 0x7EDC]),
    ],
)
def test_counts_are_the_codes_with_the_zero_moved(frame: str, counts: list[int]) -> None:
    received = np.frombuffer(bytes.fromhex(frame), np.uint8)
    assert counts_of(received).tolist() == counts
    assert counts_of(received).dtype == np.dtype("=u2")


@given(st.lists(st.lists(st.integers(-32768, 32767), min_size=4, max_size=4), min_size=1, max_size=5))
def test_codes_come_back_from_frames_of_any_shape(codes: list[list[int]]) -> None:
    frames = np.array(codes, ">i2").view(np.uint8)
    assert (counts_of(frames).astype(int) - 32768).tolist() == codes


def test_a_pseudo_differential_part_measures_from_ground_to_the_reference() -> None:
    scale = PARTS["ad7383"].scale(2.5)
    assert scale.v_per_count == 2.5 / 65536
    assert scale.zero_v == 0.0


def test_its_range_follows_the_common_voltage() -> None:
    scale = PARTS["ad7383-4"].scale(2.5, common_v=1.0)
    assert 32768 * scale.v_per_count + scale.zero_v == pytest.approx(1.0)
    assert scale.zero_v == pytest.approx(-0.25)


def test_a_differential_part_measures_both_signs_of_the_reference() -> None:
    scale = PARTS["ad7380"].scale(3.3)
    assert scale.v_per_count == 2 * 3.3 / 65536
    assert scale.zero_v == pytest.approx(-3.3)
    assert 32768 * scale.v_per_count + scale.zero_v == pytest.approx(0.0)


@pytest.mark.parametrize(("name", "length"), [("ad7380", 4), ("ad7383", 4), ("ad7383-4", 8)])
def test_a_frame_holds_two_bytes_of_each_channel(name: str, length: int) -> None:
    assert PARTS[name].frame_bytes == length


@pytest.mark.parametrize(("ratio", "needed_ns"), [(1, 190), (2, 510), (8, 3_510), (32, 15_510)])
def test_a_conversion_takes_as_long_as_the_kernel_waits(ratio: int, needed_ns: int) -> None:
    assert conversion_ns(ratio) == needed_ns
