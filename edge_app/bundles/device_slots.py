"""The slots of this device, and the bundle that its service starts with."""

import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import Final

from edge_app.bundles.admission import Admitted, Terms, admit, admit_file
from edge_app.bundles.changeover import Origin, Rules
from edge_app.bundles.slot_files import DiskFiles
from edge_app.bundles.slot_lock import table_lock
from edge_app.bundles.slot_store import FOLDER, SlotStore
from edge_app.bundles.slot_table import SlotName, SlotTable, Standing
from edge_app.settings.config import AppConfig
from edge_app.wall_clock import SystemWallClock
from lsi.bundle import open_archive
from lsi.errors import BundleError, SlotError
from lsi.rollback import RollbackReason
from lsi.units import NS_PER_S

logger = logging.getLogger(__name__)

_NOTHING: Final = (
    "lsi-edge bundle install FILE, then lsi-edge bundle activate; or `bundle` in the configuration."
)


def open_slots(state: Path) -> SlotStore:
    """The slots in the state folder of a device; nothing is written yet."""
    return SlotStore(state / FOLDER, DiskFiles(), SystemWallClock().timestamp, partial(table_lock, state))


def admit_content(terms: Terms, content: bytes, source: Path) -> Admitted:
    """Hold a bundle file's bytes to ``terms``; see ``admission.admit``."""
    return admit_file(open_archive(content, source), terms)


def rules_of(config: AppConfig, terms: Terms) -> Rules:
    """What the device says about changes of its bundle."""
    return Rules(
        policy=config.policy,
        interval_ns=round(config.interval_s * NS_PER_S),
        today=terms.today,
        admit=partial(admit_content, terms),
        factory=lambda: None if config.bundle is None else admit(config.bundle, terms),
    )


def starting_bundle(store: SlotStore, rules: Rules) -> Origin:
    """What the service starts with: the active bundle, else the previous, the factory's, the one on trial.

    The slots are put in order first. A trial that goes on is not begun here but for want of anything else.

    Raises:
        SlotError: There is nothing to run.
        BundleError: The factory's bundle, or the only one on trial, does not pass.
    """
    table = store.begin()
    for standing in (Standing.ACTIVE, Standing.PREVIOUS):
        found = _admitted(store, table, standing, rules)
        if found is not None:
            return found
    factory = rules.factory()
    if factory is not None:
        return Origin(factory, None)
    return _on_trial(store, table, rules)


def running_bundle(store: SlotStore, rules: Rules) -> Admitted:
    """What a service would run now; for looking, nothing is changed.

    Raises:
        SlotError: Nothing, or the slots cannot be read.
    """
    slot = store.table().slot_of(Standing.ACTIVE)
    if slot is not None:
        return rules.admit(store.content(slot), store.path(slot))
    factory = rules.factory()
    if factory is None:
        raise SlotError("No bundle is active.", hint=_NOTHING)
    return factory


def _admitted(store: SlotStore, table: SlotTable, standing: Standing, rules: Rules) -> Origin | None:
    slot = table.slot_of(standing)
    if slot is None:
        return None
    try:
        origin = Origin(rules.admit(store.content(slot), store.path(slot)), slot)
    except (BundleError, SlotError) as error:
        logger.error("The %s bundle cannot run: %s", standing, error)  # noqa: TRY400 - no fault of the code
        _note(store, table, slot, str(error))
        return None
    if standing is Standing.PREVIOUS:
        logger.warning("Going back to the previous bundle.")
        with contextlib.suppress(SlotError):
            store.switch()
    return origin


def _note(store: SlotStore, table: SlotTable, slot: SlotName, detail: str) -> None:
    held = table[slot]
    with contextlib.suppress(SlotError):
        store.refuse("" if held is None else held.label, detail)


def _on_trial(store: SlotStore, table: SlotTable, rules: Rules) -> Origin:
    """The first bundle of a device that has no other: it is entered at once, the trial goes on from there."""
    slot = table.slot_of(Standing.TRIAL)
    held = None if slot is None else table[slot]
    if slot is None or held is None:
        raise SlotError("No bundle is active.", hint=_hint(table))
    if held.tries_left == 0:
        store.roll_back(RollbackReason.KILLED)
        raise SlotError(f"{held.label} did not survive its tries.", hint="lsi-edge bundle list")
    try:
        return Origin(rules.admit(store.content(slot), store.path(slot)), slot)
    except (BundleError, SlotError) as error:
        store.roll_back(RollbackReason.REFUSED, str(error))
        raise


def _hint(table: SlotTable) -> str:
    if table.slot_of(Standing.STAGED) is not None:
        return "one is staged: lsi-edge bundle activate"
    if table.slot_of(Standing.REJECTED) is not None:
        return "lsi-edge bundle list says why; then install another, or activate it again."
    return _NOTHING
