"""``AggPayload``: how many visits a window had, with noise enough that no visit can be told from it.

A record: kept until the broker has it. Its numbers are noisy before they come here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from lsi.errors import PayloadError
from lsi.schema import decode_document, encode_document
from lsi.stamp import stamp_of, stamped

AGG_SCHEMA_ID: Final = "lsi.agg/1"
LEAST_VISITS: Final = 10
"""A window with a smaller noisy count is told without numbers."""
MOST_VISITS: Final = 1_000_000
UNIT: Final = "visit"
"""What epsilon protects: one visit, which counts in one window."""


@dataclass(frozen=True, slots=True)
class AggPayload:
    """One window of ``window_s`` seconds that ended at ``ts``.

    ``visits`` ended in it and ``yes`` of them answered yes, by attribute; both are noisy, not below 0,
    and ``None`` where there were too few visits. ``epsilon`` is what the window costs one visit in all,
    ``sensitivity`` how many of its numbers a visit can change by 1 each.

    Raises:
        PayloadError: Numbers of a window that had too few visits, or none of one that had enough.
    """

    device_id: str
    stream: str
    seq: int
    ts: str
    clock: str
    bundle: str
    window_s: int
    epsilon: float
    sensitivity: int
    visits: int | None
    yes: Mapping[str, int] | None
    hist: bool = False

    def __post_init__(self) -> None:
        if (self.visits is None) != (self.yes is None):
            raise PayloadError("A window tells all of its numbers or none.")
        if self.visits is not None and self.visits < LEAST_VISITS:
            raise PayloadError("A window with too few visits tells their number.")
        if self.yes is not None:
            object.__setattr__(self, "yes", MappingProxyType(dict(self.yes)))

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``agg``.

        Raises:
            PayloadError: Longer than ``MAX_PAYLOAD_BYTES``.
        """
        document = stamped(AGG_SCHEMA_ID, self) | {
            "window_s": self.window_s,
            "epsilon": self.epsilon,
            "delta": 0,
            "unit": UNIT,
            "sensitivity": self.sensitivity,
            "k_min": LEAST_VISITS,
            "n": self.visits,
            "yes": None if self.yes is None else dict(self.yes),
        }
        if self.hist:
            document["hist"] = True
        return encode_document(document)

    def encode_as(self, seq: int) -> bytes:
        """The bytes of this window as record number ``seq`` of its stream."""
        return replace(self, seq=seq).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> "AggPayload":
        """Read what :meth:`encode` wrote; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        return cls.of(decode_document(encoded, "agg"))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "AggPayload":
        """The value of a document that fits schema ``agg``.

        Raises:
            PayloadError: A rule that a schema cannot say.
        """
        return cls(
            **stamp_of(document),
            window_s=document["window_s"],
            epsilon=document["epsilon"],
            sensitivity=document["sensitivity"],
            visits=document["n"],
            yes=document["yes"],
            hist=document.get("hist", False),
        )
