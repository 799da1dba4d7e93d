"""What comes from the broker, read into the types of ``lsi`` or turned away with a reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from host.checked_documents import Document, reader
from host.sealed_record import SealedRecord
from lsi.aggregate import AggPayload
from lsi.errors import PayloadError
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import RECORDS, Availability, Kind, Topic
from lsi.update_state import UpdateState
from transport.broker import Message

Record = EventPayload | AggPayload | SealedRecord
"""What a sensor keeps until the broker has it; numbered by (device, stream, seq)."""

Content = AttributePayload | Record | InfoPayload | HealthPayload | UpdateState | Availability


@dataclass(frozen=True, slots=True)
class Received:
    """A message that fits its schema."""

    topic: Topic
    size_bytes: int
    retained: bool
    content: Content
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What ``content`` was read from, where that is JSON with a schema; empty otherwise."""

    @property
    def record(self) -> Record | None:
        """The content where it is a record, or ``None``."""
        content = self.content
        return content if isinstance(content, Record) else None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that no device of ours sends, and why. ``payload`` is what came, unread."""

    topic: str
    size_bytes: int
    reason: str
    payload: bytes = field(default=b"", repr=False)


def read_message(message: Message) -> Received | Rejected:
    """Check ``message`` against the schema of its topic. Never raises for bad input."""
    topic = _topic_of(message.topic)
    if topic is None:
        return _rejected(message, "not a documented topic")
    if topic.kind in RECORDS and message.retain:
        return _rejected(message, "a record is never retained")
    try:
        content, document = _READERS[topic.kind](message.payload)
    except PayloadError as error:
        return _rejected(message, error.found)
    if not isinstance(content, Availability | UpdateState) and content.device_id != topic.device_id:
        return _rejected(message, "names another device than its topic")
    return Received(topic, len(message.payload), message.retain, content, document)


@lru_cache(maxsize=65_536)
def _topic_of(topic: str) -> Topic | None:
    """A fleet says the same few topics all the time."""
    return Topic.parse(topic)


def _rejected(message: Message, reason: str) -> Rejected:
    return Rejected(message.topic, len(message.payload), reason, message.payload)


def _availability(payload: bytes) -> tuple[Availability, Document]:
    try:
        return Availability(payload.decode("ascii")), {}
    except ValueError as cause:
        raise PayloadError("availability is neither 'online' nor 'offline'.") from cause


def _sealed(payload: bytes) -> tuple[SealedRecord, Document]:
    return SealedRecord.decode(payload), {}


def _update(payload: bytes) -> tuple[UpdateState, Document]:
    return UpdateState.decode(payload), {}


_READERS: Final[dict[Kind, Callable[[bytes], tuple[Content, Document]]]] = {
    Kind.AVAILABILITY: _availability,
    Kind.INFO: reader("info", InfoPayload.of),
    Kind.ATTR: reader("attr", AttributePayload.of),
    Kind.HEALTH: reader("health", HealthPayload.of),
    Kind.EVENT: reader("event", EventPayload.of),
    Kind.AGG: reader("agg", AggPayload.of),
    Kind.LATENT: _sealed,
    Kind.UPDATE: _update,
}
