"""The shipping driver against the simulated controller."""

import numpy as np
import pytest

from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_codes import Command
from firmware.drivers.dlpc900_patterns import LutDefinition
from firmware.drivers.dlpc900_upload import Progress
from firmware.drivers.dmds import DMDS
from firmware.drivers.mirror_field import MirrorField
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.dlpc900_mirrors import MirrorState
from lsi.errors import BoardConfigError, BusError, BusErrorKind, ShapeMismatchError
from lsi.placement import Placement
from tests.firmware.drivers.dlpc900_bench import EXPOSURE_NS, SCALE, Bench, masks

STARTS = (Command.IMAGE_START, Command.SECONDARY_IMAGE_START)
UPLOAD = (Command.IMAGE_START, Command.IMAGE_BLOCK)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def loaded(bench: Bench) -> Bench:
    bench.driver.load(masks(3), EXPOSURE_NS)
    return bench


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
        "DMD_TYPE",
        "START_STOP",
        "DMD_IDLE",
        "HARDWARE_STATUS",
        "DISPLAY_MODE",
        "START_STOP",
        "TRIGGER_IN_1",
        "TRIGGER_OUT_1",
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


def test_progress_rises_from_nothing_to_the_total(bench: Bench) -> None:
    bench.driver.load(masks(30, side=16), EXPOSURE_NS)
    done = [progress.bytes_done for progress in bench.progress]
    assert done[0] == 0
    assert done == sorted(set(done))
    assert {progress.bytes_total for progress in bench.progress} == {done[-1]}


def test_the_estimate_before_the_first_byte_is_the_time_that_the_upload_takes(bench: Bench) -> None:
    # One report per millisecond, as the simulated controller takes them.
    sequence = masks(48, side=32)
    bench.driver.load(sequence, EXPOSURE_NS)
    first, last = bench.progress[0], bench.progress[-1]
    assert bench.driver.estimate(sequence) == first
    assert last.seconds_left == 0
    uploads = [request for request in bench.sent if request.command in UPLOAD]
    taken_s = sum(len(request.reports()) + 1 for request in uploads) / 1_000
    assert first.seconds_left == pytest.approx(taken_s, rel=0.02)


def test_the_time_that_is_left_follows_the_rate_that_was_measured(bench: Bench) -> None:
    sequence = masks(24, side=32)
    slow = SimDlpc900(bench.clock, report_ns=4_000_000)
    seen: list[Progress] = []
    Dlpc900(slow, mirror_scale_px=SCALE, progress=seen.append, clock=bench.clock).load(sequence, EXPOSURE_NS)
    middle = seen[len(seen) // 2]
    part = (middle.bytes_total - middle.bytes_done) / middle.bytes_total
    assert middle.seconds_left == pytest.approx(4 * part * seen[0].seconds_left, rel=0.05)


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


# Where masks lie


def test_masks_are_shown_where_the_placement_says() -> None:
    placement = Placement(shift_x_px=31, shift_y_px=-7, rotation_rad=0.02)
    bench = Bench(placement=placement)
    sequence = masks(3, side=24)
    bench.driver.load(sequence, EXPOSURE_NS)
    field = MirrorField(DMDS["DLP6500"], 24, 24, SCALE, placement)
    for k, mask in enumerate(sequence.masks):
        assert np.array_equal(bench.chip.mirror_plane(k), field.spread(mask))


@pytest.mark.parametrize("dmd", sorted(DMDS))
def test_every_dmd_shows_the_masks_bit_for_bit(dmd: str) -> None:
    # Two controllers get one half of each row; the masks lie across the seam.
    bench = Bench(dmd)
    sequence = masks(26, side=7)
    bench.driver.load(sequence, EXPOSURE_NS)
    field = MirrorField(DMDS[dmd], 7, 7, SCALE)
    for k in (0, 23, 24, 25):
        assert np.array_equal(bench.chip.mirror_plane(k), field.spread(sequence.masks[k]))
    fractions = bench.chip.open_fraction((7, 7), field.origin_px, SCALE)
    assert np.array_equal(fractions, sequence.masks.astype(np.float32))
    bench.driver.start()
    bench.show_all(26)
    assert not bench.driver.is_running()


def test_two_controllers_get_the_left_and_the_right_half_with_a_header_each() -> None:
    bench = Bench("DLP9000")
    bench.driver.load(masks(25), EXPOSURE_NS)
    starts = [(request.command, request.data[0]) for request in bench.sent if request.command in STARTS]
    assert starts == [(0x1A2A, 1), (0x1A2C, 1), (0x1A2A, 0), (0x1A2C, 0)]
    blocks = [request for request in bench.sent if request.command in (0x1A2B, 0x1A2D)]
    headers = [block.data[2:10] for block in blocks if block.data[2:6] == b"Spld"]
    assert headers == [b"Spld" + (1280).to_bytes(2, "little") + (1600).to_bytes(2, "little")] * 4


def test_a_dlp5500_shows_960_patterns_and_no_more() -> None:
    bench = Bench("DLP5500")
    sequence = masks(960, side=2)
    bench.driver.load(sequence, EXPOSURE_NS)
    origin = MirrorField(DMDS["DLP5500"], 2, 2, SCALE).origin_px
    assert np.array_equal(bench.chip.open_fraction((2, 2), origin, SCALE), sequence.masks)
    with pytest.raises(ShapeMismatchError, match="960"):
        bench.driver.load(masks(961, side=2), EXPOSURE_NS)


def test_another_dmd_than_the_board_names_is_refused_and_nothing_is_sent_to_it(bench: Bench) -> None:
    other = Dlpc900(bench, "DLP5500", mirror_scale_px=SCALE)
    with pytest.raises(BoardConfigError, match=r"has a DLP6500, the board file names a DLP5500"):
        other.load(masks(1), EXPOSURE_NS)
    assert bench.names() == ["DMD_TYPE"]


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
    assert caught.value.kind is BusErrorKind.REFUSED
    assert bench.sent == []
