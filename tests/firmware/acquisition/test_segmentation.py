import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.acquisition import segmentation
from firmware.acquisition.segmentation import Waveform, Windows, segment
from firmware.acquisition.stream_record import StreamRecord
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, StreamBlock, StreamRole
from lsi.errors import BoardConfigError, ExposureError, ScanError, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from tests.firmware.acquisition.pass_stream import EARLY_FALL_NS, ROLES, PassStream, Shown, arm_plus

SAMPLES = 16
PLAN = ScanPlan(400_000, 20_000, SAMPLES, 10_000_000)


def recorded(stream: PassStream, until_ns: int | None = None) -> StreamRecord:
    record = StreamRecord(stream.roles, stream.scale.full_scale_counts)
    end_ns = stream.shown.ends_ns + 3 * stream.shown.exposure_ns if until_ns is None else until_ns
    while stream.now_ns < end_ns:
        record.add(stream.read())
    return record


def cut(
    stream: PassStream, *, samples: int = SAMPLES, asked: int | None = None, tail_ns: int = 0
) -> tuple[StreamRecord, Windows]:
    shown = stream.shown
    record = recorded(stream)
    plan = ScanPlan(shown.exposure_ns, 20_000, samples, 10_000_000)
    waveform = Waveform.of(plan, tail_ns=tail_ns)
    return record, segment(record, shown.patterns if asked is None else asked, samples, waveform)


def patterns_of(record: StreamRecord, windows: Windows) -> list[set[int]]:
    """Which arm + counts each window holds."""
    return [set(row) for row in record.gather(windows.rows, [StreamRole.ARM_PLUS])[:, 0].tolist()]


def right(patterns: int) -> list[set[int]]:
    return [{int(arm_plus(k))} for k in range(patterns)]


def test_every_pattern_gets_its_own_settled_samples() -> None:
    record, windows = cut(PassStream(Shown(66), gaps_ns=(0,)))
    assert patterns_of(record, windows) == right(66)
    assert windows.dropped_count == 0


def test_the_kept_samples_are_the_middle_ones() -> None:
    stream = PassStream(Shown(3), spacing_ns=10_000, sizes=(1000,), overhead_ns=0)
    _, windows = cut(stream)
    middle_ns = (windows.rows.mean(axis=1) + 0.5) * 10_000
    high_middle_ns = 1_000_000 + np.arange(3) * 400_000 + (20_000 + 400_000 - EARLY_FALL_NS) / 2
    assert np.abs(middle_ns - high_middle_ns).max() <= 10_000


def test_no_sample_lies_within_the_guards() -> None:
    stream = PassStream(Shown(4), spacing_ns=10_000, sizes=(1000,), overhead_ns=0)
    _, windows = cut(stream, samples=23, tail_ns=90_000)
    after_rise_ns = windows.rows * 10_000 - (1_000_000 + np.arange(4)[:, None] * 400_000)
    assert after_rise_ns.min() >= 20_000
    assert after_rise_ns.max() <= 400_000 - EARLY_FALL_NS - 90_000


def test_after_a_rise_that_was_not_seen_samples_are_counted_from_the_fall() -> None:
    shown = Shown(1, start_ns=-5_000)
    record = recorded(PassStream(shown, sizes=(200,), overhead_ns=0))
    windows = segment(record, 1, 25, Waveform.of(ScanPlan(400_000, 100_000, 25, 10_000_000)))
    assert windows.rows[0, 0] * 9_400 + 5_000 >= 100_000


def test_of_an_exposure_cut_by_a_gap_the_middle_of_what_was_seen_is_kept() -> None:
    assert segmentation._middle([*range(5), *range(50, 55)], 4) == [3, 4, 50, 51]
    assert segmentation._middle([7, 8, 9], 4) == [7, 7, 8, 9]


def test_a_trigger_that_is_high_after_the_pass_is_refused() -> None:
    # The middle one of three blocks reads high from its first to its last sample.
    shown = Shown(3, glitches=[(2_900_000, 3_150_000)])
    with pytest.raises(TriggerCountError, match="high outside the pass"):
        cut(PassStream(shown, sizes=(300, 10, 300)))


def test_a_pattern_cut_by_a_gap_keeps_what_was_seen_and_counts_the_rest() -> None:
    # Blocks end 0.21 exposures after a rise; the gap leaves about half of the samples of each such pattern.
    shown = Shown(20, exposure_ns=400_000)
    record, windows = cut(PassStream(shown, sizes=(200,), gaps_ns=(200_000,)), samples=30)
    assert patterns_of(record, windows) == right(20)
    assert windows.dropped_count > 0
    assert windows.rows.shape == (20, 30)


def test_too_little_of_a_pattern_is_no_measurement_of_it() -> None:
    with pytest.raises(ScanError, match=r"Pattern \d+ of 20: \d+ of 30 samples"):
        cut(PassStream(Shown(20), sizes=(200,), gaps_ns=(300_000,)), samples=30)


@pytest.mark.parametrize("asked", [9, 11])
def test_another_number_of_exposures_than_asked_for_is_refused(asked: int) -> None:
    with pytest.raises(TriggerCountError, match=f"10 exposures were seen, {asked}"):
        cut(PassStream(Shown(10)), asked=asked)


def test_a_missing_edge_is_refused() -> None:
    # The low between patterns 3 and 4 is lost: two exposures look like one.
    begin_ns = 1_000_000 + 4 * 400_000
    with pytest.raises(TriggerCountError, match="joined"):
        cut(PassStream(Shown(10, glitches=[(begin_ns - EARLY_FALL_NS, begin_ns)])))


def test_a_missing_exposure_is_refused() -> None:
    begin_ns = 1_000_000 + 4 * 400_000
    with pytest.raises(TriggerCountError, match="in step"):
        cut(PassStream(Shown(10, glitches=[(begin_ns, begin_ns + 400_000 - EARLY_FALL_NS)])))


@pytest.mark.parametrize("at_ns", [100_000, 1_030_000, 1_200_000, 1_385_000, 5_500_000])
def test_a_bouncing_trigger_is_refused(at_ns: int) -> None:
    with pytest.raises(TriggerCountError):
        cut(PassStream(Shown(10, glitches=[(at_ns, at_ns + 12_000)]), gaps_ns=(0,)))


def test_an_edge_that_moved_is_refused_even_within_the_width_that_is_allowed() -> None:
    # Pattern 3 falls 35 us early and pattern 4 rises with the low that should have been.
    begin_ns = 1_000_000 + 4 * 400_000
    moved = (begin_ns - EARLY_FALL_NS - 35_000, begin_ns)
    with pytest.raises(TriggerCountError, match="in step"):
        cut(PassStream(Shown(10, glitches=[moved]), sizes=(600,)))


def test_an_exposure_that_falls_into_a_gap_is_refused() -> None:
    with pytest.raises(ScanError, match=r"Pattern \d of 10: 0 of 16"):
        cut(PassStream(Shown(10), sizes=(150,), gaps_ns=(780_000,)))


def test_a_trigger_that_wavers_about_its_middle_is_not_bounce() -> None:
    stream = PassStream(Shown(10), gaps_ns=(0,))
    record = recorded(stream)
    trigger = record.channel(StreamRole.TRIGGER)
    falls = np.flatnonzero((trigger[1:] < 20_000) & (trigger[:-1] > 20_000))
    trigger[falls - 1], trigger[falls] = 24_000, 28_000  # within 10 % of the middle, in the wrong order
    windows = segment(record, 10, SAMPLES, Waveform.of(PLAN))
    assert patterns_of(record, windows) == right(10)


def test_noise_on_the_channels_changes_nothing() -> None:
    quiet = cut(PassStream(Shown(30)))[1]
    noisy = cut(PassStream(Shown(30), noise=300.0))[1]
    assert np.array_equal(quiet.rows, noisy.rows)


@pytest.mark.parametrize("patterns", [0, 1])
def test_a_trigger_that_does_not_change_is_refused(patterns: int) -> None:
    record = StreamRecord(ROLES, 65_535)
    record.add(StreamBlock(np.full((500, 3), 50_000 * patterns, np.uint16), 0, 5_000_000))
    with pytest.raises(TriggerTimeoutError, match="does not change"):
        segment(record, 1, SAMPLES, Waveform.of(PLAN))


@pytest.mark.parametrize(("share", "fits"), [(0.88, False), (0.96, True), (1.06, True), (1.13, False)])
def test_exposures_have_the_planned_length_within_a_tenth(share: float, fits: bool) -> None:
    high_ns = share * (400_000 - EARLY_FALL_NS)
    shown = Shown(10, exposure_ns=int(high_ns) + EARLY_FALL_NS)
    record = recorded(PassStream(shown, sizes=(1000,)))
    waveform = Waveform.of(PLAN)
    if fits:
        assert patterns_of(record, segment(record, 10, SAMPLES, waveform)) == right(10)
        return
    with pytest.raises(ExposureError, match="expected were 380000"):
        segment(record, 10, SAMPLES, waveform)


def test_one_exposure_of_another_length_is_refused() -> None:
    with pytest.raises(TriggerCountError):
        cut(PassStream(Shown(10, late_ns={4: 60_000}), gaps_ns=(0,)))


@pytest.mark.parametrize("late_ns", [-50_000, 0, 10_000, 200_000])
def test_a_stream_may_begin_just_before_or_within_the_first_exposure(late_ns: int) -> None:
    record, windows = cut(PassStream(Shown(10, start_ns=-late_ns)))
    assert patterns_of(record, windows) == right(10)


def test_a_stream_that_begins_late_in_the_first_exposure_has_too_little_of_it() -> None:
    with pytest.raises(ScanError, match=r"Pattern 0 of 10: [0-7] of 16"):
        cut(PassStream(Shown(10, start_ns=-320_000)))


def test_a_pass_that_began_an_exposure_before_the_stream_is_refused() -> None:
    with pytest.raises(TriggerCountError, match="9 exposures were seen, 10"):
        cut(PassStream(Shown(10, start_ns=-410_000)))


def test_a_first_exposure_of_unknown_number_is_refused() -> None:
    # Low, then a gap of one exposure, then ten of them.
    with pytest.raises(TriggerCountError, match="was not seen to be so"):
        cut(PassStream(Shown(10), sizes=(50, 2000), gaps_ns=(500_000, 0)))


def test_a_stream_that_ends_with_the_pass_does_not_prove_its_end() -> None:
    stream = PassStream(Shown(10), sizes=(50,))
    record = recorded(stream, until_ns=stream.shown.ends_ns - 50_000)
    with pytest.raises(TriggerCountError, match="was not seen to be so"):
        segment(record, 10, SAMPLES, Waveform.of(PLAN))


def test_a_slow_converter_is_refused() -> None:
    with pytest.raises(ExposureError, match=r"cannot see the trigger low.*spi_hz"):
        cut(PassStream(Shown(3), spacing_ns=21_000))


def test_more_samples_than_fit_are_refused() -> None:
    with pytest.raises(ExposureError, match="34 do"):
        cut(PassStream(Shown(3)), samples=36)


def test_a_block_with_uncertain_times_is_refused() -> None:
    stream = PassStream(Shown(10), sizes=(100,))
    record = StreamRecord(stream.roles, 65_535)
    for number in range(8):
        block = stream.read()
        late_ns = 400_000 if number == 3 else 0
        record.add(StreamBlock(block.counts, block.started_at_ns, block.ended_at_ns + late_ns))
        stream.now_ns += late_ns
    with pytest.raises(ScanError, match="uncertain by"):
        segment(record, 10, SAMPLES, Waveform.of(PLAN))


@pytest.mark.parametrize("overhead_ns", [0, 50_000, 150_000])
def test_what_every_call_costs_does_not_matter(overhead_ns: int) -> None:
    shown = Shown(40, exposure_ns=800_000)
    record, windows = cut(PassStream(shown, overhead_ns=overhead_ns, gaps_ns=(10_000,)))
    assert patterns_of(record, windows) == right(40)


def test_slow_masks_that_span_several_blocks_are_joined() -> None:
    shown = Shown(5, exposure_ns=10_000_000, start_ns=11_000_000)
    record, windows = cut(PassStream(shown, sizes=(200, 300), gaps_ns=(150_000, 80_000)), samples=100)
    assert patterns_of(record, windows) == right(5)


def test_the_shortest_exposure_of_the_controller_can_be_cut_where_there_is_no_gap() -> None:
    shown = Shown(100, exposure_ns=105_000)
    record, windows = cut(PassStream(shown, spacing_ns=4_000, sizes=(4000,)), samples=8)
    assert patterns_of(record, windows) == right(100)


BLOCKS = st.lists(st.integers(5, 600), min_size=1, max_size=6)
GAPS = st.lists(st.integers(0, 900_000), min_size=1, max_size=6)
STREAMS = st.builds(
    PassStream,
    st.builds(
        Shown,
        st.integers(1, 12),
        start_ns=st.integers(-300_000, 1_500_000),
    ),
    st.floats(3_000, 15_000),
    BLOCKS,
    GAPS,
    st.integers(0, 3_000),
)


@settings(max_examples=80)
@given(STREAMS)
def test_gaps_anywhere_give_the_right_windows_or_an_error(stream: PassStream) -> None:
    try:
        record, windows = cut(stream, samples=8)
    except ScanError:
        return
    assert patterns_of(record, windows) == right(stream.shown.patterns)


@settings(max_examples=60)
@given(st.data(), BLOCKS, GAPS)
def test_gaps_and_a_wrong_number_of_exposures_never_shift(
    data: st.DataObject, sizes: list[int], gaps_ns: list[int]
) -> None:
    shown = Shown(data.draw(st.integers(1, 10)))
    asked = data.draw(st.integers(1, 12).filter(lambda count: count != shown.patterns))
    with pytest.raises(ScanError):
        cut(PassStream(shown, sizes=sizes, gaps_ns=gaps_ns), samples=8, asked=asked)


@settings(max_examples=60)
@given(st.data(), BLOCKS, st.lists(st.integers(0, 200_000), min_size=1, max_size=6))
def test_a_glitch_anywhere_gives_the_right_windows_or_an_error(
    data: st.DataObject, sizes: list[int], gaps_ns: list[int]
) -> None:
    begin_ns = data.draw(st.integers(0, 5_000_000))
    shown = Shown(8, glitches=[(begin_ns, begin_ns + data.draw(st.integers(1_000, 900_000)))])
    try:
        record, windows = cut(PassStream(shown, sizes=sizes, gaps_ns=gaps_ns), samples=8)
    except ScanError:
        return
    assert patterns_of(record, windows) == right(8)


def test_regular_streams_with_usual_gaps_are_hardly_ever_refused() -> None:
    used = 0
    for start_ns in range(0, 4_800_000, 100_000):
        shown = Shown(66, start_ns=start_ns - 50_000)
        try:
            record, windows = cut(PassStream(shown))
        except ScanError:
            continue
        assert patterns_of(record, windows) == right(66)
        used += 1
    assert used >= 45


def test_the_early_fall_is_one_that_the_controller_takes() -> None:
    assert 0 < TRIG_OUT_1_EARLY_FALL_US <= 20


def test_a_record_needs_arm_and_trigger_once_each() -> None:
    for roles in [(StreamRole.ARM_PLUS,), (StreamRole.TRIGGER,), (*ROLES, StreamRole.TRIGGER)]:
        with pytest.raises(BoardConfigError, match="cannot be cut"):
            StreamRecord(roles, 65_535)


@pytest.mark.parametrize(("size", "started_ns", "ended_ns"), [(0, 10, 20), (5, 5, 20), (5, 10, 10)])
def test_a_stream_that_stands_still_is_refused(size: int, started_ns: int, ended_ns: int) -> None:
    record = StreamRecord(ROLES, 65_535)
    record.add(StreamBlock(np.ones((5, 3), np.uint16), 0, 10))
    with pytest.raises(ScanError, match="no new time"):
        record.add(StreamBlock(np.ones((size, 3), np.uint16), started_ns, ended_ns))


def test_a_record_keeps_blocks_that_the_stream_overwrites_and_shows_no_counts() -> None:
    record = StreamRecord(ROLES, 65_535)
    room = np.full((10_000, 3), 7, np.uint16)
    record.add(StreamBlock(room, 0, 10))
    room[:] = 8
    record.add(StreamBlock(room, 10, 20))
    assert set(record.channel(StreamRole.TRIGGER)[:10_000].tolist()) == {7}
    assert repr(record) == "StreamRecord(samples=20000, blocks=2)"
    record.clear()
    assert len(record) == 0
