import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from firmware.drivers.mirror_field import MirrorField, dmd_named
from firmware.drivers.video_planes import (
    GREEN_RED_BLUE,
    PLANES,
    RED_FIRST,
    PlaneOrder,
    frames_needed,
    pack_frames,
    tally_frames,
    unpack_frames,
    video_frames,
    with_markers,
)
from lsi.errors import FrameError, TriggerCountError
from lsi.patterns import PatternSet

ORDERS = st.permutations(range(PLANES)).map(lambda bits: PlaneOrder(tuple(bits)))


def masks(count: int, seed: int = 0, side: int = 4) -> PatternSet:
    return PatternSet(np.random.default_rng(seed).random((count, side, side)) < 0.5)


def one_pixel(*shown: int) -> PatternSet:
    """24 masks of one pixel; those in ``shown`` are open."""
    planes = np.zeros((PLANES, 1, 1), np.bool_)
    planes[list(shown)] = True
    return PatternSet(planes)


@given(ORDERS, st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_what_was_packed_is_unpacked_in_any_order(order: PlaneOrder, count: int, seed: int) -> None:
    patterns = masks(count, seed)
    frames = pack_frames(patterns, order)
    assert frames.shape == (frames_needed(count), 4, 4, 3)
    assert unpack_frames(frames, order, count) == patterns


@given(ORDERS)
def test_unused_planes_of_the_last_frame_are_black(order: PlaneOrder) -> None:
    frames = pack_frames(masks(25), order)
    assert not unpack_frames(frames, order, 48).masks[25:].any()


@pytest.mark.parametrize(
    ("order", "mask", "pixel"),
    [
        (RED_FIRST, 0, (0x80, 0, 0)),
        (RED_FIRST, 7, (0x01, 0, 0)),
        (RED_FIRST, 8, (0, 0x80, 0)),
        (RED_FIRST, 23, (0, 0, 0x01)),
        (GREEN_RED_BLUE, 0, (0, 0x01, 0)),
        (GREEN_RED_BLUE, 7, (0, 0x80, 0)),
        (GREEN_RED_BLUE, 8, (0x01, 0, 0)),
        (GREEN_RED_BLUE, 23, (0, 0, 0x80)),
    ],
)
def test_a_mask_is_the_bit_that_is_shown_at_its_time(
    order: PlaneOrder, mask: int, pixel: tuple[int, int, int]
) -> None:
    assert tuple(pack_frames(one_pixel(mask), order)[0, 0, 0]) == pixel


def test_mask_24_is_in_the_second_frame() -> None:
    patterns = np.zeros((25, 1, 1), np.bool_)
    patterns[24] = True
    frames = pack_frames(PatternSet(patterns), RED_FIRST)
    assert frames[:, 0, 0].tolist() == [[0, 0, 0], [0x80, 0, 0]]


def test_512_masks_and_their_markers_need_22_frames() -> None:
    assert frames_needed(len(with_markers(masks(512)))) == 22
    assert [frames_needed(count) for count in (1, 24, 25)] == [1, 1, 2]


def test_markers_are_white_then_black_before_the_masks() -> None:
    patterns = masks(3)
    marked = with_markers(patterns)
    assert marked.masks[0].all()
    assert not marked.masks[1].any()
    assert PatternSet(marked.masks[2:]) == patterns


def test_frames_lie_on_the_mirrors_of_the_dmd() -> None:
    patterns = masks(30, side=64)
    field = MirrorField(dmd_named("DLP6500"), 64, 64, 16)
    frames = list(video_frames(patterns, GREEN_RED_BLUE, field))
    assert [frame.shape for frame in frames] == [(1, 1080, 1920, 3)] * 2
    shown = unpack_frames(np.concatenate(frames), GREEN_RED_BLUE, 30)
    assert np.array_equal(shown.masks[29], field.spread(patterns.masks[29]))


@pytest.mark.parametrize("bits", [(), tuple(range(23)), (0, *range(23)), tuple(range(1, 25))])
def test_an_order_that_is_no_permutation_is_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(FrameError, match="calibrate"):
        PlaneOrder(bits)


def test_frames_that_are_too_few_or_no_rgb_are_refused() -> None:
    frames = pack_frames(masks(24), RED_FIRST)
    for wrong, count in ((frames, 25), (frames, 0), (frames[..., 0], 24), (frames[..., :2], 24)):
        with pytest.raises(FrameError, match="masks"):
            unpack_frames(wrong, RED_FIRST, count)


class TestCalibration:
    @given(ORDERS, st.integers(0, 2**32 - 1))
    def test_finds_any_order_through_noise(self, order: PlaneOrder, seed: int) -> None:
        levels = np.random.default_rng(seed).normal(0, 0.02, (PLANES, PLANES))
        for bit in range(PLANES):
            only_this = np.array([[[bit >= 16, 8 <= bit < 16, bit < 8]]], np.uint8)
            frame = (only_this * (1 << bit % 8)).astype(np.uint8)[np.newaxis]
            levels[bit] += unpack_frames(frame, order, PLANES).masks[:, 0, 0]
        assert PlaneOrder.from_levels(levels) == order

    def test_refuses_a_bit_that_lights_nothing_clearly(self) -> None:
        levels = np.eye(PLANES)
        levels[5, 6] = 0.3
        with pytest.raises(FrameError, match="1 of 24 bits lit no plane clearly"):
            PlaneOrder.from_levels(levels)
        with pytest.raises(FrameError, match="24 of 24"):
            PlaneOrder.from_levels(np.zeros((PLANES, PLANES)))

    def test_refuses_two_bits_in_one_plane(self) -> None:
        levels = np.eye(PLANES)
        levels[5] = levels[6]
        with pytest.raises(FrameError, match="1 bits lit a plane that another bit lit too"):
            PlaneOrder.from_levels(levels)

    @pytest.mark.parametrize("levels", [np.eye(23), np.full((24, 24), np.nan)])
    def test_refuses_what_is_no_table_of_levels(self, levels: NDArray[np.float64]) -> None:
        with pytest.raises(FrameError, match="Levels"):
            PlaneOrder.from_levels(levels)


def shown(frame_indices: list[int], frames: int = 3) -> NDArray[np.float64]:
    """Shares of arm + of the planes of these frames; frame 0 begins with the markers."""
    planes = np.random.default_rng(4).uniform(0.2, 0.8, (frames, PLANES))
    planes[0, :2] = (0.97, 0.02)
    return planes[frame_indices].reshape(-1)


class TestTally:
    def test_finds_no_fault_in_whole_passes_wherever_it_begins_to_look(self) -> None:
        tally = tally_frames(shown([2, 0, 1, 2, 0, 1, 2, 0]), 3)
        assert tally.is_clean
        assert tally.starts == (24, 96, 168)

    @pytest.mark.parametrize(
        ("frames", "repeated", "dropped"),
        [
            ([0, 1, 1, 2, 0], 1, 0),
            ([0, 1, 1, 1, 2, 0, 1, 2, 0], 2, 0),
            ([0, 2, 0], 0, 1),
            ([0, 1, 1, 2, 0, 2, 0], 1, 1),
        ],
    )
    def test_counts_repeated_and_dropped_frames(self, frames: list[int], repeated: int, dropped: int) -> None:
        tally = tally_frames(shown(frames), 3)
        assert (tally.repeated, tally.dropped) == (repeated, dropped)
        assert not tally.is_clean

    def test_sees_a_repeated_first_frame_as_a_pass_that_is_too_short(self) -> None:
        assert not tally_frames(shown([0, 0, 1, 2, 0]), 3).is_clean

    def test_refuses_planes_that_were_lost_within_a_frame(self) -> None:
        with pytest.raises(TriggerCountError, match="1 of 1 passes are no whole frames"):
            tally_frames(np.delete(shown([0, 1, 2, 0]), 30), 3)

    @pytest.mark.parametrize("frames", [[1, 2], [0, 1, 2]])
    def test_refuses_to_judge_without_two_markers(self, frames: list[int]) -> None:
        with pytest.raises(TriggerCountError, match="markers among"):
            tally_frames(shown(frames), 3)

    @given(st.lists(st.integers(1, 3), min_size=2, max_size=6))
    def test_the_difference_is_that_of_the_frames_shown(self, lengths: list[int]) -> None:
        frames = [frame for length in lengths for frame in [0, *([1] * (length - 1))]]
        tally = tally_frames(shown([*frames, 0]), 2)
        assert tally.repeated - tally.dropped == len(frames) - 2 * len(lengths)
        assert len(tally.starts) == len(lengths) + 1
