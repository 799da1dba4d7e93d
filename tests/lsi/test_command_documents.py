import inspect
import json
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.command_documents import (
    MAX_COMMAND_BYTES,
    MAX_GONE_RANGES,
    MAX_PAUSE_S,
    REQUEST_ID,
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
    UpdateCommand,
    ack_topic,
    command_filter,
    command_of,
    command_topic,
    parse_request,
)
from lsi.errors import PayloadError
from lsi.schema import MAX_PAYLOAD_BYTES, load_schema

STREAM = "0123456789abcdef"
MAX_SEQ = 2**53 - 1
SCHEMAS = [f"command-{command}" for command in Command if command is not Command.UPDATE]

IDS = st.none() | st.from_regex(REQUEST_ID, fullmatch=True)
SEQS = st.integers(1, MAX_SEQ)
STREAMS = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
RANGES = st.tuples(SEQS, SEQS).map(lambda pair: (min(pair), max(pair)))
REQUESTS = st.one_of(
    st.just(Request(Command.UPDATE)),
    st.builds(Request, st.sampled_from([Command.REBIRTH, Command.IDENTIFY]), st.none(), IDS),
    st.builds(Request, st.just(Command.PAUSE), st.builds(PauseArguments, st.integers(0, MAX_PAUSE_S)), IDS),
    st.builds(
        lambda stream, bounds, name: Request(Command.REPLAY, ReplayArguments(stream, *bounds), name),
        STREAMS,
        RANGES,
        IDS,
    ),
)
REPORTS = st.builds(
    ReplayReport,
    STREAMS,
    SEQS,
    SEQS,
    SEQS,
    st.lists(RANGES, max_size=MAX_GONE_RANGES).map(tuple),
)
REPLIES: st.SearchStrategy[Reply] = st.builds(Accepted, st.none() | REPORTS) | st.builds(
    Refused, st.sampled_from(Reason), st.none() | st.integers(1, 86_400)
)


def reason(command: Command, payload: bytes) -> Reason:
    outcome = parse_request(command, payload).outcome
    assert isinstance(outcome, Refused)
    return outcome.reason


@given(REQUESTS)
def test_a_request_survives_the_wire(request: Request) -> None:
    parsed = parse_request(request.command, request.encode())
    assert (parsed.outcome, parsed.request_id) == (request, request.request_id)


def test_the_wire_format_is_this_text() -> None:
    replay = Request(Command.REPLAY, ReplayArguments(STREAM, 3, 9), "gap-1")
    assert replay.encode() == b'{"id":"gap-1","stream":"0123456789abcdef","from":3,"to":9}'
    assert Request(Command.PAUSE, PauseArguments(60)).encode() == b'{"seconds":60}'
    assert Request(Command.REBIRTH).encode() == b"{}"
    assert Request(Command.UPDATE).encode() == b"INSTALL"


@pytest.mark.parametrize(
    "payload", [b"", b'"INSTALL"', b"install", b"INSTALL\n", b" INSTALL", b"UPDATE", b'{"id":"a"}', b"\xff"]
)
def test_an_update_is_the_bare_word_and_nothing_else(payload: bytes) -> None:
    assert reason(Command.UPDATE, payload) is Reason.INVALID
    assert parse_request(Command.UPDATE, b"INSTALL").outcome == Request(Command.UPDATE)


@pytest.mark.parametrize(
    ("command", "payload", "why"),
    [
        (Command.REBIRTH, b"", Reason.NOT_JSON),
        (Command.REBIRTH, b"\xff\xfe{\x00}\x00", Reason.NOT_JSON),
        (Command.REBIRTH, '{"id":"a"}'.encode("utf-16"), Reason.NOT_JSON),
        (Command.REBIRTH, b"[" * 500, Reason.NOT_JSON),
        (Command.PAUSE, b'{"seconds":1,"seconds":3600}', Reason.NOT_JSON),
        (Command.REBIRTH, b"[]", Reason.INVALID),
        (Command.REBIRTH, b"null", Reason.INVALID),
        (Command.REBIRTH, b'{"mode":"latent"}', Reason.UNKNOWN_KEY),
        (Command.PAUSE, b'{"seconds":5,"Seconds":5}', Reason.UNKNOWN_KEY),
        (Command.IDENTIFY, b'{"id":""}', Reason.INVALID),
        (Command.IDENTIFY, b'{"id":"a\\n"}', Reason.INVALID),
        (Command.IDENTIFY, b'{"id":"a/b"}', Reason.INVALID),
        (Command.IDENTIFY, b'{"id":7}', Reason.INVALID),
        (Command.PAUSE, b"{}", Reason.INVALID),
        (Command.PAUSE, b'{"seconds":-1}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":3601}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":1.5}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":true}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":"5"}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":1e400}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":NaN}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":Infinity}', Reason.INVALID),
        (Command.PAUSE, b'{"seconds":' + b"9" * 400 + b"}", Reason.INVALID),
        (Command.REPLAY, b'{"stream":"0123456789abcdef","from":9,"to":8}', Reason.INVALID),
        (Command.REPLAY, b'{"stream":"0123456789abcdef","from":0,"to":8}', Reason.INVALID),
        (Command.REPLAY, b'{"stream":"0123456789ABCDEF","from":1,"to":8}', Reason.INVALID),
        (Command.REPLAY, b'{"stream":"0123456789abcdef","from":1}', Reason.INVALID),
        (Command.REPLAY, b'{"stream":"0123456789abcdef","from":1,"to":9007199254740992}', Reason.INVALID),
        (Command.REBIRTH, b'{"id":"' + b"a" * MAX_COMMAND_BYTES + b'"}', Reason.TOO_LONG),
        (Command.UPDATE, b"INSTALL" * 100, Reason.TOO_LONG),
    ],
)
def test_each_fault_has_its_reason(command: Command, payload: bytes, why: Reason) -> None:
    assert reason(command, payload) is why


def test_a_whole_number_written_with_a_point_is_one() -> None:
    parsed = parse_request(Command.PAUSE, b'{"seconds":5.0}').outcome
    assert parsed == Request(Command.PAUSE, PauseArguments(5))
    assert isinstance(parsed, Request)
    assert isinstance(parsed.arguments, PauseArguments)
    assert type(parsed.arguments.seconds) is int


def test_a_refused_command_keeps_a_readable_id() -> None:
    assert parse_request(Command.PAUSE, b'{"id":"p1","seconds":-1}').request_id == "p1"
    assert parse_request(Command.PAUSE, b'{"id":"p1","mode":"raw"}').request_id == "p1"
    assert parse_request(Command.PAUSE, b'{"id":"a<script>","seconds":1}').request_id is None


def test_nesting_deeper_than_the_reader_can_follow_is_not_json() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(context=0)) + 120)
    try:
        assert reason(Command.REBIRTH, b"[" * 500) is Reason.NOT_JSON
    finally:
        sys.setrecursionlimit(limit)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | STREAMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.dictionaries(
    st.sampled_from(["id", "stream", "from", "to", "seconds", "mode", "masks", ""]), JSON_VALUES, max_size=5
)
NOISE = st.one_of(
    st.binary(max_size=2 * MAX_COMMAND_BYTES),
    st.text(max_size=100).map(str.encode),
    NEARLY.map(lambda document: json.dumps(document).encode()),
)


@given(st.sampled_from(Command), NOISE)
def test_any_bytes_are_a_bounded_request_or_a_reason(command: Command, payload: bytes) -> None:
    outcome = parse_request(command, payload).outcome
    if isinstance(outcome, Refused):
        return
    assert outcome.command is command
    if isinstance(outcome.arguments, PauseArguments):
        assert 0 <= outcome.arguments.seconds <= MAX_PAUSE_S
    if isinstance(outcome.arguments, ReplayArguments):
        assert 1 <= outcome.arguments.first <= outcome.arguments.last <= MAX_SEQ


@given(st.sampled_from(Command), NOISE)
def test_an_acknowledgement_repeats_nothing_but_the_id(command: Command, payload: bytes) -> None:
    parsed = parse_request(command, payload)
    reply = parsed.outcome if isinstance(parsed.outcome, Refused) else Accepted()
    encoded = AckPayload("hall1", STREAM, command, reply, parsed.request_id).encode()
    document = json.loads(encoded)
    assert document.pop("id", None) == parsed.request_id
    assert AckPayload.decode(encoded).reply == reply
    assert set(document) <= {"v", "dev", "stream", "command", "accepted", "reason"}


@given(st.sampled_from(Command), REPLIES, IDS)
def test_an_acknowledgement_survives_the_wire(command: Command, reply: Reply, request_id: str | None) -> None:
    sent = AckPayload("hall1", STREAM, command, reply, request_id)
    assert AckPayload.decode(sent.encode()) == sent


def test_the_longest_acknowledgement_fits() -> None:
    gone = tuple((MAX_SEQ, MAX_SEQ) for _ in range(100))
    report = ReplayReport(STREAM, MAX_SEQ, MAX_SEQ, MAX_SEQ, gone)
    encoded = AckPayload("a" * 32, STREAM, Command.REPLAY, Accepted(report), "a" * 64).encode()
    assert len(encoded) < MAX_PAYLOAD_BYTES
    decoded = AckPayload.decode(encoded).reply
    assert isinstance(decoded, Accepted)
    assert decoded.replay is not None
    assert decoded.replay.gone == gone[:MAX_GONE_RANGES]


@pytest.mark.parametrize(
    "change",
    [
        {"accepted": False},
        {"accepted": True, "reason": "failed"},
        {"accepted": False, "reason": "because"},
        {"command": "mode"},
        {"detail": "free words"},
    ],
)
def test_an_acknowledgement_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(AckPayload("hall1", STREAM, Command.PAUSE, Accepted()).encode())
    with pytest.raises(PayloadError):
        AckPayload.decode(json.dumps({**document, **change}).encode())


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (Command.PAUSE, None),
        (Command.REBIRTH, PauseArguments(1)),
        (Command.PAUSE, ReplayArguments(STREAM, 1, 2)),
        (Command.UPDATE, PauseArguments(1)),
    ],
)
def test_arguments_of_another_command_are_refused(
    command: Command, arguments: PauseArguments | ReplayArguments | None
) -> None:
    with pytest.raises(PayloadError, match="of another"):
        Request(command, arguments)


@pytest.mark.parametrize(
    "request_",
    [
        Request(Command.UPDATE, None, "a"),
        Request(Command.PAUSE, PauseArguments(MAX_PAUSE_S + 1)),
        Request(Command.REPLAY, ReplayArguments(STREAM, 9, 8)),
        Request(Command.REBIRTH, None, "no blanks"),
    ],
)
def test_what_no_sensor_would_take_is_not_sent(request_: Request) -> None:
    with pytest.raises(PayloadError):
        request_.encode()


def names_in(schema: Any) -> set[str]:  # noqa: ANN401 - any part of a JSON Schema
    """Every property, constant and enumerated word of a schema."""
    if isinstance(schema, list):
        return set().union(*map(names_in, schema))
    if not isinstance(schema, dict):
        return set()
    found = set(schema.get("properties", {})) | set(map(str, schema.get("enum", [])))
    return found.union(*map(names_in, schema.values()))


FORBIDDEN = re.compile(
    "mode|mask|pattern|polic|attribut|allow|disclos|threshold|latent|raw|url|host|path|file|topic|key|bundle"
    "|board|config|exec|shell"
)


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_command_has_a_word_for_mode_masks_or_policy(name: str) -> None:
    names = names_in(load_schema(name))
    assert names <= {"id", "stream", "from", "to", "seconds"}
    assert [each for each in names if FORBIDDEN.search(each)] == []


def test_there_are_five_commands_and_one_word() -> None:
    assert set(Command) == {"update", "rebirth", "replay", "identify", "pause"}
    assert list(UpdateCommand) == ["INSTALL"]
    assert load_schema("ack")["properties"]["command"]["enum"] == list(Command)
    assert load_schema("ack")["properties"]["reason"]["enum"] == list(Reason)
    assert load_schema("command-pause")["properties"]["seconds"]["maximum"] == MAX_PAUSE_S


@given(st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True), st.sampled_from(Command))
def test_a_command_topic_is_read_back_by_its_device_alone(device_id: str, command: Command) -> None:
    topic = command_topic(device_id, command)
    assert command_of(topic, device_id) is command
    assert command_of(topic, f"{device_id[:31]}x" if device_id[-1] != "x" else "y") is None
    assert command_of(ack_topic(device_id, command), device_id) is None
    assert topic.startswith(command_filter(device_id).removesuffix("+"))


@given(st.text(max_size=60))
def test_any_topic_is_a_command_or_none_of_ours(topic: str) -> None:
    command = command_of(topic, "hall1")
    assert command is None or command_topic("hall1", command) == topic


@pytest.mark.parametrize("topic", ["lsi/v1/hall1/cmd/mode", "lsi/v1/hall1/cmd/", "lsi/v1/hall1/cmd/update/x"])
def test_an_unknown_command_is_none(topic: str) -> None:
    assert command_of(topic, "hall1") is None


@pytest.mark.parametrize("device_id", ["", "+", "a/b", "A"])
def test_a_device_id_that_would_break_the_tree_is_refused(device_id: str) -> None:
    with pytest.raises(ValueError, match="device id"):
        command_filter(device_id)
