import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.subscriber import Received, Rejected, read_message
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Availability, Kind, Topic
from tests.lsi.test_status import HEALTH, INFO
from tests.payloads import payload
from transport.broker import Message


def received(kind: str, content: bytes, device: str = "hall1") -> Received | Rejected:
    return read_message(Message(f"lsi/v1/{device}/{kind}", content, retain=True))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Kind.ATTR, payload()),
        (Kind.INFO, INFO),
        (Kind.HEALTH, HEALTH),
    ],
)
def test_each_topic_is_read_into_its_type(
    kind: Kind, content: AttributePayload | InfoPayload | HealthPayload
) -> None:
    encoded = content.encode()
    assert received(kind, encoded) == Received(
        Topic("hall1", kind), len(encoded), retained=True, content=content
    )


@pytest.mark.parametrize("word", ["online", "offline"])
def test_availability_is_one_of_two_words(word: str) -> None:
    event = received("availability", word.encode())
    assert isinstance(event, Received)
    assert event.content is Availability(word)


@pytest.mark.parametrize("content", [b"", b"stopped", b"ONLINE", b"\xff"])
def test_any_other_availability_is_rejected(content: bytes) -> None:
    assert isinstance(received("availability", content), Rejected)


def test_a_payload_that_names_another_device_is_rejected() -> None:
    event = received("attr", payload().encode(), device="hall2")
    assert isinstance(event, Rejected)
    assert "another device" in event.reason


def test_a_topic_that_nobody_documented_is_rejected() -> None:
    event = received("raw", b"{}")
    assert event == Rejected("lsi/v1/hall1/raw", 2, "not a documented topic", b"{}")


@given(st.sampled_from(Kind), st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected_with_a_reason(kind: Kind, content: bytes) -> None:
    event = received(kind, content)
    assert isinstance(event, Received) or event.reason
