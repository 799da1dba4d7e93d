import pytest

from transport.backoff import Backoff, conflict_backoff


def test_delays_double_up_to_a_minute() -> None:
    backoff = Backoff(uniform=lambda _, high: high)
    assert [backoff.delay_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_takes_up_to_half_away() -> None:
    backoff = Backoff(uniform=lambda low, _: low)
    assert [backoff.delay_s() for _ in range(3)] == [0.5, 1, 2]


def test_two_devices_do_not_come_back_in_one_instant() -> None:
    assert Backoff().delay_s() != Backoff().delay_s()


@pytest.mark.parametrize("make", [Backoff, conflict_backoff])
def test_after_a_success_it_begins_again(make: type[Backoff]) -> None:
    backoff = make(uniform=lambda _, high: high)
    first_s = backoff.delay_s()
    backoff.delay_s()
    backoff.reset()
    assert backoff.delay_s() == first_s


def test_who_shares_an_id_waits_from_half_a_minute_to_two() -> None:
    shortest, longest = conflict_backoff(lambda low, _: low), conflict_backoff(lambda _, high: high)
    assert [shortest.delay_s() for _ in range(3)] == [30, 60, 60]
    assert [longest.delay_s() for _ in range(3)] == [60, 120, 120]
