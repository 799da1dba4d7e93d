"""Virtual time: what a sink has not got is asked for, by whoever hears of it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from host.gap_keeper import GapKeeper
from host.gap_watch import Patience, Replay
from host.jsonl_sink import JsonLinesSink
from lsi.command_documents import (
    Accepted,
    AckPayload,
    Command,
    Reason,
    Refused,
    ReplayArguments,
    ReplayReport,
)
from lsi.errors import SinkError
from tests.host.devices import health
from tests.host.test_sinks import row

STREAM = "0123456789abcdef"
PATIENCE = Patience(grace_s=10, first_pause_s=30, longest_pause_s=100)


def asked(keeper: GapKeeper, now_s: float) -> list[tuple[int, int]]:
    found = list(keeper.check(now_s))
    assert all(replay.device_id == "hall1" and replay.arguments.stream == STREAM for replay in found)
    return [(replay.arguments.first, replay.arguments.last) for replay in found]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[JsonLinesSink]:
    with closing(JsonLinesSink(tmp_path / "r.jsonl")) as opened:
        yield opened


def test_gaps_and_the_tail_are_asked_for_after_a_while(sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 2, 5)], ())
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 7), 0)
    assert keeper.next_s() == 10
    assert asked(keeper, 9) == []
    sink.write([row(STREAM, 6)], ())
    assert asked(keeper, 10) == [(3, 4), (7, 7)]
    assert keeper.missing_rows == 3
    assert keeper.next_s() is None


def test_the_same_question_is_asked_with_growing_pauses_and_a_new_one_at_once(sink: JsonLinesSink) -> None:
    keeper = GapKeeper(sink, PATIENCE)
    answered_s = []
    for now_s in range(0, 600, 20):
        keeper.health(health(STREAM, 3), now_s)
        if asked(keeper, now_s + 10):
            answered_s.append(now_s)
    assert answered_s == [0, 40, 100, 200, 300, 400, 500]
    keeper.health(health(STREAM, 4), 600)
    assert asked(keeper, 610) == [(1, 4)]


def test_with_a_backlog_only_what_was_passed_over_is_asked_for(sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 4)], ())
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 900, waiting=896), 0)
    assert asked(keeper, 10) == [(2, 3)]


def test_a_complete_stream_costs_no_question_to_the_sink(sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 2)], ())
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 2), 0)
    assert asked(keeper, 10) == []
    keeper.health(health(STREAM, 2), 60)
    assert keeper.next_s() is None
    keeper.health(health(STREAM, 3), 120)
    assert keeper.next_s() == 130


def test_what_is_gone_is_given_up_and_asked_for_no_more(sink: JsonLinesSink) -> None:
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 5), 0)
    assert asked(keeper, 10) == [(1, 5)]
    report = ReplayReport(STREAM, again=1, waiting=0, gone_rows=4, gone=((1, 4),))
    assert keeper.answer(AckPayload("hall1", STREAM, Command.REPLAY, Accepted(report))) == 4
    assert keeper.answer(AckPayload("hall1", STREAM, Command.REPLAY, Refused(Reason.TOO_OFTEN, 1))) == 0
    keeper.health(health(STREAM, 5), 60)
    assert asked(keeper, 70) == [(5, 5)]


def test_many_holes_are_asked_for_ten_at_a_time(sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in range(2, 60, 2)], ())
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 58), 0)
    assert asked(keeper, 10) == [(seq, seq) for seq in range(1, 20, 2)]
    assert keeper.missing_rows == 29


def test_a_sink_that_is_away_is_asked_again(sink: JsonLinesSink, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = GapKeeper(sink, PATIENCE)
    keeper.health(health(STREAM, 1), 0)

    def away(*_: object) -> None:
        raise SinkError("away")

    with monkeypatch.context() as patched:
        patched.setattr(sink, "missing", away)
        with pytest.raises(SinkError):
            list(keeper.check(10))
    assert list(keeper.check(10)) == [Replay("hall1", ReplayArguments(STREAM, 1, 1))]


def sent_again(keeper: GapKeeper, first: int, last: int, request_id: str | None = None) -> None:
    report = ReplayReport(STREAM, again=last - first + 1, waiting=0, gone_rows=0)
    asked_as = f"{first}-{last}" if request_id is None else request_id
    keeper.answer(AckPayload("hall1", STREAM, Command.REPLAY, Accepted(report), asked_as))


def test_what_was_sent_again_twice_and_never_came_is_asked_for_no_more(
    sink: JsonLinesSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 3)], ())  # 2 is of a kind that we may not read
    keeper = GapKeeper(sink, PATIENCE)
    rounds = []
    for number in range(8):
        keeper.health(health(STREAM, 4 + number), 60 * number)
        rounds.append(asked(keeper, 60 * number + 10))
        for first, last in rounds[-1]:
            sent_again(keeper, first, last)
        sink.write([row(STREAM, 4 + number)], ())  # the tail comes after all
    assert rounds[:2] == [[(2, 2), (4, 4)], [(2, 2), (5, 5)]]
    assert rounds[2:] == [[(6 + number, 6 + number)] for number in range(6)]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "hall1 sent 1 records again, twice, and none came" in said[0]


@pytest.mark.parametrize("request_id", ["", "x", "2", "0-2", "3-2", "2-99999999999999999"])
def test_an_answer_to_somebody_elses_question_changes_nothing(request_id: str, sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 3)], ())
    keeper = GapKeeper(sink, PATIENCE)
    for number in range(4):
        sent_again(keeper, 2, 2, request_id)
        keeper.health(health(STREAM, 3), 200 * number)
        assert asked(keeper, 200 * number + 10) == [(2, 2)]


def test_a_device_that_refused_or_had_it_waiting_is_asked_again(sink: JsonLinesSink) -> None:
    sink.write([row(STREAM, seq) for seq in (1, 3)], ())
    keeper = GapKeeper(sink, PATIENCE)
    waiting = ReplayReport(STREAM, again=0, waiting=1, gone_rows=0)
    for number in range(4):
        keeper.health(health(STREAM, 3), 200 * number)
        assert asked(keeper, 200 * number + 10) == [(2, 2)]
        for reply in (Accepted(waiting), Refused(Reason.TOO_OFTEN, 1)):
            keeper.answer(AckPayload("hall1", STREAM, Command.REPLAY, reply, "2-2"))
