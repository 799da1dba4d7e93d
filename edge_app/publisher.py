"""``Publisher``: the only way out of the device."""

from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from lsi.topics import QOS, RETAINED, Availability, Kind, Topic
from transport.broker import BrokerAddress, Message
from transport.mqtt import LinkEvents, MqttLink


class Publisher(Protocol):
    """Sends payloads of one device; live state is dropped while there is no broker."""

    def open(self, greeting: Callable[[], Sequence[tuple[Kind, bytes]]]) -> None:
        """Begin. ``greeting`` gives what to send after every connect, before "online"."""
        ...

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Send now, or return ``False``."""
        ...

    @property
    def reconnects(self) -> int:
        """Connections made after the first."""
        ...

    def close(self) -> None:
        """Say "offline" and end."""
        ...


def message_of(device_id: str, kind: Kind, payload: bytes) -> Message:
    """The message for ``kind``, with its QoS and retain flag from the topic tree."""
    return Message(str(Topic(device_id, kind)), payload, QOS[kind], kind in RETAINED)


class MqttPublisher:
    """Publishes over one ``MqttLink``; the broker says "offline" when the link is lost."""

    def __init__(self, broker: BrokerAddress, device_id: str) -> None:
        self._broker = broker
        self._device_id = device_id
        self._link: MqttLink | None = None

    def open(self, greeting: Callable[[], Sequence[tuple[Kind, bytes]]]) -> None:
        """Connect in the background."""

        def messages() -> list[Message]:
            # "online" goes last: who reads it finds everything else already there.
            return [*(self._message(*item) for item in greeting()), self._availability(Availability.ONLINE)]

        self._link = MqttLink(
            self._broker,
            self._device_id,
            will=self._availability(Availability.OFFLINE),
            events=LinkEvents(greeting=messages),
        )
        self._link.start()

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Send now, or return ``False``."""
        return self._link is not None and self._link.publish(self._message(kind, payload))

    @property
    def reconnects(self) -> int:
        """Connections made after the first."""
        return 0 if self._link is None else self._link.reconnects

    def close(self) -> None:
        """Say "offline" and disconnect."""
        if self._link is not None:
            self._link.stop([self._availability(Availability.OFFLINE)])

    def _message(self, kind: Kind, payload: bytes) -> Message:
        return message_of(self._device_id, kind, payload)

    def _availability(self, availability: Availability) -> Message:
        return self._message(Kind.AVAILABILITY, availability.encode())


class PrintingPublisher:
    """Writes what would leave, one line per message, instead of sending it."""

    reconnects = 0

    def __init__(self, device_id: str, stream: TextIO) -> None:
        self._device_id = device_id
        self._stream = stream

    def open(self, greeting: Callable[[], Sequence[tuple[Kind, bytes]]]) -> None:
        """Write the greeting."""
        for kind, payload in greeting():
            self.publish(kind, payload)

    def publish(self, kind: Kind, payload: bytes) -> bool:
        """Write one line: topic, blank, payload."""
        print(Topic(self._device_id, kind), payload.decode(), file=self._stream, flush=True)
        return True

    def close(self) -> None:
        """Nothing to end."""
