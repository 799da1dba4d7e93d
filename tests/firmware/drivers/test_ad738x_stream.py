"""Blocks of an AD738x: what is in a column, when it was taken, and what a fault looks like."""

import numpy as np
import pytest

from firmware.drivers.ad738x_stream import Ad738xStream
from firmware.interfaces import StreamRole
from firmware.sim.spi import FLOATING, SELECT_GAP_NS
from lsi.errors import BoardConfigError, FrameError
from tests.firmware.drivers.ad738x_rig import SPI_HZ, Rig, rig_with

MS = 1_000_000
FOUR = {
    StreamRole.ARM_PLUS: 0,
    StreamRole.ARM_MINUS: 1,
    StreamRole.TRIGGER: 2,
    StreamRole.LAMP: 3,
}
TWO = {StreamRole.ARM_PLUS: 0, StreamRole.TRIGGER: 1}
CROSSED = {StreamRole.TRIGGER: 3, StreamRole.ARM_PLUS: 1}


def stream_of(rig: Rig, channels: dict[StreamRole, int] | None = None, frames: int = 20) -> Ad738xStream:
    return Ad738xStream(rig.link, FOUR if channels is None else channels, rig.clock, frames)


def counts_of_volts(volts: float) -> int:
    return int(volts * 65536 / 2.5)


@pytest.mark.parametrize("channels", [FOUR, CROSSED, {StreamRole.ARM_PLUS: 0}])
def test_columns_stand_in_the_order_of_the_roles(channels: dict[StreamRole, int]) -> None:
    stream = stream_of(rig_with("ad7383-4"), channels)
    block = stream.read()
    assert tuple(stream.roles) == tuple(channels)
    assert block.counts.dtype == np.uint16
    expected = [counts_of_volts(0.4 + 0.5 * channel) for channel in channels.values()]
    assert block.counts.tolist() == [expected] * 19


def test_a_block_is_evenly_spaced_and_lies_within_its_times() -> None:
    # The input tells the time: a count per 100 ns.
    begin_ns = {"at": 0}

    def volts_at(_: int, now_ns: int) -> float:
        return (now_ns - begin_ns["at"]) * 1e-2 * 2.5 / 65536

    rig = rig_with("ad7383-4", volts_at)
    stream = stream_of(rig)
    stream.read()
    rig.clock.advance(MS)
    begin_ns["at"] = rig.clock.now_ns()
    block = stream.read()
    taken_ns = block.counts[:, 0].astype(int) * 100
    spacing_ns = int(64 / SPI_HZ * 1e9) + SELECT_GAP_NS
    assert np.abs(np.diff(taken_ns) - spacing_ns).max() <= 100
    assert block.started_at_ns == begin_ns["at"] <= begin_ns["at"] + taken_ns[0] + 100
    assert begin_ns["at"] + taken_ns[-1] <= block.ended_at_ns == rig.clock.now_ns()
    assert (block.counts == block.counts[:, :1]).all()


def test_nothing_from_before_a_pause_enters_the_block_after_it() -> None:
    level = {"volts": 0.5}
    rig = rig_with("ad7383", lambda _, __: level["volts"])
    stream = stream_of(rig, TWO)
    before = stream.read().counts.copy()
    level["volts"] = 1.5
    after = stream.read().counts
    assert (before == counts_of_volts(0.5)).all()
    assert (after == counts_of_volts(1.5)).all()


def test_blocks_share_their_memory() -> None:
    stream = stream_of(rig_with("ad7383-4"))
    assert np.shares_memory(stream.read().counts, stream.read().counts)


def test_the_longest_message_gives_510_conversions() -> None:
    rig = rig_with("ad7383")
    assert len(Ad738xStream(rig.link, {StreamRole.ARM_PLUS: 0}, rig.clock).read().counts) == 510


@pytest.mark.parametrize(
    ("channels", "frames"),
    [({}, 20), ({StreamRole.ARM_PLUS: 4}, 20), ({StreamRole.ARM_PLUS: 1, StreamRole.LAMP: 1}, 20), (FOUR, 1)],
)
def test_what_the_part_cannot_do_is_refused(channels: dict[StreamRole, int], frames: int) -> None:
    with pytest.raises(BoardConfigError):
        stream_of(rig_with("ad7383-4"), channels, frames)


@pytest.mark.parametrize("level", [0, FLOATING])
def test_a_line_that_breaks_between_blocks_is_found(level: int) -> None:
    rig = rig_with("ad7383-4")
    stream = stream_of(rig)
    stream.read()
    rig.chip.line.stuck_at = level
    with pytest.raises(FrameError, match=f"reads {level} all the time"):
        stream.read()
    rig.chip.line.stuck_at = None
    assert stream.read().counts[0, 0] == counts_of_volts(0.4)


@pytest.mark.parametrize(("name", "channels"), [("ad7383-4", FOUR), ("ad7383", TWO)])
def test_a_reset_between_blocks_fails_one_block_only(name: str, channels: dict[StreamRole, int]) -> None:
    rig = rig_with(name)
    stream = stream_of(rig, channels)
    good = stream.read().counts.copy()
    rig.chip.reset(rig.clock.now_ns())
    rig.clock.advance(10 * MS)
    with pytest.raises(FrameError, match="was reset while it was in use"):
        stream.read()
    assert (stream.read().counts == good).all()


def test_an_input_at_its_zero_is_no_fault_as_long_as_the_chip_answers() -> None:
    # A differential part with 0 V on one channel sends words of zeros.
    rig = rig_with("ad7380", lambda channel, _: 0.0 if channel else 0.7)
    stream = stream_of(rig, TWO)
    assert (stream.read().counts[:, 1] == 32768).all()


def test_no_question_is_asked_while_every_channel_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1)
    rig = rig_with("ad7383", lambda _, __: 1.25 + 1e-3 * noise.standard_normal())
    stream = stream_of(rig, TWO)
    stream.read()
    monkeypatch.setattr(rig.link, "check", lambda: pytest.fail("a transfer between two blocks"))
    for _ in range(20):
        stream.read()


def test_a_line_that_broke_for_one_block_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = rig_with("ad7383")
    stream = stream_of(rig, TWO)
    stream.read()
    check = rig.link.check

    def mended_check() -> None:
        rig.chip.line.stuck_at = None
        check()

    monkeypatch.setattr(rig.link, "check", mended_check)
    rig.chip.line.stuck_at = FLOATING
    with pytest.raises(FrameError, match="stood still for a block"):
        stream.read()
