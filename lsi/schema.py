"""JSON Schemas of every document that crosses a border, and one way to check them."""

import difflib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from lsi.errors import LsiError

SCHEMA_NAMES: Final = ("attr", "info", "health", "manifest", "board", "app-config")
MAX_REASONS: Final = 5


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


_HINTS: Final = {
    "attr": "a publisher of the same major version.",
    "info": "a publisher of the same major version.",
    "health": "a publisher of the same major version.",
    "manifest": "fetch or export the bundle again.",
    "board": "compare the file with hardware/boards/sim-mcp3208.toml.",
    "app-config": "compare the file with docs/reference/configuration.md.",
}


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(load_schema(name))


def _reasons(document: object, name: str) -> Iterator[str]:
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
