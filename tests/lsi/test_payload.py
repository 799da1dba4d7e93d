import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import PayloadError
from lsi.payload import AttributePayload
from lsi.schema import MAX_PAYLOAD_BYTES
from tests.payloads import payload

ANSWERS = st.none() | st.booleans()


@given(st.booleans(), st.dictionaries(st.sampled_from(["Smiling", "Eyeglasses", "A_1"]), st.booleans()))
def test_a_payload_survives_the_wire(face: bool, answers: dict[str, bool]) -> None:
    attributes = {name: value if face else None for name, value in answers.items()}
    sent = payload(face=face, attributes=attributes)
    assert AttributePayload.decode(sent.encode()) == sent


def test_the_wire_format_is_this_text() -> None:
    assert payload().encode() == (
        b'{"v":"lsi.attr/1","dev":"hall1","stream":"0123456789abcdef","seq":7,'
        b'"ts":"2026-11-22T12:00:00.250Z","clock":"ntp","bundle":"89abcdef","face":true,'
        b'"a":{"Smiling":true,"Eyeglasses":false},"ms":{"scan":30.1,"infer":0.1}}'
    )


@pytest.mark.parametrize("face", [None, False])
def test_without_a_face_no_attribute_can_be_known(face: bool | None) -> None:
    with pytest.raises(PayloadError):
        payload(face=face, attributes={"Smiling": True})
    document = json.loads(payload(face=face, attributes={"Smiling": None}).encode())
    document["a"]["Smiling"] = False
    with pytest.raises(PayloadError):
        AttributePayload.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a", {"Smiling": 0.93}),
        ("a", {"Smiling": "yes"}),
        ("a", {"Smiling": [1, 2, 3]}),
        ("face", 0.5),
        ("latent", [0.1, 0.2]),
        ("y", "AAAA"),
        ("v", "lsi.attr/2"),
        ("dev", "../x"),
        ("stream", "0"),
        ("seq", -1),
        ("ts", "yesterday"),
        ("bundle", "89abcdef89abcdef"),
        ("ms", {"scan": 1, "infer": 1, "values": [1]}),
    ],
)
def test_a_payload_has_no_place_for_anything_else(key: str, value: object) -> None:
    document = json.loads(payload().encode())
    document[key] = value
    with pytest.raises(PayloadError):
        AttributePayload.decode(json.dumps(document).encode())


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_a_payload_error(noise: bytes) -> None:
    with pytest.raises(PayloadError):
        AttributePayload.decode(noise)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(PayloadError):
        AttributePayload.decode(b"[" * 1000 + b"]" * 1000)


def test_not_a_number_is_not_json() -> None:
    with pytest.raises(PayloadError, match="not JSON"):
        AttributePayload.decode(payload().encode().replace(b"30.1", b"NaN"))


def test_too_long_a_payload_neither_leaves_nor_enters() -> None:
    many = payload(attributes={f"A{'x' * 40}{number}": True for number in range(40)})
    with pytest.raises(PayloadError, match="may leave"):
        many.encode()
    with pytest.raises(PayloadError, match="are read"):
        AttributePayload.decode(b" " * (MAX_PAYLOAD_BYTES + 1))


def test_forty_attributes_fit() -> None:
    forty = payload(attributes={f"Mouth_Slightly_Open{number}": True for number in range(40)})
    assert len(forty.encode()) < MAX_PAYLOAD_BYTES
