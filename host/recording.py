"""What ``lsi record`` and ``lsi worker`` have in common: a link, a recorder, and an orderly end."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from host.gap_keeper import GapKeeper
from host.recorder import Batching, Recorder
from host.sink import Sink
from lsi.command_documents import Command
from lsi.errors import PublishError
from lsi.topics import RECORDS, ROOT, Kind
from transport.broker import BrokerAddress, LinkState, Session
from transport.intake import Intake
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink
from transport.protocol import V5

KEEP_S: Final = 3600
"""An hour: long enough for a restart, short enough that a worker taken away for good is forgotten."""

RECEIVE_MAXIMUM: Final = 1_000
"""Two batches: one is written while the next one comes."""


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """Whom to listen to, as whom, and how the work is shared.

    With a ``group`` each message goes to one of its members; without one to all who subscribe.
    """

    address: BrokerAddress
    client_id: str
    device: str = "+"
    group: str = ""
    with_attr: bool = False
    keep_s: int = KEEP_S
    batching: Batching = Batching()  # noqa: RUF009 - frozen
    report_s: float = 10.0

    def filters(self) -> tuple[str, ...]:
        """The topics to subscribe to."""
        kinds = sorted(RECORDS) + ([Kind.ATTR] if self.with_attr else [])
        levels = [*map(str, kinds), str(Kind.HEALTH), f"ack/{Command.REPLAY}"]
        share = f"$share/{self.group}/" if self.group else ""
        return tuple(f"{share}{ROOT}/{self.device}/{level}" for level in levels)


def run_recording(plan: RecordingPlan, sink: Sink) -> Recorder:
    """Record until SIGTERM or Ctrl-C; one line of counters to stderr every ``report_s``.

    Raises:
        PublishError: A broker that knows no MQTT 5: it has neither sessions with an end nor a bound.
    """
    recording = _Recording(plan, sink)
    with _ended_by_signals(recording.recorder):
        recording.link.start()
        try:
            recording.recorder.run(recording.report)
        finally:
            recording.link.stop()
            sink.close()
    if recording.fault:
        raise PublishError(recording.fault, hint="a broker with MQTT 5; 'lsi listen' works with others.")
    recording.say()
    return recording.recorder


class _Recording:
    def __init__(self, plan: RecordingPlan, sink: Sink) -> None:
        self.recorder = Recorder(sink, GapKeeper(sink), self._ask, batching=plan.batching)
        self.fault = ""
        self._report_s = plan.report_s
        self._said_s = time.monotonic()
        self.link = MqttLink(
            plan.address,
            plan.client_id,
            subscriptions=plan.filters(),
            events=LinkEvents(on_state=self._notice),
            session=Session(expires_s=plan.keep_s),
            intake=Intake(RECEIVE_MAXIMUM, self.recorder.take),
        )

    def report(self) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= self._report_s:
            self._said_s = now_s
            self.say()

    def say(self) -> None:
        counts = self.recorder.counts
        stored = counts.stored
        words = {
            "records": stored.new,
            "copies": stored.again,
            "contradictions": stored.contradicting,
            "rejected": counts.rejected,
            "asked again": counts.asked,
            "gone": counts.given_up,
            "of a time far off": counts.far_off,
        }
        print(", ".join(f"{number} {word}" for word, number in words.items()), file=sys.stderr, flush=True)  # noqa: T201 - progress

    def _ask(self, message: object) -> None:
        self.link.publish(message)  # type: ignore[arg-type] # a Message

    def _notice(self, state: LinkState, _reason: str) -> None:
        if state is LinkState.ONLINE and self.link.protocol is not V5:
            self.fault = "The broker speaks MQTT 3.1.1, which keeps no session for a recorder."
            self.recorder.stop()


@contextmanager
def _ended_by_signals(recorder: Recorder) -> Iterator[None]:
    """SIGTERM and SIGINT end the run after its batch; a second SIGINT ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        recorder.stop()

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
