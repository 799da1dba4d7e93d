"""Virtual time: which gaps are told, and when they are asked for."""

from hypothesis import given
from hypothesis import strategies as st

from host.gap_watch import MAX_HELD_RANGES, Gap, GapState, GapWatch, Patience, Replay
from lsi.command_documents import (
    Accepted,
    AckPayload,
    Command,
    Reason,
    Refused,
    ReplayArguments,
    ReplayReport,
)
from tests.host.devices import health

DEVICE, STREAM, NEXT = "hall1", "0123456789abcdef", "fedcba9876543210"
PATIENCE = Patience(grace_s=5, first_pause_s=10, longest_pause_s=30)


def watching(*seqs: int) -> GapWatch:
    watch = GapWatch(PATIENCE)
    for seq in seqs:
        assert watch.record(DEVICE, STREAM, seq, 0) == []
    return watch


def gap(first: int, last: int, state: GapState = GapState.MISSING) -> Gap:
    return Gap(DEVICE, STREAM, first, last, state)


def replay(first: int, last: int, stream: str = STREAM) -> Replay:
    return Replay(DEVICE, ReplayArguments(stream, first, last))


def gone(*ranges: tuple[int, int]) -> AckPayload:
    rows = sum(last - first + 1 for first, last in ranges)
    return AckPayload(DEVICE, STREAM, Command.REPLAY, Accepted(ReplayReport(STREAM, 0, 0, rows, ranges)))


def test_nothing_is_asked_while_records_come_in_order() -> None:
    watch = watching(3, 4, 5)
    assert watch.due_s() is None
    assert watch.due(1e9) == ([], [])


def test_a_gap_is_given_a_while_and_then_told_once_and_asked_for_with_growing_pauses() -> None:
    watch = watching(3, 7)
    assert watch.due_s() == 5
    assert watch.due(4.9) == ([], [])
    assert watch.due(5) == ([gap(4, 6)], [replay(4, 6)])
    asked_s = []
    for _ in range(4):
        due_s = watch.due_s()
        assert due_s is not None
        assert watch.due(due_s) == ([], [replay(4, 6)])
        asked_s.append(due_s)
    assert asked_s == [15, 35, 65, 95]


def test_a_record_that_is_only_late_is_never_called_missing() -> None:
    watch = watching(3, 5, 4)
    assert watch.due_s() is None


def test_what_comes_after_all_is_told_and_asked_for_no_more() -> None:
    watch = watching(3, 7)
    watch.due(5)
    assert watch.record(DEVICE, STREAM, 5, 6) == [gap(5, 5, GapState.FILLED)]
    assert watch.due(15) == ([], [replay(4, 4), replay(6, 6)])
    assert watch.record(DEVICE, STREAM, 4, 16) == [gap(4, 4, GapState.FILLED)]
    assert watch.record(DEVICE, STREAM, 6, 16) == [gap(6, 6, GapState.FILLED)]
    assert watch.due_s() is None


def test_what_the_device_has_no_more_is_told_and_asked_for_no_more() -> None:
    watch = watching(3, 7)
    watch.due(5)
    assert watch.answer(gone((1, 5)), 6) == [gap(4, 5, GapState.GONE)]
    assert watch.due(15) == ([], [replay(6, 6)])
    assert watch.answer(gone((6, 6)), 16) == [gap(6, 6, GapState.GONE)]
    assert watch.due_s() is None


def test_a_refusal_or_the_answer_to_somebody_else_changes_nothing() -> None:
    watch = watching(3, 7)
    watch.due(5)
    refused = AckPayload(DEVICE, STREAM, Command.REPLAY, Refused(Reason.TOO_OFTEN, 1))
    assert watch.answer(refused, 6) == []
    assert watch.answer(AckPayload("hall2", STREAM, Command.REPLAY, gone((4, 6)).reply), 6) == []
    assert watch.due(15) == ([], [replay(4, 6)])


def test_a_tail_is_found_by_health_alone() -> None:
    watch = watching(3)
    watch.health(health(STREAM, 5), 10)
    assert watch.due(15) == ([gap(4, 5)], [replay(4, 5)])


def test_a_backlog_still_to_come_is_no_tail() -> None:
    watch = watching(3)
    watch.health(health(STREAM, 5, waiting=2), 10)
    assert watch.due_s() is None


def test_what_was_sent_before_we_came_is_not_missed() -> None:
    watch = GapWatch(PATIENCE)
    watch.health(health(STREAM, 100), 0)
    assert watch.due_s() is None
    watch.record(DEVICE, STREAM, 102, 1)
    assert watch.due(6) == ([gap(101, 101)], [replay(101, 101)])


def test_a_start_after_one_that_we_followed_is_followed_from_its_first_record() -> None:
    watch = watching(3)
    watch.record(DEVICE, NEXT, 2, 10)
    _, replays = watch.due(15)
    assert replays == [replay(1, 1, NEXT)]


def test_a_device_that_restarts_all_the_time_is_forgotten_piece_by_piece() -> None:
    watch = GapWatch(PATIENCE)
    for start in range(1_000):
        watch.record(DEVICE, f"{start:016x}", 5, 0)
    _, replays = watch.due(1e6)
    assert [request.arguments.stream for request in replays] == [
        f"{start:016x}" for start in range(996, 1_000)
    ]


def test_a_stream_full_of_holes_is_bounded_and_says_what_it_gives_up() -> None:
    watch = watching(1)
    watch.due(0)
    found = [
        each for seq in range(3, 2 * MAX_HELD_RANGES + 40, 2) for each in watch.record(DEVICE, STREAM, seq, 0)
    ]
    assert found == []  # nothing was asked for yet, so nothing has to be taken back
    gaps, replays = watch.due(5)
    assert len(replays) == 10
    assert gaps[0].first > 2
    more = [each for seq in range(2_039, 2_100, 2) for each in watch.record(DEVICE, STREAM, seq, 6)]
    assert {each.state for each in more} == {GapState.ABANDONED}
    assert more[0] == Gap(DEVICE, STREAM, gaps[0].first, gaps[0].last, GapState.ABANDONED)


@given(st.permutations(range(1, 30)), st.sets(st.integers(1, 29), max_size=10), st.integers(0, 5))
def test_missing_less_filled_and_gone_is_what_did_not_come(
    order: list[int], never: set[int], forgotten: int
) -> None:
    watch, missing, now_s = GapWatch(PATIENCE), set[int](), 0.0
    watch.record(DEVICE, STREAM, 100, now_s)
    watch.record(DEVICE, NEXT, 30, now_s)
    lost = set(sorted(never)[:forgotten])
    for seq in order:
        now_s += 3
        gaps, _ = watch.due(now_s)
        if seq not in never:
            gaps += watch.record(DEVICE, NEXT, seq, now_s)
        for each in gaps:
            numbers = set(range(each.first, each.last + 1))
            missing = missing | numbers if each.state is GapState.MISSING else missing - numbers
    for _ in range(30):
        now_s += 100
        gaps, replays = watch.due(now_s)
        missing |= {seq for each in gaps for seq in range(each.first, each.last + 1)}
        for seq in sorted(lost):
            report = ReplayReport(NEXT, 0, 0, 1, ((seq, seq),))
            found = watch.answer(AckPayload(DEVICE, NEXT, Command.REPLAY, Accepted(report)), now_s)
            missing -= {each.first for each in found}
    assert missing == never - lost
    asked = {seq for each in replays for seq in range(each.arguments.first, each.arguments.last + 1)}
    assert (watch.due_s() is None) == (never == lost)
    assert asked <= never
