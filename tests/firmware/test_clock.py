import pytest

from firmware.clock import SPIN_NS, MonotonicClock
from firmware.sim.clock import SimClock


class Timer:
    """A machine whose sleeps are late."""

    def __init__(self, late_ns: int) -> None:
        self.time_ns = 0
        self.slept_s: list[float] = []
        self._late_ns = late_ns

    def now_ns(self) -> int:
        self.time_ns += 1_000
        return self.time_ns

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.time_ns += round(duration_s * 1e9) + self._late_ns


def test_a_long_wait_sleeps_and_then_spins_to_the_deadline() -> None:
    timer = Timer(late_ns=SPIN_NS // 2)
    MonotonicClock(timer.now_ns, timer.sleep).wait_until_ns(5_000_000)
    assert 5_000_000 <= timer.time_ns < 5_002_000
    assert len(timer.slept_s) == 1


def test_a_short_wait_never_sleeps() -> None:
    timer = Timer(late_ns=0)
    MonotonicClock(timer.now_ns, timer.sleep).wait_until_ns(SPIN_NS)
    assert timer.slept_s == []


def test_a_deadline_in_the_past_returns_at_once() -> None:
    timer = Timer(late_ns=0)
    timer.time_ns = 9_000
    MonotonicClock(timer.now_ns, timer.sleep).wait_until_ns(1_000)
    assert timer.time_ns == 10_000


def test_simulated_time_does_not_go_back() -> None:
    clock = SimClock(start_ns=50)
    clock.wait_until_ns(10)
    assert clock.now_ns() == 50
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)
