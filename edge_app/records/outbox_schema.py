"""What the outbox has on the disk: one SQLite file, and how it is opened, judged and erased.

SQLite in WAL with ``synchronous=NORMAL``: a killed process loses nothing, a power cut may lose the
last moments, never the file (https://sqlite.org/pragma.html#pragma_synchronous).
``locking_mode=EXCLUSIVE`` keeps a second program out and makes a ``-shm`` file needless.
"""

import contextlib
import errno
import os
import sqlite3
import stat
import zlib
from enum import IntEnum, StrEnum
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

VERSION: Final = 1
"""``user_version`` of the file; a file with another one is set aside."""

LOCK_WAIT_S: Final = 0.5
"""How long opening waits for another program: the one before us may be on its way out."""

ROW_BYTES: Final = 160
"""Counted for each row beside topic and payload: header, key, index entries, part of a page.
Chosen so that the file stays below 1.25 times the limit with rows of 100 bytes and more."""

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
SIDE_FILES: Final = ("-wal", "-shm", "-journal")
DAMAGED_SUFFIX: Final = ".damaged"


class State(IntEnum):
    """Where a record is on its way; the numbers stand in the file."""

    WAITING = 0
    ACCEPTED = 1
    """The broker has it; kept a while for a replay."""
    DEAD = 2
    """Refused for good."""
    AGAIN = 3
    """Accepted or dead before, and asked for once more."""


class Fault(StrEnum):
    """Why records cannot be kept."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    DAMAGED = "damaged"
    LOCKED = "locked"
    UNUSABLE = "unusable"
    CLOSED = "closed"


ADVICE: Final = {
    Fault.DISK_FULL: "make room on the disk that holds the state folder.",
    Fault.READ_ONLY: "mount the disk writable and give the state folder to the service's user.",
    Fault.DAMAGED: "replace the memory card if this comes back.",
    Fault.LOCKED: "stop the other program that has this outbox open.",
    Fault.UNUSABLE: "check that the state folder exists and that its disk is healthy.",
    Fault.CLOSED: "start the service again.",
}
"""What to try, for each fault."""

StoreError: TypeAlias = sqlite3.Error | OSError | UnicodeDecodeError
"""What a file can make SQLite raise; the last is its message about a damaged one, quoting bytes of it."""

_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: Fault.DISK_FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
    sqlite3.SQLITE_BUSY: Fault.LOCKED,
    sqlite3.SQLITE_LOCKED: Fault.LOCKED,
}
_BY_ERRNO: Final = {
    errno.ENOSPC: Fault.DISK_FULL,
    errno.EDQUOT: Fault.DISK_FULL,
    errno.EROFS: Fault.READ_ONLY,
    errno.EACCES: Fault.READ_ONLY,
    errno.EPERM: Fault.READ_ONLY,
}
_PRIMARY_CODE: Final = 0xFF
"""Extended result codes carry the primary one in their low byte."""

# Before the first access: with EXCLUSIVE set, WAL keeps its index in memory instead of a -shm file.
# temp_store: VACUUM must not write records into /tmp. cache_size: -512 is 512 KiB.
_PRAGMAS: Final = (
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 512",
    "cache_size = -512",
    "cell_size_check = ON",
    "trusted_schema = OFF",
)

# place is the order of insertion. created, expires and due are milliseconds on the outbox's own
# time (outbox_time). crc covers what may never change: stream, seq, kind, topic, created, payload.
# due, tries and state change: a flipped bit there costs a record at most, never its content.
_SIZE: Final = f"(length(CAST({{row}}.topic AS BLOB)) + length({{row}}.payload) + {ROW_BYTES})"
_COUNT: Final = """
    INSERT INTO total (state, rows, bytes) VALUES ({row}.state, {sign}1, {sign}{size})
    ON CONFLICT (state) DO UPDATE SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes;
"""
_ADD: Final = _COUNT.format(row="new", sign="", size=_SIZE.format(row="new"))
_TAKE: Final = _COUNT.format(row="old", sign="-", size=_SIZE.format(row="old"))
_TABLES: Final = f"""
BEGIN;
CREATE TABLE record (
  place INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  topic TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  due INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  state INTEGER NOT NULL DEFAULT 0,
  crc INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE (stream, seq)
) STRICT;
CREATE INDEX turn ON record (state, place);
CREATE TABLE total (state INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
CREATE TABLE stream (place INTEGER PRIMARY KEY, stream TEXT NOT NULL UNIQUE, highest INTEGER NOT NULL) STRICT;
CREATE TABLE mark (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT NOT NULL,
  outbox_ms INTEGER NOT NULL,
  clock_ms INTEGER NOT NULL,
  wall_ms INTEGER,
  crc INTEGER NOT NULL,
  damaged_ms INTEGER
) STRICT;
CREATE TRIGGER added AFTER INSERT ON record BEGIN {_ADD} END;
CREATE TRIGGER removed AFTER DELETE ON record BEGIN {_TAKE} END;
CREATE TRIGGER moved AFTER UPDATE OF state ON record WHEN old.state <> new.state BEGIN {_TAKE} {_ADD} END;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_TIDY: Final = f"""
UPDATE record SET due = 0 WHERE due <> 0;
UPDATE record SET state = {State.WAITING:d} WHERE state NOT IN ({", ".join(f"{state:d}" for state in State)});
DELETE FROM total;
INSERT INTO total SELECT state, count(*), sum({_SIZE.format(row="record")}) FROM record GROUP BY state;
"""  # noqa: S608 - constants of this module


def crc_of(*fields: object, payload: bytes = b"") -> int:
    """CRC-32 over ``fields``, as text between zero bytes, and ``payload``."""
    return zlib.crc32(payload, zlib.crc32("\0".join(map(str, fields)).encode("utf-8", "replace")))


def discard_damaged(db: sqlite3.Connection) -> int:
    """Delete rows that are not what was written, and set right what can be counted again.

    Returns:
        How many rows were deleted.
    """
    rows = db.execute("SELECT place, stream, seq, kind, topic, created, payload, crc FROM record")
    bad = [
        (place,)
        for place, *fields, payload, crc in rows
        if not isinstance(payload, bytes) or crc_of(*fields, payload=payload) != crc
    ]
    db.executemany("DELETE FROM record WHERE place = ?", bad)
    for statement in _TIDY.split(";"):
        db.execute(statement)
    return len(bad)


def fault_of(error: StoreError) -> Fault:
    """The fault that ``error`` is a sign of."""
    if isinstance(error, UnicodeDecodeError):
        return Fault.DAMAGED
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, Fault.UNUSABLE)
    code: int = getattr(error, "sqlite_errorcode", 0)  # only errors that SQLite itself raised have one
    return _BY_CODE.get(code & _PRIMARY_CODE, Fault.UNUSABLE)


def name_of(error: StoreError) -> str:
    """``error`` for a log. SQLite's own message of a damaged file may quote what it found there."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    return name


def open_store(path: Path) -> sqlite3.Connection | None:
    """The database at ``path``, made where there is none, readable by its owner alone.

    Usable from every thread, one at a time.

    Returns:
        ``None`` for a file that is not whole or not ours.

    Raises:
        OSError: Folder or file cannot be made.
        sqlite3.Error: SQLite cannot use the file.
        UnicodeDecodeError: SQLite quotes a damaged one.
    """
    _make_private(path)
    db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        # A flipped bit may break the encoding of a text: the row's checksum decides, not an exception.
        db.text_factory = lambda text: text.decode("utf-8", "replace")
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        if _is_sound(db):
            return db
    except BaseException:
        db.close()
        raise
    db.close()
    return None


def set_aside(path: Path) -> None:
    """Keep the unusable file under another name, in place of the one kept before.

    Raises:
        OSError: The folder cannot be written to.
    """
    erase_damaged(path)
    path.replace(damaged_path(path))
    for suffix in SIDE_FILES:
        _overwrite(side_path(path, suffix))


def erase(path: Path) -> None:
    """Overwrite and remove everything that an outbox at ``path`` ever made, except the folder.

    What a memory card keeps in worn or spare blocks is out of reach.

    Raises:
        OSError: A file cannot be removed.
    """
    for name in (path, damaged_path(path), *(side_path(path, suffix) for suffix in SIDE_FILES)):
        _overwrite(name)


def erase_damaged(path: Path) -> None:
    """Overwrite and remove the file that was set aside, if there is one.

    Raises:
        OSError: The file cannot be removed.
    """
    _overwrite(damaged_path(path))


def is_set_aside(path: Path) -> bool:
    """Whether a damaged file is kept."""
    try:
        damaged_path(path).lstat()
    except OSError:
        return False
    return True


def damaged_path(path: Path) -> Path:
    """Where a damaged file is kept."""
    return side_path(path, DAMAGED_SUFFIX)


def side_path(path: Path, suffix: str) -> Path:
    """A file beside the database, named as SQLite does it."""
    return path.with_name(path.name + suffix)


def _make_private(path: Path) -> None:
    folder = path.parent
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _tighten(folder, FOLDER_MODE)
    # O_NOFOLLOW: nobody may have us write through a link. SQLite gives -wal the mode of the file.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE))
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    _tighten(path, FILE_MODE)
    # SQLite calls a read-only file system an I/O error. Not by opening the file: closing it again
    # would let go of the locks of every connection that this process has to it.
    if not os.access(path, os.W_OK):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


def _tighten(path: Path, mode: int) -> None:
    """Close ``path`` to others, unless it is shared on purpose (/tmp) or not ours."""
    found = path.stat()
    shared = found.st_mode & stat.S_ISVTX
    if found.st_uid == os.geteuid() and not shared and stat.S_IMODE(found.st_mode) & ~mode:
        path.chmod(mode)


def _is_sound(db: sqlite3.Connection) -> bool:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    found = _tables(db)
    if version == 0 and not found:
        db.executescript(_TABLES)
        return True
    # The tables word by word: a flipped bit in a trigger or a column name is no damage to SQLite.
    return version == VERSION and found == _expected_tables() and _is_whole(db)


def _is_whole(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")


def _tables(db: sqlite3.Connection) -> list[tuple[str, str, str, str | None]]:
    return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


@cache
def _expected_tables() -> list[tuple[str, str, str, str | None]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(_TABLES)
        return _tables(db)


def _overwrite(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytes(os.fstat(descriptor).st_size))
        file.flush()
        os.fsync(descriptor)
    path.unlink()
