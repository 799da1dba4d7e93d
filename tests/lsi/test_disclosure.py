import pytest

from lsi.attributes import ATTR_LITE
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import DisclosureError


def test_by_default_four_attributes_may_leave() -> None:
    assert DisclosurePolicy().allowed == {"Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat"}


@pytest.mark.parametrize("name", ["Male", "Pale_Skin", "smiling"])
def test_anything_else_is_refused_and_named(name: str) -> None:
    with pytest.raises(DisclosureError, match=name):
        DisclosurePolicy(ATTR_LITE | {name})


@pytest.mark.parametrize("mode", [PayloadMode.AGG, PayloadMode.ATTR, PayloadMode.LATENT])
def test_modes_that_are_not_built_are_refused(mode: PayloadMode) -> None:
    with pytest.raises(DisclosureError, match=mode):
        DisclosurePolicy(mode=mode)


def test_narrowing_never_widens() -> None:
    policy = DisclosurePolicy(frozenset({"Smiling"}))
    assert policy.narrowed(frozenset({"Smiling", "Male"})).allowed == {"Smiling"}
    assert policy.narrowed(frozenset()).allowed == set()


def test_every_change_of_the_policy_changes_its_digest() -> None:
    policies = [DisclosurePolicy(frozenset(names)) for names in ([], ["Smiling"], ["Eyeglasses"])]
    assert len({policy.digest for policy in policies}) == 3
