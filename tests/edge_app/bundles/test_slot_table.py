"""The table of the slots as a value: every table that can be made is read back, and nothing else is."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.bundles import slot_changes
from edge_app.bundles.slot_table import (
    MAX_HISTORY,
    MAX_TABLE_BYTES,
    TRIES,
    Happened,
    Held,
    SlotName,
    SlotTable,
    Standing,
    decode_table,
    encode_table,
)
from lsi.errors import SlotError
from lsi.rollback import RollbackReason

AT = "2026-01-01T12:00:00.000Z"


def held(version: str, epoch: int = 0, *, downgrade: bool = False) -> Held:
    return Held("hall", version, version * 8, epoch, "0" * 64, AT, Standing.STAGED, downgrade=downgrade)


def applied(table: SlotTable, moves: list[tuple[str, int]]) -> SlotTable:
    """What is left of ``moves`` once those that the table refuses are left out."""
    for move, number in moves:
        with contextlib.suppress(SlotError):
            table = one(table, move, number)
    return table


def one(table: SlotTable, move: str, number: int) -> SlotTable:  # noqa: PLR0911 - one return per move
    slot = tuple(SlotName)[number % 2]
    match move:
        case "install":
            idle = table.idle
            if idle is None:
                return table
            return slot_changes.staged(
                slot_changes.emptied(table, idle), AT, idle, held(f"{number}.0.0", number)
            )
        case "activate":
            return slot_changes.activated(table, AT, offline_ok=bool(number % 2), again=bool(number % 3))
        case "try":
            return slot_changes.tried(table, AT)
        case "give back":
            return slot_changes.given_back(table)
        case "fail":
            return slot_changes.try_failed(table, AT, RollbackReason.SELF_TEST, "x" * number)
        case "commit":
            return slot_changes.committed(table, AT)
        case "roll back":
            return slot_changes.rolled_back(table, AT, tuple(RollbackReason)[number % 7], "x" * number)
        case "switch":
            return slot_changes.switched(table, AT)
        case _:
            return slot_changes.damaged(table, AT, slot)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "install",
                "activate",
                "try",
                "give back",
                "fail",
                "commit",
                "roll back",
                "switch",
                "damage",
            ]
        ),
        st.integers(0, 9),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(MOVES)
def test_whatever_happens_the_table_can_be_written_and_read(moves: list[tuple[str, int]]) -> None:
    table = applied(SlotTable(), moves)
    encoded = encode_table(table)
    assert decode_table(encoded) == table
    assert len(encoded) <= MAX_TABLE_BYTES // 4
    assert len(table.history) <= MAX_HISTORY


@settings(max_examples=150, deadline=None)
@given(MOVES, MOVES)
def test_the_highest_epoch_never_goes_down_and_what_is_committed_has_it(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    first = applied(SlotTable(), before)
    second = applied(first, after)
    assert second.highest_epoch >= first.highest_epoch
    active = second.of(Standing.ACTIVE)
    assert active is None or active.security_epoch <= second.highest_epoch


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_nothing_else_is_a_table(encoded: bytes) -> None:
    with pytest.raises(SlotError):
        decode_table(encoded)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"lsi.slots/1", b"lsi.slots/2"),
        (b'"standing":"active"', b'"standing":"asleep"'),
        (b'"highest_epoch"', b'"highest_epochs"'),
    ],
)
def test_a_table_of_another_format_is_refused_though_its_digest_fits(old: bytes, new: bytes) -> None:
    from edge_app.bundles.slot_table import digest_of_file  # noqa: PLC0415 - for this forgery alone

    line = encode_table(committed()).partition(b"\n")[0].replace(old, new) + b"\n"
    with pytest.raises(SlotError, match="another format"):
        decode_table(line + digest_of_file(line).encode() + b"\n")


def committed(version: str = "1.0.0", epoch: int = 3, table: SlotTable | None = None) -> SlotTable:
    table = table or SlotTable()
    assert table.idle is not None
    moved = slot_changes.staged(table, AT, table.idle, held(version, epoch))
    return slot_changes.committed(slot_changes.activated(moved, AT, offline_ok=False), AT)


def test_a_commit_keeps_the_bundle_before_and_a_second_one_replaces_the_oldest() -> None:
    table = committed("2.0.0", 4, committed())
    assert [(each.version, each.standing) for _, each in table.held()] == [
        ("1.0.0", Standing.PREVIOUS),
        ("2.0.0", Standing.ACTIVE),
    ]
    assert table.idle is SlotName.A


def test_three_tries_and_no_fourth() -> None:
    table = slot_changes.staged(committed(), AT, SlotName.B, held("2.0.0"))
    table = slot_changes.activated(table, AT, offline_ok=False)
    for _ in range(TRIES):
        table = slot_changes.tried(table, AT)
    with pytest.raises(SlotError, match="spent its tries"):
        slot_changes.tried(table, AT)
    back = slot_changes.given_back(table)
    assert slot_changes.tried(back, AT).of(Standing.TRIAL) == table.of(Standing.TRIAL)


def test_a_rollback_leaves_what_is_active_and_says_why() -> None:
    before = committed()
    table = slot_changes.staged(before, AT, SlotName.B, held("2.0.0", 9))
    table = slot_changes.activated(table, AT, offline_ok=False)
    table = slot_changes.rolled_back(table, AT, RollbackReason.SELF_TEST, "full-on")
    assert table.a == before.a
    rejected = table.of(Standing.REJECTED)
    assert rejected is not None
    assert (rejected.reason, rejected.detail) == (RollbackReason.SELF_TEST, "full-on")
    assert table.highest_epoch == 3
    assert table.history[-1].detail == "The rig did not pass its self-test. full-on"
    with pytest.raises(SlotError, match="No bundle is staged"):
        slot_changes.activated(table, AT, offline_ok=False)
    again = slot_changes.activated(table, AT, offline_ok=True, again=True).of(Standing.TRIAL)
    assert again is not None
    assert (again.tries_left, again.reason, again.offline_ok) == (TRIES, None, True)


def test_what_is_in_use_cannot_be_written_over() -> None:
    with pytest.raises(SlotError, match="in use"):
        slot_changes.emptied(committed(), SlotName.A)


def test_when_the_active_bundle_is_lost_the_other_one_steps_in() -> None:
    two = committed("2.0.0", 4, committed())
    active = slot_changes.damaged(two, AT, SlotName.B).of(Standing.ACTIVE)
    assert active is not None
    assert active.version == "1.0.0"
    staged = slot_changes.staged(committed(), AT, SlotName.B, held("2.0.0"))
    assert slot_changes.damaged(staged, AT, SlotName.A).slot_of(Standing.TRIAL) is SlotName.B


def test_a_downgrade_is_counted_and_told() -> None:
    table = slot_changes.staged(committed(), AT, SlotName.B, held("2.0.0", 1, downgrade=True))
    assert table.downgrades == 1
    assert table.history[-1].what is Happened.DOWNGRADE_ALLOWED
    assert table.history[-1].detail == "epoch 1 below 3, by root"


def test_two_bundles_cannot_both_be_active() -> None:
    table = committed()
    with pytest.raises(SlotError, match="Both slots say 'active'"):
        table.with_slots({SlotName.A: table.a, SlotName.B: table.a})
