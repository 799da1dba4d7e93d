"""The shipping driver when the controller, the cable or the bus misbehaves."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_codes import Command, ErrorCode, PowerMode, meaning_of
from firmware.drivers.dlpc900_controller import Dlpc900Controller
from firmware.drivers.dmds import DMDS
from firmware.drivers.mirror_field import MirrorField
from firmware.interfaces import Advance
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import MirrorState
from lsi.errors import BusError, BusErrorKind
from tests.firmware.drivers.dlpc900_bench import EXPOSURE_NS, SCALE, Bench, masks


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def loaded(bench: Bench) -> Bench:
    bench.driver.load(masks(3), EXPOSURE_NS)
    return bench


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


def shows_its_masks(bench: Bench) -> bool:
    origin = MirrorField(DMDS["DLP6500"], 6, 6, SCALE).origin_px
    return np.array_equal(bench.chip.open_fraction((6, 6), origin, SCALE), masks(3).masks)


# The sequencer


def test_an_aborted_sequencer_is_an_error_until_the_next_stop(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.chip.abort_sequencer()
    with pytest.raises(BusError, match="SEQUENCER_ABORT") as caught:
        loaded.driver.is_running()
    assert kind_of(caught) is BusErrorKind.OTHER
    loaded.driver.stop()
    loaded.driver.start()
    assert loaded.driver.is_running()


def test_an_abort_in_the_middle_of_a_pass_can_be_stopped_and_started_again(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.show_all(1)
    loaded.chip.abort_sequencer()
    assert loaded.chip.trigger_in(loaded.clock.now_ns()) is None
    loaded.driver.stop()
    assert loaded.driver.loaded_digest == masks(3).digest
    loaded.driver.start()
    loaded.show_all(3)


# Replies that get lost or come late


@pytest.mark.parametrize("replies", [0, 1, 5, 9, 12])
def test_a_lost_reply_during_a_load_is_a_timeout_and_leaves_nothing_loaded(
    loaded: Bench, replies: int
) -> None:
    loaded.chip.faults.lose_reply = replies
    with pytest.raises(BusError) as caught:
        loaded.driver.load(masks(3, seed=1), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.TIMEOUT
    assert loaded.driver.loaded_digest is None
    loaded.driver.load(masks(3, seed=1), EXPOSURE_NS)
    assert loaded.driver.loaded_digest == masks(3, seed=1).digest


@pytest.mark.parametrize("replies", range(0, 21, 4))
def test_a_late_reply_is_not_taken_for_the_next(bench: Bench, replies: int) -> None:
    bench.chip.faults.delay_reply = replies
    with pytest.raises(BusError) as caught:
        bench.driver.load(masks(3), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.TIMEOUT
    bench.driver.load(masks(3), EXPOSURE_NS)
    assert shows_its_masks(bench)


def test_a_late_answer_is_not_taken_for_that_of_the_same_question_asked_again(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.chip.faults.delay_reply = 1
    with pytest.raises(BusError):
        loaded.driver.is_running()
    loaded.show_all(3)
    assert not loaded.driver.is_running()


def test_what_an_earlier_host_left_unread_is_dropped_before_a_load(bench: Bench) -> None:
    # Numbers of its requests may be the ones that come next here.
    for number in range(1, 9):
        bench.chip.write(bytes([0x40, number]) + bytes.fromhex("03 00 1B 1A 07") + bytes(57))
    bench.driver.load(masks(3), EXPOSURE_NS)
    assert shows_its_masks(bench)


@pytest.mark.parametrize("replies", [0, 1])
def test_a_stop_asks_again_when_a_reply_gets_lost(loaded: Bench, replies: int) -> None:
    loaded.driver.start()
    loaded.chip.faults.lose_reply = replies
    loaded.driver.stop()
    assert loaded.chip.showing_at(loaded.clock.now_ns()).state is MirrorState.IDLE


# Refusals


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.NONE])
def test_every_refusal_of_a_block_carries_the_reason_and_leaves_nothing_loaded(
    loaded: Bench, code: ErrorCode
) -> None:
    loaded.chip.faults.refuse[Command.IMAGE_BLOCK] = code
    with pytest.raises(BusError, match=rf"refuses image block .*: {meaning_of(code)}\.") as caught:
        loaded.driver.load(masks(3), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.REFUSED
    assert loaded.driver.loaded_digest is None
    loaded.driver.load(masks(3), EXPOSURE_NS)
    assert shows_its_masks(loaded)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (Command.DISPLAY_MODE, 5, "refuses display mode .*not allowed now"),
        (Command.LUT_DEFINITION, 16, "refuses lut definition .*bad pattern definition"),
        (Command.IMAGE_BLOCK, 9, "refuses image block .*bad compression"),
        (Command.LUT_CONFIGURATION, 200, "refuses lut configuration .*unlisted error 200"),
    ],
)
def test_a_refusal_during_a_load_says_what_and_why(
    bench: Bench, command: Command, code: int, words: str
) -> None:
    bench.chip.faults.refuse[command] = code
    with pytest.raises(BusError, match=words) as caught:
        bench.driver.load(masks(1), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.REFUSED
    assert bench.driver.loaded_digest is None


def test_a_refused_start_starts_no_pass(loaded: Bench) -> None:
    loaded.chip.faults.refuse[Command.START_STOP] = 5
    with pytest.raises(BusError):
        loaded.driver.start()
    assert not loaded.driver.is_running()


def test_a_start_that_is_refused_at_its_last_step_loses_the_masks(
    loaded: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 7: a pattern has no image
    write = loaded.chip.write

    def refuse_start(report: bytes) -> None:
        if report[4:7] == bytes.fromhex("24 1A 02"):
            loaded.chip.faults.refuse[0x1A24] = 7
        write(report)

    monkeypatch.setattr(loaded.chip, "write", refuse_start)
    with pytest.raises(BusError, match="item absent"):
        loaded.driver.start()
    assert loaded.driver.loaded_digest is None
    assert not loaded.driver.is_running()


@pytest.mark.parametrize("notices", ["is_running", "stop"])
def test_a_refused_free_run_is_noticed_afterwards_and_loses_the_masks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, notices: str
) -> None:
    bench.driver.load(masks(3), EXPOSURE_NS, Advance.FREE_RUNNING)
    write = bench.chip.write

    def refuse_start(report: bytes) -> None:
        if report[4:7] == bytes.fromhex("24 1A 02"):
            bench.chip.faults.refuse[0x1A24] = 7
        write(report)

    monkeypatch.setattr(bench.chip, "write", refuse_start)
    bench.driver.start()
    if notices == "is_running":
        with pytest.raises(BusError, match=r"refuses start stop .*: item absent"):
            bench.driver.is_running()
    bench.driver.stop()
    assert bench.driver.loaded_digest is None
    assert bench.chip.showing_at(bench.clock.now_ns()).state is MirrorState.IDLE


@pytest.mark.parametrize("value", [0, 3])
def test_idle_mode_ends_with_either_value_that_open_drivers_send(value: int) -> None:
    bench = Bench()
    chip = SimDlpc900(bench.clock, idle_off=(value,))
    driver = Dlpc900(chip, mirror_scale_px=SCALE, reply_timeout_ms=50)
    for _ in range(2):
        driver.stop()
        driver.load(masks(1), EXPOSURE_NS)
    driver.start()
    assert chip.trigger_in(bench.clock.now_ns()) is not None


def test_the_value_that_was_refused_is_not_tried_again(bench: Bench) -> None:
    bench.chip.faults.refuse[Command.DMD_IDLE] = ErrorCode.BAD_PARAMETER
    controller = Dlpc900Controller(bench, 50)
    controller.end_idle()
    controller.end_idle()
    values = [request.data[0] for request in bench.sent if request.command == Command.DMD_IDLE]
    assert values == [0, 3, 3]
    bench.chip.faults.refuse[Command.DMD_IDLE] = ErrorCode.BAD_PARAMETER
    with pytest.raises(BusError):
        controller.end_idle()


def test_parked_mirrors_can_be_stopped_but_not_started(loaded: Bench) -> None:
    Dlpc900Controller(loaded.chip, 50).set_power(PowerMode.STANDBY)
    loaded.driver.stop()
    assert loaded.chip.showing_at(loaded.clock.now_ns()).state is MirrorState.PARKED
    with pytest.raises(BusError):
        loaded.driver.start()


# The cable


@pytest.mark.parametrize("action", ["start", "is_running", "stop", "load"])
def test_without_the_device_the_masks_count_as_lost(loaded: Bench, action: str) -> None:
    loaded.driver.start()
    loaded.chip.unplug()
    actions: dict[str, Callable[[], object]] = {
        "start": loaded.driver.start,
        "is_running": loaded.driver.is_running,
        "stop": loaded.driver.stop,
        "load": lambda: loaded.driver.load(masks(1), EXPOSURE_NS),
    }
    with pytest.raises(BusError) as caught:
        actions[action]()
    assert kind_of(caught) is BusErrorKind.NO_DEVICE
    assert loaded.driver.loaded_digest is None


def test_after_plugging_in_again_a_load_works(loaded: Bench) -> None:
    loaded.chip.unplug()
    with pytest.raises(BusError):
        loaded.driver.stop()
    loaded.chip.plug_in()
    loaded.driver.load(masks(3), EXPOSURE_NS)
    loaded.driver.start()
    loaded.show_all(3)


@pytest.mark.parametrize("reports", [0, 10, 40, 60])
def test_the_cable_may_be_pulled_during_an_upload_and_come_back(bench: Bench, reports: int) -> None:
    bench.chip.faults.unplug = reports
    with pytest.raises(BusError) as caught:
        bench.driver.load(masks(3, side=16), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.NO_DEVICE
    assert bench.driver.loaded_digest is None
    bench.chip.plug_in()
    bench.driver.load(masks(3), EXPOSURE_NS)
    assert shows_its_masks(bench)


@pytest.mark.parametrize("advance", list(Advance))
def test_the_cable_may_be_pulled_during_a_pass_and_come_back(bench: Bench, advance: Advance) -> None:
    bench.driver.load(masks(3), EXPOSURE_NS, advance)
    bench.driver.start()
    bench.clock.advance(EXPOSURE_NS)
    now_ns = bench.clock.now_ns()
    bench.chip.unplug()
    assert bench.chip.exposure_edges(now_ns, now_ns + 10**9) == []
    assert bench.chip.showing_at(now_ns).state is MirrorState.PARKED
    bench.chip.plug_in()
    # It answers again, but as after a reset.
    with pytest.raises(BusError, match="reset"):
        bench.driver.is_running()
    assert bench.driver.loaded_digest is None
    bench.driver.stop()
    bench.driver.load(masks(3), EXPOSURE_NS, advance)
    bench.driver.start()
    assert bench.driver.is_running()


def test_masks_that_were_loaded_in_an_earlier_life_do_not_count(loaded: Bench) -> None:
    # Nobody knows what a controller holds that was loaded by somebody else.
    assert Dlpc900(loaded, mirror_scale_px=SCALE).loaded_digest is None


def test_a_reset_between_passes_is_noticed_at_the_start(loaded: Bench) -> None:
    loaded.chip.reset()
    with pytest.raises(BusError, match="reset"):
        loaded.driver.start()
    assert loaded.driver.loaded_digest is None


def test_a_mode_that_never_changes_is_a_timeout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.sim.dlpc900_machine._MODE_CHANGE_NS", 10**12)
    with pytest.raises(BusError, match="on-the-fly") as caught:
        bench.driver.load(masks(1), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.TIMEOUT
