"""``SlotStore``: two slots for bundles and a table about them, whole at every moment.

    STATE/bundles/a.lsib, b.lsib    a bundle each, as it was signed
    STATE/bundles/slots.json        the table; its rename is what makes a change happen
    STATE/bundles/*.new             being written; removed at the next start

A slot is written only while the table says that it is empty. So whatever moment the power goes at, every
slot that the table names is whole, and the active one was not touched.
"""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_app.bundles import slot_changes
from edge_app.bundles.slot_files import UNFINISHED, Files, lay_down, put, take_up, unfinished_of
from edge_app.bundles.slot_table import (
    Happened,
    Held,
    SlotName,
    SlotTable,
    Standing,
    decode_table,
    digest_of_file,
    encode_table,
)
from lsi.bundle import open_archive
from lsi.errors import BundleError, SlotError
from lsi.manifest import BundleManifest
from lsi.rollback import RollbackReason

logger = logging.getLogger(__name__)

FOLDER: Final = "bundles"
TABLE: Final = "slots.json"
SUFFIX: Final = ".lsib"

Lock = Callable[[], contextlib.AbstractContextManager[None]]
Change = Callable[[SlotTable], SlotTable]


class SlotStore:
    """The slots of one device.

    Args:
        folder: Where they lie; made when the first bundle is installed.
        files: The disk.
        now: The time of day, for the history.
        lock: Held while the table is read and written; others wait.
    """

    def __init__(self, folder: Path, files: Files, now: Callable[[], str], lock: Lock) -> None:
        self._folder = folder
        self._files = files
        self._now = now
        self._lock = lock

    def path(self, slot: SlotName) -> Path:
        """Where the bundle of ``slot`` lies."""
        return self._folder / f"{slot}{SUFFIX}"

    @property
    def table_path(self) -> Path:
        """Where the table lies."""
        return self._folder / TABLE

    def table(self) -> SlotTable:
        """The table as it is on the disk; an empty one where nothing was ever installed.

        Raises:
            SlotError: It is damaged or cannot be read.
        """
        try:
            encoded = self._files.read(self.table_path)
        except OSError as cause:
            raise _failed("read", self.table_path, cause) from cause
        return SlotTable() if encoded is None else decode_table(encoded)

    def content(self, slot: SlotName) -> bytes:
        """The bundle file in ``slot``.

        Raises:
            SlotError: The slot is empty, or its file is not the one that was installed.
        """
        held = self.table()[slot]
        content = None if held is None else self._sound(slot, held)
        if content is None:
            raise SlotError(f"Slot {slot} holds no whole bundle.", hint="lsi-edge bundle install FILE")
        return content

    def begin(self) -> SlotTable:
        """Look at everything as the service starts, and put right what a power cut or a worn card left.

        Never fails: what cannot be written down holds for this start alone.
        """
        if not self._files.names(self._folder):
            return SlotTable()
        try:
            with self._lock():
                return self._recovered()
        except (OSError, SlotError) as error:
            logger.warning("%s cannot be put in order: %s", self._folder, error)
            return self._readable()

    def install(self, content: bytes, manifest: BundleManifest, *, downgrade: bool = False) -> SlotName:
        """Put a bundle that was checked into the idle slot, staged.

        Raises:
            SlotError: A trial goes on, or the disk is full, read-only or gone; what was there stays.
        """
        try:
            with self._lock():
                return self._install(content, manifest, downgrade=downgrade)
        except OSError as cause:
            raise _failed("installed in", self._folder, cause) from cause

    def change(self, change: Change) -> SlotTable:
        """Exchange the table for ``change`` of it.

        Raises:
            SlotError: ``change`` refuses, or the table cannot be written: the old one holds.
        """
        try:
            with self._lock():
                after = change(self.table())
                self._write(after)
                return after
        except OSError as cause:
            raise _failed("written", self.table_path, cause) from cause

    def activate(self, *, offline_ok: bool, again: bool = False) -> SlotTable:
        """Have the staged bundle tried; see ``slot_changes.activated``."""
        return self.change(
            lambda table: slot_changes.activated(table, self._now(), offline_ok=offline_ok, again=again)
        )

    def begin_try(self) -> SlotTable:
        """Count a try before it begins."""
        return self.change(lambda table: slot_changes.tried(table, self._now()))

    def give_back(self) -> SlotTable:
        """A try ended with the service, in good order."""
        return self.change(slot_changes.given_back)

    def fail_try(self, reason: RollbackReason, detail: str) -> SlotTable:
        """Write down why a try failed."""
        return self.change(lambda table: slot_changes.try_failed(table, self._now(), reason, detail))

    def commit(self) -> SlotTable:
        """The bundle on trial passed."""
        return self.change(lambda table: slot_changes.committed(table, self._now()))

    def roll_back(self, reason: RollbackReason, detail: str = "") -> SlotTable:
        """The bundle on trial is rejected."""
        return self.change(lambda table: slot_changes.rolled_back(table, self._now(), reason, detail))

    def switch(self, *, downgrade: bool = False) -> SlotTable:
        """The previous bundle is active again; ``downgrade``: root allowed a lower security epoch."""
        return self.change(lambda table: slot_changes.switched(table, self._now(), downgrade=downgrade))

    def refuse(self, label: str, detail: str) -> SlotTable:
        """Write down that a bundle was not taken."""
        try:
            self._files.make_folder(self._folder)
        except OSError as cause:
            raise _failed("made", self._folder, cause) from cause
        return self.change(lambda table: table.told(self._now(), Happened.REFUSED, label, detail))

    def _install(self, content: bytes, manifest: BundleManifest, *, downgrade: bool) -> SlotName:
        table = self.table()
        slot = table.idle
        if slot is None:
            raise SlotError("A trial goes on.", hint="wait for its end: lsi-edge bundle list")
        held = Held.of(content, manifest, self._now(), Standing.STAGED, downgrade=downgrade)
        path = self.path(slot)
        self._lay_down(path, content)
        emptied = slot_changes.emptied(table, slot)
        self._write(emptied)
        take_up(self._files, path)
        if self._sound(slot, held) is None:
            raise SlotError(f"Slot {slot} does not hold what was written to it.", hint="another memory card.")
        self._write(slot_changes.staged(emptied, self._now(), slot, held))
        return slot

    def _lay_down(self, path: Path, content: bytes) -> None:
        """What mostly fails, a full disk, fails here, and the old bundle is still in its slot."""
        self._files.make_folder(self._folder)
        try:
            lay_down(self._files, path, content)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.unlink(unfinished_of(path))
            raise

    def _recovered(self) -> SlotTable:
        before = self._read_or_rebuilt()
        after = self._looked_through(before)
        if after != before or self._files.read(self.table_path) != encode_table(after):
            self._write(after)
        self._tidy(after)
        return after

    def _readable(self) -> SlotTable:
        """What can be made of a disk that cannot be written, and may not even be read."""
        try:
            return self._looked_through(self._read_or_rebuilt())
        except OSError:
            return SlotTable()

    def _read_or_rebuilt(self) -> SlotTable:
        try:
            encoded = self._files.read(self.table_path)
            return self._rebuilt() if encoded is None else decode_table(encoded)
        except SlotError as error:
            logger.warning("%s It is made anew from what is in the slots.", error.found)
            return self._rebuilt()

    def _rebuilt(self) -> SlotTable:
        """A table of the bundles that are there: the newest is active. Their signatures are checked later."""
        found: dict[SlotName, Held] = {}
        for slot in SlotName:
            content = self._files.read(self.path(slot))
            manifest = None if content is None else _manifest(content, self.path(slot))
            if content is not None and manifest is not None:
                found[slot] = Held.of(content, manifest, self._now(), Standing.PREVIOUS)
        if not found:
            return SlotTable()
        newest = max(found, key=lambda slot: _age(found[slot]))
        active = replace(found[newest], standing=Standing.ACTIVE)
        table = SlotTable().with_slots({newest: active, newest.other: found.get(newest.other)})
        highest = max(held.security_epoch for held in found.values())
        return replace(table, highest_epoch=highest).told(self._now(), Happened.REBUILT, active.label)

    def _looked_through(self, table: SlotTable) -> SlotTable:
        for slot, held in tuple(table.held()):
            if self._sound(slot, held) is None:
                logger.warning("Slot %s does not hold %s any more: its file is damaged.", slot, held.label)
                table = slot_changes.damaged(table, self._now(), slot)
        return table

    def _sound(self, slot: SlotName, held: Held) -> bytes | None:
        try:
            content = self._files.read(self.path(slot))
        except OSError as error:
            logger.warning("Slot %s cannot be read (%s).", slot, error.strerror)
            return None
        return content if content is not None and digest_of_file(content) == held.digest else None

    def _tidy(self, table: SlotTable) -> None:
        empty = {self.path(slot).name for slot in SlotName if table[slot] is None}
        for name in self._files.names(self._folder):
            if name in empty or name.endswith(UNFINISHED):
                self._files.unlink(self._folder / name)

    def _write(self, table: SlotTable) -> None:
        put(self._files, self.table_path, encode_table(table))


def _failed(what: str, path: Path, cause: OSError) -> SlotError:
    found = f"{path} cannot be {what} ({cause.strerror or cause})."
    return SlotError(found, hint="free space, a disk that can be written, and the user of the service.")


def _manifest(content: bytes, path: Path) -> BundleManifest | None:
    try:
        return open_archive(content, path).manifest
    except BundleError:
        return None


def _age(held: Held) -> tuple[int, tuple[int, ...]]:
    return held.security_epoch, tuple(map(int, held.version.split(".")))
