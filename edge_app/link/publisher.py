"""``Publisher``: the only way out of the device, and the way in for commands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO

from edge_app.link.command_replies import Handler
from edge_app.link.egress import EgressGuard
from edge_app.records.outbox_records import OutboxStatus
from lsi.command_documents import Command
from lsi.topics import QOS, RETAINED, Kind, Topic
from transport.broker import Message

Greeting = Callable[[], Sequence[tuple[Kind, bytes]]]


@dataclass(frozen=True, slots=True)
class CertificateState:
    """When the client certificate ends (RFC 3339 UTC), and whether a newer one was refused."""

    expires: str | None
    is_refused: bool


@dataclass(frozen=True, slots=True)
class WayOut:
    """How the way out is, for ``health`` and the watchdog.

    ``is_alive``: the connection does its rounds, or the outbox takes what cannot leave now.
    ``acknowledged`` counts live messages that the broker has acknowledged since the start.
    """

    reconnects: int = 0
    is_in_conflict: bool = False
    is_alive: bool = True
    outbox: OutboxStatus | None = None
    highest: Mapping[str, int] | None = None
    certificate: CertificateState | None = None
    acknowledged: int = 0


class Publisher(Protocol):
    """Sends payloads of one device. Live state is dropped while there is no broker, records are kept."""

    def open(self, greeting: Greeting) -> None:
        """Begin. ``greeting`` gives what to send after every connect, before "online"."""
        ...

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Send live state now, or return ``False``."""
        ...

    def record(self, kind: Kind, payload_of: Callable[[int], bytes]) -> None:
        """Keep a record until the broker has it; ``payload_of`` makes it for its ``seq``."""
        ...

    def reply(self, message: Message) -> None:
        """Send the answer to a command, where there is a connection."""
        ...

    def received(self) -> Sequence[Message]:
        """Commands that came since the last call, in order."""
        ...

    def handlers(self) -> Mapping[Command, Handler]:
        """Commands that the way out carries out by itself."""
        ...

    def serve(self) -> bool:
        """Send what has become due; whether ``attr`` and ``health`` are to be sent again now."""
        ...

    def way_out(self) -> WayOut:
        """How the way out is now."""
        ...

    def close(self) -> None:
        """Say "offline" and end."""
        ...


def message_of(device_id: str, kind: Kind, payload: bytes) -> Message:
    """The message for ``kind``, with its QoS and retain flag from the topic tree."""
    return Message(str(Topic(device_id, kind)), payload, QOS[kind], kind in RETAINED)


class PrintingPublisher:
    """Writes what would leave, one line per message, instead of sending it."""

    def __init__(self, guard: EgressGuard, stream: TextIO) -> None:
        self._guard = guard
        self._stream = stream
        self._records = 0

    def open(self, greeting: Greeting) -> None:
        """Write the greeting."""
        for kind, payload in greeting():
            self.publish(kind, payload)

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Write one line: topic, blank, payload.

        Raises:
            EgressError: It would not have left.
        """
        message = message_of(self._guard.device_id, kind, payload)
        self._guard.check(message)
        shown = f"{len(payload)} sealed bytes" if kind is Kind.LATENT else payload.decode()
        print(message.topic, shown, file=self._stream, flush=True)
        return True

    def record(self, kind: Kind, payload_of: Callable[[int], bytes]) -> None:
        """Write it at once."""
        self._records += 1
        self.publish(kind, payload_of(self._records))

    def reply(self, message: Message) -> None:
        """Nobody asked."""

    def received(self) -> Sequence[Message]:
        """Nobody asks."""
        return ()

    def handlers(self) -> Mapping[Command, Handler]:
        """None."""
        return {}

    def serve(self) -> bool:
        """Nothing becomes due."""
        return False

    def way_out(self) -> WayOut:
        """Always open."""
        return WayOut()

    def close(self) -> None:
        """Nothing to end."""
