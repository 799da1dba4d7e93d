"""The drain: pace, window, answers and history."""

import json
import logging
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.records.drain import DrainSettings, mark_history
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import DropReason, Record, SentAgain
from lsi.errors import PayloadError, RecordWithheldError
from lsi.units import NS_PER_S
from tests.edge_app.records.outbox_bench import (
    ACCEPTED,
    LOST,
    A,
    B,
    Bench,
    Sender,
    drain_of,
    fill,
    marker,
    run_for,
)
from transport.broker import Message
from transport.outgoing import Outcome, Settled

NOT_AUTHORIZED = Outcome(Settled.REFUSED, "Not authorized")
QUOTA = Outcome(Settled.REFUSED, "Quota exceeded")


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
