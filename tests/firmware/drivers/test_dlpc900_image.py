"""Images on the wire: the driver's encoder, and what the controller reads from them."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from benchmarks.naive_erle import encode_naive, measure_speedup
from firmware.drivers.dlpc900_grid import MirrorGrid, centred_grid, grid_of, traced_grid
from firmware.drivers.dlpc900_image import encode_cells, encode_image, encode_masks, pack_planes
from firmware.drivers.dmds import DMDS, Dmd
from firmware.drivers.mirror_field import MirrorField
from firmware.sim.dlpc900_image import StoredImage, decode_image, side_by_side
from lsi.errors import FrameError
from lsi.placement import Placement

Pixels = NDArray[np.uint32]

sides = st.tuples(st.integers(1, 7), st.integers(1, 300))
raw_images = arrays.arrays(np.uint32, sides, elements=st.integers(0, 0xFF_FFFF))
flat_images = arrays.arrays(np.uint32, sides, elements=st.integers(0, 1), fill=st.just(0))
images = raw_images | flat_images


def pixels_of(stored: StoredImage) -> Pixels:
    return stored.lines[stored.line_of]


def decoded(image: bytes, like: Pixels) -> Pixels:
    height, width = like.shape
    return pixels_of(decode_image(image, width, height))


def length(count: int) -> bytes:
    """DLPU018J: one byte below 128, else the low seven bits with bit 7 set, then the rest."""
    return bytes([count]) if count < 128 else bytes([count % 128 + 128, count // 128])


def pixel(value: int) -> bytes:
    return int(value).to_bytes(3, "big")


def other_encoder(pixels: Pixels, *, ends_lines: bool, uses_literals: bool) -> bytes:
    """Another reading of the manual: literals, partial copies, with and without line ends."""
    data = b""
    for row, line in enumerate(pixels):
        above = pixels[row - 1] if row else None
        column = 0
        while column < len(line):
            rest = line[column:]
            same = rest == above[column:] if above is not None else np.zeros(len(rest), np.bool_)
            copied = int(np.argmin(np.append(same, values=False)))
            if copied:
                data += b"\x00\x01" + length(copied)
                column += copied
            elif uses_literals and len(rest) > 1:
                data += b"\x00" + length(len(rest)) + b"".join(map(pixel, rest))
                column = len(line)
            else:
                run = int(np.argmin(np.append(rest == rest[0], values=False)))
                data += length(run) + pixel(rest[0])
                column += run
        data += b"\x00\x00" if ends_lines else b""
    return data + b"\x00\x01\x00"


def with_header(data: bytes, like: Pixels, count: int, compression: int = 2) -> bytes:
    """Header as other drivers send it: bytes 24 and 29 are 0."""
    height, width = like.shape
    head = b"Spld" + struct.pack("<HHI", width, height, count) + b"\xff" * 8 + bytes(4)
    return head + bytes([0, compression, 1]) + bytes(21) + data


def test_the_header_is_48_bytes_as_ti_sends_them() -> None:
    # TI E2E 599044: signature, size, count, FF x 8, background, 01, 02, 01, 00 00, 01
    image = encode_image(np.zeros((1080, 1920), np.uint32))
    assert image[:8].hex(" ") == "53 70 6c 64 80 07 38 04"
    assert image[8:12] == (len(image) - 48).to_bytes(4, "little")
    assert image[12:48].hex(" ") == "ff " * 8 + "00 00 00 00 01 02 01 00 00 01" + " 00" * 18


def test_a_small_image_is_these_bytes() -> None:
    # DLPU018J, table of control bytes: runs, end of line, copy, end of image, padding to 4
    image = np.zeros((3, 200), np.uint32)
    image[:2, 150:] = 0x123456
    assert encode_image(image)[48:].hex(" ") == (
        "96 01 00 00 00 32 12 34 56 00 00 00 01 c8 01 00 00 c8 01 00 00 00 00 00 00 01 00 00"
    )


def test_equal_lines_cost_one_copy_each() -> None:
    one_line = encode_image(np.zeros((1, 1920), np.uint32))
    many = encode_image(np.zeros((1001, 1920), np.uint32))
    assert len(many) - len(one_line) == 1000 * len(bytes.fromhex("00 01 80 0f 00 00"))


def test_single_pixels_are_told_together_and_what_stands_above_is_copied() -> None:
    # 00 n pixels; 00 01 n; a lone single pixel is a run of one
    image = np.full((2, 12), 7, np.uint32)
    image[0, 2:5] = 1, 2, 3
    image[1] = image[0]
    image[1, 8] = 9
    assert encode_image(image)[48:].hex(" ") == (
        "02 00 00 07 00 03 00 00 01 00 00 02 00 00 03 07 00 00 07 00 00 "
        "00 01 08 01 00 00 09 00 01 03 00 00 00 01 00"
    )


def test_an_image_that_does_not_compress_is_sent_as_it_is() -> None:
    noise = np.arange(600, dtype=np.uint32).reshape(2, 300) * 0x6111
    image = encode_image(noise)
    assert image[25] == 0
    assert len(image) == 48 + 3 * 600
    assert np.array_equal(decoded(image, noise), noise)


def test_an_image_wider_than_a_run_is_refused() -> None:
    with pytest.raises(FrameError):
        encode_image(np.zeros((1, 0x8000), np.uint32))


@given(images)
def test_the_controller_reads_what_the_driver_encodes(image: Pixels) -> None:
    assert np.array_equal(decoded(encode_image(image), image), image)


@given(images)
def test_a_byte_count_with_header_is_read_too(image: Pixels) -> None:
    encoded = encode_image(image)
    patched = encoded[:8] + len(encoded).to_bytes(4, "little") + encoded[12:]
    assert np.array_equal(decoded(patched, image), image)


@given(
    image=images,
    ends_lines=st.booleans(),
    uses_literals=st.booleans(),
    counts_header=st.booleans(),
    counts_padding=st.booleans(),
)
def test_other_encoders_are_read_too(
    *, image: Pixels, ends_lines: bool, uses_literals: bool, counts_header: bool, counts_padding: bool
) -> None:
    data = other_encoder(image, ends_lines=ends_lines, uses_literals=uses_literals)
    padded = data + bytes(-len(data) % 4)
    count = len(padded if counts_padding else data) + 48 * counts_header
    assert np.array_equal(decoded(with_header(padded, image, count), image), image)


def test_a_run_may_go_over_the_end_of_a_line() -> None:
    image = np.full((2, 50), 5, np.uint32)
    data = bytes.fromhex("64 00 00 05 00 01 00")
    assert np.array_equal(decoded(with_header(data, image, len(data)), image), image)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("line too short", "31 00 00 05 00 00 00 01 00"),
        ("second line too short", "32 00 00 05 31 00 00 05 00 00 01 00 00 05 00 01 00"),
        ("too few lines", "32 00 00 05 00 00 00 01 00"),
        ("too many lines", "32 00 00 05 00 01 32 00 01 32 00 01 00"),
        ("copy without a line above", "00 01 32 00 01 00"),
        ("no end of image", "64 00 00 05"),
        ("cut off in a pixel", "64 00"),
        ("run of nothing", "80 00 00 00 05 64 00 00 05 00 01 00"),
        ("padding too long", "64 00 00 05 00 01 00 00 00 00 00"),
        ("two line ends", "32 00 00 05 00 00 00 00 32 00 00 05 00 01 00"),
    ],
)
def test_broken_data_are_refused(reason: str, data: str) -> None:
    like = np.zeros((2, 50), np.uint32)
    body = bytes.fromhex(data)
    with pytest.raises(FrameError):
        pytest.fail(f"{reason}: {decoded(with_header(body, like, len(body)), like)}")


@pytest.mark.parametrize("change", [-4, 4, 48, 1000])
def test_a_byte_count_that_fits_neither_reading_is_refused(change: int) -> None:
    image = np.zeros((2, 50), np.uint32)
    encoded = encode_image(image)
    count = len(encoded) - 48 * (change < 0) + change
    patched = encoded[:8] + count.to_bytes(4, "little") + encoded[12:]
    with pytest.raises(FrameError):
        decoded(patched, image)


def test_an_image_for_another_dmd_is_refused() -> None:
    with pytest.raises(FrameError):
        decode_image(encode_image(np.zeros((2, 50), np.uint32)), 51, 2)


def test_mask_k_is_bit_k_of_its_image() -> None:
    masks = np.zeros((26, 2, 3), np.bool_)
    masks[0, 0, 0] = masks[23, 0, 1] = masks[24, 1, 2] = masks[25, 1, 2] = True
    packed = pack_planes(masks)
    assert packed.tolist() == [[[1, 1 << 23, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 3]]]


def test_bits_go_out_from_the_highest_to_the_lowest() -> None:
    # bit 0 in the last of the three bytes (two open drivers agree)
    image = encode_image(np.full((1, 100), 1, np.uint32))
    assert image[48:52].hex(" ") == "64 00 00 01"


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 50), st.integers(1, 4), st.integers(1, 4))))
def test_planes_come_back_as_masks(masks: NDArray[np.bool_]) -> None:
    for index, image in enumerate(pack_planes(masks)):
        stored = decode_image(encode_image(image), image.shape[1], image.shape[0])
        for bit, mask in enumerate(masks[24 * index : 24 * index + 24]):
            assert np.array_equal(stored.plane(bit), mask)


@given(
    arrays.arrays(np.bool_, (12, 15)),
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 23),
)
def test_the_open_fraction_is_the_mean_over_each_square(
    mirrors: NDArray[np.bool_], top: int, left: int, scale: int, bit: int
) -> None:
    stored = decode_image(encode_image(mirrors.astype(np.uint32) << np.uint32(bit)), 15, 12)
    found = stored.open_fraction(bit, (3, 4), (top, left), scale)
    squares = mirrors[top : top + 3 * scale, left : left + 4 * scale].reshape(3, scale, 4, scale)
    assert np.allclose(found, squares.mean(axis=(1, 3)))


# The grid of cells


fields = st.builds(
    MirrorField,
    st.builds(Dmd, st.just("small"), st.integers(24, 40), st.integers(20, 30), st.just(400)),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 4),
)
placements = st.builds(
    Placement,
    shift_x_px=st.floats(-2, 2),
    shift_y_px=st.floats(-2, 2),
    rotation_rad=st.sampled_from([0.0, 0.1, -1.2]),
    is_flipped=st.booleans(),
)


def expanded(grid: MirrorGrid, image: Pixels) -> Pixels:
    return grid.cells(image).repeat(grid.heights, axis=0).repeat(grid.widths, axis=1)


def numbered(field: MirrorField) -> Pixels:
    count = field.mask_height * field.mask_width
    return np.arange(1, count + 1, dtype=np.uint32).reshape(field.mask_height, field.mask_width)


@given(fields)
def test_the_grid_of_a_centred_field_is_what_tracing_its_mirrors_finds(field: MirrorField) -> None:
    for grid in (centred_grid(field), traced_grid(field)):
        assert np.array_equal(expanded(grid, numbered(field)), field.spread(numbered(field)))


@given(placements)
def test_the_grid_of_a_moved_field_shows_what_its_mirrors_show(placement: Placement) -> None:
    field = MirrorField(Dmd("small", 40, 34, 400), 5, 6, 4, placement)
    assert np.array_equal(expanded(grid_of(field), numbered(field)), field.spread(numbered(field)))


@given(fields, st.integers(1, 19))
def test_the_parts_of_a_split_grid_lie_side_by_side(field: MirrorField, left_px: int) -> None:
    grid = grid_of(field)
    parts = grid.split((left_px, field.dmd.width_px - left_px))
    image = numbered(field)
    joined = np.concatenate([expanded(part, image) for part in parts], axis=1)
    assert np.array_equal(joined, field.spread(image))


@given(fields, st.integers(0, 2**32))
def test_cells_are_encoded_as_the_mirrors_they_stand_for(field: MirrorField, seed: int) -> None:
    masks = np.random.default_rng(seed).random((24, field.mask_height, field.mask_width)) < 0.5
    ((image,),) = encode_masks(masks, field)
    mirrors = field.spread(pack_planes(masks)[0])
    assert np.array_equal(decoded(image, mirrors), mirrors)


@settings(max_examples=30)
@given(images, st.data())
def test_rows_and_columns_of_any_size_survive_a_round_trip(image: Pixels, data: st.DataObject) -> None:
    heights = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(image), max_size=len(image))))
    width = image.shape[1]
    widths = np.array(data.draw(st.lists(st.sampled_from([1, 1, 2, 130]), min_size=width, max_size=width)))
    mirrors = image.repeat(heights, axis=0).repeat(widths, axis=1)
    assert np.array_equal(decoded(encode_cells(image, heights, widths), mirrors), mirrors)


@settings(max_examples=50)
@given(images, st.integers(1, 299))
def test_halves_that_were_encoded_apart_are_one_image_again(image: Pixels, at: int) -> None:
    at = min(at, image.shape[1] - 1)
    halves = [half for half in (image[:, :at], image[:, at:]) if half.shape[1]]
    stored = [decode_image(encode_image(half), half.shape[1], half.shape[0]) for half in halves]
    assert np.array_equal(pixels_of(side_by_side(stored)), image)


# Against an encoder that looks at one pixel after another


@given(images)
def test_the_plain_encoder_is_read_and_ours_is_no_larger(image: Pixels) -> None:
    naive = encode_naive(image.tolist())
    assert np.array_equal(decoded(naive, image), image)
    # Padding to four bytes may hide or show up to three.
    assert len(encode_image(image)) <= len(naive) + 3


def test_encoding_is_many_times_faster_than_pixel_by_pixel_and_no_larger() -> None:
    # The goal is 60, measured by the benchmark on an idle machine; here it may be busy.
    ours_s, naive_s, ours_bytes, naive_bytes = measure_speedup(rounds=1)
    assert naive_s / ours_s > 25
    assert ours_bytes <= naive_bytes


def test_a_turned_field_costs_less_than_three_times_the_bytes() -> None:
    masks = np.random.default_rng(4).random((24, 64, 64)) < 0.5
    upright = MirrorField(DMDS["DLP6500"], 64, 64, 16)
    turned = MirrorField(DMDS["DLP6500"], 64, 64, 16, Placement(rotation_rad=0.01))
    sizes = [len(encode_masks(masks, field)[0][0]) for field in (upright, turned)]
    assert sizes[1] < 3 * sizes[0]
