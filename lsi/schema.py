"""JSON Schemas of every document that crosses a border, and one way to check them."""

import difflib
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Final

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from lsi.errors import LsiError, PayloadError

SCHEMA_NAMES: Final = (
    "attr",
    "info",
    "health",
    "event",
    "agg",
    "ack",
    "discovery",
    "command-rebirth",
    "command-replay",
    "command-identify",
    "command-pause",
    "manifest",
    "audit",
    "board",
    "app-config",
    "rig-calibration",
    "attribute-classes",
    "override",
    "site-policy",
    "policy-record",
    "privacy-ledger",
    "generator",
)
MAX_REASONS: Final = 5

ATTR_SCHEMA_ID: Final = "lsi.attr/1"
INFO_SCHEMA_ID: Final = "lsi.info/1"
HEALTH_SCHEMA_ID: Final = "lsi.health/1"

MAX_PAYLOAD_BYTES: Final = 2048
"""Encoded size that no JSON payload may exceed: 40 attributes with names need 1,400."""


def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) called ``name``, one of ``SCHEMA_NAMES``."""
    text = resources.files("lsi").joinpath("schemas", f"{name}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check(document: object, name: str, *, error: type[LsiError], source: str) -> None:
    """Raise ``error`` with every reason why ``document`` breaks schema ``name``.

    Args:
        document: Parsed JSON or TOML.
        name: One of ``SCHEMA_NAMES``.
        error: The error type to raise.
        source: Where the document came from, for the message.
    """
    reasons = list(_reasons(document, name))
    if reasons:
        shown = "; ".join(reasons[:MAX_REASONS])
        more = f"; and {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
        raise error(f"{source} does not fit schema '{name}': {shown}{more}.", hint=_HINTS[name])


def encode_document(document: dict[str, Any]) -> bytes:
    """Compact UTF-8 JSON for the wire.

    Raises:
        PayloadError: Longer than ``MAX_PAYLOAD_BYTES``.
    """
    encoded = json.dumps(document, separators=(",", ":")).encode()
    if len(encoded) > MAX_PAYLOAD_BYTES:
        found = f"Payload of {len(encoded)} bytes, at most {MAX_PAYLOAD_BYTES} may leave."
        raise PayloadError(found, hint="fewer attributes.")
    return encoded


def decode_document(encoded: bytes, name: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> dict[str, Any]:
    """Parse a payload from the wire and hold it to schema ``name``.

    Raises:
        PayloadError: Longer than ``max_bytes``, not JSON, or against the schema.
    """
    document = parse_document(encoded, name, max_bytes)
    check(document, name, error=PayloadError, source=f"{name} payload")
    checked: dict[str, Any] = document
    return checked


def parse_document(encoded: bytes, name: str, max_bytes: int = MAX_PAYLOAD_BYTES) -> Any:  # noqa: ANN401 - parsed JSON
    """Parse a payload from the wire and hold it to no schema yet; ``name`` is for the message.

    Raises:
        PayloadError: Longer than ``max_bytes``, or not JSON.
    """
    source = f"{name} payload"
    if len(encoded) > max_bytes:
        raise PayloadError(f"{source} of {len(encoded)} bytes, at most {max_bytes} are read.")
    try:
        return json.loads(encoded, parse_constant=_no_constant)
    except (ValueError, RecursionError) as cause:
        raise PayloadError(f"{source} is not JSON.") from cause


def _no_constant(name: str) -> None:
    """JSON has no NaN and no Infinity, whatever Python's reader says."""
    message = f"{name} is not JSON"
    raise ValueError(message)


_HINTS: Final = {
    "attr": "a publisher of the same major version.",
    "info": "a publisher of the same major version.",
    "health": "a publisher of the same major version.",
    "event": "a publisher of the same major version.",
    "agg": "a publisher of the same major version.",
    "ack": "a publisher of the same major version.",
    "discovery": "'lsi-edge clean-mqtt', then start again.",
    "command-rebirth": "docs/reference/commands.md.",
    "command-replay": "docs/reference/commands.md.",
    "command-identify": "docs/reference/commands.md.",
    "command-pause": "docs/reference/commands.md.",
    "manifest": "fetch or export the bundle again.",
    "audit": "an audit.json of the same major version.",
    "board": "compare the file with hardware/boards/sim-mcp3208.toml.",
    "app-config": "compare the file with docs/reference/configuration.md.",
    "rig-calibration": "'lsi-edge calibrate' on this device.",
    "attribute-classes": "docs/reference/policy.md.",
    "override": "docs/reference/policy.md.",
    "site-policy": "docs/reference/policy.md.",
    "privacy-ledger": "'sudo lsi-edge policy --new-ledger'; info tells everybody of it.",
    "policy-record": "'sudo lsi-edge policy --widen' writes it anew.",
    "flash-devices": "docs/how-to/flash-a-device.md.",
    "generator": "docs/how-to/bring-your-own-generator.md.",
}


def _pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    """``pattern`` as ECMA-262 has it: ``$`` is the end, not the place before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator: Final = validators.extend(  # type: ignore[no-untyped-call] # the one untyped function
    Draft202012Validator, {"pattern": _pattern}
)


@cache
def _validator(name: str) -> Validator:
    validator: Validator = _Validator(load_schema(name))
    return validator


def _reasons(document: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - parsed JSON or TOML
    for problem in _validator(name).iter_errors(document):
        where = ".".join(str(step) for step in problem.absolute_path) or "top level"
        if problem.validator == "additionalProperties":
            yield from _unknown_keys(problem, where)
        else:
            yield f"{where}: {problem.message[:200]}"


def _unknown_keys(problem: ValidationError, where: str) -> Iterator[str]:
    schema, instance = problem.schema, problem.instance
    if not isinstance(schema, dict) or not isinstance(instance, dict):  # pragma: no cover
        return
    known = sorted(schema.get("properties", {}))
    for key in sorted(set(map(str, instance)) - set(known)):
        close = difflib.get_close_matches(key, known, n=1)
        suggestion = f" (did you mean '{close[0]}'?)" if close else f" (known: {', '.join(known)})"
        yield f"{where}: unknown key '{key[:60]}'{suggestion}"
