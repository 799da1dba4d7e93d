"""A device whose clock is wrong: counted and told, and its records stay."""

import pytest

from host.clock_check import MAX_TOLD, ClockCheck
from host.sink import SinkRow, utc_of
from tests.host.test_sinks import event_row

DAY_NS = 86_400 * 10**9
NOW_NS = 1_800_000_000 * 10**9
STREAM = "0123456789abcdef"


def at(time_ns: int, device_id: str = "hall1") -> SinkRow:
    return event_row(STREAM, 1, device_id=device_id, ts=utc_of(time_ns))


@pytest.mark.parametrize(
    ("days", "is_far"), [(0, 0), (1.9, 0), (-1.9, 0), (2.1, 1), (-2.1, 1), (365 * 50, 1), (-365 * 50, 1)]
)
def test_two_days_away_is_far(days: float, is_far: int) -> None:
    assert ClockCheck(lambda: NOW_NS).far_off([at(NOW_NS + round(days * DAY_NS))]) == is_far


def test_each_device_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    check = ClockCheck(lambda: NOW_NS)
    rows = [at(0), at(0), at(0, "hall2"), at(NOW_NS, "hall3")]
    assert (check.far_off(rows), check.far_off(rows)) == (3, 3)
    said = sorted(record.getMessage().split()[0] for record in caplog.records)
    assert said == ["hall1", "hall2"]


def test_a_flood_of_devices_does_not_fill_memory_or_log(caplog: pytest.LogCaptureFixture) -> None:
    check = ClockCheck(lambda: NOW_NS)
    rows = [at(0, f"d{number}") for number in range(MAX_TOLD + 5)]
    assert check.far_off(rows) == MAX_TOLD + 5
    assert len(caplog.records) == MAX_TOLD
