import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.attribute_classes import AttributeClass, built_in_classes
from lsi.attributes import ATTR_LITE
from lsi.disclosure import RESULT_KINDS, DisclosurePolicy, PayloadMode, permitted
from lsi.errors import DisclosureError
from lsi.topics import Kind

TABLE = built_in_classes()
NAMES = st.frozensets(st.sampled_from([*TABLE.by_name, "Unheard_Of"]))
MODES = st.sampled_from(PayloadMode)


def policy(names: frozenset[str], mode: PayloadMode) -> DisclosurePolicy:
    return DisclosurePolicy(permitted(names, mode, TABLE), mode)


def test_by_default_four_attributes_may_leave() -> None:
    assert DisclosurePolicy().allowed == {"Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat"}
    assert DisclosurePolicy().mode is PayloadMode.ATTR_LITE


@pytest.mark.parametrize("name", ["Male", "Pale_Skin", "smiling", "Blurry", "Unheard_Of"])
@pytest.mark.parametrize("mode", [PayloadMode.ATTR_LITE, PayloadMode.ATTR, PayloadMode.LATENT])
def test_per_person_nothing_restricted_blocked_or_unknown_leaves(name: str, mode: PayloadMode) -> None:
    with pytest.raises(DisclosureError, match=name):
        DisclosurePolicy(ATTR_LITE | {name}, mode)


def test_restricted_attributes_are_counted_and_blocked_ones_are_not() -> None:
    assert "Male" in DisclosurePolicy(ATTR_LITE | {"Male"}, PayloadMode.AGG).allowed
    for name in ("Pale_Skin", "Blurry", "Unheard_Of"):
        with pytest.raises(DisclosureError, match=name):
            DisclosurePolicy(frozenset({name}), PayloadMode.AGG)


def test_an_override_lets_a_blocked_attribute_be_counted_and_no_more() -> None:
    lifted = TABLE.lifted(frozenset({"Pale_Skin"}))
    assert DisclosurePolicy(frozenset({"Pale_Skin"}), PayloadMode.AGG, lifted).allowed == {"Pale_Skin"}
    with pytest.raises(DisclosureError, match="Pale_Skin"):
        DisclosurePolicy(frozenset({"Pale_Skin"}), PayloadMode.ATTR, lifted)


def test_the_reason_for_a_refusal_is_in_it() -> None:
    with pytest.raises(DisclosureError, match="a protected characteristic"):
        DisclosurePolicy(frozenset({"Male"}), PayloadMode.ATTR)


@given(NAMES, MODES, NAMES, MODES)
def test_narrowing_never_widens(
    names: frozenset[str], mode: PayloadMode, other: frozenset[str], other_mode: PayloadMode
) -> None:
    before = policy(names, mode)
    after = before.narrowed(other, other_mode)
    assert not after.exceeds(before)
    assert after.allowed <= other
    assert after.mode.rank == min(mode.rank, other_mode.rank)
    assert after.narrowed(other, other_mode) == after


@given(NAMES, MODES, NAMES, MODES)
def test_the_narrowest_of_two_is_the_same_from_either_side(
    names: frozenset[str], mode: PayloadMode, other: frozenset[str], other_mode: PayloadMode
) -> None:
    one, two = policy(names, mode), policy(other, other_mode)
    assert one.narrowed(two.allowed, two.mode) == two.narrowed(one.allowed, one.mode)


def test_a_policy_exceeds_another_by_mode_or_by_attribute() -> None:
    narrow = DisclosurePolicy(frozenset({"Smiling"}))
    assert DisclosurePolicy().exceeds(narrow)
    assert DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.ATTR).exceeds(narrow)
    assert not narrow.exceeds(DisclosurePolicy())
    assert DisclosurePolicy(frozenset({"Male"}), PayloadMode.AGG).exceeds(narrow)


def test_every_change_of_the_policy_changes_its_digest() -> None:
    names = [frozenset[str](), frozenset({"Smiling"}), frozenset({"Eyeglasses"})]
    policies = [DisclosurePolicy(*each) for each in itertools.product(names, PayloadMode)]
    assert len({policy.digest for policy in policies}) == 12


def test_counts_and_answers_per_person_never_leave_under_one_mode() -> None:
    for mode, kinds in RESULT_KINDS.items():
        assert (Kind.AGG in kinds) == (mode is PayloadMode.AGG)
        assert (Kind.LATENT in kinds) == (mode is PayloadMode.LATENT)
        assert ({Kind.ATTR, Kind.EVENT} <= kinds) == (mode is not PayloadMode.AGG)


def test_no_class_but_default_leaves_per_person() -> None:
    for name in TABLE.by_name:
        may = permitted(frozenset({name}), PayloadMode.ATTR, TABLE)
        assert bool(may) == (TABLE.kind_of(name) is AttributeClass.DEFAULT)
