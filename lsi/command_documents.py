"""Commands to a sensor and what it answers: ``cmd/<command>`` and ``ack/<command>``.

What comes over ``cmd`` is not trusted: it is bounded, parsed into a frozen request or refused with a
code. No command has a word for payload mode, masks, policy, files or addresses.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias

from lsi.errors import PayloadError
from lsi.schema import check, decode_document, encode_document, load_schema
from lsi.topics import DEVICE_ID, ROOT

ACK_SCHEMA_ID: Final = "lsi.ack/1"
MAX_COMMAND_BYTES: Final = 512
"""The longest command, a replay with an id, has about 170."""
MAX_PAUSE_S: Final = 3600
"""A sensor that somebody forgot to wake does so itself."""
MAX_GONE_RANGES: Final = 32

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Command(StrEnum):
    """Everything that can be asked of a sensor over MQTT."""

    UPDATE = "update"
    REBIRTH = "rebirth"
    REPLAY = "replay"
    IDENTIFY = "identify"
    PAUSE = "pause"


class UpdateCommand(StrEnum):
    """The words that ``cmd/update`` knows; bare, since Home Assistant sends it so."""

    INSTALL = "INSTALL"


class Reason(StrEnum):
    """Why a command is refused. Codes, since an acknowledgement never repeats what it was sent."""

    TOO_LONG = "too_long"
    NOT_JSON = "not_json"
    UNKNOWN_KEY = "unknown_key"
    INVALID = "invalid"
    TOO_OFTEN = "too_often"
    NOT_AVAILABLE = "not_available"
    NOTHING_STAGED = "nothing_staged"
    WIDER_POLICY = "wider_policy"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """Records ``first`` to ``last`` of ``stream``, both included."""

    stream: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PauseArguments:
    """No scan for ``seconds`` (0 to 3600) from now; 0 ends a pause."""

    seconds: int


Arguments: TypeAlias = ReplayArguments | PauseArguments | None


@dataclass(frozen=True, slots=True)
class Request:
    """One command. ``request_id`` is what its sender calls it; MQTT 5 has correlation data besides.

    Raises:
        PayloadError: Arguments of another command.
    """

    command: Command
    arguments: Arguments = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        if type(self.arguments) is not _ARGUMENTS.get(self.command, type(None)):
            raise PayloadError(f"A command '{self.command}' with arguments of another.")

    def encode(self) -> bytes:
        """The bytes for ``cmd/<command>``.

        Raises:
            PayloadError: An ``update`` with an id, for which its one word has no room, or a request
                that no sensor would take.
        """
        if self.command is Command.UPDATE:
            if self.request_id is not None:
                raise PayloadError("An 'update' with an id.", hint="correlation data of MQTT 5.")
            return UpdateCommand.INSTALL.encode()
        document = {} if self.request_id is None else {"id": self.request_id}
        encoded = encode_document({**document, **_written(self.arguments)})
        read = parse_request(self.command, encoded).outcome
        if isinstance(read, Refused):
            raise PayloadError(f"A command '{self.command}' that is {read.reason}.", hint=_SEE)
        return encoded


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a sensor found of a replay.

    ``again`` records are sent once more, ``waiting`` were on their way anyway, ``gone_rows`` are not
    kept any more; ``gone`` holds the first 32 ranges of these, as first and last seq.
    """

    stream: str
    again: int
    waiting: int
    gone_rows: int
    gone: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The command is or will be carried out."""

    replay: ReplayReport | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The command changed nothing. ``retry_s`` is when to ask again, in whole seconds."""

    reason: Reason
    retry_s: int | None = None


Reply: TypeAlias = Accepted | Refused


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was made of the bytes of a command; the id is known for many refused ones too."""

    outcome: Request | Refused
    request_id: str | None = None


def parse_request(command: Command, payload: bytes) -> Parsed:
    """Read what came on ``cmd/<command>``. Never raises, whatever the bytes."""
    if len(payload) > MAX_COMMAND_BYTES:
        return Parsed(Refused(Reason.TOO_LONG))
    if command is Command.UPDATE:
        is_known = payload in set(map(str.encode, UpdateCommand))
        return Parsed(Request(command) if is_known else Refused(Reason.INVALID))
    try:
        document = json.loads(payload.decode(), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        return Parsed(Refused(Reason.NOT_JSON))
    if not isinstance(document, dict):
        return Parsed(Refused(Reason.INVALID))
    return _judged(command, document)


@dataclass(frozen=True, slots=True)
class AckPayload:
    """What became of one command. Holds codes and counters, and the id that the sender chose."""

    device_id: str
    stream: str
    command: Command
    reply: Reply
    request_id: str | None = None

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``ack``.

        Raises:
            PayloadError: Longer than ``MAX_PAYLOAD_BYTES``.
        """
        document: dict[str, Any] = {
            "v": ACK_SCHEMA_ID,
            "dev": self.device_id,
            "stream": self.stream,
            "command": self.command,
            "accepted": isinstance(self.reply, Accepted),
        }
        if self.request_id is not None:
            document["id"] = self.request_id
        return encode_document({**document, **_reply_document(self.reply)})

    @classmethod
    def decode(cls, encoded: bytes) -> "AckPayload":
        """Read what :meth:`encode` wrote; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        document = decode_document(encoded, "ack")
        reply: Reply = (
            Accepted(_replay_report(document.get("replay")))
            if document["accepted"]
            else Refused(Reason(document["reason"]), document.get("retry_s"))
        )
        return cls(
            device_id=document["dev"],
            stream=document["stream"],
            command=Command(document["command"]),
            reply=reply,
            request_id=document.get("id"),
        )


def command_topic(device_id: str, command: Command) -> str:
    """Where ``command`` is sent to a sensor; never retained."""
    return f"{ROOT}/{_checked(device_id)}/cmd/{command}"


def ack_topic(device_id: str, command: Command) -> str:
    """Where a sensor answers ``command``; never retained."""
    return f"{ROOT}/{_checked(device_id)}/ack/{command}"


def command_filter(device_id: str) -> str:
    """The subscription of a sensor for all its commands."""
    return f"{ROOT}/{_checked(device_id)}/cmd/+"


def command_of(topic: str, device_id: str) -> Command | None:
    """The command that ``topic`` brings to ``device_id``, or ``None`` where it is none of its own."""
    head, _, word = topic.rpartition("/")
    if head != f"{ROOT}/{device_id}/cmd" or word not in set(Command):
        return None
    return Command(word)


_ARGUMENTS: Final = {Command.REPLAY: ReplayArguments, Command.PAUSE: PauseArguments}
_SEE: Final = "docs/reference/commands.md."


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; with one name twice it would mean different things to different readers."""
    document = dict(pairs)
    if len(document) != len(pairs):
        message = "one name twice"
        raise ValueError(message)
    return document


def _judged(command: Command, document: dict[str, Any]) -> Parsed:
    request_id = _readable_id(document)
    name = f"command-{command}"
    if set(document) - _known_keys(name):
        return Parsed(Refused(Reason.UNKNOWN_KEY), request_id)
    try:
        check(document, name, error=PayloadError, source=f"cmd/{command}")
        return Parsed(Request(command, _arguments(command, document), request_id), request_id)
    except PayloadError:
        return Parsed(Refused(Reason.INVALID), request_id)


@cache
def _known_keys(name: str) -> frozenset[str]:
    return frozenset(load_schema(name)["properties"])


def _readable_id(document: dict[str, Any]) -> str | None:
    found = document.get("id")
    return found if isinstance(found, str) and REQUEST_ID.fullmatch(found) else None


def _arguments(command: Command, document: dict[str, Any]) -> Arguments:
    """The arguments in ``document``, which fits its schema; 5.0 is an integer there."""
    if command is Command.PAUSE:
        return PauseArguments(int(document["seconds"]))
    if command is not Command.REPLAY:
        return None
    first, last = int(document["from"]), int(document["to"])
    if last < first:
        raise PayloadError("A replay that ends before it begins.")
    return ReplayArguments(document["stream"], first, last)


def _written(arguments: Arguments) -> dict[str, Any]:
    match arguments:
        case ReplayArguments(stream, first, last):
            return {"stream": stream, "from": first, "to": last}
        case PauseArguments(seconds):
            return {"seconds": seconds}
        case None:
            return {}


def _reply_document(reply: Reply) -> dict[str, Any]:
    if isinstance(reply, Accepted):
        return {} if reply.replay is None else {"replay": _replay_document(reply.replay)}
    retry = {} if reply.retry_s is None else {"retry_s": reply.retry_s}
    return {"reason": reply.reason, **retry}


def _replay_document(report: ReplayReport) -> dict[str, Any]:
    return {
        "stream": report.stream,
        "again": report.again,
        "waiting": report.waiting,
        "gone_rows": report.gone_rows,
        "gone": [list(bounds) for bounds in report.gone[:MAX_GONE_RANGES]],
    }


def _replay_report(document: dict[str, Any] | None) -> ReplayReport | None:
    if document is None:
        return None
    return ReplayReport(
        stream=document["stream"],
        again=document["again"],
        waiting=document["waiting"],
        gone_rows=document["gone_rows"],
        gone=tuple((first, last) for first, last in document["gone"]),
    )


def _checked(device_id: str) -> str:
    if not DEVICE_ID.fullmatch(device_id):
        message = f"device id {device_id!r} must match {DEVICE_ID.pattern}"
        raise ValueError(message)
    return device_id
