"""``PrivacyLedger``: what the windows of mode ``agg`` have cost, written before each of them is told.

It fails closed: a ledger that cannot be trusted or written spends nothing, so no window is told. No
command reaches it. Time is the monotonic clock's and the boot's name: a wall clock that is set, forward or
back, neither gives a window nor takes one.
"""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from lsi.errors import LedgerError
from lsi.schema import check
from lsi.whole_file import whole_file

LEDGER_NAME: Final = "privacy-ledger.json"
BEGUN_NAME: Final = "privacy-ledger.begun"
LEDGER_ID: Final = "lsi.privacy-ledger/1"
MAX_LEDGER_BYTES: Final = 4_096
MILLI: Final = 1_000
_MODE: Final = 0o600
_HINT: Final = (
    "sudo lsi-edge policy --new-ledger, if nobody else may have changed it; info tells everybody of it."
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Windows told so far and the sum of their epsilon, in thousandths.

    ``last_ms`` is the end of the last one on the monotonic clock of the boot called ``boot``.
    """

    releases: int = 0
    spent_milli: int = 0
    boot: str = ""
    last_ms: int = 0

    @property
    def epsilon(self) -> float:
        """The sum of epsilon."""
        return self.spent_milli / MILLI


class PrivacyLedger:
    """The ledger in the state folder of one device.

    Args:
        state: The folder.
        boot: Names this boot.

    Raises:
        LedgerError: It was there once and is not, cannot be read, or was changed.
    """

    def __init__(self, state: Path, boot: str) -> None:
        self._state = state
        self._boot = boot
        self._spent = _read(state)

    @property
    def spent(self) -> Spent:
        """What is on record."""
        return self._spent

    def spend(self, epsilon: Fraction, window_ms: int, end_ms: int) -> None:
        """Write down that a window is about to be told; after a power cut it counts as told.

        Args:
            epsilon: What it costs; whole thousandths.
            window_ms: How long it was.
            end_ms: When it ended, on the monotonic clock.

        Raises:
            LedgerError: It overlaps the last one, or the ledger cannot be written.
        """
        before = self._spent
        if before.boot == self._boot and end_ms - before.last_ms < window_ms:
            raise LedgerError("A window would be told that overlaps the last one.", hint="report it.")
        milli = int(epsilon * MILLI)
        after = Spent(before.releases + 1, before.spent_milli + milli, self._boot, end_ms)
        write_ledger(self._state, after)
        self._spent = after


def write_ledger(state: Path, spent: Spent) -> None:
    """Write ``spent`` so that a power cut does not take it back.

    Raises:
        LedgerError: The disk is full, read-only, or the folder is not ours.
    """
    try:
        owner = state.stat()
        (state / BEGUN_NAME).touch(_MODE)
        with whole_file(state / LEDGER_NAME) as file:
            os.fchmod(file.fileno(), _MODE)
            if os.geteuid() == 0:
                for each in (file.fileno(), state / BEGUN_NAME):
                    os.chown(each, owner.st_uid, owner.st_gid)
            file.write(_encoded(spent))
        folder = os.open(state, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as cause:
        found = f"{state / LEDGER_NAME} cannot be written ({cause.strerror})."
        raise LedgerError(found, hint="free space, and a state folder of the service.") from cause


def renewed(state: Path) -> Spent:
    """What a new ledger begins with: what the old one says, where that can be read.

    Raises:
        LedgerError: It cannot be written.
    """
    try:
        begun = replace(_read(state), boot="", last_ms=0)
    except LedgerError:
        begun = Spent()
    write_ledger(state, begun)
    return begun


def _read(state: Path) -> Spent:
    path = state / LEDGER_NAME
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LEDGER_BYTES + 1)
        document: Any = json.loads(content) if len(content) <= MAX_LEDGER_BYTES else None
    except FileNotFoundError as cause:
        if (state / BEGUN_NAME).exists():
            raise LedgerError(f"{path} is gone.", hint=_HINT) from cause
        return Spent()
    except (OSError, ValueError, RecursionError) as cause:
        raise LedgerError(f"{path} cannot be read.", hint=_HINT) from cause
    check(document, "privacy-ledger", error=LedgerError, source=str(path))
    spent = Spent(document["releases"], document["spent_milli"], document["boot"], document["last_ms"])
    if _encoded(spent) != content:
        raise LedgerError(f"{path} was changed.", hint=_HINT)
    return spent


def _encoded(spent: Spent) -> bytes:
    document: dict[str, Any] = {
        "v": LEDGER_ID,
        "releases": spent.releases,
        "spent_milli": spent.spent_milli,
        "boot": spent.boot,
        "last_ms": spent.last_ms,
    }
    # Against bits that flip; who may write the file can count anew.
    digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    return json.dumps({**document, "sha256": digest}).encode()
