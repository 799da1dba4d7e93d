"""``Store``: the database of the outbox, kept usable; what cannot be done is said, never raised."""

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from edge_app.records.outbox_schema import (
    ADVICE,
    DAMAGED_SUFFIX,
    Fault,
    StoreError,
    erase,
    fault_of,
    name_of,
    open_store,
    set_aside,
)
from firmware.interfaces import Clock
from lsi.units import NS_PER_S

logger = logging.getLogger(__name__)

T = TypeVar("T")

REOPEN_NS: Final = 30 * NS_PER_S
"""Between two attempts to open a file that cannot be opened."""
REWRITE_PAGES: Final = 512
"""Up to 2 MiB the file is rewritten after every wipe."""
REWRITE_NS: Final = 600 * NS_PER_S
"""Larger files are rewritten at most this often: each time costs their size in writes to a memory card."""


class Store:
    """One connection, shared by threads that take turns (the caller holds a lock).

    Args:
        path: The file. Its folder is the outbox's own.
        clock: Paces attempts to open.
        on_open: Takes stock of the file after every opening, in one transaction.
    """

    def __init__(self, path: Path, clock: Clock, on_open: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._clock = clock
        self._on_open = on_open
        self._db: sqlite3.Connection | None = None
        self._fault: Fault | None = None
        self._retry_ns = clock.now_ns()
        self._rewritten_ns = clock.now_ns()

    @property
    def fault(self) -> Fault | None:
        """Why records cannot be kept, or ``None``."""
        return self._fault

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What ``work`` returns, or ``None`` where the file cannot be read."""
        return self._attempt(work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do ``work`` whole or not at all; ``None`` for not at all.

        ``work`` may run twice, the second time on a new file.
        """

        def transaction(db: sqlite3.Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            done = work(db)
            db.execute("COMMIT")
            self._recovered()
            return done

        return self._attempt(transaction)

    def leave_no_trace(self) -> bool:
        """Remove from the disk what deleted rows left behind; whether that was everything.

        secure_delete overwrites a deleted row, but not the copies that SQLite makes when it
        moves rows between pages: these go when the file is rewritten.
        """
        return bool(self._attempt(self._wipe_traces))

    def close(self) -> None:
        """End; nothing is kept from now on."""
        self._disconnect()
        self._fault = Fault.CLOSED

    def erase(self) -> None:
        """End, and leave nothing on the disk.

        Raises:
            OSError: A file cannot be removed.
        """
        self.close()
        erase(self._path)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        for _ in range(2):  # a damaged file is set aside: the second time goes to a new one
            try:
                db = self._connected()
                if db is None:
                    return None
                return work(db)
            except (sqlite3.Error, OSError, UnicodeDecodeError) as cause:
                self._failed(cause)
            finally:
                self._roll_back()
        return None

    def _connected(self) -> sqlite3.Connection | None:
        if self._db is None and self._fault is not Fault.CLOSED and self._clock.now_ns() >= self._retry_ns:
            self._retry_ns = self._clock.now_ns() + REOPEN_NS
            self._db = db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            self._on_open(db)
            db.execute("COMMIT")
            self._recovered()
        return self._db

    def _opened(self) -> sqlite3.Connection:
        db = open_store(self._path)
        if db is None:
            self._set_aside("it is not a whole outbox of this version")
            db = open_store(self._path)
        if db is None:
            raise sqlite3.OperationalError("a new file is not whole either")
        return db

    def _failed(self, cause: StoreError) -> None:
        fault = fault_of(cause)
        if fault is not Fault.DISK_FULL:  # then the file is whole, and there may be room any time
            self._disconnect()
        if fault is not Fault.DAMAGED:
            self._enter(fault, cause)
            return
        try:
            self._set_aside(name_of(cause))
        except OSError as refused:
            self._enter(fault_of(refused), refused)
        else:
            self._retry_ns = self._clock.now_ns()

    def _roll_back(self) -> None:
        if self._db is not None and self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def _set_aside(self, reason: str) -> None:
        set_aside(self._path)
        found = f"Outbox {self._path} was damaged ({reason}); it is kept as {DAMAGED_SUFFIX}"
        logger.warning("%s and a new one begins. Try: %s", found, ADVICE[Fault.DAMAGED])

    def _enter(self, fault: Fault, cause: StoreError) -> None:
        if fault is not self._fault:
            self._fault = fault
            found = f"Outbox {self._path} keeps no records ({name_of(cause)})"
            logger.warning("%s. Try: %s", found, ADVICE[fault])

    def _recovered(self) -> None:
        if self._fault is not None:
            self._fault = None
            logger.info("Outbox %s keeps records again.", self._path)

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _wipe_traces(self, db: sqlite3.Connection) -> bool:
        now_ns = self._clock.now_ns()
        pages: int = db.execute("PRAGMA page_count").fetchone()[0]
        rewrite = pages <= REWRITE_PAGES or now_ns - self._rewritten_ns >= REWRITE_NS
        if rewrite:
            db.execute("VACUUM")
            self._rewritten_ns = now_ns
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return rewrite
