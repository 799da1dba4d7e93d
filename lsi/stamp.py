"""The fields with which every payload about a scene begins: whose it is, which, and when."""

from collections.abc import Mapping
from typing import Any, Protocol


class Stamped(Protocol):
    """A payload about a scene."""

    @property
    def device_id(self) -> str:
        """Who made it."""
        ...

    @property
    def stream(self) -> str:
        """The start of the service that made it."""
        ...

    @property
    def seq(self) -> int:
        """Its number in the stream."""
        ...

    @property
    def ts(self) -> str:
        """RFC 3339 UTC with milliseconds."""
        ...

    @property
    def clock(self) -> str:
        """Whether ``ts`` can be trusted: ``ntp`` or ``unsynced``."""
        ...

    @property
    def bundle(self) -> str:
        """Short id of the bundle that answered."""
        ...


def stamped(schema_id: str, payload: Stamped) -> dict[str, object]:
    """The beginning of the document of ``payload``."""
    return {
        "v": schema_id,
        "dev": payload.device_id,
        "stream": payload.stream,
        "seq": payload.seq,
        "ts": payload.ts,
        "clock": payload.clock,
        "bundle": payload.bundle,
    }


def stamp_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields of a document that fits its schema, by the names of the payloads' own."""
    return {
        "device_id": document["dev"],
        "stream": document["stream"],
        "seq": document["seq"],
        "ts": document["ts"],
        "clock": document["clock"],
        "bundle": document["bundle"],
    }
