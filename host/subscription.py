"""``async for event in subscribe(...)``: what sensors publish, checked and typed, with what did not come."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from host.broker_url import broker_address
from host.gap_watch import Gap, GapWatch, Patience, Replay
from host.inbox import Inbox
from host.subscriber import Received, Rejected, read_message
from lsi.command_documents import AckPayload, Command, Request, command_topic
from lsi.errors import AppConfigError, PayloadError
from lsi.status import HealthPayload
from lsi.topics import DEVICE_ID, RECORDS, ROOT, Kind
from transport.broker import BrokerAddress, LinkState, Message, Session, TlsSettings
from transport.intake import Acknowledge, Intake
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

logger = logging.getLogger(__name__)

RECEIVE_MAXIMUM: Final = 100
"""Messages that may be ahead of the loop's body."""

ROOM: Final = 10_000
"""Messages of QoS 0 (``health``) that may wait; the next one says the same again."""

CLIENT_ID_BYTES: Final = 6
EVERY_DEVICE: Final = "+"


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The connection to the broker came or went. Nothing is told of what is published meanwhile."""

    state: LinkState
    reason: str


Event: TypeAlias = Received | Rejected | Gap | LinkChanged


@dataclass(frozen=True, slots=True)
class Interest:
    """What to subscribe to, and as whom.

    ``device`` is one id or ``+`` for all, ``kinds`` are all without any. With ``asks_again``
    missing records are asked for (the broker must let us write ``cmd/replay``). A ``client_id`` of one's
    own with ``keep_s`` has an MQTT 5 broker keep what comes while the program is away.

    Raises:
        AppConfigError: A device id that is none, or ``keep_s`` without ``client_id``.
    """

    device: str = EVERY_DEVICE
    kinds: tuple[Kind, ...] = ()
    asks_again: bool = True
    client_id: str = ""
    keep_s: int = 0
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.device != EVERY_DEVICE and not DEVICE_ID.fullmatch(self.device):
            found = f"{self.device!r} is no device id."
            raise AppConfigError(found, hint="1 to 32 of a-z 0-9 _ -, or + for all.")
        if self.keep_s and not self.client_id:
            raise AppConfigError("A session that is kept needs a client id.", hint="one that is yours alone.")

    @property
    def seeks_gaps(self) -> bool:
        """Whether missing records are looked for: only where records are wanted at all."""
        return self.asks_again and (not self.kinds or not RECORDS.isdisjoint(self.kinds))

    def filters(self) -> tuple[str, ...]:
        """The topics to subscribe to.

        Gaps cannot be found without ``health``, ``ack/replay`` and every kind of record: one count goes
        over all of them.
        """
        levels: list[str] = [*map(str, self.kinds)] or ["+"]
        if self.seeks_gaps:
            unnamed = {Kind.HEALTH, *RECORDS} - set(self.kinds) if self.kinds else set[Kind]()
            levels += [*sorted(map(str, unnamed)), f"ack/{Command.REPLAY}"]
        return tuple(f"{ROOT}/{self.device}/{level}" for level in levels)


async def subscribe(
    broker: str | BrokerAddress, interest: Interest | None = None, *, tls: TlsSettings | None = None
) -> AsyncGenerator[Event, None]:
    """Everything that sensors publish, and gaps in what they published, until the loop is left.

    A message is acknowledged to the broker once the loop's body is done with it and asks for the next:
    what a program did not get to comes again where its session is kept. A slow body makes the
    broker wait, within the broker's limits. Bad input is a ``Rejected``, never an error.

    Args:
        broker: ``mqtts://HOST[:PORT]``, ``mqtt://127.0.0.1`` on this machine, or an address.
        interest: Which devices and kinds; all by default.
        tls: Certificates, where the broker wants one or the system does not know its authority.

    Raises:
        AppConfigError: An address or certificates that cannot be used.
    """
    address = broker if isinstance(broker, BrokerAddress) else broker_address(broker, tls)
    reading = _Reading(address, interest or Interest())
    reading.link.start()
    try:
        async for event in reading.events():
            yield event
    finally:
        await asyncio.get_running_loop().run_in_executor(None, reading.link.stop)


_Arrival: TypeAlias = tuple[Message, Acknowledge] | LinkChanged


class _Reading:
    """One subscription: the link's thread puts in, the coroutine takes out."""

    def __init__(self, address: BrokerAddress, interest: Interest) -> None:
        self._interest = interest
        self._inbox: Inbox[_Arrival] = Inbox(ROOM)
        self._watch = GapWatch(interest.patience)
        self._now_s = asyncio.get_running_loop().time
        self.link = MqttLink(
            address,
            interest.client_id or f"lsi-{secrets.token_hex(CLIENT_ID_BYTES)}",
            subscriptions=interest.filters(),
            events=LinkEvents(
                on_state=lambda state, reason: self._inbox.put(LinkChanged(state, reason)),
            ),
            session=Session(expires_s=interest.keep_s),
            intake=Intake(RECEIVE_MAXIMUM, self._take),
        )

    def _take(self, message: Message, acknowledge: Acknowledge) -> None:
        add = self._inbox.put if message.qos else self._inbox.offer
        add((message, acknowledge))

    async def events(self) -> AsyncGenerator[Event, None]:
        while True:
            arrival = await self._inbox.get(self._wait_s())
            if isinstance(arrival, LinkChanged):
                yield arrival
            elif arrival is not None:
                message, acknowledge = arrival
                for event in self._read(message):
                    yield event
                acknowledge()
            for gap in self._ask():
                yield gap

    def _wait_s(self) -> float | None:
        due_s = self._watch.due_s() if self._interest.seeks_gaps else None
        return None if due_s is None else max(0.0, due_s - self._now_s())

    def _read(self, message: Message) -> Iterator[Event]:
        if message.topic.endswith(f"/ack/{Command.REPLAY}"):
            yield from self._answered(message)
            return
        event = read_message(message)
        if self._is_wanted(event):
            yield event
        if isinstance(event, Received):
            yield from self._watched(event)

    def _is_wanted(self, event: Received | Rejected) -> bool:
        """Whether it was asked for; others may have come for the sake of gaps alone."""
        kinds = self._interest.kinds
        return not kinds or isinstance(event, Rejected) or event.topic.kind in kinds

    def _watched(self, event: Received) -> Iterator[Gap]:
        if not self._interest.seeks_gaps:
            return
        if isinstance(event.content, HealthPayload):
            self._watch.health(event.content, self._now_s())
        elif (record := event.record) is not None:
            yield from self._watch.record(record.device_id, record.stream, int(record.seq), self._now_s())

    def _answered(self, message: Message) -> Iterator[Event]:
        try:
            yield from self._watch.answer(AckPayload.decode(message.payload), self._now_s())
        except PayloadError as error:
            yield Rejected(message.topic, len(message.payload), error.found, message.payload)

    def _ask(self) -> list[Gap]:
        if not self._interest.seeks_gaps:
            return []
        due_s = self._watch.due_s()
        if due_s is None or due_s > self._now_s():
            return []
        gaps, replays = self._watch.due(self._now_s())
        for replay in replays:
            self.link.send(replay_message(replay), partial(_told, replay.device_id))
        return gaps


def replay_message(replay: Replay) -> Message:
    """The command that asks a device for records once more."""
    return Message(
        command_topic(replay.device_id, Command.REPLAY),
        Request(Command.REPLAY, replay.arguments, replay.request_id).encode(),
    )


def _told(device_id: str, outcome: object) -> None:
    logger.debug("Asked %s for records: %s.", device_id, outcome)
