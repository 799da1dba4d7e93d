"""``Changeover``: the running service goes over to another bundle, tries it, keeps it or goes back.

Everything is decided in the thread that scans, between two scans. Others change the table on the disk:
``lsi-edge bundle`` and the command ``update``; a look at the file before each scan tells.
"""

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.bundles.admission import Admitted
from edge_app.bundles.changes import SlotStatus
from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import TRIES, SlotName, SlotTable, Standing
from edge_app.bundles.trial import PATIENCE_NS, Failure, Trial
from edge_app.disclosure.disclosure_change import lets_out_more
from firmware.interfaces import Clock
from firmware.rig import Rig
from lsi.bundle import contents_of, open_archive
from lsi.command_documents import Accepted, Reason, Refused, Reply
from lsi.disclosure import DisclosurePolicy
from lsi.errors import BundleError, LsiError, RigError, ScanError, SlotError
from lsi.rollback import ROLLBACK_TEXT, RollbackReason
from lsi.units import NS_PER_S

logger = logging.getLogger(__name__)

RETRY_NS: Final = 3 * NS_PER_S
"""Between two tries: what disturbed the first, a person who walks by, may be over."""
BROKEN_NS: Final = 60 * NS_PER_S
"""Until a disk that cannot be written is asked again."""

Admit = Callable[[bytes, Path], Admitted]
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The bundle that runs, and its slot; ``None`` for the one that the configuration names."""

    admitted: Admitted
    slot: SlotName | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a device says about changes: policy, pause between scans, and what a bundle has to pass.

    ``patience_ns`` is what a try may take beyond its scans. ``factory``
    gives the bundle that the configuration names, checked; ``None`` where it names none.
    """

    policy: DisclosurePolicy
    interval_ns: int
    today: dt.date
    admit: Admit
    factory: Callable[[], Admitted | None]
    patience_ns: int = PATIENCE_NS


class Changeover:
    """``Changes`` between the slots of a device.

    Args:
        store: The slots.
        running: What the service starts with.
        rules: See ``Rules``.
        clock: Monotonic time.
        acknowledged: How many messages the broker has acknowledged since the start.
    """

    def __init__(
        self,
        store: SlotStore,
        running: Origin,
        rules: Rules,
        *,
        clock: Clock,
        acknowledged: Callable[[], int],
    ) -> None:
        self._store = store
        self._running = running
        self._proven = running.admitted.bundle.manifest.version
        self._rules = rules
        self._clock = clock
        self._acknowledged = acknowledged
        self._trial: Trial | None = None
        self._is_entered = False
        self._next_try_ns = clock.now_ns()
        self._stamp: Stamp = None
        self._table = SlotTable()
        self._status = SlotStatus()
        self._look()

    def due(self, rig: Rig) -> Admitted | None:
        """See ``Changes``; never fails but where nothing is left to run.

        Raises:
            SlotError: The only bundle was rejected.
        """
        has_changed = self._look()
        try:
            return self._due(rig, has_changed=has_changed)
        except (SlotError, BundleError) as error:
            if self._is_lost:
                raise
            logger.warning("The bundle is not changed: %s", error)
            self._next_try_ns = self._clock.now_ns() + BROKEN_NS
            return None

    def entered(self) -> None:
        """See ``Changes``."""
        self._is_entered = True

    def inferred(self) -> None:
        """See ``Changes``."""
        if self._trial is not None and self._is_entered:
            self._trial.inferred()

    def missed(self, error: LsiError) -> None:
        """See ``Changes``."""
        if self._trial is not None and self._is_entered:
            self._trial.missed(error.found)

    def install(self) -> Reply:
        """Have the staged bundle tried, if it lets out no more than the one that runs."""
        table = self._store.table()
        if table.slot_of(Standing.TRIAL) is not None:
            return Refused(Reason.BUSY)
        slot = table.slot_of(Standing.STAGED)
        if slot is None:
            return Refused(Reason.NOTHING_STAGED)
        other = contents_of(open_archive(self._store.content(slot), self._store.path(slot)))
        more = lets_out_more(self._rules.policy, self._running.admitted.bundle, other)
        if more:
            logger.warning(
                "The staged bundle would let out more: %s. Try: lsi-edge bundle activate", ", ".join(more)
            )
            return Refused(Reason.WIDER_POLICY)
        self._store.activate(offline_ok=False)
        return Accepted()

    def status(self) -> SlotStatus | None:
        """See ``Changes``."""
        return self._status

    def close(self) -> None:
        """A trial that the end of the service cut short does not count as a try."""
        if self._trial is None:
            return
        self._trial = None
        try:
            self._store.give_back()
        except SlotError as error:
            logger.warning("The try that ends now counts: %s", error)

    @property
    def _is_lost(self) -> bool:
        """Whether the bundle that runs was rejected and there is no other."""
        slot = self._running.slot
        held = None if slot is None else self._table[slot]
        return held is not None and held.standing is Standing.REJECTED

    def _look(self) -> bool:
        """Read the table where it has changed on the disk; whether it has."""
        stamp = _stamp(self._store.table_path)
        if stamp == self._stamp:
            self._set_status()
            return False
        self._stamp = stamp
        try:
            self._take(self._store.table())
        except SlotError as error:
            logger.warning("%s", error)
            return False
        return True

    def _take(self, table: SlotTable) -> None:
        self._table = table
        self._set_status()

    def _set_status(self) -> None:
        table, trial = self._table, self._trial
        on_trial = table.of(Standing.TRIAL)
        percentage = None if on_trial is None else trial.percentage if trial is not None else 0
        status = SlotStatus(
            staged=table.of(Standing.STAGED) or on_trial,
            installed=self._proven,
            rejected=table.of(Standing.REJECTED),
            percentage=percentage,
            highest_epoch=table.highest_epoch,
            downgrades=table.downgrades,
        )
        if status != self._status:
            self._status = status

    def _due(self, rig: Rig, *, has_changed: bool) -> Admitted | None:
        slot = self._table.slot_of(Standing.TRIAL)
        if slot is None:
            self._trial = None
            return self._home() if has_changed else None
        if self._clock.now_ns() < self._next_try_ns:
            return None
        return self._try(rig, slot) if self._trial is None else self._judged(self._trial)

    def _try(self, rig: Rig, slot: SlotName) -> Admitted | None:
        held = self._table[slot]
        if held is None or held.tries_left == 0:
            return self._back(Failure(RollbackReason.KILLED, f"{TRIES} times"))
        self._take(self._store.begin_try())
        logger.info("Trying %s, %d of %d.", held.label, TRIES - held.tries_left + 1, TRIES)
        try:
            admitted = self._admitted(slot)
        except (BundleError, SlotError) as error:
            return self._back(Failure(RollbackReason.REFUSED, str(error)))
        failure = _self_tested(rig)
        if failure is not None:
            return self._failed(failure)
        acknowledged = None if held.offline_ok else self._acknowledged()
        self._trial = Trial(
            self._clock.now_ns(), self._rules.interval_ns, acknowledged, self._rules.patience_ns
        )
        return self._run(Origin(admitted, slot))

    def _judged(self, trial: Trial) -> Admitted | None:
        acknowledged = self._acknowledged()
        if trial.has_passed(acknowledged):
            self._take(self._store.commit())  # a full disk is asked again, and the trial stays passed
            self._trial = None
            self._proven = self._running.admitted.bundle.manifest.version
            self._set_status()
            logger.info("%s passed its trial and is active.", self._running.admitted.bundle)
            return None
        failure = trial.failure(self._clock.now_ns(), acknowledged)
        return None if failure is None else self._failed(failure)

    def _failed(self, failure: Failure) -> Admitted | None:
        self._trial = None
        logger.warning("The try failed: %s %s", ROLLBACK_TEXT[failure.reason], failure.detail)
        self._take(self._store.fail_try(failure.reason, failure.detail))
        held = self._table.of(Standing.TRIAL)
        if held is not None and held.tries_left > 0:
            self._next_try_ns = self._clock.now_ns() + RETRY_NS
            return None
        return self._back(failure)

    def _back(self, failure: Failure) -> Admitted | None:
        """Reject what is on trial; run what is active, where that does not run anyway."""
        self._trial = None
        self._take(self._store.roll_back(failure.reason, failure.detail))
        rejected = self._table.of(Standing.REJECTED)
        logger.error(
            "Rolled back from %s: %s %s",
            "" if rejected is None else rejected.label,
            ROLLBACK_TEXT[failure.reason],
            failure.detail,
        )
        return self._home()

    def _home(self) -> Admitted | None:
        """What is active according to the table, where that is not what runs; else the factory's bundle."""
        active = self._table.slot_of(Standing.ACTIVE)
        if active is self._running.slot:
            return None
        admitted = self._rules.factory() if active is None else self._admitted(active)
        if admitted is None:
            raise SlotError("The only bundle was rejected.", hint="lsi-edge bundle list")
        self._proven = admitted.bundle.manifest.version
        return self._run(Origin(admitted, active))

    def _admitted(self, slot: SlotName) -> Admitted:
        return self._rules.admit(self._store.content(slot), self._store.path(slot))

    def _run(self, origin: Origin) -> Admitted:
        self._running = origin
        self._is_entered = False
        self._set_status()
        return origin.admitted


def _self_tested(rig: Rig) -> Failure | None:
    # A start that tries nothing is sooner there without it.
    from firmware.selftest import run_selftest  # noqa: PLC0415

    try:
        failed = [check for check in run_selftest(rig) if not check.holds]
    except (RigError, ScanError) as error:
        return Failure(RollbackReason.SELF_TEST, str(error))
    if not failed:
        return None
    names = ", ".join(check.name for check in failed)
    return Failure(RollbackReason.SELF_TEST, f"{names}. Try: {failed[0].advice}")


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
