from transport.twin import TwinWatch


def closings(
    watch: TwinWatch, count: int, *, session_present: bool = True, lasted_s: float = 1
) -> list[bool]:
    """What each of a row of closed connections is taken for."""
    seen = []
    for _ in range(count):
        watch.connected(session_present=session_present)
        seen.append(watch.closed(lasted_s))
    return seen


def test_the_third_silent_closing_in_a_row_is_taken_for_a_twin() -> None:
    assert closings(TwinWatch(300), 4) == [False, False, True, True]


def test_a_broker_that_forgot_the_session_was_restarted() -> None:
    assert not any(closings(TwinWatch(300), 9, session_present=False))


def test_a_broker_that_was_away_in_between_was_restarted() -> None:
    watch = TwinWatch(300)
    closings(watch, 2)
    watch.ended()
    assert closings(watch, 3) == [False, False, True]


def test_a_connection_that_outlived_every_pause_of_a_twin_ends_the_suspicion() -> None:
    watch = TwinWatch(300)
    assert closings(watch, 3)[-1]
    assert closings(watch, 1, lasted_s=299) == [True]
    assert closings(watch, 1, lasted_s=300) == [False]
