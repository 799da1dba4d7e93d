import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.topics import RETAINED, Kind, Topic, subscription


@given(st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True), st.sampled_from(Kind))
def test_a_topic_is_parsed_back(device_id: str, kind: Kind) -> None:
    assert Topic.parse(str(Topic(device_id, kind))) == Topic(device_id, kind)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_is_none_of_ours(text: str) -> None:
    topic = Topic.parse(text)
    assert topic is None or str(topic) == text


@pytest.mark.parametrize("device_id", ["", "A", "a/b", "+", "#", "a" * 33, "ä"])
def test_a_device_id_that_would_break_the_tree_is_refused(device_id: str) -> None:
    with pytest.raises(ValueError, match="device id"):
        Topic(device_id, Kind.ATTR)


def test_attribute_values_are_never_retained() -> None:
    assert {Kind.AVAILABILITY, Kind.INFO, Kind.UPDATE} == RETAINED


def test_the_subscription_covers_every_kind() -> None:
    assert subscription("a") == "lsi/v1/a/+"
