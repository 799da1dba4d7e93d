"""``PolicyRecord``: the widest policy that was allowed on this device, and each time it was widened.

A configuration may narrow the policy at any start, and the record follows. To widen it takes
``lsi-edge policy --widen``, run by root on the device; ``info`` tells when that was, for everybody to see.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import DisclosureError
from lsi.schema import check
from lsi.status import Widening
from lsi.whole_file import whole_file

logger = logging.getLogger(__name__)

RECORD_NAME: Final = "policy.json"
RECORD_ID: Final = "lsi.policy-record/1"
MAX_RECORD_BYTES: Final = 131_072
MAX_WIDENED: Final = 1_000
_MODE: Final = 0o600
WIDEN: Final = "sudo lsi-edge policy --widen"


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """Mode and attributes that may be let out without another widening."""

    mode: PayloadMode
    attributes: frozenset[str]
    widened: tuple[Widening, ...] = ()

    def covers(self, policy: DisclosurePolicy) -> bool:
        """Whether ``policy`` lets out no more than this."""
        return policy.mode.rank <= self.mode.rank and policy.allowed <= self.attributes

    def of(self, policy: DisclosurePolicy) -> "PolicyRecord":
        """The record once ``policy`` is in force."""
        return replace(self, mode=policy.mode, attributes=policy.allowed)


def read_record(state: Path) -> PolicyRecord:
    """The record of the device whose state folder is ``state``; without one, the default policy.

    Raises:
        DisclosureError: It cannot be read, or is none: what was allowed is not known, so nothing is.
    """
    path = state / RECORD_NAME
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECORD_BYTES + 1)
        document = json.loads(content) if len(content) <= MAX_RECORD_BYTES else None
    except FileNotFoundError:
        default = DisclosurePolicy()
        return PolicyRecord(default.mode, default.allowed)
    except (OSError, ValueError, RecursionError) as cause:
        raise DisclosureError(f"{path} cannot be read.", hint=WIDEN) from cause
    check(document, "policy-record", error=DisclosureError, source=str(path))
    return _parsed(document)


def hold_to_record(state: Path, policy: DisclosurePolicy) -> Sequence[Widening]:
    """Refuse a policy that is wider than the record, and let the record follow one that is narrower.

    Returns:
        Every widening so far, oldest first.

    Raises:
        DisclosureError: The policy is wider, or the record cannot be read.
    """
    record = read_record(state)
    if not record.covers(policy):
        found = f"The configuration lets out more than this device was allowed to: {_more(record, policy)}."
        raise DisclosureError(found, hint=f"{WIDEN}, if that is meant; info tells everybody of it.")
    narrower = record.of(policy)
    if narrower != record:
        try:
            _write(state, narrower)
        except DisclosureError as error:  # what is in force is narrow enough all the same
            logger.warning("%s A later widening to what it says now will not show.", error.found)
    return record.widened


def widen(state: Path, policy: DisclosurePolicy, ts: str) -> bool:
    """Allow ``policy`` from now on; whether it is wider than before.

    A record that cannot be read is written anew, and that counts as a widening.

    Raises:
        DisclosureError: It cannot be written.
    """
    try:
        record = read_record(state)
    except DisclosureError:
        record = PolicyRecord(PayloadMode.AGG, frozenset())
    if record.covers(policy):
        return False
    widened = (*record.widened, Widening(ts, policy.mode))[-MAX_WIDENED:]
    _write(state, replace(record.of(policy), widened=widened))
    return True


def put_on_record(state: Path, ts: str, mode: PayloadMode) -> None:
    """Put something on record that lets the device tell more, without a change of the policy.

    Raises:
        DisclosureError: The record cannot be read or written.
    """
    before = read_record(state)
    _write(state, replace(before, widened=(*before.widened, Widening(ts, mode))[-MAX_WIDENED:]))


def _more(so_far: PolicyRecord, policy: DisclosurePolicy) -> str:
    wider = (
        [f"mode '{policy.mode}' instead of '{so_far.mode}'"] if policy.mode.rank > so_far.mode.rank else []
    )
    return ", ".join([*wider, *sorted(policy.allowed - so_far.attributes)])


def _parsed(document: Any) -> PolicyRecord:  # noqa: ANN401 - parsed JSON
    widened = tuple(Widening(each["ts"], PayloadMode(each["mode"])) for each in document["widened"])
    return PolicyRecord(PayloadMode(document["mode"]), frozenset(document["attributes"]), widened)


def _write(state: Path, record: PolicyRecord) -> None:
    """In one step, and for the owner of the folder alone, also where root writes it."""
    document = {
        "v": RECORD_ID,
        "mode": record.mode,
        "attributes": sorted(record.attributes),
        "widened": [{"ts": each.ts, "mode": each.mode} for each in record.widened],
    }
    try:
        owner = state.stat()
        with whole_file(state / RECORD_NAME) as file:
            os.fchmod(file.fileno(), _MODE)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(json.dumps(document, indent=1).encode())
    except OSError as cause:
        found = f"{state / RECORD_NAME} cannot be written ({cause.strerror})."
        raise DisclosureError(found, hint="the state folder of the service, and free space.") from cause
