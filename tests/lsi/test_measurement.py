import numpy as np
import pytest

from lsi.measurement import DarkReference, Measurement, RawScan, ScanPlan

COUNTS = np.full((3, 2, 4), 1234, np.uint16)


def raw(counts: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]") -> RawScan:
    return RawScan(counts, 4095, "d", 0, 1)


@pytest.mark.parametrize(("code", "flagged"), [(0, True), (1, False), (4094, False), (4095, True)])
def test_a_sample_at_either_end_of_the_range_flags_its_mask(code: int, flagged: bool) -> None:
    counts = COUNTS.copy()
    counts[1, 0, 2] = code
    assert raw(counts).saturated.tolist() == [False, flagged, False]


def test_nothing_shows_values() -> None:
    values = np.array([0.1234, -0.4321], np.float32)
    measurement = Measurement(values, "d", 0, 1)
    dark = DarkReference(np.array([151.5, 152.5]), np.array([0.5, 0.5]), 3)
    shown = f"{measurement!r} {measurement} {raw(COUNTS)!r} {dark!r}"
    assert not any(text in shown for text in ("1234", "4321", "151", "152"))


def test_the_digest_tells_measurements_apart() -> None:
    one = Measurement(np.array([0.1], np.float32), "d", 0, 1)
    two = Measurement(np.array([0.2], np.float32), "d", 0, 1)
    assert one.digest != two.digest


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((3, 1), np.float32), np.zeros(0, np.float32)])
def test_another_shape_or_type_is_no_measurement(
    values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
) -> None:
    with pytest.raises(ValueError, match="values must be float32"):
        Measurement(values, "d", 0, 1)


@pytest.mark.parametrize(("settle", "blocks", "timeout"), [(100, 1, 1), (-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_a_plan_that_cannot_work_is_refused(settle: int, blocks: int, timeout: int) -> None:
    with pytest.raises(ValueError, match="must"):
        ScanPlan(exposure_ns=100, settle_ns=settle, blocks_per_pattern=blocks, trigger_timeout_ns=timeout)


def test_a_block_gives_two_samples_of_each_arm() -> None:
    assert ScanPlan(100, 10, 4, 1).samples_per_pattern == 8
