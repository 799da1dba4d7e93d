"""Batches and acknowledgements, with a sink that can be away."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from host.gap_keeper import GapKeeper
from host.recorder import MAX_WAITING, Batching, Recorder
from host.seq_ranges import SeqRange
from host.sink import Quarantined, SinkRow, Stored
from lsi.command_documents import Accepted, AckPayload, Command, ReplayReport
from lsi.errors import SinkError
from tests.host.devices import health, visit
from transport.backoff import Backoff
from transport.broker import Message

STREAM = "0123456789abcdef"
TIMEOUT_S = 20


class ListSink:
    """Keeps batches in a list; away for as many writes as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.quarantined: list[Quarantined] = []
        self.given_up: list[tuple[int, int]] = []
        self.faults = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_written = threading.Condition()

    def write(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        assert self.may_go_on.wait(TIMEOUT_S)
        if self.faults:
            self.faults -= 1
            raise SinkError("away")
        with self.is_written:
            self.batches.append([row.key.seq for row in rows])
            self.quarantined += quarantined
            self.is_written.notify()
        return Stored(new=len(rows))

    def missing(self, device_id: str, stream: str, upto: int | None) -> Sequence[SeqRange]:
        assert (device_id, stream) == ("hall1", STREAM)
        return [SeqRange(1, upto)] if upto else []

    def give_up(self, device_id: str, stream: str, ranges: Iterable[tuple[int, int]]) -> None:
        assert (device_id, stream) == ("hall1", STREAM)
        self.given_up += ranges

    def close(self) -> None:
        pass


class Bench:
    """A recorder in a thread, and what it acknowledged."""

    def __init__(self, sink: ListSink, batching: Batching) -> None:
        self.sink = sink
        self.acknowledged: list[int] = []
        self.asked: list[Message] = []
        self.recorder = Recorder(
            sink,
            GapKeeper(sink),
            self.asked.append,
            batching=batching,
            backoff=Backoff(lambda low, _: low / 1000),
        )

    def bring(self, *seqs: int) -> None:
        for seq in seqs:
            message = Message("lsi/v1/hall1/event", visit(STREAM, seq=seq).encode())
            self.recorder.take(message, lambda seq=seq: self.acknowledged.append(seq))  # type: ignore[misc] # binds the loop's seq

    def wait_for(self, rows: int) -> None:
        with self.sink.is_written:
            assert self.sink.is_written.wait_for(lambda: sum(map(len, self.sink.batches)) >= rows, TIMEOUT_S)


@contextmanager
def running(sink: ListSink, batching: Batching | None = None) -> Iterator[Bench]:
    bench = Bench(sink, batching or Batching(rows=3, flush_s=0.05))
    thread = threading.Thread(target=bench.recorder.run)
    thread.start()
    try:
        yield bench
    finally:
        bench.recorder.stop()
        thread.join(TIMEOUT_S)


def test_a_batch_is_written_when_it_is_full_or_its_time_is_up_and_then_acknowledged() -> None:
    sink = ListSink()
    with running(sink) as bench:
        bench.bring(1, 2, 3, 4)
        bench.wait_for(4)
    assert sink.batches == [[1, 2, 3], [4]]
    assert bench.acknowledged == [1, 2, 3, 4]


def test_nothing_is_acknowledged_before_it_is_kept() -> None:
    sink = ListSink()
    sink.may_go_on.clear()
    with running(sink) as bench:
        bench.bring(1, 2, 3)
        assert bench.acknowledged == []
        sink.may_go_on.set()
        bench.wait_for(3)
    assert bench.acknowledged == [1, 2, 3]


def test_while_the_sink_is_away_the_same_batch_is_tried_again() -> None:
    sink = ListSink()
    sink.faults = 4
    with running(sink) as bench:
        bench.bring(1, 2, 3, 4)
        bench.wait_for(4)
    assert sink.batches == [[1, 2, 3], [4]]
    assert bench.recorder.counts.sink_faults == 4
    assert bench.recorder.counts.stored == Stored(new=4)


def test_a_recorder_that_is_stopped_while_the_sink_is_away_acknowledges_nothing() -> None:
    sink = ListSink()
    sink.faults = 1_000_000
    with running(sink) as bench:
        bench.bring(1, 2, 3)
    assert bench.acknowledged == []


def test_what_is_malformed_goes_to_quarantine_with_the_batch() -> None:
    sink = ListSink()
    with running(sink) as bench:
        bench.bring(1)
        bench.recorder.take(Message("lsi/v1/hall1/event", b"{"), lambda: bench.acknowledged.append(-1))
        bench.recorder.take(Message("lsi/v1/hall1/ack/replay", b"{"), lambda: bench.acknowledged.append(-2))
        bench.wait_for(1)
    assert bench.acknowledged == [1, -1, -2]
    assert [bad.topic for bad in sink.quarantined] == ["lsi/v1/hall1/event", "lsi/v1/hall1/ack/replay"]
    assert bench.recorder.counts.rejected == 2


def test_answers_of_devices_are_noted_before_they_are_acknowledged() -> None:
    sink = ListSink()
    report = ReplayReport(STREAM, again=0, waiting=0, gone_rows=2, gone=((3, 4),))
    ack = AckPayload("hall1", STREAM, Command.REPLAY, Accepted(report))
    with running(sink) as bench:
        bench.recorder.take(Message("lsi/v1/hall1/ack/replay", ack.encode()), lambda: None)
        bench.bring(1)
        bench.wait_for(1)
    assert sink.given_up == [(3, 4)]
    assert bench.recorder.counts.given_up == 2


def test_health_leads_to_a_request_for_what_is_missing() -> None:
    now_s = [0.0]
    sink, asked = ListSink(), list[Message]()
    recorder = Recorder(sink, GapKeeper(sink), asked.append, now_s=lambda: now_s[0])
    recorder.take(Message("lsi/v1/hall1/health", health(STREAM, 2).encode(), qos=0), lambda: None)

    def on_round() -> None:
        now_s[0] += 11
        if asked or now_s[0] > 100:
            recorder.stop()

    recorder.run(on_round)
    assert [(message.topic, message.payload) for message in asked] == [
        ("lsi/v1/hall1/cmd/replay", b'{"id":"1-2","stream":"0123456789abcdef","from":1,"to":2}')
    ]


def test_a_flood_of_health_does_not_fill_the_memory() -> None:
    sink = ListSink()
    recorder = Recorder(sink, GapKeeper(sink), lambda _: None)
    for _ in range(MAX_WAITING + 7):
        recorder.take(Message("lsi/v1/hall1/health", b"{}", qos=0), lambda: None)
    recorder.take(Message("lsi/v1/hall1/event", b"{}", qos=1), lambda: None)
    assert recorder.counts.dropped == 7
