"""``Uplink``: ``Publisher`` over MQTT, with an outbox for records, commands and Home Assistant."""

import queue
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_app.link.announced import Announced
from edge_app.link.announcer import Announcer
from edge_app.link.command_replies import Handler, replaying
from edge_app.link.egress import JSON_TYPE, SEALED_TYPE, EgressGuard
from edge_app.link.egress_rules import Announcements, ResultTerms
from edge_app.link.guarded_link import GuardedLink
from edge_app.link.home_assistant import STATUS_TOPIC, Discovery, retained_topics
from edge_app.link.publisher import CertificateState, Greeting, WayOut, message_of
from edge_app.records.drain import Drain
from edge_app.records.outbox import Outbox
from edge_app.records.outbox_records import Record
from edge_app.records.replay import replay
from edge_app.settings.config import AppConfig
from edge_app.wall_clock import WallClock
from firmware.interfaces import Clock
from lsi.command_documents import Command, command_filter
from lsi.topics import ROOT, Availability, Kind
from lsi.units import NS_PER_S
from transport.broker import LinkState, Message, MessageProperties, Session
from transport.link_events import LinkEvents
from transport.outgoing import Outcome, Settled
from transport.renewal import Renewal

if TYPE_CHECKING:
    from edge_app.provision.certificate_watch import CertificateWatch

OUTBOX: Final = Path("outbox/outbox.db")
ANNOUNCED: Final = "announced.json"
SESSION: Final = Session(will_delay_s=5, expires_s=60)
"""A Wi-Fi that drops for a moment does not make a sensor "offline"."""
CERTIFICATE_PERIOD_NS: Final = 10 * NS_PER_S
"""How often the folder of new certificates is looked into."""
MAX_WAITING_COMMANDS: Final = 32
"""More than this before the next scan are dropped: who sends so many is not a person."""


class Uplink:
    """One connection of one device.

    Args:
        config: Broker, device id, state folder, Home Assistant.
        outbox: Where records are kept; closed with the uplink.
        wanted: What to announce to Home Assistant; ``None`` where it is switched off.
        results: What may be told of a scene.
        clock: Monotonic time.
        certificate: Looks out for a new client certificate; ``None`` where none is used.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        config: AppConfig,
        outbox: Outbox,
        wanted: Discovery | None,
        *,
        results: ResultTerms,
        clock: Clock,
        certificate: "CertificateWatch | None" = None,
    ) -> None:
        self._device_id = config.device_id
        self._outbox = outbox
        self._clock = clock
        self._certificate = certificate
        self._certificate_due_ns = clock.now_ns()
        self._announced = Announced(config.state / ANNOUNCED)
        self._guard = EgressGuard(
            config.device_id, results, self._announcements(results, wanted), config.policy
        )
        retained = retained_topics(config.device_id)
        self._announcer = Announcer(self._announced, wanted, retained, clock=clock)
        self._inbox: queue.Queue[Message] = queue.Queue(MAX_WAITING_COMMANDS)
        self._greeting: Greeting = tuple
        self._acknowledged = 0
        self._link = GuardedLink(
            config.broker,
            self._guard,
            subscriptions=[command_filter(config.device_id), STATUS_TOPIC],
            events=LinkEvents(self._greet, self._take, self._notice, self._renewed),
            session=SESSION,
        )
        self._drain = Drain(
            outbox, self._link, self._guard.check_record, clock=clock, message_of=record_message
        )

    def open(self, greeting: Greeting) -> None:
        """Connect in the background; see ``Publisher``."""
        self._greeting = greeting
        self._drain.start()
        self._link.start()

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Send live state now, or return ``False``; see ``Publisher``."""
        message = message_of(self._device_id, kind, payload)
        # QoS 0 counts as accepted when it is written: it proves nothing about the broker.
        return self._link.publish(message, self._settled if message.qos > 0 else None)

    def change(self, results: ResultTerms, wanted: Discovery | None, act: Callable[[], None]) -> None:
        """Let out what another bundle tells, from now on, and announce it; ``act`` makes it tell that.

        No greeting is said meanwhile: it would be of both.
        """
        announcements = self._announcements(results, wanted)
        with self._link.silence():
            self._guard.change(results, announcements)
            act()
        self._announcer.change(wanted)

    def record(self, kind: Kind, payload_of: Callable[[int], bytes]) -> None:
        """Keep a record until the broker has it; see ``Publisher``."""

        def judged(seq: int) -> bytes:
            payload = payload_of(seq)
            self._guard.check(message_of(self._device_id, kind, payload))
            return payload

        self._outbox.add(kind.value, judged)

    def reply(self, message: Message) -> None:
        """Send the answer to a command; see ``Publisher``."""
        self._link.publish(message)

    def received(self) -> Sequence[Message]:
        """Commands that came since the last call; see ``Publisher``."""
        messages = []
        while not self._inbox.empty():
            messages.append(self._inbox.get())
        return messages

    def handlers(self) -> Mapping[Command, Handler]:
        """Replay is the outbox's; see ``Publisher``."""
        return {Command.REPLAY: replaying(partial(replay, self._outbox))}

    def serve(self) -> bool:
        """What Home Assistant is owed, and a new certificate; see ``Publisher``."""
        self._guard.demand_open()
        self._look_for_certificate()
        return self._announcer.serve(self._link.publish)

    def way_out(self) -> WayOut:
        """How link and outbox are; see ``Publisher``."""
        link, status = self._link, self._outbox.status()
        is_alive = link.is_alive or status.fault is None
        watch = self._certificate
        certificate = None if watch is None else CertificateState(watch.expires, watch.refusal is not None)
        highest = self._outbox.highest()
        return WayOut(
            link.reconnects, link.is_in_conflict, is_alive, status, highest, certificate, self._acknowledged
        )

    @property
    def has_certificate(self) -> bool:
        """Whether ``health`` tells when a client certificate ends."""
        return self._certificate is not None

    @property
    def acknowledged(self) -> int:
        """Live messages of QoS 1 that the broker has acknowledged since the start."""
        return self._acknowledged

    def close(self) -> None:
        """Say "offline" and disconnect; what the broker does not have stays in the outbox."""
        self._drain.stop()
        self._link.stop()
        self._outbox.close()

    def _announcements(self, results: ResultTerms, wanted: Discovery | None) -> Announcements:
        """What may be announced: ``wanted``, and taking back what was announced before."""
        earlier = self._announced.manifest
        clearable = retained_topics(self._device_id) | earlier.retained | earlier.stale
        return Announcements(wanted, earlier, results.names, clearable)

    def _settled(self, outcome: Outcome) -> None:
        if outcome.settled is Settled.ACCEPTED:
            self._acknowledged += 1

    def _greet(self) -> Sequence[Message]:
        # "online" goes last: who reads it finds everything else already there.
        return [
            *self._announcer.connected(),
            *(message_of(self._device_id, *item) for item in self._greeting()),
            message_of(self._device_id, Kind.AVAILABILITY, Availability.ONLINE.encode()),
        ]

    def _take(self, message: Message) -> None:
        if message.topic == STATUS_TOPIC:
            self._announcer.heard(message)
        elif not self._inbox.full():
            self._inbox.put_nowait(message)

    def _notice(self, state: LinkState, _reason: str) -> None:
        if state is LinkState.ONLINE:
            self._drain.connected()
        else:
            self._announcer.lost()

    def _renewed(self, renewal: Renewal) -> None:
        if self._certificate is not None:
            self._certificate.settled(renewal)

    def _look_for_certificate(self) -> None:
        if self._certificate is None or self._clock.now_ns() < self._certificate_due_ns:
            return
        self._certificate_due_ns = self._clock.now_ns() + CERTIFICATE_PERIOD_NS
        settings = self._certificate.poll()
        if settings is not None:
            self._link.replace_tls(settings)
            self._link.reconnect("a new certificate")


def open_outbox(config: AppConfig, stream: str, *, clock: Clock, wall_clock: WallClock) -> Outbox:
    """The outbox in the state folder of the device."""

    def topic_of(kind: str) -> str:
        return f"{ROOT}/{config.device_id}/{kind}"

    return Outbox(config.state / OUTBOX, stream, topic_of, clock=clock, wall_clock=wall_clock)


def record_message(record: Record, payload: bytes) -> Message:
    """A record as a message: the broker forgets it when we would."""
    is_sealed = record.kind == Kind.LATENT
    properties = MessageProperties(
        expires_s=max(1, round(record.left_s)),
        content_type=SEALED_TYPE if is_sealed else JSON_TYPE,
        is_text=not is_sealed,
    )
    return Message(record.topic, payload, 1, properties=properties)
