"""Widening is a root action that everybody is told of; narrowing needs nobody."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.disclosure.policy_record import RECORD_NAME, PolicyRecord, hold_to_record, read_record, widen
from lsi.attribute_classes import built_in_classes
from lsi.disclosure import DisclosurePolicy, PayloadMode, permitted
from lsi.errors import DisclosureError
from lsi.status import Widening

NOON = "2026-01-01T12:00:00.000Z"
LATER = "2026-01-02T12:00:00.000Z"
LITE = DisclosurePolicy()
ATTR = DisclosurePolicy(mode=PayloadMode.ATTR)
ONE = DisclosurePolicy(frozenset({"Smiling"}))
COUNTED = DisclosurePolicy(frozenset({"Smiling", "Male"}), PayloadMode.AGG)


def test_the_default_policy_needs_no_permission_and_leaves_no_file(tmp_path: Path) -> None:
    assert hold_to_record(tmp_path, LITE) == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wider", [ATTR, COUNTED])
def test_a_wider_policy_is_refused_until_it_was_allowed_and_that_is_on_record(
    tmp_path: Path, wider: DisclosurePolicy
) -> None:
    with pytest.raises(DisclosureError, match="policy --widen"):
        hold_to_record(tmp_path, wider)
    assert widen(tmp_path, wider, NOON)
    assert hold_to_record(tmp_path, wider) == (Widening(NOON, wider.mode),)
    assert not widen(tmp_path, wider, LATER)


def test_what_was_narrowed_can_only_be_widened_again_by_root(tmp_path: Path) -> None:
    hold_to_record(tmp_path, ONE)
    with pytest.raises(DisclosureError, match="Eyeglasses"):
        hold_to_record(tmp_path, LITE)
    widen(tmp_path, LITE, NOON)
    hold_to_record(tmp_path, ONE)
    widen(tmp_path, LITE, LATER)
    assert hold_to_record(tmp_path, LITE) == (
        Widening(NOON, PayloadMode.ATTR_LITE),
        Widening(LATER, PayloadMode.ATTR_LITE),
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff", b"[" * 10_000, b" " * 200_000, b'{"v":"lsi.policy-record/1","mode":"raw"}'],
)
def test_a_record_that_is_none_allows_nothing_until_root_writes_it_anew(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / RECORD_NAME).write_bytes(content)
    with pytest.raises(DisclosureError):
        hold_to_record(tmp_path, ONE)
    assert widen(tmp_path, ONE, NOON)
    assert hold_to_record(tmp_path, ONE) == (Widening(NOON, PayloadMode.ATTR_LITE),)


def test_a_state_folder_that_is_not_there_keeps_no_narrower_policy_from_running(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert hold_to_record(tmp_path / "gone", ONE) == ()
    assert "will not show" in caplog.text
    with pytest.raises(DisclosureError, match="cannot be written"):
        widen(tmp_path / "gone", ATTR, NOON)


def test_the_record_is_for_its_owner_alone(tmp_path: Path) -> None:
    widen(tmp_path, ATTR, NOON)
    status = (tmp_path / RECORD_NAME).stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_uid == tmp_path.stat().st_uid == os.geteuid()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.frozensets(st.sampled_from(sorted(built_in_classes().by_name))), st.sampled_from(PayloadMode)
        ),
        max_size=8,
    )
)
def test_no_order_of_configurations_gets_wider_without_a_widening(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[frozenset[str], PayloadMode]]
) -> None:
    state = tmp_path_factory.mktemp("state")
    held = PolicyRecord(LITE.mode, LITE.allowed)
    for names, mode in asked:
        policy = DisclosurePolicy(permitted(names, mode, built_in_classes()), mode)
        try:
            hold_to_record(state, policy)
        except DisclosureError:
            assert not held.covers(policy)
        else:
            assert held.covers(policy)
            held = held.of(policy)
        assert read_record(state) == held
