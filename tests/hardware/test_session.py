"""What the co-processor answers, on its own: no host code but the frame reader."""

import struct
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.drivers.coproc_frames import Frame, FrameReader, parse_data
from hardware.coproc import ad7383, framing
from hardware.coproc.ports import Capture, Line, RegisterPort
from hardware.coproc.session import BATCH_BYTES, Session

CONFIGURE = struct.pack(framing.CONFIGURE_LAYOUT, 15_000, 0, 20_000_000, 4, 3, 1, 0)
ARM = struct.pack(framing.ARM_LAYOUT, 9, zlib.crc32(CONFIGURE))


class FakeCapture(Capture):
    """A ring whose word n holds n; ``fill`` is how far the DMA has come."""

    clock_hz = 125_000_000

    def __init__(self, ring_words: int = 64) -> None:
        self.ring_words = ring_words
        self.ring = bytearray(4 * ring_words)
        self.calls: list[str] = []
        self.filled = self.edge_count = self.time_us = 0
        self.lost = False
        self.there = True

    def fill(self, words: int) -> None:
        for word in range(self.filled, words):
            at = 4 * (word % self.ring_words)
            self.ring[at : at + 4] = struct.pack("<I", word)
        self.filled = words

    def answers(self) -> bool:
        return self.there

    def start(self, divider: int, guard_loops: int, samples: int, masks: int) -> None:
        self.calls.append(f"start {divider} {guard_loops} {samples} {masks}")
        self.filled = self.edge_count = 0

    def written_words(self) -> int:
        return self.filled

    def edges(self) -> int:
        return self.edge_count

    def stalled(self) -> bool:
        return self.lost

    def now_us(self) -> int:
        return self.time_us

    def elapsed_us(self, since_us: int) -> int:
        return self.time_us - since_us

    def stop(self) -> None:
        self.calls.append("stop")


class Wire(Line):
    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._bytes += data

    def frames(self) -> list[Frame]:
        reader = FrameReader()
        found = reader.feed(bytes(self._bytes))
        assert reader.damaged == 0
        self._bytes.clear()
        return found


class Board:
    def __init__(self, ring_words: int = 64) -> None:
        self.capture, self.wire = FakeCapture(ring_words), Wire()
        self.session = Session(1, 0xABCD, self.capture, self.wire)

    def ask(self, kind: int, payload: bytes = b"", sequence: int = 5) -> list[Frame]:
        self.session.receive(framing.frame(kind, sequence, payload))
        return self.wire.frames()

    def armed(self) -> "Board":
        self.ask(framing.CONFIGURE, CONFIGURE)
        assert self.ask(framing.ARM, ARM) == [Frame(framing.ARM | framing.REPLY, 5, b"\x09")]
        return self

    def poll(self) -> list[Frame]:
        self.session.poll()
        return self.wire.frames()


def summary(frame: Frame) -> tuple[int, ...]:
    return struct.unpack(framing.SUMMARY_LAYOUT, frame.payload)


def test_it_says_who_it_is_at_its_start_and_when_asked() -> None:
    board = Board()
    board.session.boot()
    (boot,) = board.wire.frames()
    (hello,) = board.ask(framing.HELLO)
    assert boot.kind == framing.BOOT
    assert hello.payload == boot.payload
    assert struct.unpack(framing.HELLO_LAYOUT, boot.payload) == (1, 1, 0, 0, 0xABCD, 125_000_000, 64)


def test_configuring_answers_with_what_became_of_it() -> None:
    (reply,) = Board().ask(framing.CONFIGURE, CONFIGURE)
    # 125 MHz / (4 * 2) is the fastest that is not above 20 MHz; 15 us are 937.5 cycles of 16 ns.
    assert struct.unpack(framing.TIMING_LAYOUT, reply.payload) == (125_000_000, 2, 133, 938)


def test_arming_starts_the_capture_as_configured() -> None:
    assert Board().armed().capture.calls[-1] == "start 2 933 3 4"


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (0x77, b"", framing.UNKNOWN_COMMAND),
        (framing.ARM, b"", framing.MALFORMED),
        (framing.HELLO, b"x", framing.MALFORMED),
        (framing.ARM, ARM, framing.NOT_CONFIGURED),
        (framing.RESEND, struct.pack(framing.RESEND_LAYOUT, 9, 0, 1), framing.GONE),
        (framing.CONFIGURE, struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 0, 4, 3, 1, 0), framing.OUT_OF_RANGE),
        (framing.CONFIGURE, struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 9, 0, 3, 1, 0), framing.OUT_OF_RANGE),
        (
            framing.CONFIGURE,
            struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 9**7, 4, 0, 1, 0),
            framing.OUT_OF_RANGE,
        ),
        (
            framing.CONFIGURE,
            struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 9**7, 4, 256, 1, 0),
            framing.OUT_OF_RANGE,
        ),
        (
            framing.CONFIGURE,
            struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 9**7, 4, 3, 2, 0),
            framing.OUT_OF_RANGE,
        ),
        (
            framing.CONFIGURE,
            struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 100, 4, 3, 1, 0),
            framing.OUT_OF_RANGE,
        ),
        (
            framing.CONFIGURE,
            struct.pack(framing.CONFIGURE_LAYOUT, 10**7, 0, 10**8, 4, 3, 1, 0),
            framing.OUT_OF_RANGE,
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(kind: int, payload: bytes, reason: int) -> None:
    assert Board().ask(kind, payload) == [Frame(framing.REFUSED, 5, bytes([kind, reason]))]


def test_a_silent_converter_is_told() -> None:
    board = Board()
    board.capture.there = False
    (refusal,) = board.ask(framing.CONFIGURE, CONFIGURE)
    assert refusal.payload[1] == framing.CONVERTER_SILENT
    assert board.ask(framing.ARM, ARM)[0].payload[1] == framing.NOT_CONFIGURED


def test_arming_for_another_configuration_is_refused() -> None:
    board = Board()
    board.ask(framing.CONFIGURE, CONFIGURE)
    (refusal,) = board.ask(framing.ARM, struct.pack(framing.ARM_LAYOUT, 9, 1))
    assert refusal.payload == bytes([framing.ARM, framing.NOT_CONFIGURED])


def test_nothing_is_sent_before_the_pass_is_complete_or_a_batch_is_there() -> None:
    board = Board().armed()
    board.capture.fill(15)
    assert board.poll() == []
    board.capture.fill(16)
    board.capture.edge_count = 4
    data, end = board.poll()
    found = parse_data(data.payload)
    assert (found.pass_number, found.first, found.masks) == (9, 0, 4)
    assert found.words == struct.pack("<16I", *range(16))
    assert summary(end) == (9, 0, 4, 4, 0)
    assert board.poll() == []


def test_the_end_is_told_after_the_tail_with_the_edges_of_the_tail() -> None:
    board = Board()
    payload = struct.pack(framing.CONFIGURE_LAYOUT, 0, 105_000, 20_000_000, 4, 3, 1, 0)
    board.ask(framing.CONFIGURE, payload)
    board.ask(framing.ARM, struct.pack(framing.ARM_LAYOUT, 9, zlib.crc32(payload)))
    board.capture.fill(16)
    assert [frame.kind for frame in board.poll()] == [framing.DATA]
    board.capture.time_us, board.capture.edge_count = 104, 5
    assert board.poll() == []
    board.capture.time_us = 105
    (end,) = board.poll()
    assert summary(end) == (9, 0, 5, 4, 0)


@example(masks=41, samples=24, steps=[500, 500])
@settings(max_examples=25)
@given(
    masks=st.integers(1, 300), samples=st.integers(1, 255), steps=st.lists(st.integers(1, 400), max_size=60)
)
def test_every_word_leaves_once_and_in_order_wherever_the_ring_wraps(
    masks: int, samples: int, steps: list[int]
) -> None:
    board, words, sent = Board(ring_words=1024), masks * (samples + 1), []
    payload = struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 20_000_000, masks, samples, 1, 0)
    board.ask(framing.CONFIGURE, payload)
    board.ask(framing.ARM, struct.pack(framing.ARM_LAYOUT, 1, zlib.crc32(payload)))
    filled = 0
    for step in [*steps, *([256] * (words // 256 + 1))]:
        filled = min(filled + step, words)
        board.capture.fill(filled)
        sent += board.poll()
    data = [parse_data(frame.payload) for frame in sent if frame.kind == framing.DATA]
    assert b"".join(one.words for one in data) == struct.pack(f"<{words}I", *range(words))
    assert [one.first for one in data] == [sum(other.masks for other in data[:at]) for at in range(len(data))]
    assert [frame.sequence for frame in sent] == list(range(len(sent)))
    assert sent[-1].kind == framing.END
    assert all(len(one.words) <= max(BATCH_BYTES, 4 * (samples + 1)) for one in data)


def test_a_ring_that_was_overtaken_ends_the_pass_with_a_flag() -> None:
    board = Board(ring_words=10).armed()
    board.capture.fill(11)
    (end,) = board.poll()
    assert summary(end) == (9, framing.OVERRUN, 0, 2, 12)


def test_a_word_lost_before_the_ring_ends_the_pass_with_a_flag() -> None:
    board = Board().armed()
    board.capture.fill(6)
    board.capture.lost = True
    (end,) = board.poll()
    assert summary(end)[1] == framing.OVERRUN
    assert board.ask(framing.RESEND, struct.pack(framing.RESEND_LAYOUT, 9, 0, 1))[0].kind == framing.REFUSED


def test_stopping_tells_how_far_it_came_and_edges_that_came_later() -> None:
    board = Board().armed()
    board.capture.fill(6)
    board.capture.edge_count = 2
    assert summary(board.ask(framing.STOP)[0]) == (9, 0, 2, 1, 9)
    board.capture.edge_count = 5
    assert summary(board.ask(framing.STOP)[0]) == (9, 0, 5, 1, 9)
    assert board.poll() == []


def test_the_state_is_told_when_asked() -> None:
    board = Board()
    assert board.ask(framing.STATUS)[0].payload[0] == 0
    assert board.armed().ask(framing.STATUS)[0].payload[0] == 1
    board.capture.fill(16)
    board.poll()
    assert board.ask(framing.STATUS)[0].payload[0] == 2


def test_exposures_are_sent_again_as_long_as_the_ring_holds_them() -> None:
    board, masks = Board(ring_words=1024), 600
    payload = struct.pack(framing.CONFIGURE_LAYOUT, 0, 0, 20_000_000, masks, 3, 1, 0)
    board.ask(framing.CONFIGURE, payload)
    board.ask(framing.ARM, struct.pack(framing.ARM_LAYOUT, 9, zlib.crc32(payload)))
    for filled in range(0, 4 * masks + 1, 600):
        board.capture.fill(filled)
        board.poll()
    oldest = masks - 1024 // 4
    held, gone = (struct.pack(framing.RESEND_LAYOUT, 9, first, 1) for first in (oldest, oldest - 1))
    assert parse_data(board.ask(framing.RESEND, held)[0].payload).first == oldest
    assert board.ask(framing.RESEND, gone)[0].payload == bytes([framing.RESEND, framing.GONE])


def test_a_repeated_command_is_carried_out_again() -> None:
    board = Board().armed()
    board.capture.fill(16)
    board.poll()
    request = struct.pack(framing.RESEND_LAYOUT, 9, 1, 2)
    first, second = board.ask(framing.RESEND, request), board.ask(framing.RESEND, request)
    assert [frame.payload for frame in first] == [frame.payload for frame in second]
    assert parse_data(first[0].payload).words == struct.pack("<8I", *range(4, 12))
    assert first[1] == Frame(framing.RESEND | framing.REPLY, 5, b"\x09")


@pytest.mark.parametrize(("number", "first", "masks"), [(8, 0, 1), (9, 3, 2), (9, 4, 1)])
def test_what_was_never_sampled_is_not_sent(number: int, first: int, masks: int) -> None:
    board = Board().armed()
    board.capture.fill(16)
    board.poll()
    (refusal,) = board.ask(framing.RESEND, struct.pack(framing.RESEND_LAYOUT, number, first, masks))
    assert refusal.payload[1] == framing.GONE


class FakeRegisters(RegisterPort):
    """The register side of an AD7383: the answer to a read comes with the next word."""

    def __init__(self, *, stuck: int | None = None) -> None:
        self.words: list[int] = []
        self.slept_ms = 0
        self._registers = {ad7383.CONFIG2: 0}
        self._answer = 0
        self._stuck = stuck

    def exchange(self, word: int) -> int:
        self.words.append(word)
        answer, address = self._answer, word >> 12 & 7
        self._answer = 0
        if word >> 15:
            self._registers[address] = 0 if word & 0xFF == 0xFF else word & 0xFFF
        elif address:
            self._answer = self._registers[address]
        return answer if self._stuck is None else self._stuck

    def sleep_ms(self, duration_ms: int) -> None:
        self.slept_ms += duration_ms


def test_the_converter_is_reset_and_set_to_one_line() -> None:
    registers = FakeRegisters()
    assert ad7383.start(registers)
    assert registers.words == [0xA0FF, 0xA100, 0x2000, 0x0000]
    assert registers.slept_ms == ad7383.RESET_MS


@pytest.mark.parametrize("stuck", [0x0000, 0xFFFF])
def test_a_line_that_nobody_drives_is_no_converter(stuck: int) -> None:
    assert not ad7383.start(FakeRegisters(stuck=stuck))
