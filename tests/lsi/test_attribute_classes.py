"""Classes of attributes: the table, other domains, and names that try to be something else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.attribute_classes import AttributeClass, AttributeClasses, built_in_classes, read_classes
from lsi.attributes import ATTR_LITE
from lsi.errors import ConfigError, DisclosureError

TABLE = built_in_classes()
OF_KIND = {
    kind: frozenset(name for name, each in TABLE.by_name.items() if each.kind is kind)
    for kind in AttributeClass
}


def domain(tmp_path: Path, attributes: object) -> AttributeClasses:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"v": "lsi.classes/1", "domain": "doors", "attributes": attributes}), "utf-8")
    return read_classes(path)


DOOR = {"Door_Open": {"class": "default", "reason": "tells of a door"}}


def test_the_table_holds_forty_attributes_each_with_a_reason() -> None:
    assert len(TABLE.by_name) == 40
    assert all(len(each.reason) > 8 for each in TABLE.by_name.values())
    assert {kind: len(names) for kind, names in OF_KIND.items()} == {
        AttributeClass.DEFAULT: 4,
        AttributeClass.RESTRICTED: 25,
        AttributeClass.BLOCKED: 10,
        AttributeClass.LOCAL: 1,
    }


def test_what_leaves_by_default_is_of_class_default() -> None:
    assert OF_KIND[AttributeClass.DEFAULT] == ATTR_LITE


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Male", AttributeClass.RESTRICTED),
        ("Heavy_Makeup", AttributeClass.RESTRICTED),
        ("Young", AttributeClass.RESTRICTED),
        ("Pale_Skin", AttributeClass.BLOCKED),
        ("Attractive", AttributeClass.BLOCKED),
        ("Blurry", AttributeClass.LOCAL),
        ("Unheard_Of", AttributeClass.BLOCKED),
    ],
)
def test_each_has_its_class_and_an_unknown_one_is_blocked(name: str, kind: AttributeClass) -> None:
    assert TABLE.kind_of(name) is kind


def test_every_strong_proxy_of_sex_is_restricted_or_blocked() -> None:
    for name, each in TABLE.by_name.items():
        if each.proxy_of.get("Male", 0) >= 0.1:
            assert each.kind in {AttributeClass.RESTRICTED, AttributeClass.BLOCKED}, name


@given(st.sampled_from(sorted(TABLE.by_name)))
def test_another_spelling_of_a_name_is_never_freer_than_the_name(name: str) -> None:
    spelled = name.swapcase().replace("_", "")
    order = list(AttributeClass)
    assert order.index(TABLE.kind_of(spelled)) >= order.index(TABLE.kind_of(name))
    assert TABLE.kind_of(spelled) is not AttributeClass.DEFAULT


def test_another_domain_brings_its_own_classes(tmp_path: Path) -> None:
    both = TABLE.with_domain(domain(tmp_path, DOOR))
    assert both.kind_of("Door_Open") is AttributeClass.DEFAULT
    assert both.kind_of("Male") is AttributeClass.RESTRICTED


@pytest.mark.parametrize("name", ["Male", "male", "MA_LE", "paleskin"])
def test_another_domain_cannot_say_what_the_table_says(tmp_path: Path, name: str) -> None:
    own = domain(tmp_path, {name: {"class": "default", "reason": "we would like it"}})
    with pytest.raises(DisclosureError, match=name):
        TABLE.with_domain(own)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"Door": {"class": "default"}},
        {"Door": {"class": "free", "reason": "tells of a door"}},
        {"Do or": {"class": "default", "reason": "tells of a door"}},
        {"Door": {"class": "default", "reason": "tells of a door", "proxy_of": {"Male": 2}}},
        [],
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, attributes: object) -> None:
    with pytest.raises(ConfigError, match=r"classes\.json"):
        domain(tmp_path, attributes)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 10_000, b" " * 300_000])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "classes.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"classes\.json"):
        read_classes(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_classes(tmp_path / "gone.json")


def test_lifting_makes_a_blocked_attribute_restricted_and_no_other() -> None:
    lifted = TABLE.lifted(frozenset({"Pale_Skin"}))
    assert lifted.kind_of("Pale_Skin") is AttributeClass.RESTRICTED
    assert lifted.kind_of("Big_Lips") is AttributeClass.BLOCKED


@pytest.mark.parametrize("name", ["Male", "Blurry", "Smiling", "Unheard_Of"])
def test_what_is_not_blocked_cannot_be_lifted(name: str) -> None:
    with pytest.raises(DisclosureError, match=name):
        TABLE.lifted(frozenset({"Pale_Skin", name}))
