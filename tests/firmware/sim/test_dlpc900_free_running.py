"""Passes that the controller runs by its own timer: mirrors and trigger outputs over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.dlpc900_codes import Command
from firmware.drivers.dlpc900_patterns import LutDefinition
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, Advance
from firmware.sim.dlpc900_mirrors import MOVE_NS, MirrorState, Shown
from firmware.sim.dlpc900_outputs import TriggerOutputs
from firmware.sim.dlpc900_sequencer import START_NS
from tests.firmware.drivers.dlpc900_bench import Bench, masks
from tests.firmware.sim.dlpc900_host import START, STOP, US, Host, configuration, definition, image

PAUSE = b"\x01"
RUNS_ON = 0x71
EXPOSURE_US = 400
EXPOSURE_NS = EXPOSURE_US * US


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def running() -> tuple[Bench, int]:
    """Twenty patterns in free run, and when the first began."""
    bench = Bench()
    bench.driver.load(masks(20), EXPOSURE_NS, Advance.FREE_RUNNING)
    bench.driver.start()
    return bench, bench.clock.now_ns() + START_NS


def load(host: Host, options: list[int], *, dark_us: int = 0, shown: int | None = None) -> None:
    """A pattern per entry of ``options``, 400 us each."""
    host.enter_on_the_fly()
    for k, option in enumerate(options):
        data = definition(k, EXPOSURE_US, options=option, bit=k)
        host.do(0x1A34, data[:6] + dark_us.to_bytes(3, "little") + data[9:])
    host.do(0x1A31, configuration(len(options), len(options) if shown is None else shown))
    assert host.upload(image()) == 0


def start(host: Host) -> int:
    """Start; when the command had come in."""
    host.exchange(0x1A24, START)
    return host.clock.now_ns() - 1_000_000


# The driver


def test_a_free_run_shows_every_mask_once_in_order_one_right_after_the_other(
    running: tuple[Bench, int],
) -> None:
    bench, first_ns = running
    shown = bench.chip.changes_until(first_ns, first_ns + 30 * EXPOSURE_NS)
    planes = [(time_ns, state.plane) for time_ns, state in shown if state.state is MirrorState.PLANE]
    assert planes == [(first_ns + k * EXPOSURE_NS + MOVE_NS, k) for k in range(20)]


def test_entries_of_a_free_run_wait_for_nothing_and_give_both_triggers(running: tuple[Bench, int]) -> None:
    bench, _ = running
    data = [request.data for request in bench.sent if request.command == Command.LUT_DEFINITION]
    assert [LutDefinition.from_bytes(entry) for entry in data] == [
        LutDefinition(k, EXPOSURE_US, 0, k) for k in range(20)
    ]


def test_trig_out_1_frames_each_exposure_and_falls_a_little_before_its_end(
    running: tuple[Bench, int],
) -> None:
    bench, first_ns = running
    high_ns = EXPOSURE_NS - TRIG_OUT_1_EARLY_FALL_US * US
    edges = bench.chip.exposure_edges(0, first_ns + 10**9)
    begins = [first_ns + k * EXPOSURE_NS for k in range(20)]
    assert edges == [(begin_ns, begin_ns + high_ns) for begin_ns in begins]
    level = bench.chip.exposure_level_at
    for rise_ns, fall_ns in edges:
        assert [level(rise_ns - 1), level(rise_ns), level(fall_ns - 1), level(fall_ns)] == [0, 1, 1, 0]
    assert bench.chip.pattern_starts(0, first_ns + 10**9) == begins


def test_the_start_of_a_free_run_returns_before_the_first_pattern_begins(running: tuple[Bench, int]) -> None:
    bench, first_ns = running
    assert bench.clock.now_ns() < first_ns
    assert bench.chip.showing_at(bench.clock.now_ns()).state is MirrorState.ALL_OFF


def test_a_free_run_is_over_when_its_last_exposure_has_ended(running: tuple[Bench, int]) -> None:
    bench, first_ns = running
    assert bench.driver.is_running()
    bench.clock.wait_until_ns(first_ns + 20 * EXPOSURE_NS)
    assert not bench.driver.is_running()
    bench.driver.stop()
    bench.driver.start()
    assert bench.driver.is_running()


def test_no_pulse_of_trig_in_1_disturbs_a_free_run(running: tuple[Bench, int]) -> None:
    bench, first_ns = running
    assert bench.chip.trigger_in(first_ns + EXPOSURE_NS) is None
    assert len(bench.chip.exposure_edges(0, first_ns + 10**9)) == 20


def test_a_stop_cuts_a_free_run_off(running: tuple[Bench, int]) -> None:
    bench, first_ns = running
    bench.clock.wait_until_ns(first_ns + 2 * EXPOSURE_NS)
    bench.driver.stop()
    now_ns = bench.clock.now_ns()
    edges = bench.chip.exposure_edges(0, now_ns + 10**9)
    assert len(edges) < 20
    assert edges[-1][1] <= now_ns
    assert not bench.chip.exposure_level_at(now_ns)
    assert bench.chip.showing_at(now_ns + 10**9).state is MirrorState.IDLE


def test_a_triggered_pass_frames_its_exposures_too() -> None:
    bench = Bench()
    bench.driver.load(masks(2), EXPOSURE_NS)
    bench.driver.start()
    edge_ns = bench.chip.trigger_in(bench.clock.now_ns())
    assert edge_ns is not None
    high_ns = EXPOSURE_NS - TRIG_OUT_1_EARLY_FALL_US * US
    assert bench.chip.exposure_edges(0, 10**12) == [(edge_ns, edge_ns + high_ns)]
    assert bench.chip.pattern_starts(0, 10**12) == [edge_ns]


# The simulated controller alone


def test_exposures_without_darkness_are_one_high_level(host: Host) -> None:
    # TI E2E 980889
    load(host, [RUNS_ON] * 3)
    first_ns = start(host) + START_NS
    assert host.chip.exposure_edges(0, first_ns + 10**9) == [(first_ns, first_ns + 3 * EXPOSURE_NS)]
    assert len(host.chip.pattern_starts(0, first_ns + 10**9)) == 3


def test_dark_time_parts_exposures_and_sends_the_light_to_arm_minus(host: Host) -> None:
    load(host, [RUNS_ON] * 3, dark_us=100)
    first_ns = start(host) + START_NS
    period_ns = EXPOSURE_NS + 100 * US
    begins = [first_ns + k * period_ns for k in range(3)]
    assert host.chip.exposure_edges(0, 10**12) == [(at_ns, at_ns + EXPOSURE_NS) for at_ns in begins]
    assert host.chip.showing_at(begins[1] - 1) == Shown(MirrorState.ALL_OFF)
    assert host.chip.showing_at(begins[1] + MOVE_NS) == Shown(MirrorState.PLANE, 1)


def test_delays_move_the_edges_and_an_inverted_output_is_high_at_rest(host: Host) -> None:
    host.do(0x1A1D, bytes.fromhex("01 1E 00 0A 00"))  # inverted, 30 us, 10 us
    load(host, [RUNS_ON], shown=1)
    begin_ns = start(host) + START_NS
    rise_ns, fall_ns = begin_ns + 30 * US, begin_ns + EXPOSURE_NS + 10 * US
    assert host.chip.exposure_edges(0, 10**12) == [(rise_ns, fall_ns)]
    level = host.chip.exposure_level_at
    assert [level(rise_ns - 1), level(rise_ns), level(fall_ns - 1), level(fall_ns)] == [1, 0, 0, 1]


def test_an_endless_table_goes_on_and_long_silence_costs_nothing(host: Host) -> None:
    load(host, [RUNS_ON] * 3, shown=0)
    first_ns = start(host) + START_NS
    for rounds in (0, 1, 50, 10**9):
        at_ns = first_ns + 3 * rounds * EXPOSURE_NS
        planes = [host.chip.showing_at(at_ns + k * EXPOSURE_NS + MOVE_NS).plane for k in range(3)]
        assert planes == [0, 1, 2]
    assert host.read(0x1A0C) & 2 == 2


def test_entries_without_trigger_follow_the_one_that_waited(host: Host) -> None:
    load(host, [0xF1, RUNS_ON, RUNS_ON, 0xF1])
    start(host)
    host.clock.advance(10_000 * US)
    first_ns = host.chip.trigger_in(host.clock.now_ns())
    assert first_ns is not None
    assert host.chip.trigger_in(first_ns + EXPOSURE_NS) is None
    last_ns = host.chip.trigger_in(first_ns + 3 * EXPOSURE_NS)
    assert last_ns == first_ns + 3 * EXPOSURE_NS + 105 * US
    planes = [host.chip.showing_at(first_ns + k * EXPOSURE_NS + MOVE_NS).plane for k in range(3)]
    assert planes == [0, 1, 2]
    assert host.chip.showing_at(last_ns + MOVE_NS).plane == 3


@pytest.mark.parametrize("looks_ahead", [False, True])
def test_after_a_pause_the_interrupted_pattern_is_shown_again(host: Host, looks_ahead: bool) -> None:
    load(host, [RUNS_ON] * 20)
    first_ns = start(host) + START_NS
    if looks_ahead:
        host.chip.showing_at(first_ns + 10**9)
    host.clock.wait_until_ns(first_ns + 4 * EXPOSURE_NS)
    host.exchange(0x1A24, PAUSE)
    paused_ns = host.clock.now_ns() - 1_000_000
    interrupted = (paused_ns - first_ns) // EXPOSURE_NS
    assert host.chip.exposure_edges(0, 10**12)[-1][1] == paused_ns
    assert host.state(after_ns=10**9) == Shown(MirrorState.ALL_OFF)
    assert host.read(0x1A0C) & 2 == 0
    again_ns = start(host) + START_NS
    assert host.chip.showing_at(again_ns + MOVE_NS).plane == interrupted
    left = 20 - interrupted
    assert host.chip.changes_until(again_ns, 10**12)[-1][1].plane == 19
    assert host.chip.exposure_edges(again_ns, 10**12) == [(again_ns, again_ns + left * EXPOSURE_NS)]


def test_a_start_during_a_free_run_cuts_it_off_and_begins_again(host: Host) -> None:
    load(host, [RUNS_ON] * 20)
    first_ns = start(host) + START_NS
    host.clock.wait_until_ns(first_ns + 3 * EXPOSURE_NS)
    host.chip.showing_at(first_ns + 10**9)
    again_ns = start(host)
    pulses = host.chip.exposure_edges(0, 10**12)
    begin_ns = again_ns + START_NS
    assert pulses == [(first_ns, again_ns), (begin_ns, begin_ns + 20 * EXPOSURE_NS)]
    assert host.chip.showing_at(again_ns) == Shown(MirrorState.ALL_OFF)


def test_a_stop_after_a_pause_begins_from_the_first_pattern(host: Host) -> None:
    load(host, [RUNS_ON] * 4)
    first_ns = start(host) + START_NS
    host.clock.wait_until_ns(first_ns + EXPOSURE_NS)
    host.do(0x1A24, PAUSE)
    host.do(0x1A24, STOP)
    assert host.chip.showing_at(start(host) + START_NS + MOVE_NS).plane == 0


@given(
    st.lists(st.tuples(st.integers(50, 500), st.integers(0, 60)), min_size=1, max_size=8), st.integers(0, 9)
)
def test_the_level_is_high_exactly_within_the_pulses(exposures: list[tuple[int, int]], cut: int) -> None:
    outputs = TriggerOutputs()
    outputs.frame.falling_us = -20
    begin_ns = 1_000
    for exposure_us, dark_us in exposures:
        outputs.expose(begin_ns, begin_ns + exposure_us * US, gives_start=True)
        begin_ns += (exposure_us + dark_us) * US
    outputs.cut(cut * 200 * US)
    pulses = outputs.frames(0, 10**9)
    for time_ns in range(0, begin_ns + 1_000, 7_919):
        within = any(rise_ns <= time_ns < fall_ns for rise_ns, fall_ns in pulses)
        assert outputs.frame_level_at(time_ns) == within


def test_the_past_of_the_outputs_is_bounded_and_the_latest_is_kept() -> None:
    outputs = TriggerOutputs()
    for k in range(50_000):
        outputs.expose(k * 10, k * 10 + 5, gives_start=True)
    assert outputs.frames(499_000, 10**9) == [(k * 10, k * 10 + 5) for k in range(49_900, 50_000)]
    assert len(outputs.frames(0, 10**9)) == len(outputs.starts(0, 10**9)) < 20_000
