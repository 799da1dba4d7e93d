"""The drain: pace, window, answers, history, and its thread."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.drain import Drain, DrainSettings, mark_history
from edge_app.outbox import Outbox
from edge_app.outbox_records import DropReason, Record, RecordKey, SentAgain
from firmware.clock import MonotonicClock
from lsi.errors import PayloadError, RecordWithheldError
from lsi.units import NS_PER_S
from tests.edge_app.outbox_bench import (
    ACCEPTED,
    LOST,
    A,
    B,
    Bench,
    Sender,
    drain_of,
    fill,
    held,
    marker,
    payload_of,
    run_for,
)
from transport.broker import Message
from transport.outgoing import Outcome, Settled

TIMEOUT_S = 10
NOT_AUTHORIZED = Outcome(Settled.REFUSED, "Not authorized")
QUOTA = Outcome(Settled.REFUSED, "Quota exceeded")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "outbox" / "outbox.db")


@pytest.fixture
def outbox(bench: Bench) -> Iterator[Outbox]:
    with bench.opened() as outbox:
        yield outbox


def test_records_go_in_order_at_twenty_a_second_and_are_kept_for_a_replay(
    bench: Bench, outbox: Outbox
) -> None:
    fill(outbox, 100)
    sender = Sender()
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 2)
    assert 38 <= len(sender.sent) <= 42
    run_for(bench, drain, 4)
    assert sender.seqs() == list(range(1, 101))
    assert (outbox.status().rows, outbox.status().kept) == (0, 100)
    assert sender.sent[0] == Message("lsi/v1/hall/event", sender.sent[0].payload, 1, retain=False)


def test_a_pause_of_the_sensor_is_no_credit_for_a_burst(bench: Bench, outbox: Outbox) -> None:
    sender = Sender()
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 60)
    fill(outbox, 50)
    run_for(bench, drain, 1)
    assert len(sender.sent) <= 21


def test_no_more_than_ten_wait_for_an_answer(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 30)
    sender = Sender(answer=None)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 5)
    assert (len(sender.sent), drain.in_flight) == (10, 10)
    for told in sender.open[:4]:
        told(ACCEPTED)
    run_for(bench, drain, 5)
    assert sender.seqs() == list(range(1, 15))
    assert outbox.status().kept == 4


def test_what_was_lost_with_the_connection_goes_again_after_one_pause(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 10)
    sender = Sender(answer=None)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 1)
    for told in sender.open:
        told(LOST)
    sender.answer = ACCEPTED
    run_for(bench, drain, 0.9)
    assert len(sender.sent) == 10
    run_for(bench, drain, 1)
    assert sender.seqs() == [*range(1, 11), *range(1, 11)]
    assert [record.tries for record in outbox.take(20)] == []
    assert outbox.status().dead == 0


def test_without_a_connection_pauses_grow_and_a_new_one_ends_them(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 3)
    asked: list[int] = []

    class Away(Sender):
        def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
            asked.append(bench.clock.now_ns() // NS_PER_S)
            return super().send(message, on_settled)

    sender = Away(connected=False)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 200)
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 32]
    assert set(pauses[6:]) == {60}
    sender.connected = True
    drain.connected()
    run_for(bench, drain, 0.5)
    assert sender.seqs() == [1, 2, 3]


def test_a_connection_that_is_full_is_asked_again_soon(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 3)
    sender = Sender(answer=None)
    drain = drain_of(bench, outbox, sender)
    drain.step()
    sender.connected = False  # or full: nobody can tell
    run_for(bench, drain, 20)
    sender.connected = True
    run_for(bench, drain, 0.3)
    assert sender.seqs() == [1, 2, 3]


@pytest.mark.parametrize("reason", ["Not authorized", "Packet too large"])
def test_what_the_broker_will_never_take_becomes_a_dead_letter_said_once(
    bench: Bench, outbox: Outbox, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(outbox, 5)
    sender = Sender(by_seq={seq: Outcome(Settled.REFUSED, reason) for seq in (2, 4)})
    with caplog.at_level(logging.WARNING):
        run_for(bench, drain_of(bench, outbox, sender), 2)
    assert sender.seqs() == [1, 2, 3, 4, 5]
    assert (outbox.status().dead, outbox.status().kept) == (2, 3)
    assert outbox.status().dropped[DropReason.DEAD] == 2
    assert caplog.text.count(reason) == 1
    assert "mark" not in caplog.text


def test_other_refusals_are_tried_again_and_let_others_pass(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 3)
    sender = Sender(by_seq={1: QUOTA})
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 1.5)
    assert sender.seqs()[:3] == [1, 2, 3]
    run_for(bench, drain, 30)
    assert sender.seqs().count(1) > 3
    assert sender.seqs().count(2) == sender.seqs().count(3) == 1
    sender.by_seq.clear()
    run_for(bench, drain, 60)
    assert (outbox.status().rows, outbox.status().kept) == (0, 3)


def test_a_record_that_is_always_refused_is_a_dead_letter_in_the_end(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 2)
    sender = Sender(by_seq={1: QUOTA})
    run_for(bench, drain_of(bench, outbox, sender, DrainSettings(max_tries=4)), 100)
    assert sender.seqs().count(1) == 4
    assert (outbox.status().dead, outbox.status().kept) == (1, 1)


def test_a_message_that_is_never_answered_does_not_hold_its_place(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 12)
    sender = Sender(answer=None)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 59)
    assert len(sender.sent) == 10
    first = sender.open[:]
    run_for(bench, drain, 5)
    assert sender.seqs()[10:12] == [1, 2]
    first[0](ACCEPTED)  # late, but the broker has it
    first[1](LOST)  # late, and no longer about this copy
    first[2](NOT_AUTHORIZED)  # same
    drain.step()
    assert (outbox.status().kept, outbox.status().dead) == (1, 0)


def test_an_accepted_record_ends_the_growth_of_the_pauses(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 2)
    sender = Sender(answer=LOST)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 10)  # pauses of 1, 2, 4 and 8 s
    assert sender.seqs() == [1, 1, 1, 1]
    sender.by_seq = {1: ACCEPTED}
    run_for(bench, drain, 8)
    assert sender.seqs()[4:7] == [1, 2, 2]


def test_records_of_this_start_are_live_until_they_are_late(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 1)
    bench.pass_s(29)
    sender = Sender()
    drain = drain_of(bench, outbox, sender)
    drain.step()
    fill(outbox, 1)
    bench.pass_s(31)
    drain.step()
    assert sender.history() == [False, True]


def test_records_of_an_earlier_start_and_replays_are_history(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 1)
    outbox.close()
    sender = Sender()
    with bench.opened(B) as other:
        fill(other, 1)
        drain = drain_of(bench, other, sender)
        run_for(bench, drain, 1)
        other.send_again(B, 1, 1)
        run_for(bench, drain, 1)
    assert sender.history() == [True, False, True]
    first, again = sender.sent[1].payload, sender.sent[2].payload
    assert again == first.replace(b'"hist":false', b'"hist":true')


def test_a_sealed_record_leaves_as_it_came_in(bench: Bench, outbox: Outbox) -> None:
    sealed = b"\xa3not json at all"
    outbox.add("latent", lambda _: sealed)
    bench.pass_s(1_000)
    sender = Sender()
    run_for(bench, drain_of(bench, outbox, sender), 1)
    assert [message.payload for message in sender.sent] == [sealed]


def test_what_may_not_leave_is_a_dead_letter_and_is_never_sent(
    bench: Bench, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    checked: list[tuple[Record, bytes]] = []

    def check(record: Record, payload: bytes) -> None:
        checked.append((record, payload))
        if json.loads(payload)["seq"] == 2:
            raise PayloadError("It is wider than the policy.")

    fill(outbox, 3)
    outbox.add("event", lambda _: b"[1]")
    bench.pass_s(60)  # late: what is checked is what would leave
    sender = Sender()
    run_for(bench, drain_of(bench, outbox, sender, check=check), 1)
    assert sender.seqs() == [1, 3]
    assert outbox.status().dead == 2
    assert all(json.loads(payload)["hist"] for _, payload in checked)
    assert [record.kind for record, _ in checked] == ["event"] * 3
    assert "wider than the policy" in caplog.text
    assert "not a JSON object" in caplog.text


def test_the_outbox_is_swept_once_a_minute(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 1)
    drain = drain_of(bench, outbox, Sender())
    run_for(bench, drain, 590)
    assert outbox.status().kept == 1
    run_for(bench, drain, 75)
    assert outbox.status().kept == 0


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | keys


@given(document=st.dictionaries(keys, values, max_size=8))
def test_marking_history_changes_nothing_else(document: dict[str, object]) -> None:
    marked = json.loads(mark_history(json.dumps(document).encode()))
    assert marked.pop("hist") is True
    document.pop("hist", None)
    assert marked == document
    assert list(marked) == list(document)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"1", b"[" * 100_000])
def test_only_objects_have_a_history(payload: bytes) -> None:
    with pytest.raises(PayloadError):
        mark_history(payload)


class Answering:
    """Answers from a thread of its own, as a network does."""

    def __init__(self, expected: int) -> None:
        self.sent: list[bytes] = []
        self.all_sent = threading.Event()
        self._expected = expected
        self._threads: list[threading.Thread] = []

    def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
        self.sent.append(message.payload)
        thread = threading.Thread(target=on_settled, args=(ACCEPTED,))
        self._threads.append(thread)
        thread.start()
        if len(self.sent) == self._expected:
            self.all_sent.set()
        return True

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


class Failing(Answering):
    """Fails once in a way that no protocol allows."""

    def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
        if not self.sent:
            self.sent.append(b'{"seq":0}')
            raise RuntimeError
        return super().send(message, on_settled)


def started(outbox: Outbox, sender: Sender | Answering) -> Drain:
    drain = Drain(
        outbox, sender, lambda _kind, _payload: None, clock=MonotonicClock(), settings=DrainSettings(5_000)
    )
    drain.start()
    return drain


def test_the_thread_sends_what_is_added_while_it_runs_and_ends(outbox: Outbox) -> None:
    fill(outbox, 20)
    sender = Answering(40)
    drain = started(outbox, sender)
    fill(outbox, 20)
    assert sender.all_sent.wait(TIMEOUT_S)
    drain.stop()
    sender.join()
    assert not drain._thread.is_alive()
    assert [json.loads(payload)["seq"] for payload in sender.sent] == list(range(1, 41))
    assert (outbox.status().rows, outbox.status().kept) == (0, 40)  # answers are waited for


def test_an_error_in_the_sender_does_not_end_the_thread(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(outbox, 2)
    sender = Failing(3)
    drain = started(outbox, sender)
    assert sender.all_sent.wait(TIMEOUT_S)
    drain.stop()
    sender.join()
    assert "could not be sent" in caplog.text
    assert sender.sent[1:] == [payload_of(A)(1), payload_of(A)(2)]


def test_stopping_leaves_what_was_not_answered_for_the_next_start(bench: Bench, outbox: Outbox) -> None:
    fill(outbox, 3)
    sender = Sender(answer=None)
    drain = drain_of(bench, outbox, sender)
    run_for(bench, drain, 1)
    assert len(sender.sent) == 3
    bench.pass_s(60)
    drain.stop()  # never started: nothing to join
    outbox.close()
    with bench.opened(B) as other:
        assert held(other) == [RecordKey(A, 1), RecordKey(A, 2), RecordKey(A, 3)]


def test_stopping_waits_a_moment_for_answers(outbox: Outbox) -> None:
    fill(outbox, 1)
    handed_over = threading.Event()

    class Slow(Sender):
        def send(self, message: Message, on_settled: Callable[[Outcome], None]) -> bool:
            sent = super().send(message, on_settled)
            handed_over.set()
            return sent

    sender = Slow(answer=None)
    drain = started(outbox, sender)
    assert handed_over.wait(TIMEOUT_S)
    stopper = threading.Thread(target=drain.stop)
    stopper.start()
    assert drain._stopping.wait(TIMEOUT_S)
    drain._wake.set()
    stopper.join(0.1)  # the drain waits
    assert stopper.is_alive()
    sender.open[0](ACCEPTED)
    stopper.join()
    assert outbox.status().kept == 1


def test_answers_may_come_from_within_send(outbox: Outbox) -> None:
    fill(outbox, 5)
    sender = Sender()
    drain = started(outbox, sender)
    for _ in range(TIMEOUT_S * 100):
        if outbox.status().kept == 5:
            break
        threading.Event().wait(0.01)
    drain.stop()
    assert sender.seqs() == [1, 2, 3, 4, 5]


def test_a_record_of_a_wider_policy_is_erased_and_counted_and_no_replay_brings_it_back(
    bench: Bench, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(outbox, 3)

    def check(record: Record, _payload: bytes) -> None:
        if record.key.seq != 2:
            raise RecordWithheldError("Another policy.")

    sender = Sender()
    run_for(bench, drain_of(bench, outbox, sender, check=check), 2)
    assert sender.seqs() == [2]
    assert outbox.status().dropped[DropReason.POLICY] == 2
    assert outbox.send_again(A, 1, 3) == SentAgain((2,), ())
    assert caplog.text.count("withheld") == 1
    outbox.sweep()
    assert marker(A, 1) not in bench.disk()
    assert marker(A, 2) in bench.disk()
