"""Replay: what is kept goes again, what is gone is said."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.records.outbox import Outbox
from edge_app.records.replay import MAX_RANGES, MAX_SEQ, SeqRange, gaps, replay
from lsi.errors import PayloadError
from tests.edge_app.records.outbox_bench import A, B, Bench, C, Sender, drain_of, fill, run_for


def test_accepted_records_and_dead_letters_go_again_and_waiting_ones_once(
    bench: Bench, outbox: Outbox
) -> None:
    keys = fill(outbox, 6)
    outbox.accept(keys[:3])
    outbox.bury(keys[3])
    answer = replay(outbox, A, 2, 5)
    assert (answer.again, answer.waiting, answer.gone_rows, answer.gone) == (3, 1, 0, ())
    sender = Sender()
    run_for(bench, drain_of(bench, outbox, sender), 3)
    assert sender.seqs() == [5, 6, 2, 3, 4]  # live ones first
    assert sender.history() == [False, False, True, True, True]
    assert outbox.status().kept == 6


def test_what_was_wiped_is_gone_and_what_is_not_made_yet_is_not(bench: Bench, outbox: Outbox) -> None:
    keys = fill(outbox, 9)
    outbox.accept([keys[1], keys[2], keys[6]])
    bench.pass_s(601)
    outbox.sweep()
    answer = replay(outbox, A, 1, 1_000)
    assert answer.gone == (SeqRange(2, 3), SeqRange(7, 7))
    assert (answer.again, answer.waiting, answer.gone_rows) == (0, 6, 3)


def test_of_a_stream_that_nobody_knows_everything_is_gone(outbox: Outbox) -> None:
    fill(outbox, 2)
    answer = replay(outbox, C, 5, MAX_SEQ)
    assert answer.gone == (SeqRange(5, MAX_SEQ),)
    assert answer.gone_rows == MAX_SEQ - 4


def test_a_running_stream_that_has_made_nothing_has_lost_nothing(outbox: Outbox) -> None:
    answer = replay(outbox, A, 1, 10)
    assert (answer.again, answer.waiting, answer.gone_rows) == (0, 0, 0)


def test_an_earlier_start_is_replayed_too(bench: Bench, outbox: Outbox) -> None:
    outbox.accept(fill(outbox, 4))
    outbox.close()
    with bench.opened(B) as other:
        assert replay(other, A, 1, 6).again == 4
        assert replay(other, A, 1, 6).gone == (SeqRange(5, 6),)


def test_a_replay_never_makes_a_record_live_longer(bench: Bench, outbox: Outbox) -> None:
    keys = fill(outbox, 1)
    outbox.accept(keys)
    bench.pass_s(500)
    replay(outbox, A, 1, 1)
    outbox.accept(keys)
    replay(outbox, A, 1, 1)
    assert [round(record.left_s) for record in outbox.take(1)] == [100]
    bench.pass_s(101)
    assert outbox.take(1) == []
    outbox.sweep()
    assert replay(outbox, A, 1, 1).gone == (SeqRange(1, 1),)


def test_an_answer_is_bounded_however_many_holes_there_are(bench: Bench, outbox: Outbox) -> None:
    keys = fill(outbox, 100)
    outbox.accept(keys[::2])
    bench.pass_s(601)
    outbox.sweep()
    answer = replay(outbox, A, 1, 100)
    assert len(answer.gone) == MAX_RANGES
    assert answer.gone_rows == 50


@pytest.mark.parametrize(
    ("stream", "first", "last"), [("x" * 16, 1, 2), (A, 0, 2), (A, 3, 2), (A, 1, MAX_SEQ + 1), ("", 1, 1)]
)
def test_a_request_without_stream_or_range_is_refused(
    outbox: Outbox, stream: str, first: int, last: int
) -> None:
    with pytest.raises(PayloadError, match="16 hexadecimal digits"):
        replay(outbox, stream, first, last)


@given(present=st.sets(st.integers(1, 60)), first=st.integers(1, 30), span=st.integers(0, 30))
def test_gaps_and_what_is_present_make_the_whole_range(present: set[int], first: int, span: int) -> None:
    last = first + span
    inside = sorted(seq for seq in present if first <= seq <= last)
    ranges = list(gaps(inside, first, last))
    missing = [seq for gap in ranges for seq in range(gap.first, gap.last + 1)]
    assert sorted(missing + inside) == list(range(first, last + 1))
    assert all(before.last + 1 < after.first for before, after in pairwise(ranges))  # none touches the next
