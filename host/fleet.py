"""``Fleet``: what is known of each device now, from the events of a subscription; for tables and pages."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

from host.gap_watch import Gap, GapState
from host.subscriber import Content, Received, Rejected
from host.subscription import Event, LinkChanged
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Availability, Kind
from lsi.update_state import UpdateState

MAX_DEVICES: Final = 10_000
"""Whoever may publish can invent ids; more than this are counted and not kept."""

HISTORY: Final = 500
"""Answers kept of each device: at a heartbeat of 60 s about eight hours."""

MAX_REJECTED: Final = 100

Answers: TypeAlias = Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a device answered at a time of ours."""

    at_s: float
    answers: Answers


@dataclass(slots=True)
class DeviceState:
    """The latest of each kind from one device, and what it sent so far."""

    device_id: str
    heard_s: float = 0.0
    availability: Availability | None = None
    info: InfoPayload | None = None
    health: HealthPayload | None = None
    update: UpdateState | None = None
    attr: AttributePayload | None = None
    visit: EventPayload | None = None
    missing: int = 0
    history: deque[Moment] = field(default_factory=lambda: deque(maxlen=HISTORY))
    bytes_by_kind: Counter[Kind] = field(default_factory=Counter)
    messages_by_kind: Counter[Kind] = field(default_factory=Counter)

    @property
    def answers(self) -> Answers:
        """Presence and attributes as the device told them last."""
        return {} if self.attr is None else answers_of(self.attr)

    @property
    def backlog(self) -> int | None:
        """Records that wait on the device; ``None`` when it has not told."""
        return None if self.health is None or self.health.outbox is None else self.health.outbox.rows

    def take(self, event: Received, now_s: float) -> None:
        """Note one message."""
        kind = event.topic.kind
        self.bytes_by_kind[kind] += event.size_bytes
        self.messages_by_kind[kind] += 1
        if not event.retained:
            self.heard_s = now_s
        self._note(event.content, now_s)

    def _note(self, content: Content, now_s: float) -> None:
        match content:
            case AttributePayload():
                self.attr = content
                self.history.append(Moment(now_s, answers_of(content)))
            case EventPayload():
                self.visit = content
            case HealthPayload():
                self.health = content
            case InfoPayload():
                self.info = content
            case UpdateState():
                self.update = content
            case Availability():
                self.availability = content
            case _:
                pass


class Fleet:
    """All devices that were heard of. Bounded, whatever a broker brings."""

    def __init__(self) -> None:
        self.devices: dict[str, DeviceState] = {}
        self.rejected: deque[Rejected] = deque(maxlen=MAX_REJECTED)
        self.rejected_count = 0
        self.unknown_devices = 0
        self.link: LinkChanged | None = None

    def take(self, event: Event, now_s: float) -> None:
        """Note what a subscription brought."""
        if isinstance(event, Received):
            device = self._device(event.topic.device_id)
            if device is not None:
                device.take(event, now_s)
        elif isinstance(event, Rejected):
            self.rejected_count += 1
            self.rejected.append(event)
        elif isinstance(event, Gap):
            device = self._device(event.device_id)
            if device is not None:
                rows = event.last - event.first + 1
                device.missing += rows if event.state is GapState.MISSING else -rows
        else:
            self.link = event

    def in_order(self) -> list[DeviceState]:
        """All devices by name."""
        return [self.devices[name] for name in sorted(self.devices)]

    def _device(self, device_id: str) -> DeviceState | None:
        if device_id not in self.devices and len(self.devices) >= MAX_DEVICES:
            self.unknown_devices += 1
            return None
        return self.devices.setdefault(device_id, DeviceState(device_id))


def answers_of(payload: AttributePayload) -> Answers:
    """Presence, called ``face``, and the attributes."""
    return _shared((("face", payload.face), *payload.attributes.items()))


@lru_cache(maxsize=4096)
def _shared(answers: tuple[tuple[str, bool | None], ...]) -> Answers:
    """One mapping for equal answers: a fleet says the same few over and over, and histories keep them all."""
    return MappingProxyType(dict(answers))
