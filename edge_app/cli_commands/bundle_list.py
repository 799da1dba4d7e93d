"""What ``lsi-edge bundle list`` says about the slots."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_app.bundles.slot_table import TRIES, Held, SlotName, SlotTable, Standing
from lsi.rollback import ROLLBACK_TEXT


def as_document(table: SlotTable) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "slots": {slot.value: None if (held := table[slot]) is None else _slot(held) for slot in SlotName},
        "highest_epoch": table.highest_epoch,
        "downgrades": table.downgrades,
        "history": [asdict(line) for line in table.history],
    }


def as_lines(table: SlotTable, factory: Path | None) -> Iterator[str]:
    """For people, the newest thing that happened last."""
    for slot in SlotName:
        yield from _slot_lines(slot, table[slot])
    if table.slot_of(Standing.ACTIVE) is None:
        runs = "nothing" if factory is None else f"the factory's bundle, {factory}"
        yield f"No slot is active: what runs is {runs}."
    yield f"Highest security epoch: {table.highest_epoch}; lower ones allowed by root: {table.downgrades}."
    if table.history:
        yield "History:"
    for line in table.history:
        yield f"  {line.at}  {line.what:17}  {line.bundle}  {line.detail}".rstrip()


def _slot(held: Held) -> dict[str, Any]:
    return {
        **asdict(held),
        "text": "" if held.reason is None else ROLLBACK_TEXT[held.reason],
    }


def _slot_lines(slot: SlotName, held: Held | None) -> Iterator[str]:
    if held is None:
        yield f"{slot}  empty"
        return
    yield f"{slot}  {held.standing:8}  {held.label}  epoch {held.security_epoch}  since {held.installed_at}"
    if held.standing is Standing.TRIAL:
        yield f"   tries left: {held.tries_left} of {TRIES}"
    if held.reason is not None:
        yield f"   {ROLLBACK_TEXT[held.reason]} {held.detail}".rstrip()
