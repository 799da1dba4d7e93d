"""What every ``Clock`` promises."""

from collections.abc import Callable

import pytest

from firmware.clock import MonotonicClock
from firmware.interfaces import Clock
from firmware.sim.clock import SimClock
from tests.firmware.scripted import ScriptedClock

CLOCKS: list[Callable[[], Clock]] = [MonotonicClock, SimClock, ScriptedClock]


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_time_never_goes_back(clock: Clock) -> None:
    times = [clock.now_ns() for _ in range(50)]
    assert times == sorted(times)
    assert all(isinstance(time, int) for time in times)


def test_a_wait_ends_at_or_after_its_deadline(clock: Clock) -> None:
    deadline = clock.now_ns() + 50_000
    clock.wait_until_ns(deadline)
    assert clock.now_ns() >= deadline


def test_a_deadline_in_the_past_does_not_turn_time_back(clock: Clock) -> None:
    before = clock.now_ns()
    clock.wait_until_ns(before - 1_000_000)
    assert clock.now_ns() >= before
