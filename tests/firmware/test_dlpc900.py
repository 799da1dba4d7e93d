"""The shipping driver against the simulated controller."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_frames import Command, LutDefinition, Request
from firmware.drivers.mirror_field import DMDS, MirrorField
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import MirrorState
from lsi.errors import BoardConfigError, BusError, BusErrorKind, ShapeMismatchError
from lsi.patterns import PatternSet

EXPOSURE_NS = 1_500_000
SCALE = 16


class Bench:
    """Driver, controller, time, and a record of every message between them."""

    def __init__(self) -> None:
        self.clock = SimClock(start_ns=5)
        self.chip = SimDlpc900(self.clock)
        self.sent: list[Request] = []
        self._reports: list[bytes] = []
        self.progress: list[tuple[int, int]] = []
        self.driver = Dlpc900(
            self,
            mirror_scale_px=SCALE,
            reply_timeout_ms=50,
            progress=lambda done, total: self.progress.append((done, total)),
        )

    def write(self, report: bytes) -> None:
        self.chip.write(report)
        self._reports.append(report)
        length = 4 + int.from_bytes(self._reports[0][2:4], "little")
        if 64 * len(self._reports) >= length:
            self.sent.append(Request.from_reports(self._reports))
            self._reports = []

    def read(self, timeout_ms: int) -> bytes:
        return self.chip.read(timeout_ms)

    def show_all(self, count: int) -> None:
        for _ in range(count):
            edge_ns = self.chip.trigger_in(self.clock.now_ns())
            assert edge_ns is not None
            self.clock.wait_until_ns(edge_ns + EXPOSURE_NS)

    def names(self) -> list[str]:
        """Commands in order, repeats of one written once."""
        names = [Command(request.command).name for request in self.sent]
        return [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]


def masks(count: int, side: int = 6, seed: int = 0) -> PatternSet:
    return PatternSet(np.random.default_rng(seed).random((count, side, side)) > 0.5)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def loaded(bench: Bench) -> Bench:
    bench.driver.load(masks(3), EXPOSURE_NS)
    return bench


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


# Loading


@pytest.mark.parametrize("count", [1, 24, 25, 50])
def test_the_mirrors_show_the_masks_bit_for_bit(bench: Bench, count: int) -> None:
    sequence = masks(count)
    bench.driver.load(sequence, EXPOSURE_NS)
    field = MirrorField(DMDS["DLP6500"], 6, 6, SCALE)
    for k, mask in enumerate(sequence.masks):
        assert np.array_equal(bench.chip.mirror_plane(k), field.spread(mask))
    fractions = bench.chip.open_fraction((6, 6), field.origin_px, SCALE)
    assert np.array_equal(fractions, sequence.masks.astype(np.float32))


def test_a_pass_of_400_masks_can_be_loaded(bench: Bench) -> None:
    sequence = masks(400, side=2)
    bench.driver.load(sequence, EXPOSURE_NS)
    origin = MirrorField(DMDS["DLP6500"], 2, 2, SCALE).origin_px
    assert np.array_equal(bench.chip.open_fraction((2, 2), origin, SCALE), sequence.masks)


def test_the_commands_of_a_load_come_in_this_order(bench: Bench) -> None:
    # DLPU018J 5.3; stop before and after the mode change
    bench.driver.load(masks(3), EXPOSURE_NS)
    assert bench.names() == [
        "START_STOP",
        "DMD_IDLE",
        "HARDWARE_STATUS",
        "DISPLAY_MODE",
        "START_STOP",
        "TRIGGER_IN_1",
        "TRIGGER_OUT_2",
        "LUT_DEFINITION",
        "LUT_CONFIGURATION",
        "IMAGE_START",
        "IMAGE_BLOCK",
        "LUT_CONFIGURATION",
    ]
    assert [request.data for request in bench.sent if request.command == 0x1A24] == [b"\0", b"\0"]


def test_the_mode_is_read_until_it_has_changed(loaded: Bench) -> None:
    # The simulated controller takes 30 ms.
    mode = [request.is_read for request in loaded.sent if request.command == Command.DISPLAY_MODE]
    assert mode[0] is False
    assert mode.count(True) >= 2
    assert all(mode[1:])


def test_images_are_uploaded_last_first(bench: Bench) -> None:
    bench.driver.load(masks(50), EXPOSURE_NS)
    starts = [request.data[0] for request in bench.sent if request.command == Command.IMAGE_START]
    assert starts == [2, 1, 0]


def test_every_definition_waits_for_the_trigger_and_gives_one(loaded: Bench) -> None:
    data = [request.data for request in loaded.sent if request.command == Command.LUT_DEFINITION]
    assert [LutDefinition.from_bytes(entry) for entry in data] == [
        LutDefinition(k, 1_500, 0, k, waits_for_trigger=True) for k in range(3)
    ]


def test_a_pass_is_configured_to_end_once(loaded: Bench) -> None:
    data = {request.data for request in loaded.sent if request.command == Command.LUT_CONFIGURATION}
    assert data == {bytes.fromhex("03 00 03 00 00 00")}


def test_every_message_asks_for_a_reply(loaded: Bench) -> None:
    assert all(request.wants_reply for request in loaded.sent)


def test_blocks_are_full_but_for_the_last(bench: Bench) -> None:
    bench.driver.load(masks(24, side=16), EXPOSURE_NS)
    sizes = [len(request.data) - 2 for request in bench.sent if request.command == Command.IMAGE_BLOCK]
    assert set(sizes[:-1]) == {504}
    assert 1 <= sizes[-1] <= 504
    (start,) = (request.data for request in bench.sent if request.command == Command.IMAGE_START)
    assert sum(sizes) == int.from_bytes(start[2:6], "little")


def test_progress_rises_to_the_total(bench: Bench) -> None:
    bench.driver.load(masks(30, side=16), EXPOSURE_NS)
    done = [done for done, _ in bench.progress]
    assert done == sorted(set(done))
    assert {total for _, total in bench.progress} == {done[-1]}


def test_a_load_replaces_the_one_before(loaded: Bench) -> None:
    second = masks(2, seed=1)
    loaded.driver.load(second, EXPOSURE_NS)
    assert loaded.driver.loaded_digest == second.digest
    fractions = loaded.chip.open_fraction((6, 6), MirrorField(DMDS["DLP6500"], 6, 6, SCALE).origin_px, SCALE)
    assert np.array_equal(fractions, second.masks)


def test_a_load_during_a_pass_ends_the_pass(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.driver.load(masks(2), EXPOSURE_NS)
    assert not loaded.driver.is_running()


def test_the_exposure_is_rounded_up_to_whole_microseconds(bench: Bench) -> None:
    bench.driver.load(masks(1), 105_001)
    (data,) = (request.data for request in bench.sent if request.command == Command.LUT_DEFINITION)
    assert LutDefinition.from_bytes(data).exposure_us == 106


# Limits, checked before the first byte


@pytest.mark.parametrize("exposure_ns", [104_999, 0, -1, (0xFF_FFFF + 1) * 1_000])
def test_an_exposure_out_of_range_is_refused_before_a_byte_is_sent(bench: Bench, exposure_ns: int) -> None:
    with pytest.raises(BoardConfigError, match="exposure_us"):
        bench.driver.load(masks(1), exposure_ns)
    assert bench.sent == []


@pytest.mark.parametrize("exposure_ns", [105_000, 0xFF_FFFF * 1_000])
def test_the_shortest_and_longest_exposure_are_accepted(bench: Bench, exposure_ns: int) -> None:
    bench.driver.load(masks(1), exposure_ns)


@pytest.mark.parametrize(("count", "side"), [(401, 1), (1, 68)])
def test_what_the_dmd_cannot_show_is_refused_and_the_old_masks_stay(
    loaded: Bench, count: int, side: int
) -> None:
    before = len(loaded.sent)
    with pytest.raises(ShapeMismatchError):
        loaded.driver.load(masks(count, side), EXPOSURE_NS)
    assert len(loaded.sent) == before
    assert loaded.driver.loaded_digest == masks(3).digest


def test_an_unknown_dmd_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(BoardConfigError):
        Dlpc900(bench.chip, "DLP0000", mirror_scale_px=1)


def test_a_scale_below_one_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(BoardConfigError):
        Dlpc900(bench.chip, mirror_scale_px=0)


# A pass


def test_a_pass_runs_until_its_last_exposure_has_ended(loaded: Bench) -> None:
    loaded.driver.start()
    assert loaded.driver.is_running()
    loaded.show_all(2)
    assert loaded.driver.is_running()
    loaded.show_all(1)
    assert not loaded.driver.is_running()
    assert loaded.chip.trigger_in(loaded.clock.now_ns()) is None


def test_nothing_runs_before_a_start(loaded: Bench) -> None:
    assert not loaded.driver.is_running()
    assert loaded.chip.trigger_in(loaded.clock.now_ns()) is None


def test_a_second_start_begins_with_the_first_mask_again(loaded: Bench) -> None:
    for _ in range(2):
        loaded.driver.start()
        loaded.show_all(1)
        assert loaded.chip.showing_at(loaded.clock.now_ns()).plane == 0
        loaded.driver.stop()


def test_a_start_during_a_pass_begins_it_again(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.show_all(2)
    loaded.driver.start()
    loaded.show_all(3)
    assert not loaded.driver.is_running()


def test_after_a_stop_the_mirrors_idle_and_nothing_runs(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.driver.stop()
    assert loaded.chip.showing_at(loaded.clock.now_ns()).state is MirrorState.IDLE
    assert not loaded.driver.is_running()
    assert loaded.chip.trigger_in(loaded.clock.now_ns()) is None


def test_masks_outlive_a_stop(loaded: Bench) -> None:
    loaded.driver.stop()
    loaded.driver.stop()
    assert loaded.driver.loaded_digest == masks(3).digest
    loaded.driver.start()
    loaded.show_all(3)


def test_a_stop_is_safe_before_anything_else(bench: Bench) -> None:
    bench.driver.stop()
    bench.driver.stop()
    assert bench.chip.showing_at(bench.clock.now_ns()).state is MirrorState.IDLE


def test_a_load_wakes_idle_mirrors(loaded: Bench) -> None:
    loaded.driver.stop()
    loaded.driver.load(masks(2), EXPOSURE_NS)
    loaded.driver.start()
    loaded.show_all(2)


def test_a_start_without_masks_is_refused_before_a_byte_is_sent(bench: Bench) -> None:
    with pytest.raises(BusError) as caught:
        bench.driver.start()
    assert kind_of(caught) is BusErrorKind.REFUSED
    assert bench.sent == []


# Faults


def test_an_aborted_sequencer_is_an_error_until_the_next_stop(loaded: Bench) -> None:
    loaded.driver.start()
    loaded.chip.abort_sequencer()
    with pytest.raises(BusError, match="SEQUENCER_ABORT") as caught:
        loaded.driver.is_running()
    assert kind_of(caught) is BusErrorKind.OTHER
    loaded.driver.stop()
    loaded.driver.start()
    assert loaded.driver.is_running()


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


def test_a_reset_between_passes_is_noticed_at_the_start(loaded: Bench) -> None:
    loaded.chip.reset()
    with pytest.raises(BusError, match="reset"):
        loaded.driver.start()
    assert loaded.driver.loaded_digest is None


def test_a_mode_that_never_changes_is_a_timeout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.sim.dlpc900_chip._MODE_CHANGE_NS", 10**12)
    with pytest.raises(BusError, match="on-the-fly") as caught:
        bench.driver.load(masks(1), EXPOSURE_NS)
    assert kind_of(caught) is BusErrorKind.TIMEOUT
