"""``SlotTable``: what is in the two slots for bundles, as a value. Each change gives a new table.

             install              activate            gate passed
empty ─────────────────► staged ──────────► trial ─────────────────► active
  ▲                        ▲                  │ three tries failed      │ another is committed
  │ damaged                │ install          ▼                         ▼
  └──────────────────── (any but active, trial): rejected           previous
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from lsi.errors import SlotError
from lsi.manifest import BundleManifest, canonical_json
from lsi.rollback import RollbackReason

FORMAT: Final = "lsi.slots/1"
TRIES: Final = 3
MAX_HISTORY: Final = 24
MAX_DETAIL: Final = 200
MAX_TABLE_BYTES: Final = 65_536


class SlotName(StrEnum):
    """The two slots."""

    A = "a"
    B = "b"

    @property
    def other(self) -> "SlotName":
        """The slot that is not this one."""
        return SlotName.B if self is SlotName.A else SlotName.A


class Standing(StrEnum):
    """What a bundle in a slot is there for; see the drawing above."""

    STAGED = "staged"
    TRIAL = "trial"
    ACTIVE = "active"
    PREVIOUS = "previous"
    REJECTED = "rejected"


class Happened(StrEnum):
    """What the history of the slots tells."""

    INSTALLED = "installed"
    ACTIVATED = "activated"
    TRY_BEGAN = "try began"
    TRY_FAILED = "try failed"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    REFUSED = "refused"
    DAMAGED = "damaged"
    REBUILT = "rebuilt"
    DOWNGRADE_ALLOWED = "downgrade allowed"


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle in a slot.

    ``digest`` is the SHA-256 of the file, so that a damaged one is known without opening it.
    ``tries_left`` counts for a trial, ``reason`` and ``detail`` tell why it was rejected.
    ``offline_ok``: no answer of a broker is waited for. ``downgrade``: root allowed a lower epoch.
    """

    name: str
    version: str
    content_id: str
    security_epoch: int
    digest: str
    installed_at: str
    standing: Standing
    tries_left: int = 0
    offline_ok: bool = False
    downgrade: bool = False
    reason: RollbackReason | None = None
    detail: str = ""

    @property
    def label(self) -> str:
        """Name, version and short id."""
        return f"{self.name} {self.version} {self.content_id[:8]}"

    @classmethod
    def of(
        cls, content: bytes, manifest: BundleManifest, at: str, standing: Standing, *, downgrade: bool = False
    ) -> "Held":
        """What is to be known of the bundle file ``content``."""
        return cls(
            name=manifest.name,
            version=manifest.version,
            content_id=manifest.content_id,
            security_epoch=manifest.security_epoch,
            digest=digest_of_file(content),
            installed_at=at,
            standing=standing,
            downgrade=downgrade,
        )


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the history; ``at`` is the device's time of day, which may be wrong."""

    at: str
    what: Happened
    bundle: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SlotTable:
    """The two slots and what happened to them.

    ``highest_epoch`` is the highest ``security_epoch`` that was ever committed; it never goes down.

    Raises:
        SlotError: Two bundles with a standing that only one can have.
    """

    a: Held | None = None
    b: Held | None = None
    highest_epoch: int = 0
    downgrades: int = 0
    history: tuple[Happening, ...] = ()

    def __post_init__(self) -> None:
        if self.a is not None and self.b is not None and self.a.standing is self.b.standing:
            if self.a.standing is not Standing.REJECTED:
                raise SlotError(f"Both slots say '{self.a.standing}'.", hint=REBUILD)
        elif self.slot_of(Standing.PREVIOUS) and not self.slot_of(Standing.ACTIVE):
            raise SlotError("A slot says 'previous' and none is active.", hint=REBUILD)

    def __getitem__(self, slot: SlotName) -> Held | None:
        """What is in ``slot``."""
        return self.a if slot is SlotName.A else self.b

    def held(self) -> Iterator[tuple[SlotName, Held]]:
        """The slots that are not empty."""
        for slot in SlotName:
            held = self[slot]
            if held is not None:
                yield slot, held

    def slot_of(self, standing: Standing) -> SlotName | None:
        """The first slot with that standing."""
        return next((slot for slot, held in self.held() if held.standing is standing), None)

    def of(self, standing: Standing) -> Held | None:
        """The bundle with that standing."""
        slot = self.slot_of(standing)
        return None if slot is None else self[slot]

    @property
    def idle(self) -> SlotName | None:
        """Where the next bundle goes; ``None`` while a trial goes on."""
        if self.slot_of(Standing.TRIAL):
            return None
        active, staged = self.slot_of(Standing.ACTIVE), self.slot_of(Standing.STAGED)
        if active is not None:
            return active.other
        if staged is not None:
            return staged
        return next((slot for slot in SlotName if self[slot] is None), SlotName.A)

    def with_slot(self, slot: SlotName, held: Held | None) -> "SlotTable":
        """The table with ``held`` in ``slot``."""
        return self.with_slots({slot: held, slot.other: self[slot.other]})

    def with_slots(self, held: Mapping[SlotName, Held | None]) -> "SlotTable":
        """The table with both slots exchanged at once."""
        return replace(self, a=held[SlotName.A], b=held[SlotName.B])

    def told(self, at: str, what: Happened, bundle: str, detail: str = "") -> "SlotTable":
        """The table with one more line of history; the oldest lines go."""
        line = Happening(at, what, bundle, printable(detail))
        return replace(self, history=(*self.history, line)[-MAX_HISTORY:])


REBUILD: Final = "restart the service: it looks at the slots itself."


def digest_of_file(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def printable(text: str) -> str:
    """``text`` as one short line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_DETAIL]


def encode_table(table: SlotTable) -> bytes:
    """One line of canonical JSON and one with its SHA-256."""
    line = canonical_json({"v": FORMAT, **asdict(table)}) + b"\n"
    return line + digest_of_file(line).encode() + b"\n"


def decode_table(encoded: bytes) -> SlotTable:
    """Read what :func:`encode_table` wrote.

    Raises:
        SlotError: Anything else: too long, damaged, of another format.
    """
    line, newline, digest = encoded.partition(b"\n")
    if len(encoded) > MAX_TABLE_BYTES or digest != digest_of_file(line + newline).encode() + b"\n":
        raise SlotError("The table of the slots is damaged.", hint=REBUILD)
    try:
        return _from_document(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as cause:
        raise SlotError("The table of the slots is of another format.", hint=REBUILD) from cause


def _from_document(document: dict[str, Any]) -> SlotTable:
    if document.pop("v") != FORMAT:
        raise ValueError
    history = tuple(
        Happening(each["at"], Happened(each["what"]), each["bundle"], each["detail"])
        for each in document.pop("history")
    )
    a, b = (_held(document.pop(slot.value)) for slot in SlotName)
    return SlotTable(a, b, **document, history=history)


def _held(document: dict[str, Any] | None) -> Held | None:
    if document is None:
        return None
    reason = document.pop("reason")
    standing = Standing(document.pop("standing"))
    return Held(**document, standing=standing, reason=None if reason is None else RollbackReason(reason))
