"""``EventPayload``: a visit begins, goes on or ends. A record: kept until the broker has it.

Like live state it has no field that could hold a measurement, a latent or a probability: yes / no /
null for each allowed attribute, times, and how many scans it rests on, in steps of ten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from lsi.errors import PayloadError
from lsi.schema import decode_document, encode_document
from lsi.stamp import stamp_of, stamped

EVENT_SCHEMA_ID: Final = "lsi.event/1"

UNNUMBERED: Final = 0
"""``seq`` of an event that is no record yet; records count from 1."""


class Phase(StrEnum):
    """Which part of a visit an event tells."""

    START = "start"
    UPDATE = "update"
    END = "end"


class ScanBucket(StrEnum):
    """How many scans saw the face, no closer than to a power of ten."""

    ONES = "1-9"
    TENS = "10-99"
    HUNDREDS = "100-999"
    THOUSANDS = "1000+"

    @classmethod
    def of(cls, scans: int) -> "ScanBucket":
        """The bucket of ``scans``.

        Raises:
            ValueError: Fewer than one.
        """
        if scans < 1:
            message = f"a visit rests on at least one scan, not on {scans}"
            raise ValueError(message)
        return list(cls)[min(len(str(scans)), len(cls)) - 1]


@dataclass(frozen=True, slots=True)
class EventPayload:
    """One event of one visit.

    ``visit`` is the stream and the visit's number in it: the same in each of its events, in no other
    visit. ``ts`` is the time of the last scan that saw the face, ``began`` of the first, both RFC 3339
    UTC with milliseconds. ``duration_s`` is between the two in whole seconds, by a clock that does not
    jump; ``None`` but at the end. ``hist`` marks a record that is sent late or again.

    Raises:
        PayloadError: A visit of another stream, or a duration of a visit that is not over.
    """

    device_id: str
    stream: str
    seq: int
    ts: str
    clock: str
    bundle: str
    phase: Phase
    visit: str
    began: str
    scans: ScanBucket
    attributes: Mapping[str, bool | None]
    duration_s: int | None = None
    hist: bool = False

    def __post_init__(self) -> None:
        if not self.visit.startswith(f"{self.stream}-"):
            raise PayloadError("A visit is named after another stream.")
        if (self.duration_s is None) == (self.phase is Phase.END):
            raise PayloadError("A visit has a duration when it ends, and only then.")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def is_end(self) -> bool:
        """Whether the visit is over."""
        return self.phase is Phase.END

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``event``.

        Raises:
            PayloadError: Without a number, or longer than ``MAX_PAYLOAD_BYTES``.
        """
        if self.seq == UNNUMBERED:
            raise PayloadError("An event without a seq.", hint="encode_as, with the seq of its record.")
        document = stamped(EVENT_SCHEMA_ID, self) | {
            "phase": self.phase,
            "visit": self.visit,
            "began": self.began,
            "scans": self.scans,
            "a": dict(self.attributes),
        }
        if self.duration_s is not None:
            document["duration_s"] = self.duration_s
        if self.hist:
            document["hist"] = True
        return encode_document(document)

    def encode_as(self, seq: int) -> bytes:
        """The bytes of this event as record number ``seq`` of its stream."""
        return replace(self, seq=seq).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> "EventPayload":
        """Read what :meth:`encode` wrote; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        return cls.of(decode_document(encoded, "event"))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "EventPayload":
        """The value of a document that fits schema ``event``.

        Raises:
            PayloadError: A rule that a schema cannot say.
        """
        return cls(
            **stamp_of(document),
            phase=Phase(document["phase"]),
            visit=document["visit"],
            began=document["began"],
            scans=ScanBucket(document["scans"]),
            attributes=document["a"],
            duration_s=document.get("duration_s"),
            hist=document.get("hist", False),
        )
