"""The simulated capture against what the sampling program does in the emulator."""

from firmware.sim.clock import SimClock
from firmware.sim.coproc_chip import SimCapture
from hardware.coproc.timing import CLOSING_CYCLES, EDGE_CYCLES, FRAME_CYCLES
from tests.hardware.coproc_bench import SCALE, volts_at

CYCLE_NS = 8
GUARD_LOOPS = 95
SAMPLES = 3
GUARD_NS = (EDGE_CYCLES + GUARD_LOOPS) * CYCLE_NS
FRAME_NS = FRAME_CYCLES * CYCLE_NS
BUSY_NS = GUARD_NS + (SAMPLES + 1) * FRAME_NS
CLOSING_NS = GUARD_NS + SAMPLES * FRAME_NS - CLOSING_CYCLES * CYCLE_NS


def captured(*exposures: tuple[int, int]) -> tuple[SimCapture, list[int]]:
    """The capture after all exposures, and the words in its ring."""
    clock = SimClock()

    def edges(start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        return [one for one in exposures if start_ns <= one[0] < end_ns]

    capture = SimCapture(clock, volts_at, edges, SCALE)
    capture.start(1, GUARD_LOOPS, SAMPLES, 4)
    clock.advance(1_000_000)
    written = capture.written_words()
    return capture, [int.from_bytes(capture.ring[4 * at : 4 * at + 4], "little") for at in range(written)]


def code(channel: int, now_ns: int) -> int:
    return int(volts_at(channel, now_ns) / SCALE.v_per_count) ^ 0x8000


def test_words_are_taken_at_the_times_of_the_sampling_program() -> None:
    _, words = captured((10_000, 50_000))
    times_ns = [10_000 + GUARD_NS + index * FRAME_NS for index in range(SAMPLES)]
    samples = [code(0, now_ns) << 16 | code(1, now_ns) for now_ns in times_ns]
    assert words == [*samples[:-1], 0b10, samples[-1]]


def test_the_closing_word_is_the_trigger_just_before_the_last_frame() -> None:
    assert captured((10_000, 10_000 + CLOSING_NS + 1))[1][SAMPLES - 1] == 0b10
    assert captured((10_000, 10_000 + CLOSING_NS))[1][SAMPLES - 1] == 0


def test_an_edge_while_sampling_is_counted_and_not_sampled() -> None:
    capture, words = captured((10_000, 10_100), (10_000 + BUSY_NS - 1, 90_000))
    assert capture.edges() == 2
    assert len(words) == SAMPLES + 1
    capture, words = captured((10_000, 10_100), (10_000 + BUSY_NS, 90_000))
    assert len(words) == 2 * (SAMPLES + 1)


def test_no_more_exposures_are_sampled_than_asked_for() -> None:
    capture, words = captured(*((start, start + 50_000) for start in range(10_000, 610_000, 100_000)))
    assert capture.edges() == 6
    assert len(words) == 4 * (SAMPLES + 1)
