"""The contract of the topics as one AsyncAPI 3 document, made from the schemas.

python -m host.asyncapi > docs/reference/asyncapi.json
"""

import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from lsi.command_documents import MAX_COMMAND_BYTES, Command, UpdateCommand
from lsi.schema import load_schema
from lsi.topics import DEVICE_ID, QOS, RETAINED, ROOT, Availability, Kind

ASYNCAPI: Final = "3.0.0"
JSON_SCHEMA: Final = "application/schema+json;version=draft-07"
"""What AsyncAPI 3.0 knows by name; ours are 2020-12 and use no word that draft 7 lacks."""

_BY_SCHEMA: Final = {
    Kind.INFO: "info",
    Kind.ATTR: "attr",
    Kind.HEALTH: "health",
    Kind.EVENT: "event",
    Kind.AGG: "agg",
}
_WORDS: Final = {
    Kind.AVAILABILITY: "Whether the device is there; the broker says offline for one that vanished.",
    Kind.INFO: "Who the device is, what it runs and what it lets out.",
    Kind.ATTR: "What holds now: yes, no or null. Never kept, lost when nobody listens.",
    Kind.HEALTH: "Problems, counters, backlog, and how far each stream of records goes.",
    Kind.EVENT: "A record of a visit: start, update or end. Kept until the broker has it.",
    Kind.AGG: "A record of a window: noisy counts, no single visit.",
    Kind.LATENT: "A sealed latent. Only who holds the host's private key can open it.",
    Kind.UPDATE: "Which bundle runs and which is staged, as Home Assistant reads it.",
}
_DROPPED: Final = frozenset({"$schema", "$id"})
_BROKER: Final = {"host": "localhost:8883", "protocol": "secure-mqtt", "protocolVersion": "5.0"}
_ONCE: Final = {"qos": 1, "retain": False}
DEVICE: Final = {"description": f"1 to 32 of a-z 0-9 _ -; {DEVICE_ID.pattern}"}


def document() -> dict[str, Any]:
    """The whole contract, as a consumer sees it: what it receives, and what it may ask."""
    names = [*map(str, Kind), *(f"cmd-{word}" for word in Command), "ack"]
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "lsi sensors over MQTT",
            "version": version("lsi-host"),
            "description": "What a camera that never makes a picture publishes, and what it can be asked.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {"host": "localhost:8883", "protocol": "secure-mqtt", "protocolVersion": "5.0"}
        },
        "channels": {
            **{str(kind): _channel(f"{ROOT}/{{device}}/{kind}", str(kind)) for kind in Kind},
            **{f"cmd-{word}": _channel(f"{ROOT}/{{device}}/cmd/{word}", f"cmd-{word}") for word in Command},
            "ack": _ack_channel(),
        },
        "operations": {
            **{f"receive-{kind}": _operation("receive", str(kind), _binding(kind)) for kind in Kind},
            **{f"ask-{word}": _operation("send", f"cmd-{word}", _ONCE) for word in Command},
            "receive-ack": _operation("receive", "ack", _ONCE),
        },
        "components": {"messages": {name: _message(name) for name in names}},
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=1) + "\n"


def _channel(address: str, message: str) -> dict[str, Any]:
    return {
        "address": address,
        "parameters": {"device": DEVICE},
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }


def _ack_channel() -> dict[str, Any]:
    words = {"description": "The command that is answered.", "enum": [*map(str, Command)]}
    channel = _channel(f"{ROOT}/{{device}}/ack/{{command}}", "ack")
    return {**channel, "parameters": {"device": DEVICE, "command": words}}


def _operation(action: str, channel: str, binding: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": dict(binding)},
    }


def _binding(kind: Kind) -> dict[str, Any]:
    return {"qos": QOS[kind], "retain": kind in RETAINED}


def _message(name: str) -> dict[str, Any]:
    if name.startswith("cmd-"):
        return _command(Command(name.removeprefix("cmd-")))
    if name == "ack":
        return _json_message("ack", "What became of a command.", _schema("ack"))
    kind = Kind(name)
    match kind:
        case Kind.AVAILABILITY:
            return _word_message(name, _WORDS[kind], [*map(str, Availability)])
        case Kind.LATENT:
            sealed = "application/vnd.lsi.sealed+cbor"
            return {"name": name, "summary": _WORDS[kind], "contentType": sealed}
        case Kind.UPDATE:
            return _json_message(name, _WORDS[kind], _update_schema())
        case _:
            return _json_message(name, _WORDS[kind], _schema(_BY_SCHEMA[kind]))


def _command(word: Command) -> dict[str, Any]:
    name = f"cmd-{word}"
    if word is Command.UPDATE:
        return _word_message(name, "Activate the staged bundle; no JSON.", [*map(str, UpdateCommand)])
    summary = f"At most {MAX_COMMAND_BYTES} bytes, never retained."
    return _json_message(name, summary, _schema(f"command-{word}"))


def _word_message(name: str, summary: str, words: list[str]) -> dict[str, Any]:
    payload = {"type": "string", "enum": words}
    return {"name": name, "summary": summary, "contentType": "text/plain", "payload": payload}


def _json_message(name: str, summary: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    payload = {"schemaFormat": JSON_SCHEMA, "schema": dict(schema)}
    return {"name": name, "summary": summary, "contentType": "application/json", "payload": payload}


def _schema(name: str) -> dict[str, Any]:
    return {key: value for key, value in load_schema(name).items() if key not in _DROPPED}


def _update_schema() -> dict[str, Any]:
    version_text = {"type": "string", "pattern": r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$"}
    return {
        "type": "object",
        "required": ["installed_version", "latest_version"],
        "properties": {
            "installed_version": version_text,
            "latest_version": version_text,
            "in_progress": {"type": "boolean"},
            "update_percentage": {"type": ["integer", "null"], "minimum": 0, "maximum": 100},
            "title": {"type": "string", "maxLength": 64},
        },
    }


if __name__ == "__main__":
    sys.stdout.write(text())
