"""The drain's thread: what is added while it runs, errors, and the end."""

import json
import threading
from collections.abc import Callable

import pytest

from edge_app.records.drain import Drain, DrainSettings
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import RecordKey
from firmware.clock import MonotonicClock
from tests.edge_app.records.outbox_bench import (
    ACCEPTED,
    A,
    B,
    Bench,
    Sender,
    drain_of,
    fill,
    held,
    payload_of,
    run_for,
)
from transport.broker import Message
from transport.outgoing import Outcome

TIMEOUT_S = 10


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
