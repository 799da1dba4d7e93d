import pytest
from jsonschema import Draft202012Validator

from lsi.errors import BoardConfigError, PayloadError
from lsi.schema import SCHEMA_NAMES, check, decode_document, load_schema
from tests.payloads import payload


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_schema_is_a_json_schema_of_2020_12(name: str) -> None:
    schema = load_schema(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_schema_refuses_unknown_keys(name: str) -> None:
    assert load_schema(name)["additionalProperties"] is False


def test_an_unknown_key_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(BoardConfigError, match=r"b\.toml.*unknown key 'scann' \(did you mean 'scan'\?\)"):
        check({"scann": {}}, "board", error=BoardConfigError, source="b.toml")


def test_many_reasons_are_counted_instead_of_listed() -> None:
    with pytest.raises(BoardConfigError, match="and 2 more"):
        check({}, "board", error=BoardConfigError, source="b.toml")


@pytest.mark.parametrize("device", ["hall1\\n", "hall1 ", "\\nhall1"])
def test_a_newline_at_the_end_of_a_name_is_not_overlooked(device: str) -> None:
    text = payload().encode().decode().replace('"hall1"', f'"{device}"')
    with pytest.raises(PayloadError, match="does not match"):
        decode_document(text.encode(), "attr")
