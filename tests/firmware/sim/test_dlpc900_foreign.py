"""What other people's drivers send, and what TI's manual shows, works on the simulated controller.

Two small hosts, written from the documented formats; they share nothing with our driver.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.firmware.sim.dlpc900_host import START, STOP, Host, configuration, definition

HEIGHT, WIDTH = 1080, 1920
Planes = NDArray[np.bool_]
Encoder = Callable[[Planes], bytes]


def pixels_of(planes: Planes) -> NDArray[np.uint32]:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint32)
    for k, plane in enumerate(planes):
        pixels[plane] += np.uint32(1 << k)
    return pixels


def blocks(seed: int, count: int = 3) -> Planes:
    """Masks of 9 x 16 on all mirrors."""
    small = np.random.default_rng(seed).random((count, 9, 16)) < 0.5
    return small.repeat(120, axis=1).repeat(120, axis=2)


def runs(line: NDArray[np.uint32], longest: int) -> list[tuple[int, bytes]]:
    """(length, three bytes) from the left."""
    begins = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), len(line)]
    found = []
    for begin, end in pairwise(begins):
        colour = int(line[begin]).to_bytes(3, "big")
        whole, rest = divmod(end - begin, longest)
        found += [(longest, colour)] * whole + ([(rest, colour)] if rest else [])
    return found


def varied(count: int) -> bytes:
    return bytes([count]) if count < 128 else bytes([count % 128 | 128, count // 128])


def header(compression: int, count: int, *, marks: int) -> bytes:
    sizes = WIDTH.to_bytes(2, "little") + HEIGHT.to_bytes(2, "little") + count.to_bytes(4, "little")
    tail = bytes([marks, compression, 1, 0, 0, marks]) + bytes(18)
    return b"Spld" + sizes + b"\xff" * 8 + bytes(4) + tail


def enhanced(planes: Planes, *, line_ends: bool, counts_header: bool, padding: int, marks: int) -> bytes:
    data = bytearray()
    above = None
    for line in pixels_of(planes):
        if above is not None and np.array_equal(line, above):
            data += b"\x00\x01" + varied(WIDTH)
        else:
            for length, colour in runs(line, 32_767):
                data += varied(length) + colour
        data += b"\x00\x00" if line_ends else b""
        above = line
    data += b"\x00\x01\x00"
    data += bytes(-len(data) % padding)
    return header(2, len(data) + 48 * counts_header, marks=marks) + bytes(data)


def first_driver(planes: Planes) -> bytes:
    """Bytes 24 and 29 are 0, the count includes the header, every line is ended, no padding."""
    return enhanced(planes, line_ends=True, counts_header=True, padding=1, marks=0)


def second_driver(planes: Planes) -> bytes:
    """Bytes 24 and 29 are 1, the count is of the data alone, no line is ended, padded to four bytes."""
    return enhanced(planes, line_ends=False, counts_header=False, padding=4, marks=1)


def plain(planes: Planes) -> bytes:
    """Plain run-length code: one-byte lengths, no copies, lines begin at multiples of four bytes."""
    data = bytearray()
    for line in pixels_of(planes):
        for length, colour in runs(line, 255):
            data += bytes([length]) + colour
        data += b"\x00\x00"
        data += bytes(-len(data) % 4)
    data += b"\x00\x01"
    return header(1, len(data), marks=1) + bytes(data)


def raw(planes: Planes) -> bytes:
    big_endian = pixels_of(planes).astype(">u4").view(np.uint8).reshape(-1, 4)
    return header(0, 3 * HEIGHT * WIDTH, marks=1) + big_endian[:, 1:].tobytes()


def send(host: Host, image: bytes, index: int, *, flags: int, empty_last: bool) -> None:
    host.exchange(0x1A2A, index.to_bytes(2, "little") + len(image).to_bytes(4, "little"), flags)
    for begin in range(0, len(image), 504):
        block = image[begin : begin + 504]
        host.exchange(0x1A2B, len(block).to_bytes(2, "little") + block, flags)
    if empty_last:
        host.exchange(0x1A2B, bytes(2), flags)


def shows(host: Host, planes: Planes) -> bool:
    return all(np.array_equal(host.chip.mirror_plane(k), plane) for k, plane in enumerate(planes))


@pytest.mark.parametrize("flags", [0x40, 0x00])
def test_the_first_driver_loads_images_and_reads_a_reply_if_there_is_one(flags: int) -> None:
    # Stop, mode, definitions, configuration, images last first, an empty last packet, start.
    host = Host()
    images = [blocks(1, 24), blocks(2, 2)]
    host.exchange(0x1A24, STOP, flags)
    host.exchange(0x1A1B, b"\x03", flags)
    host.clock.advance(30_000_000)
    for k in range(26):
        host.exchange(0x1A34, definition(k, image=k // 24, bit=k % 24, options=0x71), flags)
    host.exchange(0x1A31, configuration(26, 0), flags)
    for index in (1, 0):
        send(host, first_driver(images[index]), index, flags=flags, empty_last=True)
    host.exchange(0x1A24, START, flags)
    assert host.read(0x0100) == 0
    assert host.read(0x1A0C) & 2 == 2
    assert shows(host, np.concatenate(images))


def test_the_second_driver_configures_again_after_the_images() -> None:
    host = Host()
    host.do(0x1A24, STOP)
    host.do(0x0201, b"\x03")
    host.do(0x1A1B, b"\x03")
    host.clock.advance(30_000_000)
    host.do(0x1A24, STOP)
    # It means to leave TRIG_OUT_2 on with a 1 that turns it off.
    entry = definition(0)
    host.do(0x1A34, entry[:9] + b"\x01" + entry[10:])
    host.do(0x1A31, configuration(1, 0))
    send(host, second_driver(blocks(3, 1)), 0, flags=0x40, empty_last=False)
    host.do(0x1A31, configuration(1, 0))
    host.do(0x1A24, START)
    assert host.chip.trigger_in(host.clock.now_ns()) is None
    assert shows(host, blocks(3, 1))


def test_the_manuals_example_starts_without_configuring_again() -> None:
    # DLPU018J 5.3: 1A1B, 1A34, 1A34, 1A31, 1A2A, 1A2B ..., 1A24; no stop before it
    host = Host()
    host.do(0x1A1B, b"\x03")
    host.clock.advance(30_000_000)
    host.do(0x1A34, bytes.fromhex("00 00 C8 00 00 11 00 00 00 00 00 00"))
    host.do(0x1A34, bytes.fromhex("01 00 90 01 00 21 00 00 00 00 00 08"))
    host.do(0x1A31, bytes.fromhex("02 00 00 00 00 00"))
    send(host, second_driver(blocks(4, 2)), 0, flags=0x40, empty_last=False)
    host.do(0x1A24, START)
    assert shows(host, blocks(4, 2))
    starts = host.chip.pattern_starts(0, host.clock.now_ns())
    assert [b - a for a, b in pairwise(starts[:5])] == [200_000, 400_000] * 2


@pytest.mark.parametrize("encode", [first_driver, second_driver, plain])
def test_every_way_to_code_an_image_gives_the_same_mirrors(encode: Encoder) -> None:
    host = Host()
    host.enter_on_the_fly()
    for k in range(3):
        host.do(0x1A34, definition(k, bit=k))
    host.do(0x1A31, configuration(3, 3))
    send(host, encode(blocks(5)), 0, flags=0x40, empty_last=False)
    assert host.read(0x0100) == 0
    assert shows(host, blocks(5))


def test_an_image_without_code_is_read_too() -> None:
    host = Host()
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    # Without replies: 12 344 blocks.
    send(host, raw(blocks(6, 1)), 0, flags=0x00, empty_last=False)
    assert host.read(0x0100) == 0
    assert shows(host, blocks(6, 1))


def test_an_empty_last_packet_harms_nothing() -> None:
    host = Host()
    host.enter_on_the_fly()
    host.do(0x1A34, definition(0))
    host.do(0x1A31, configuration(1, 1))
    image = second_driver(blocks(7, 1))
    send(host, image, 0, flags=0x40, empty_last=True)
    assert host.read(0x0100) == 0
    host.do(0x1A24, START)
