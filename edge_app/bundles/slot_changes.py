"""The changes of a :class:`SlotTable`, each from one whole table to the next. Nothing here touches a disk."""

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from edge_app.bundles.slot_table import TRIES, Happened, Held, SlotName, SlotTable, Standing
from lsi.errors import SlotError
from lsi.rollback import ROLLBACK_TEXT, RollbackReason

_SEE: Final = "lsi-edge bundle list"


def emptied(table: SlotTable, slot: SlotName) -> SlotTable:
    """``slot`` is about to be written: until that is done it holds nothing.

    Raises:
        SlotError: It is in use.
    """
    held = table[slot]
    if held is not None and held.standing in {Standing.ACTIVE, Standing.TRIAL}:
        raise SlotError(f"Slot {slot} is in use ({held.standing}).", hint=_SEE)
    return table.with_slot(slot, None)


def staged(table: SlotTable, at: str, slot: SlotName, held: Held) -> SlotTable:
    """The file of ``held`` is in ``slot``, whole and on the disk."""
    after = table.with_slot(slot, replace(held, standing=Standing.STAGED))
    after = after.told(at, Happened.INSTALLED, held.label, f"slot {slot}")
    return _with_downgrade(after, at, held) if held.downgrade else after


def activated(table: SlotTable, at: str, *, offline_ok: bool, again: bool = False) -> SlotTable:
    """The staged bundle is to be tried; with ``again`` one that was rejected, where none is staged.

    Raises:
        SlotError: Nothing is staged, or a trial goes on.
    """
    if table.slot_of(Standing.TRIAL) is not None:
        raise SlotError("A trial goes on.", hint=_SEE)
    slot = table.slot_of(Standing.STAGED) or (table.slot_of(Standing.REJECTED) if again else None)
    held = None if slot is None else table[slot]
    if slot is None or held is None:
        raise SlotError("No bundle is staged.", hint="lsi-edge bundle install FILE")
    trial = replace(
        held, standing=Standing.TRIAL, tries_left=TRIES, offline_ok=offline_ok, reason=None, detail=""
    )
    return table.with_slot(slot, trial).told(at, Happened.ACTIVATED, held.label)


def tried(table: SlotTable, at: str) -> SlotTable:
    """A try begins: it is counted before anything can go wrong.

    Raises:
        SlotError: No trial goes on, or its tries are spent.
    """
    slot, held = _on_trial(table)
    if held.tries_left < 1:
        raise SlotError(f"{held.label} has spent its tries.", hint=_SEE)
    left = held.tries_left - 1
    after = table.with_slot(slot, replace(held, tries_left=left))
    return after.told(at, Happened.TRY_BEGAN, held.label, f"{TRIES - left} of {TRIES}")


def given_back(table: SlotTable) -> SlotTable:
    """The service was stopped in good order in mid-trial: that try does not count."""
    slot, held = _on_trial(table)
    return table.with_slot(slot, replace(held, tries_left=min(TRIES, held.tries_left + 1)))


def try_failed(table: SlotTable, at: str, reason: RollbackReason, detail: str) -> SlotTable:
    """A try did not pass; what it lacked is kept for whoever asks."""
    _, held = _on_trial(table)
    return table.told(at, Happened.TRY_FAILED, held.label, f"{ROLLBACK_TEXT[reason]} {detail}")


def committed(table: SlotTable, at: str) -> SlotTable:
    """The bundle on trial passed: it is active, and the one before can be gone back to."""
    slot, held = _on_trial(table)
    before = table[slot.other]
    if before is not None and before.standing is Standing.ACTIVE:
        before = replace(before, standing=Standing.PREVIOUS)
    active = replace(held, standing=Standing.ACTIVE, tries_left=0)
    after = table.with_slots({slot: active, slot.other: before})
    after = replace(after, highest_epoch=max(after.highest_epoch, held.security_epoch))
    return after.told(at, Happened.COMMITTED, held.label)


def rolled_back(table: SlotTable, at: str, reason: RollbackReason, detail: str = "") -> SlotTable:
    """The bundle on trial is rejected; what is active was not touched."""
    slot, held = _on_trial(table)
    rejected = replace(held, standing=Standing.REJECTED, tries_left=0, reason=reason, detail=detail[:200])
    after = table.with_slot(slot, rejected)
    return after.told(at, Happened.ROLLED_BACK, held.label, f"{ROLLBACK_TEXT[reason]} {detail}")


def switched(table: SlotTable, at: str, *, downgrade: bool = False) -> SlotTable:
    """The previous bundle is active again, and the other way round; a downgrade that root allowed is counted.

    Raises:
        SlotError: A trial goes on, or there is no previous bundle.
    """
    slot, active_slot = table.slot_of(Standing.PREVIOUS), table.slot_of(Standing.ACTIVE)
    previous, active = table.of(Standing.PREVIOUS), table.of(Standing.ACTIVE)
    if slot is None or active_slot is None or previous is None or active is None:
        raise SlotError("There is no bundle to go back to.", hint=_SEE)
    after = table.with_slots(
        {
            slot: replace(previous, standing=Standing.ACTIVE),
            active_slot: replace(active, standing=Standing.PREVIOUS),
        }
    )
    detail = f"to {previous.label}. {ROLLBACK_TEXT[RollbackReason.BY_HAND]}"
    after = after.told(at, Happened.ROLLED_BACK, active.label, detail)
    if not downgrade or previous.security_epoch >= table.highest_epoch:
        return after
    return _with_downgrade(after, at, previous)


_STEPS_IN: Final = MappingProxyType(
    {Standing.PREVIOUS: (Standing.ACTIVE, 0), Standing.STAGED: (Standing.TRIAL, TRIES)}
)
"""What becomes of the other bundle when the active one is lost: a sensor should not stay dead."""


def damaged(table: SlotTable, at: str, slot: SlotName) -> SlotTable:
    """The file of ``slot`` is not what was installed: it is empty, and the other one steps in."""
    lost, other = table[slot], table[slot.other]
    if lost is None:
        return table
    if lost.standing is Standing.ACTIVE and other is not None and other.standing in _STEPS_IN:
        standing, tries = _STEPS_IN[other.standing]
        other = replace(other, standing=standing, tries_left=tries)
    after = table.with_slots({slot: None, slot.other: other})
    return after.told(at, Happened.DAMAGED, lost.label, f"slot {slot} is empty now")


def _with_downgrade(table: SlotTable, at: str, held: Held) -> SlotTable:
    detail = f"epoch {held.security_epoch} below {table.highest_epoch}, by root"
    counted = replace(table, downgrades=table.downgrades + 1)
    return counted.told(at, Happened.DOWNGRADE_ALLOWED, held.label, detail)


def _on_trial(table: SlotTable) -> tuple[SlotName, Held]:
    slot = table.slot_of(Standing.TRIAL)
    held = None if slot is None else table[slot]
    if slot is None or held is None:
        raise SlotError("No bundle is on trial.", hint=_SEE)
    return slot, held
