"""The contract for tools: current, complete, sound by AsyncAPI's own schema, and saying what ours say.

The official parser (@asyncapi/parser, npm) was run on the committed file by hand: no errors, no warnings.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from host.asyncapi import document, text
from lsi.command_documents import Command
from lsi.schema import load_schema
from lsi.topics import QOS, RETAINED, Kind, Topic
from tests.host.test_checked_documents import SOUND

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs/reference/asyncapi.json"
OFFICIAL = ROOT / ".node/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    """AsyncAPI's own schema of version 3.0.0."""
    if not OFFICIAL.exists():
        pytest.skip("AsyncAPI's schemas are not installed (make test does it where npm is there)")
    return Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))


def references(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


def resolved(reference: str) -> Any:  # noqa: ANN401 - JSON
    place: Any = document()
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def test_the_committed_file_is_current() -> None:
    assert COMMITTED.read_text("utf-8") == text(), "python -m host.asyncapi > docs/reference/asyncapi.json"


def test_every_reference_leads_somewhere() -> None:
    found = [ref for ref in references(document()) if ref.startswith(("#/channels", "#/components"))]
    assert len(found) > 20
    assert all(resolved(reference) for reference in found)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_topic_quality_and_retention(kind: Kind) -> None:
    contract = document()
    address = contract["channels"][kind]["address"]
    assert address.replace("{device}", "hall1") == str(Topic("hall1", kind))
    binding = contract["operations"][f"receive-{kind}"]["bindings"]["mqtt"]
    assert binding == {"qos": QOS[kind], "retain": kind in RETAINED}


@pytest.mark.parametrize("command", Command)
def test_every_command_has_its_topic_and_schema(command: Command) -> None:
    assert resolved(f"#/channels/cmd-{command}")["address"].endswith(f"/cmd/{command}")
    payload = resolved(f"#/components/messages/cmd-{command}")["payload"]
    if command is Command.UPDATE:
        assert payload["enum"] == ["INSTALL"]
    else:
        assert payload["schema"]["properties"] == load_schema(f"command-{command}")["properties"]


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_tool_that_knows_draft_7_judges_as_ours_does(name: str) -> None:
    schema = resolved(f"#/components/messages/{name}")["payload"]["schema"]
    Draft7Validator.check_schema(schema)
    assert Draft7Validator(schema).is_valid(SOUND[name])
    for key in SOUND[name]:
        without = {other: value for other, value in SOUND[name].items() if other != key}
        assert Draft7Validator(schema).is_valid(without) == Draft202012Validator(load_schema(name)).is_valid(
            without
        )


def test_it_is_plain_json_of_version_3() -> None:
    assert json.loads(COMMITTED.read_text("utf-8"))["asyncapi"] == "3.0.0"


def test_it_fits_the_schema_of_asyncapi_itself(official: Draft7Validator) -> None:
    found = official.iter_errors(json.loads(COMMITTED.read_text("utf-8")))
    assert [(list(each.absolute_path), each.message) for each in found] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("info", "version"), None),
        (("channels", "attr", "adress"), "lsi/v1/{device}/attr"),
        (("operations", "receive-attr", "action"), "get"),
        (("operations", "receive-attr", "channel"), "attr"),
        (("operations", "receive-attr", "bindings", "mqtt", "qos"), 7),
        (("components", "messages", "attr", "payload", "schema", "type"), "objekt"),
    ],
)
def test_the_schema_of_asyncapi_sees_a_mistake(
    path: tuple[str, ...], value: object, official: Draft7Validator
) -> None:
    contract = document()
    place: Any = contract
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not official.is_valid(contract)
