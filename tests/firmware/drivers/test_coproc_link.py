"""Commands and replies over a scripted line."""

from collections.abc import Sequence

import pytest

from firmware.drivers.coproc_frames import Configuration, Frame, FrameReader, Kind, Refusal, encode_frame
from firmware.drivers.coproc_link import REPLY_TIMEOUT_NS, TRIES, CoprocLink, RefusedError
from firmware.sim.clock import SimClock
from lsi.errors import BusError, BusErrorKind
from lsi.units import NS_PER_MS

SUMMARY = bytes.fromhex("07 00 42000000 42000000 00000000")


class ScriptedLine:
    """Answers each command with the next line of the script; a read without bytes takes its time.

    A line is frames as (kind, payload); a reply's sequence number is the command's.
    """

    def __init__(self, clock: SimClock, script: Sequence[Sequence[tuple[int, bytes]]]) -> None:
        self.clock = clock
        self.script = list(script)
        self.commands: list[Frame] = []
        self.incoming = b""

    def write(self, sent: bytes) -> None:
        (command,) = FrameReader().feed(sent)
        self.commands.append(command)
        for kind, payload in self.script.pop(0):
            self.incoming += encode_frame(kind, command.sequence, payload)

    def read(self, timeout_ms: int) -> bytes:
        if not self.incoming:
            self.clock.advance(timeout_ms * NS_PER_MS)
        received, self.incoming = self.incoming, b""
        return received


def linked(*script: Sequence[tuple[int, bytes]]) -> tuple[CoprocLink, ScriptedLine]:
    clock = SimClock()
    line = ScriptedLine(clock, script)
    return CoprocLink(line, clock), line


def reply(kind: Kind, payload: bytes = b"") -> tuple[int, bytes]:
    return kind | Kind.REPLY, payload


def test_a_command_returns_its_reply() -> None:
    link, line = linked([reply(Kind.STOP, SUMMARY)])
    assert link.stop().captured == 66
    assert [command.kind for command in line.commands] == [Kind.STOP]


def test_hello_tells_who_is_there() -> None:
    link, _ = linked([reply(Kind.HELLO, bytes.fromhex("02 010000 05000000 80d1f008 00200000"))])
    hello = link.hello()
    assert (hello.chip, hello.boot, hello.clock_hz) == (2, 5, 150_000_000)


def test_a_command_without_a_reply_is_sent_once_more_with_the_same_number() -> None:
    link, line = linked([], [reply(Kind.STOP, SUMMARY)])
    link.stop()
    assert len({command.sequence for command in line.commands}) == 1
    assert line.clock.now_ns() == REPLY_TIMEOUT_NS


def test_silence_ends_in_a_timeout() -> None:
    link, line = linked([], [])
    with pytest.raises(BusError, match="did not answer STOP") as caught:
        link.stop()
    assert caught.value.kind is BusErrorKind.TIMEOUT
    assert line.clock.now_ns() == TRIES * REPLY_TIMEOUT_NS


def test_a_late_reply_to_an_earlier_command_is_not_taken_for_this_one() -> None:
    link, line = linked([reply(Kind.STOP, SUMMARY)])
    line.incoming = encode_frame(Kind.STOP | Kind.REPLY, 99, bytes(14))
    assert link.stop().pass_number == 7


@pytest.mark.parametrize("refusal", list(Refusal))
def test_a_refusal_says_why_and_what_to_try(refusal: Refusal) -> None:
    link, _ = linked([(Kind.REFUSED, bytes([Kind.ARM, refusal]))])
    with pytest.raises(RefusedError, match="refuses ARM") as caught:
        link.arm(1, Configuration(0, 0, 1, 1, 1))
    assert caught.value.refusal is refusal
    assert caught.value.hint


@pytest.mark.parametrize("kind", [0x42, Kind.REFUSED])
def test_an_answer_that_makes_no_sense_is_an_error(kind: int) -> None:
    link, _ = linked([(kind, b"")])
    with pytest.raises(BusError) as caught:
        link.stop()
    assert caught.value.kind is BusErrorKind.FRAME


def test_samples_that_come_before_a_reply_wait_for_whoever_asks() -> None:
    link, _ = linked([(Kind.DATA, b"one"), reply(Kind.STOP, SUMMARY), (Kind.END, b"two")])
    link.stop()
    assert [link.next_frame(0), link.next_frame(0), link.next_frame(0)] == [
        Frame(Kind.DATA, 1, b"one"),
        Frame(Kind.END, 1, b"two"),
        None,
    ]


def test_waiting_for_a_frame_ends_at_the_deadline() -> None:
    link, line = linked()
    assert link.next_frame(30 * NS_PER_MS) is None
    assert line.clock.now_ns() == 30 * NS_PER_MS


def test_a_boot_frame_ends_a_wait() -> None:
    link, line = linked()
    line.incoming = encode_frame(Kind.BOOT, 0, bytes(16))
    with pytest.raises(BusError, match="restarted"):
        link.next_frame(NS_PER_MS)


def test_a_boot_frame_before_a_reply_is_over_and_one_behind_it_ends_the_next_wait() -> None:
    link, _ = linked([(Kind.BOOT, bytes(16)), reply(Kind.STOP, SUMMARY), (Kind.BOOT, bytes(16))])
    assert link.stop().pass_number == 7
    with pytest.raises(BusError, match="restarted"):
        link.next_frame(0)


def test_arming_forgets_frames_and_halves_of_frames_of_earlier_passes() -> None:
    link, line = linked([(Kind.DATA, b"old"), reply(Kind.STOP, SUMMARY)], [reply(Kind.ARM, b"\x01")])
    link.stop()
    line.incoming = encode_frame(Kind.BOOT, 0, bytes(16)) + encode_frame(Kind.DATA, 3, b"old")[:-2]
    link.arm(1, Configuration(0, 0, 1, 1, 1))
    assert link.next_frame(line.clock.now_ns()) is None
    assert link.damaged_frames == 0


def test_half_a_frame_that_was_read_before_arming_spoils_nothing_after_it() -> None:
    link, line = linked([reply(Kind.ARM, b"\x01")])
    line.incoming = encode_frame(Kind.DATA, 3, b"old")[:-2]
    assert link.next_frame(NS_PER_MS) is None
    link.arm(1, Configuration(0, 0, 1, 1, 1))
    assert link.damaged_frames == 0
