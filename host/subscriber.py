"""What comes from the broker, read into the types of ``lsi`` or turned away with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lsi.aggregate import AggPayload
from lsi.errors import PayloadError
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Availability, Kind, Topic
from lsi.update_state import UpdateState
from transport.broker import Message

Content = (
    AttributePayload | EventPayload | AggPayload | InfoPayload | HealthPayload | UpdateState | Availability
)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that fits its schema."""

    topic: Topic
    size_bytes: int
    retained: bool
    content: Content


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that no device of ours sends, and why."""

    topic: str
    size_bytes: int
    reason: str


def read_message(message: Message) -> Received | Rejected:
    """Check ``message`` against the schema of its topic. Never raises for bad input."""
    size_bytes = len(message.payload)
    topic = Topic.parse(message.topic)
    if topic is None:
        return Rejected(message.topic, size_bytes, "not a documented topic")
    if topic.kind is Kind.LATENT:
        return Rejected(message.topic, size_bytes, "sealed; 'lsi open' opens it")
    try:
        content = _READERS[topic.kind](message.payload)
    except PayloadError as error:
        return Rejected(message.topic, size_bytes, error.found)
    if not isinstance(content, Availability | UpdateState) and content.device_id != topic.device_id:
        return Rejected(message.topic, size_bytes, "names another device than its topic")
    return Received(topic, size_bytes, message.retain, content)


def _availability(payload: bytes) -> Availability:
    try:
        return Availability(payload.decode("ascii"))
    except ValueError as cause:
        raise PayloadError("availability is neither 'online' nor 'offline'.") from cause


_READERS: Final[dict[Kind, Callable[[bytes], Content]]] = {
    Kind.AVAILABILITY: _availability,
    Kind.INFO: InfoPayload.decode,
    Kind.ATTR: AttributePayload.decode,
    Kind.HEALTH: HealthPayload.decode,
    Kind.EVENT: EventPayload.decode,
    Kind.AGG: AggPayload.decode,
    Kind.UPDATE: UpdateState.decode,
}
