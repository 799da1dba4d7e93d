"""The words of the outbox: keys, records, limits and what its status tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_app.records.outbox_schema import Fault


class DropReason(StrEnum):
    """Why a record that the broker never had is gone."""

    SIZE = "size"
    """It was the oldest when the outbox was full."""
    AGE = "age"
    FAULT = "fault"
    """It could not be written; the status says why."""
    DAMAGED = "damaged"
    """Its checksum does not fit."""
    DEAD = "dead"
    """Refused for good by the broker, or not what its kind promises."""
    POLICY = "policy"
    """Of an earlier start, and more than the policy in force lets out: erased."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much is kept and for how long.

    ``max_bytes`` counts topic, payload and ``ROW_BYTES`` for each row.
    ``keep_accepted_s`` is how long a record stays for a replay after the broker took it.
    """

    max_bytes: int = 16 * 1024 * 1024
    max_age_s: float = 24 * 3600.0
    keep_accepted_s: float = 600.0


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """Names one record of one device for ever; ``seq`` counts from 1."""

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record on its way. ``left_s`` is how long it may still be kept; ``again`` marks a replay."""

    key: RecordKey
    kind: str
    topic: str
    payload: bytes = field(repr=False)
    age_s: float
    left_s: float
    tries: int
    again: bool


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """For ``health``: counters and codes, nothing of the records.

    ``rows`` and ``size`` (bytes) count what the broker does not have yet, ``kept`` rows that it has,
    ``dead`` rows that it refused. ``dropped`` counts since this start. ``set_aside`` tells that a
    damaged file is kept.
    """

    rows: int
    size: int
    kept: int
    dead: int
    dropped: Mapping[DropReason, int]
    fault: Fault | None
    set_aside: bool


@dataclass(frozen=True, slots=True)
class SentAgain:
    """Sequence numbers of one stream that will be sent again, and those that were waiting anyway."""

    again: tuple[int, ...]
    waiting: tuple[int, ...]
