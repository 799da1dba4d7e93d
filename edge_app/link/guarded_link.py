"""``GuardedLink``: the one place on the device that hands bytes to a connection.

Whatever goes to the broker, will and farewell included, has passed the ``EgressGuard`` first.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edge_app.link.egress import EgressGuard
from edge_app.link.publisher import message_of
from lsi.errors import EgressError
from lsi.topics import Availability, Kind
from transport.broker import BrokerAddress, Message, Session, TlsSettings
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink
from transport.outgoing import OnSettled


class GuardedLink:
    """A connection of one device, which can say nothing that its guard does not let pass.

    Args:
        address: The broker.
        guard: Judges every message.
        subscriptions: Topic filters; constants of the code, since they leave too.
        events: Callbacks; see ``LinkEvents``.
        session: What the broker keeps after a loss.
        says_availability: Whether a will and a farewell tell that the device is gone.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        address: BrokerAddress,
        guard: EgressGuard,
        *,
        subscriptions: Sequence[str] = (),
        events: LinkEvents | None = None,
        session: Session | None = None,
        says_availability: bool = True,
    ) -> None:
        self._guard = guard
        events = events or LinkEvents()
        self._greeting = events.greeting
        self._greeting_lock = threading.Lock()
        offline = message_of(guard.device_id, Kind.AVAILABILITY, Availability.OFFLINE.encode())
        guard.check(offline)
        self._farewell = [offline] if says_availability else []
        self._link = MqttLink(
            address,
            guard.device_id,
            will=offline if says_availability else None,
            subscriptions=subscriptions,
            events=replace(events, greeting=self._greet),
            session=session,
        )

    @property
    def reconnects(self) -> int:
        """Connections made after the first."""
        return self._link.reconnects

    @property
    def is_in_conflict(self) -> bool:
        """Whether another client used our id lately."""
        return self._link.is_in_conflict

    @property
    def is_alive(self) -> bool:
        """Whether the connection's thread does its rounds."""
        return self._link.is_alive

    def start(self) -> None:
        """Connect in the background."""
        self._link.start()

    def publish(self, message: Message, on_settled: OnSettled | None = None) -> bool:
        """Hand ``message`` to the broker; ``False`` when it is not there; see ``MqttLink.publish``.

        Raises:
            EgressError: It may not leave.
        """
        self._guard.check(message)
        return self._link.publish(message, on_settled)

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """No greeting is said while the context lasts: what it says, and what is judged by, change."""
        with self._greeting_lock:
            yield

    def send(self, message: Message, on_settled: OnSettled) -> bool:
        """Hand ``message`` to the broker and tell what became of it; see ``MqttLink.send``.

        Raises:
            EgressError: It may not leave.
        """
        self._guard.check(message)
        return self._link.send(message, on_settled)

    def replace_tls(self, settings: TlsSettings) -> None:
        """Use other TLS files from the next attempt on; see ``MqttLink.replace_tls``."""
        self._link.replace_tls(settings)

    def reconnect(self, reason: str) -> None:
        """Make a new connection at once."""
        self._link.reconnect(reason)

    def stop(self) -> None:
        """Say the farewell, a constant that was judged at the start, and disconnect."""
        self._link.stop(self._farewell)

    def _greet(self) -> Sequence[Message]:
        """All of the greeting, or nothing of it: the service learns of the reason when it serves."""
        with self._greeting_lock:
            messages = list(self._greeting())
            try:
                for message in messages:
                    self._guard.check(message)
            except EgressError:
                return ()
            return messages
