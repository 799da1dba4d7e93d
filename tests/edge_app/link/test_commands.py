import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.link.command_replies import Handler, acting, pausing, replaying
from edge_app.link.commands import (
    ACK_EXPIRES_S,
    MAX_ANSWERED,
    MAX_CORRELATION_BYTES,
    RATES,
    Answered,
    Commands,
    Rate,
    TokenBucket,
)
from edge_app.records.replay import MAX_RANGES, ReplayAnswer, SeqRange
from firmware.sim.clock import SimClock
from lsi.command_documents import (
    MAX_GONE_RANGES,
    Accepted,
    AckPayload,
    Command,
    PauseArguments,
    Reason,
    Refused,
    ReplayArguments,
    ReplayReport,
    Reply,
    Request,
    command_topic,
)
from lsi.errors import BundleError
from lsi.units import NS_PER_S
from transport.broker import Message, MessageProperties

STREAM = "0123456789abcdef"
ROOT = Path(__file__).resolve().parents[3]
REPLAY = Request(Command.REPLAY, ReplayArguments("f" * 16, 3, 9), "gap-1")
PAUSE = Request(Command.PAUSE, PauseArguments(60))


def message(
    command: str, payload: bytes = b"{}", *, retain: bool = False, **properties: bytes | str
) -> Message:
    topic = f"lsi/v1/hall1/cmd/{command}"
    return Message(topic, payload, 1, retain, MessageProperties(**properties))  # type: ignore[arg-type] # by name


def asked(request: Request) -> Message:
    return message(request.command, request.encode())


class Device:
    """Commands with handlers that note what they were asked."""

    def __init__(self, **handlers: Handler) -> None:
        self.clock = SimClock()
        self.asked: list[Request] = []
        noting: dict[Command, Handler] = dict.fromkeys(Command, self._note)
        noting.update({Command(name): handler for name, handler in handlers.items()})
        self.commands = Commands("hall1", STREAM, noting, clock=self.clock)

    def _note(self, request: Request) -> Reply:
        self.asked.append(request)
        return Accepted()

    def ack(self, sent: Message) -> AckPayload | None:
        answer = self.commands.handle(sent)
        return None if answer is None else AckPayload.decode(answer.payload)

    def reply(self, sent: Message) -> Reply | None:
        ack = self.ack(sent)
        return None if ack is None else ack.reply


@pytest.mark.parametrize(
    "request_", [Request(Command.UPDATE), Request(Command.REBIRTH), Request(Command.IDENTIFY), REPLAY, PAUSE]
)
def test_each_command_reaches_its_handler_and_is_acknowledged_on_its_own_topic(request_: Request) -> None:
    device = Device()
    answer = device.commands.handle(asked(request_))
    assert answer is not None
    assert (answer.topic, answer.qos, answer.retain) == (f"lsi/v1/hall1/ack/{request_.command}", 1, False)
    assert AckPayload.decode(answer.payload) == AckPayload(
        "hall1", STREAM, request_.command, Accepted(), request_.request_id
    )
    assert device.asked == [request_]


def test_an_acknowledgement_is_this_text_with_these_properties() -> None:
    answer = Device().commands.handle(message("rebirth", b'{"id":"r1"}', correlation_data=b"\x00\x01"))
    assert answer is not None
    assert answer.payload == (
        b'{"v":"lsi.ack/1","dev":"hall1","stream":"0123456789abcdef","command":"rebirth","accepted":true,"id":"r1"}'
    )
    assert answer.properties == MessageProperties(
        expires_s=ACK_EXPIRES_S,
        content_type="application/json",
        user_properties=(("schema", "lsi.ack/1"),),
        correlation_data=b"\x00\x01",
        is_text=True,
    )


def test_a_retained_install_fires_at_no_connect() -> None:
    device = Device()
    assert device.reply(message("update", b"INSTALL", retain=True)) is None
    assert device.asked == []
    assert device.reply(message("update", b"INSTALL")) == Accepted()


def test_retained_messages_use_up_no_rate() -> None:
    device = Device()
    for _ in range(100):
        device.reply(message("update", b"INSTALL", retain=True))
    assert device.reply(message("update", b"INSTALL")) == Accepted()


@pytest.mark.parametrize(
    "topic",
    ["lsi/v1/hall2/cmd/update", "lsi/v1/hall1/cmd/mode", "lsi/v1/hall1/ack/update", "homeassistant/status"],
)
def test_what_is_no_command_for_this_device_is_ignored(topic: str) -> None:
    device = Device()
    assert device.commands.handle(Message(topic, b"INSTALL")) is None
    assert device.asked == []


def test_an_answer_never_goes_where_the_sender_says() -> None:
    answer = Device().commands.handle(message("rebirth", response_topic="homeassistant/device/x/config"))
    assert answer is not None
    assert (answer.topic, answer.properties.response_topic) == ("lsi/v1/hall1/ack/rebirth", None)


ONCE = message("rebirth", correlation_data=b"one")


class TestTheSameMessageTwice:
    def test_is_carried_out_once_and_answered_twice(self) -> None:
        device = Device()
        sent = message("rebirth", b'{"id":"r1"}', correlation_data=b"one")
        first = device.commands.handle(sent)
        device.clock.advance((ACK_EXPIRES_S - 1) * NS_PER_S)
        assert device.commands.handle(sent) == first
        assert len(device.asked) == 1

    @pytest.mark.parametrize(
        "other",
        [
            message("rebirth", b'{"id":"r1"}', correlation_data=b"two"),
            message("rebirth", b'{"id":"r2"}', correlation_data=b"one"),
            message("identify", b'{"id":"r1"}', correlation_data=b"one"),
        ],
    )
    def test_is_another_one_with_another_word_in_it(self, other: Message) -> None:
        device = Device()
        device.reply(message("rebirth", b'{"id":"r1"}', correlation_data=b"one"))
        device.reply(other)
        assert len(device.asked) == 2

    @pytest.mark.parametrize(("sent", "later_s"), [(message("rebirth"), 1), (ONCE, ACK_EXPIRES_S)])
    def test_is_new_without_correlation_data_or_after_a_minute(self, sent: Message, later_s: int) -> None:
        device = Device()
        for _ in range(2):
            device.reply(sent)
            device.clock.advance(later_s * NS_PER_S)
        assert len(device.asked) == 2

    def test_is_tried_again_where_it_was_refused(self) -> None:
        replies: list[Reply] = [Refused(Reason.BUSY), Accepted()]
        device = Device(update=lambda _: replies.pop(0))
        sent = message("update", b"INSTALL", correlation_data=b"one")
        assert [device.reply(sent), device.reply(sent)] == [Refused(Reason.BUSY), Accepted()]

    def test_is_forgotten_when_too_many_came_after_it(self) -> None:
        answered, sent = Answered(SimClock()), ONCE
        for number in range(MAX_ANSWERED):
            answered.keep(replace(sent, payload=b"%d" % number), sent)
        assert answered.get(replace(sent, payload=b"0")) == sent
        answered.keep(sent, sent)
        assert answered.get(replace(sent, payload=b"0")) is None
        assert answered.get(sent) == sent


def test_correlation_data_too_long_to_carry_back_is_refused() -> None:
    device = Device()
    longest = device.commands.handle(message("rebirth", correlation_data=b"c" * MAX_CORRELATION_BYTES))
    assert longest is not None
    assert longest.properties.correlation_data == b"c" * MAX_CORRELATION_BYTES
    assert len(device.asked) == 1
    answer = device.commands.handle(
        message("rebirth", b'{"id":"r2"}', correlation_data=b"c" * (MAX_CORRELATION_BYTES + 1))
    )
    assert answer is not None
    assert answer.properties.correlation_data is None
    ack = AckPayload.decode(answer.payload)
    assert (ack.reply, ack.request_id) == (Refused(Reason.TOO_LONG), "r2")
    assert len(device.asked) == 1


def test_a_refused_command_carries_its_id_back_and_reaches_no_handler() -> None:
    device = Device()
    ack = device.ack(message("pause", b'{"id":"p1","mode":"latent","seconds":1}'))
    assert ack is not None
    assert (ack.reply, ack.request_id) == (Refused(Reason.UNKNOWN_KEY), "p1")
    assert device.asked == []


def test_a_command_without_a_handler_is_not_available() -> None:
    commands = Commands("hall1", STREAM, {}, clock=SimClock())
    answer = commands.handle(message("update", b"INSTALL"))
    assert answer is not None
    assert AckPayload.decode(answer.payload).reply == Refused(Reason.NOT_AVAILABLE)


def failing(error: Exception) -> Handler:
    def handle(_: Request) -> Reply:
        raise error

    return handle


@pytest.mark.parametrize("error", [BundleError("Slot B is broken.", hint="again."), OSError(28, "disk full")])
def test_a_handler_that_fails_is_a_refusal(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    device = Device(update=failing(error))
    assert device.reply(message("update", b"INSTALL")) == Refused(Reason.FAILED)
    assert "Command 'update' failed" in caplog.text


def test_a_handlers_own_refusal_is_told() -> None:
    device = Device(update=lambda _: Refused(Reason.NOTHING_STAGED))
    assert device.reply(message("update", b"INSTALL")) == Refused(Reason.NOTHING_STAGED)


@pytest.mark.parametrize("command", list(Command))
def test_a_flood_is_handled_at_its_rate_and_answered_once(command: Command) -> None:
    device = Device()
    sent = asked({Command.REPLAY: REPLAY, Command.PAUSE: PAUSE}.get(command) or Request(command))
    rate = RATES[command]
    replies = [device.reply(sent) for _ in range(rate.burst + 50)]
    assert replies[: rate.burst] == [Accepted()] * rate.burst
    assert replies[rate.burst] == Refused(Reason.TOO_OFTEN, math.ceil(rate.every_s))
    assert replies[rate.burst + 1 :] == [None] * 49
    device.clock.advance(round(rate.every_s * NS_PER_S))
    assert device.reply(sent) == Accepted()
    assert device.reply(sent) == Refused(Reason.TOO_OFTEN, math.ceil(rate.every_s))


def test_noise_is_bounded_like_commands_and_one_command_leaves_room_for_the_others() -> None:
    device = Device()
    answers = [device.reply(message("update", b"noise")) for _ in range(100)]
    assert len([each for each in answers if each is not None]) == RATES[Command.UPDATE].burst + 1
    assert device.reply(message("rebirth")) == Accepted()


def test_who_comes_too_often_gets_the_id_back() -> None:
    device = Device()
    for _ in range(RATES[Command.REBIRTH].burst):
        device.reply(message("rebirth"))
    ack = device.ack(message("rebirth", b'{"id":"late"}'))
    assert ack is not None
    assert ack.request_id == "late"


@given(
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 7.0]),
    st.lists(st.sampled_from([0, 1, NS_PER_S // 3, NS_PER_S, 20 * NS_PER_S]), max_size=60),
)
def test_a_bucket_never_gives_more_than_its_rate(burst: int, every_s: float, pauses_ns: list[int]) -> None:
    clock = SimClock()
    bucket = TokenBucket(Rate(burst, every_s), clock)
    every_ns = round(every_s * NS_PER_S)
    taken_ns: list[int] = []
    for pause_ns in pauses_ns:
        clock.advance(pause_ns)
        wait_ns = bucket.take()
        if wait_ns:
            assert wait_ns <= every_ns
            clock.advance(wait_ns - 1)
            assert bucket.take() == 1
            clock.advance(1)
            assert bucket.take() == 0
        taken_ns.append(clock.now_ns())
    for first in range(len(taken_ns)):
        for last in range(first, len(taken_ns)):
            allowed = burst + (taken_ns[last] - taken_ns[first]) // every_ns
            assert last - first + 1 <= allowed


@given(
    st.sampled_from([*Command, "mode", "", "update/x"]),
    st.binary(max_size=600) | st.text(max_size=80).map(str.encode),
    st.booleans(),
    st.none() | st.binary(max_size=80),
)
def test_any_message_gives_a_valid_acknowledgement_or_none(
    command: str, payload: bytes, retain: bool, correlation: bytes | None
) -> None:
    device = Device()
    properties = MessageProperties(correlation_data=correlation)
    answer = device.commands.handle(replace(message(command, payload, retain=retain), properties=properties))
    if retain or command not in set(Command):
        assert answer is None
        return
    assert answer is not None
    assert AckPayload.decode(answer.payload).command == command
    assert answer.properties.correlation_data in {correlation, None}


def test_nothing_that_was_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    device = Device()
    with caplog.at_level(logging.DEBUG):
        for payload in (b'{"secret\\u001b[2J":"secret"}', b'{"id":"secret"}', b"secret", b"{}", b"{}", b"{}"):
            device.reply(message("rebirth", payload, correlation_data=b"secret"))
        device.reply(message("secret"))
    assert "is refused: unknown_key" in caplog.text
    assert "too often" in caplog.text
    assert "secret" not in caplog.text
    assert all("secret" not in str(record.args) for record in caplog.records)


def test_the_reference_tells_every_command_rate_and_reason() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    told = [line for line in text.splitlines() if line.startswith("| `")]
    rows = {line.split("`")[1]: line for line in reversed(told)}  # the first row of a name counts
    for command, rate in RATES.items():
        assert rows[command].endswith(f"| {rate.burst}, {rate.every_s:.0f} s |")
    assert [reason for reason in Reason if reason not in rows] == []


def test_what_to_subscribe_to() -> None:
    assert Device().commands.topic_filter == "lsi/v1/hall1/cmd/+"
    assert command_topic("hall1", Command.UPDATE) == "lsi/v1/hall1/cmd/update"


class TestHandlersOfPlainActions:
    def test_an_action_is_done_once(self) -> None:
        done: list[str] = []
        device = Device(identify=acting(lambda: done.append("blink")))
        assert device.reply(message("identify")) == Accepted()
        assert done == ["blink"]

    def test_a_pause_gets_its_seconds(self) -> None:
        pauses: list[int] = []
        device = Device(pause=pausing(pauses.append))
        assert device.reply(asked(PAUSE)) == Accepted()
        assert pauses == [60]

    def test_a_replay_is_told_with_what_is_gone(self) -> None:
        wanted: list[tuple[str, int, int]] = []

        def replay(stream: str, first: int, last: int) -> ReplayAnswer:
            wanted.append((stream, first, last))
            return ReplayAnswer(stream, again=4, waiting=1, gone_rows=2, gone=(SeqRange(3, 4),))

        assert Device(replay=replaying(replay)).reply(asked(REPLAY)) == Accepted(
            ReplayReport("f" * 16, 4, 1, 2, ((3, 4),))
        )
        assert wanted == [("f" * 16, 3, 9)]

    def test_every_range_that_a_replay_tells_has_room(self) -> None:
        assert MAX_RANGES <= MAX_GONE_RANGES

    @pytest.mark.parametrize("make", [pausing, replaying])
    def test_a_handler_of_another_command_refuses(self, make: Callable[[object], Handler]) -> None:
        def never(*_: object) -> None:
            pytest.fail("called")

        assert make(never)(Request(Command.REBIRTH)) == Refused(Reason.INVALID)


def test_an_acknowledgement_fits_its_schema_without_our_reader() -> None:
    answer = Device().commands.handle(message("pause", b"{}"))
    assert answer is not None
    assert json.loads(answer.payload) == {
        "v": "lsi.ack/1",
        "dev": "hall1",
        "stream": STREAM,
        "command": "pause",
        "accepted": False,
        "reason": "invalid",
    }
