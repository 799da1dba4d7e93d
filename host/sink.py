"""What a sink is: where records are kept for good, each key once."""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from host.checked_documents import canonical
from host.sealed_record import SealedRecord
from host.seq_ranges import SeqRange
from host.subscriber import Received, Rejected
from lsi.aggregate import AggPayload
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.topics import Kind

DIGEST_BYTES: Final = 16
MAX_QUARANTINED: Final = 10_000
"""Kept; more are counted. Whoever may publish could fill a disk otherwise."""

MAX_QUARANTINED_BYTES: Final = 4_096


class Key(NamedTuple):
    """What names one message of one device."""

    device_id: str
    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class SinkRow:
    """One message to keep. ``payload`` is its JSON, members sorted, no ``hist``; empty beside ``sealed``.

    ``digest`` is that of the content: two copies of one record have the same, however they travelled.
    """

    key: Key
    kind: Kind
    ts: str
    clock: str
    bundle: str
    digest: bytes
    payload: str
    sealed: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, event: Received) -> "SinkRow | None":
        """The row of a record or of live attributes; ``None`` of anything else."""
        content = event.content
        match content:
            case EventPayload() | AggPayload() | AttributePayload():
                encoded = canonical(event.document)
                key = Key(content.device_id, content.stream, int(content.seq))
                return cls(
                    key, event.topic.kind, content.ts, content.clock, content.bundle, _digest(encoded),
                    encoded.decode(),
                )  # fmt: skip
            case SealedRecord(header, sealed):
                key = Key(header.device_id, header.stream, header.seq)
                digest = _digest(sealed)
                return cls(key, Kind.LATENT, header.ts, header.clock, header.bundle, digest, "", sealed)
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that was turned away: why, and its first bytes, for who looks into it."""

    topic: str
    size_bytes: int
    reason: str
    payload: bytes = field(repr=False)

    @classmethod
    def of(cls, rejected: Rejected) -> "Quarantined":
        """What is kept of a rejected message."""
        payload = rejected.payload[:MAX_QUARANTINED_BYTES]
        return cls(rejected.topic, rejected.size_bytes, rejected.reason, payload)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch.

    ``new`` keys were not there, ``again`` copies were, ``contradicting`` copies had another content than the
    one that is kept. ``unstorable`` rows are in quarantine instead.
    """

    new: int = 0
    again: int = 0
    contradicting: int = 0
    unstorable: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            self.new + other.new,
            self.again + other.again,
            self.contradicting + other.contradicting,
            self.unstorable + other.unstorable,
        )


class Sink(Protocol):
    """Keeps records. One thread uses it; several processes may use one database."""

    def write(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        """Keep all of it, durably when this returns. Copies of what is there change only counters.

        Raises:
            SinkError: Nothing was kept; the same call may work later.
        """
        ...

    def missing(self, device_id: str, stream: str, upto: int | None) -> Sequence[SeqRange]:
        """Records of a stream that are neither here nor given up, from 1 to ``upto`` or to the highest here.

        Raises:
            SinkError: The sink cannot be asked now.
        """
        ...

    def give_up(self, device_id: str, stream: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Note that the device has these records no more.

        Raises:
            SinkError: It could not be noted.
        """
        ...

    def close(self) -> None:
        """Give files and connections back."""
        ...


def utc_now() -> str:
    """The time of this machine, RFC 3339 UTC with milliseconds."""
    return utc_of(time.time_ns())


def utc_of(time_ns: int) -> str:
    """A time since 1970 in that form. Two of them stand in the order of their times."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ns // 10**9))
    return f"{seconds}.{time_ns // 10**6 % 1000:03d}Z"


def once_each(rows: Iterable[SinkRow]) -> tuple[list[SinkRow], Stored]:
    """The first of each key in a batch, and how many copies were left out. ``attr`` has keys of its own."""
    first: dict[tuple[bool, Key], SinkRow] = {}
    again = contradicting = 0
    for row in rows:
        kept = first.setdefault((row.kind is Kind.ATTR, row.key), row)
        again += kept is not row
        contradicting += kept.digest != row.digest
    return list(first.values()), Stored(again=again, contradicting=contradicting)


def row_document(row: SinkRow) -> dict[str, object]:
    """A row as JSON, for files; sealed bytes in hexadecimal digits."""
    document: dict[str, object] = {"kind": row.kind, "received": utc_now()}
    if row.sealed is not None:
        header = {"dev": row.key.device_id, "stream": row.key.stream, "seq": row.key.seq, "ts": row.ts}
        return {**document, "payload": header, "sealed": row.sealed.hex()}
    return {**document, "payload": json.loads(row.payload)}


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]
