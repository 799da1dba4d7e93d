"""The programs of the state machines, cycle by cycle in an emulator."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hardware.coproc
from hardware.coproc import timing
from tests.hardware.asm_pio import Program, load_programs
from tests.hardware.pio_bench import FakeSdo, Trace, run

COPROC = Path(hardware.coproc.__file__).parent
PROGRAMS = load_programs(COPROC / "pio.py")
SAMPLE: Program = PROGRAMS.sample
COUNT_EDGES: Program = PROGRAMS.count_edges
EDGE = 50
RISING, FALLING = 1, 0


def high_between(*windows: tuple[int, int]) -> "Level":
    return Level(windows)


class Level:
    """A trigger that is high within each window of cycles."""

    def __init__(self, windows: tuple[tuple[int, int], ...]) -> None:
        self._windows = windows

    def __call__(self, cycle: int) -> int:
        return int(any(start <= cycle < end for start, end in self._windows))


def length_of(samples: int, guard_loops: int) -> int:
    """Cycles from the edge to the closing word."""
    return timing.EDGE_CYCLES + guard_loops + (samples + 1) * timing.FRAME_CYCLES


def sampled(samples: int, guard_loops: int = 7, level: Level | None = None, cycles: int = 0) -> Trace:
    end = EDGE + length_of(samples, guard_loops) + 100
    return run(
        SAMPLE,
        cycles=cycles or end,
        trigger=level or high_between((EDGE, end)),
        given=[timing.state_word(guard_loops, samples)],
    )


def test_the_words_are_those_of_micropythons_assembler() -> None:
    # Compared with ports/rp2/modules/rp2.py of MicroPython.
    start = "98a0 b827 3821 38a1 b8e1 7850 1886 7850 a8e3 6161 4801 08e9 1813"
    frames = "b942 a8e3 6161 4801 08ef 9800 188d 5802 9800 a8e3 6161 4801 08f7 9800"
    assert [f"{word:04x}" for word in SAMPLE.words] == f"{start} {frames}".split()
    assert (SAMPLE.wrap_target, SAMPLE.wrap_top) == (2, 26)
    assert COUNT_EDGES.words == [0x2021, 0x20A1, 0x0040]


def test_both_programs_fit_into_the_32_instructions_of_a_block() -> None:
    assert len(SAMPLE.words) + len(COUNT_EDGES.words) <= 32


@pytest.mark.parametrize("guard_loops", [0, 1, 7, 300])
def test_the_first_conversion_follows_the_edge_by_the_guard(guard_loops: int) -> None:
    trace = sampled(2, guard_loops)
    assert trace.cs_falls[0] == EDGE + timing.EDGE_CYCLES + guard_loops


@pytest.mark.parametrize("samples", [1, 2, 6, 17])
def test_conversions_follow_each_other_evenly_and_one_frame_more_brings_the_last_result(samples: int) -> None:
    trace = sampled(samples)
    gaps = {second - first for first, second in pairwise(trace.cs_falls)}
    assert len(trace.cs_falls) == samples + 1
    assert gaps == {timing.FRAME_CYCLES}
    assert len(trace.words) == samples + 1


def test_every_frame_has_32_clocks_of_four_cycles_while_selected() -> None:
    trace = sampled(3)
    for fall, rise in zip(trace.cs_falls, trace.cs_rises, strict=True):
        rises = [cycle for cycle in trace.sclk_rises if fall < cycle < rise]
        falls = [cycle for cycle in trace.sclk_falls if fall < cycle < rise]
        assert len(rises) == len(falls) == timing.WORD_BITS
        assert {second - first for first, second in pairwise(rises)} == {timing.BIT_CYCLES}
        assert all(high - low == 2 for low, high in zip(falls, rises, strict=True))
    assert len(trace.sclk_rises) == 4 * timing.WORD_BITS


def test_the_converter_is_deselected_for_at_least_20_ns_between_frames() -> None:
    # AD7380 family: CS high 10 ns, 20 ns for parts of four channels; 150 MHz is an RP2350.
    trace = sampled(3)
    shortest = min(fall - rise for rise, fall in zip(trace.cs_rises, trace.cs_falls[1:], strict=False))
    assert shortest / 0.150 >= 20


def test_nothing_moves_without_an_edge() -> None:
    assert sampled(2, level=high_between(), cycles=3000) == Trace(x_register=timing.state_word(7, 2))


def test_a_trigger_that_is_high_from_the_start_is_no_edge() -> None:
    assert sampled(2, level=high_between((0, 9000)), cycles=3000).cs_falls == []


def test_nothing_moves_before_it_was_told_how_to_sample() -> None:
    trace = run(SAMPLE, cycles=3000, trigger=high_between((EDGE, 2000)))
    assert trace.cs_falls == []


def test_after_an_exposure_it_waits_for_the_next_edge_however_long_the_first_lasts() -> None:
    second = EDGE + 5 * length_of(2, 7)
    level = high_between((EDGE, second - 400), (second, second + 2000))
    trace = sampled(2, level=level, cycles=second + length_of(2, 7) + 50)
    assert len(trace.cs_falls) == 2 * 3
    assert trace.cs_falls[3] == second + timing.EDGE_CYCLES + 7


def test_an_edge_during_an_exposure_starts_nothing() -> None:
    late = EDGE + 200
    level = high_between((EDGE, EDGE + 100), (late, late + 5000))
    assert len(sampled(2, level=level, cycles=late + 4000).cs_falls) == 3


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize(("after", "bit"), [(1, 1), (0, 0)])
def test_the_closing_word_tells_whether_the_exposure_outlasted_the_last_conversion_by_a_frame(
    samples: int, after: int, bit: int
) -> None:
    last_frame = EDGE + timing.EDGE_CYCLES + 7 + samples * timing.FRAME_CYCLES
    fall = last_frame - timing.CLOSING_CYCLES + after
    trace = sampled(samples, level=high_between((EDGE, fall)), cycles=fall + 500)
    assert trace.cs_falls[-1] == last_frame
    assert trace.words[-2] >> 1 & 1 == bit


@pytest.mark.parametrize("shifts_on", [RISING, FALLING])
@settings(max_examples=5)
@given(results=st.lists(st.integers(0, 0xFFFFFFFF), min_size=4, max_size=4))
def test_every_bit_arrives_whichever_edge_the_converter_shifts_on(shifts_on: int, results: list[int]) -> None:
    end = EDGE + length_of(3, 0) + 50
    sdo = FakeSdo(results, shifts_on)
    state_word = timing.state_word(0, 3)
    trace = run(SAMPLE, cycles=end, trigger=high_between((EDGE, end)), given=[state_word], sdo=sdo)
    # The result of the last frame's conversion is never read.
    assert [*trace.words[:2], trace.words[3]] == results[:3]
    assert sdo.conversions == 4


def test_the_second_exposure_does_not_begin_with_a_result_of_the_first() -> None:
    results = list(np.random.default_rng(3).integers(0, 1 << 32, 6))
    second = EDGE + length_of(2, 0) + 100
    end = second + length_of(2, 0) + 50
    level = high_between((EDGE, second - 20), (second, end))
    sdo = FakeSdo(results, RISING)
    trace = run(SAMPLE, cycles=end, trigger=level, given=[timing.state_word(0, 2)], sdo=sdo)
    assert trace.words[0:3:2] == results[0:2]
    assert trace.words[3:6:2] == results[3:5]


def test_a_full_fifo_loses_words_and_never_moves_a_conversion() -> None:
    end = EDGE + length_of(9, 7) + 100
    level, state_word = high_between((EDGE, end)), [timing.state_word(7, 9)]
    stuck = run(SAMPLE, cycles=end, trigger=level, given=state_word, drained=False)
    assert len(stuck.words) == 4
    assert stuck.cs_falls == run(SAMPLE, cycles=end, trigger=level, given=state_word).cs_falls


def test_the_counter_counts_every_edge_and_bounce() -> None:
    level = high_between((20, 30), (35, 40), (45, 400), (500, 600))
    assert -run(COUNT_EDGES, cycles=700, trigger=level).x_register % (1 << 32) == 4


@given(
    clock_hz=st.sampled_from([125_000_000, 133_000_000, 150_000_000]),
    spi_hz=st.integers(100_000, 60_000_000),
    guard_ns=st.integers(0, 400_000),
)
def test_the_guard_is_never_shorter_and_the_clock_never_faster_than_asked(
    clock_hz: int, spi_hz: int, guard_ns: int
) -> None:
    divider = timing.divider_for(clock_hz, spi_hz)
    loops = timing.guard_loops_for(clock_hz, divider, guard_ns)
    cycle_ns = 1e9 * divider / clock_hz
    waited_ns = (loops + timing.EDGE_CYCLES) * cycle_ns
    assert clock_hz / (timing.BIT_CYCLES * divider) <= spi_hz or divider == 1
    assert guard_ns - 1e-3 <= waited_ns
    assert loops == 0 or waited_ns < guard_ns + cycle_ns
