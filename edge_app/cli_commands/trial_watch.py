"""Waiting at the device until a trial is over."""

import time
from collections.abc import Callable
from typing import Final

from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import Held, SlotTable, Standing
from lsi.errors import TrialFailedError
from lsi.rollback import ROLLBACK_TEXT

POLL_S: Final = 0.25


def watch_trial(
    store: SlotStore,
    held: Held,
    say: Callable[[dict[str, object]], None],
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Return 0 when the bundle ``held`` has become the active one; says each try.

    Raises:
        TrialFailedError: The device went back, with the reason.
        SlotError: The slots cannot be read.
    """
    tries = -1
    while True:
        table = store.table()
        now = _same(table, held)
        if now is None or now.standing is not Standing.TRIAL:
            return _ended(now, held, say)
        if now.tries_left != tries:
            tries = now.tries_left
            say({"standing": "trial", "bundle": held.label, "tries_left": tries})
        wait(POLL_S)


def _same(table: SlotTable, held: Held) -> Held | None:
    return next((each for _, each in table.held() if each.digest == held.digest), None)


def _ended(now: Held | None, held: Held, say: Callable[[dict[str, object]], None]) -> int:
    if now is not None and now.standing in {Standing.ACTIVE, Standing.PREVIOUS}:
        say({"standing": now.standing, "bundle": held.label})
        return 0
    reason = "" if now is None or now.reason is None else ROLLBACK_TEXT[now.reason]
    detail = "" if now is None else now.detail
    raise TrialFailedError(
        f"{held.label} was rolled back. {reason} {detail}".strip(), hint="lsi-edge bundle list"
    )
