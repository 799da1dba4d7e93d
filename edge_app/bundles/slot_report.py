"""What the slots are told as: in ``info``, ``update`` and ``health``."""

from dataclasses import replace

from edge_app.bundles.changes import SlotStatus
from lsi.manifest import BundleManifest
from lsi.problems import Problem
from lsi.status import RollbackTold, SlotsTold
from lsi.update_state import UpdateState


def update_of(running: BundleManifest, slots: SlotStatus | None) -> UpdateState:
    """A bundle on trial runs already; it counts as installed once it has passed."""
    if slots is None or slots.staged is None:
        return UpdateState(running.version, running.version)
    installed = running.version if slots.percentage is None else slots.installed or running.version
    return UpdateState(
        installed, slots.staged.version, slots.percentage is not None, slots.percentage, slots.staged.name
    )


def problems_of_slots(slots: SlotStatus | None) -> frozenset[Problem]:
    """A bundle that the device went back from stays a problem until another one is installed."""
    is_rejected = slots is not None and slots.rejected is not None
    return frozenset({Problem.BUNDLE_ROLLBACK} if is_rejected else ())


def without_progress(slots: SlotStatus | None) -> SlotStatus | None:
    """The same for every percentage of one trial."""
    if slots is None or slots.percentage is None:
        return slots
    return replace(slots, percentage=0)


def slots_told(running: BundleManifest, slots: SlotStatus | None) -> SlotsTold | None:
    """The part of ``info``; ``None`` where there are no slots."""
    if slots is None:
        return None
    rejected = slots.rejected
    went_back = None
    if rejected is not None and rejected.reason is not None:
        went_back = RollbackTold(rejected.name, rejected.version, rejected.content_id[:8], rejected.reason)
    return SlotsTold(
        is_trial=slots.percentage is not None,
        security_epoch=running.security_epoch,
        highest_epoch=slots.highest_epoch,
        downgrades=slots.downgrades,
        rollback=went_back,
    )
