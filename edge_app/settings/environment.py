"""Environment variables that stand in for keys of the configuration file.

``LSI_MQTT__HOST=broker`` is ``mqtt.host = "broker"``: the prefix, then the key in capitals, two
underscores where the file has a point. Text is taken as it is; numbers, truth values and lists
are written as in TOML.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lsi.errors import AppConfigError
from lsi.schema import load_schema

PREFIX: Final = "LSI_"
SEPARATOR: Final = "__"
Document = dict[str, Any]


def overridden(document: Mapping[str, Any], environ: Mapping[str, str]) -> Document:
    """``document`` with every key that a variable of ``environ`` names; a copy.

    Raises:
        AppConfigError: A variable with the prefix that names no key, or whose value is not TOML.
    """
    leaves = dict(_leaves(load_schema("app-config"), ()))
    result = _copied(document)
    for name in sorted(environ):
        if name.startswith(PREFIX):
            path = tuple(name.removeprefix(PREFIX).lower().split(SEPARATOR))
            if path not in leaves:
                raise _unknown(name, [variable_of(each) for each in leaves])
            _set(result, path, _value(name, environ[name], leaves[path]))
    return result


def variable_of(path: tuple[str, ...]) -> str:
    """The variable that stands in for a key."""
    return PREFIX + SEPARATOR.join(path).upper()


def _leaves(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, part in schema["properties"].items():
        if part.get("type") == "object":
            yield from _leaves(part, (*path, key))
        else:
            yield (*path, key), part


def _copied(document: Mapping[str, Any]) -> Document:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in document.items()}


def _set(document: Document, path: tuple[str, ...], value: object) -> None:
    *sections, key = path
    for section in sections:
        document = document.setdefault(section, {})
    document[key] = value


def _value(name: str, text: str, schema: Mapping[str, Any]) -> object:
    # An enumeration without a type is one of words.
    if schema.get("type", "string") == "string":
        return text
    if "\n" in text or "\r" in text:
        text = ""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as cause:
        found = f"Environment variable {name} is not a value of TOML."
        raise AppConfigError(found, hint='a number, true, false, or a list such as ["a", "b"].') from cause


def _unknown(name: str, known: list[str]) -> AppConfigError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(sorted(known))}."
    return AppConfigError(f"Environment variable {name} names no key of the configuration.", hint=hint)
