"""``Connection``: one client from connect to end, in the thread that calls ``run``.

The socket is read and written by the loop here, not by a thread of paho's: a thread of paho's
may die and leave a client that says it is connected. What ends a connection is told once, as an
``Ending``; a client that hung is never asked again.
"""

import logging
import selectors
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from transport.broker import Message
from transport.intake import Acknowledged
from transport.outgoing import (
    PACKET_TOO_LARGE,
    PAYLOAD_FORMAT_INVALID,
    Delivery,
    Outcome,
    Outgoing,
    Settled,
)
from transport.paho_client import (
    PACKING_ERRORS,
    BrokerLimits,
    Plan,
    connect,
    limits_of,
    new_client,
    packet_bytes,
    publish,
)
from transport.protocol import VERSION_NAME
from transport.timing import Liveness
from transport.tls import LinkSocket, explain
from transport.wakeup import Wakeup

logger = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Longest sleep of the loop: pings and bounds are looked at this often."""

SHORTEST_TICK_S: Final = 0.01
PACKETS_PER_LOOK: Final = 100
"""Messages taken before the loop looks at anything else: a look costs as much as a message."""

UNSUPPORTED_PROTOCOL: Final = 0x84
SESSION_TAKEN_OVER: Final = 0x8E
UNSPECIFIED_ERROR: Final = 0x80


class End(Enum):
    """Why a connection ended."""

    UNREACHABLE = auto()
    TLS = auto()
    WRONG_PROTOCOL = auto()
    UNANSWERED = auto()
    REFUSED = auto()
    LOST = auto()
    CLOSED = auto()
    TAKEN_OVER = auto()
    WANTED = auto()


@dataclass(frozen=True, slots=True)
class Ending:
    """Why, in words, and what to try where the words of the state would not do."""

    end: End
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionEvents:
    """What a connection tells the link, in its own thread.

    ``on_accepted`` follows the CONNACK and gets whether the broker kept a session. ``on_ready``
    follows once all subscriptions are in force, with the versions spoken; ``on_refused`` gets the filter of
    one that the broker refuses, and its reason.
    """

    greeting: Callable[[], Sequence[Message]]
    on_message: Callable[[Message], None]
    on_accepted: Callable[[bool], None]
    on_ready: Callable[[str], None]
    on_refused: Callable[[str, str], None]
    on_tick: Callable[[], None]


class Connection:
    """Connects, says the greeting, moves messages, and gives up when the broker does not answer.

    Args:
        plan: Where to, as whom and how long to wait.
        events: Callbacks; greeting and state come from the thread of ``run``.
        wakeup: Rung by other threads.
    """

    def __init__(self, plan: Plan, events: ConnectionEvents, wakeup: Wakeup) -> None:
        self.outgoing = Outgoing()
        self._plan = plan
        self._events = events
        self._wakeup = wakeup
        self._now_s = plan.timing.now_s
        self._client = new_client(plan)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_arrival = self._on_arrival
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._socket: paho.SocketLike | None = None
        self._ending: Ending | None = None
        self._is_online = False
        self._is_ready = False
        self._subscribed_s: float | None = None
        self._limits = BrokerLimits()
        self._wanted: Ending | None = None
        self._farewell: Sequence[Message] | None = None
        self._farewell_until_s: float | None = None
        self._answer_until_s = 0.0
        self._liveness = Liveness(plan.address.keepalive_s, plan.timing.acknowledge_s, self._now_s())
        self._acknowledged = Acknowledged(wakeup.ring)
        self._messages_read = 0

    def run(self) -> Ending:
        """Connect and serve until it ends; every message is settled when this returns."""
        try:
            ending = self._open() or self._serve()
        finally:
            if self._socket is not None:
                self._socket.close()
            self.outgoing.close("the connection ended first")
        return ending

    def offer(self, delivery: Delivery, room: int) -> bool:
        """Take a message where there is room for it; from any thread."""
        taken = self.outgoing.offer(delivery, room)
        if taken:
            self._wakeup.ring()
        return taken

    def stop(self, farewell: Sequence[Message]) -> None:
        """Say ``farewell`` after what waits, disconnect and end; from any thread."""
        if self._farewell is None:
            self._farewell = tuple(farewell)
        self._wakeup.ring()

    def drop(self, reason: str) -> None:
        """End without a word to the broker, which keeps session and will; from any thread."""
        self._wanted = Ending(End.WANTED, reason)
        self._wakeup.ring()

    def _open(self) -> Ending | None:
        try:
            connect(self._client, self._plan)
        except ssl.SSLError as cause:
            fault = explain(cause)
            return Ending(End.TLS, fault.reason, fault.advice)
        except (OSError, ValueError) as cause:
            return Ending(End.UNREACHABLE, getattr(cause, "strerror", None) or str(cause))
        now_s = self._now_s()
        self._socket = self._client.socket()
        self._answer_until_s = now_s + self._plan.timing.connack_s
        self._liveness.heard(now_s)
        return None

    def _serve(self) -> Ending:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup.waiting, selectors.EVENT_READ)
            if self._socket is not None:
                selector.register(self._socket, selectors.EVENT_READ)
            while self._ending is None:
                self._wait(selector)
                self._judge()
                self._events.on_tick()
        return self._ending

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Sleep until there is something to do, and do it."""
        sock = self._socket
        if sock is None:
            return
        writes = selectors.EVENT_WRITE if self._client.want_write() else 0
        selector.modify(sock, selectors.EVENT_READ | writes)
        is_pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        has_more = is_pending or self._client.has_buffered
        ready = selector.select(0 if has_more else self._sleep_s())
        self._wakeup.clear()
        if has_more or any(key.fileobj is sock and events & selectors.EVENT_READ for key, events in ready):
            self._read()
            self._liveness.heard(self._now_s())
        self._client.acknowledge(self._acknowledged.take())
        self._send_waiting()
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()

    def _read(self) -> None:
        """Take packets for as long as each of them is a message."""
        for _ in range(PACKETS_PER_LOOK):
            before = self._messages_read
            self._client.loop_read()
            if self._messages_read == before:
                break

    def _sleep_s(self) -> float:
        timing = self._plan.timing
        nearest_s = min(
            TICK_S,
            timing.acknowledge_s / 4,
            timing.connack_s / 4,
            self._liveness.keepalive_s / 4 or TICK_S,
            timing.farewell_s / 4 if self._farewell is not None else TICK_S,
        )
        return max(nearest_s, SHORTEST_TICK_S)

    def _judge(self) -> None:
        """End the connection where it was asked for, or where the broker does not answer."""
        now_s = self._now_s()
        if self._client.socket() is None:
            self._end(self._closed(""))
        elif self._wanted is not None:
            self._end(self._wanted)
        elif not self._is_online:
            self._judge_unanswered(now_s)
        elif (fault := self._liveness.fault(now_s, self._oldest_unacknowledged_s())) is not None:
            self._end(Ending(End.LOST, fault))
        elif self._farewell is not None:
            self._say_farewell(self._farewell, now_s)

    def _oldest_unacknowledged_s(self) -> float | None:
        times_s = (self.outgoing.oldest_sent_s, self._subscribed_s)
        return min((time_s for time_s in times_s if time_s is not None), default=None)

    def _judge_unanswered(self, now_s: float) -> None:
        if self._farewell is not None:
            self._end(Ending(End.WANTED, "stopped"))
        elif now_s >= self._answer_until_s:
            reason = f"accepts, and says nothing for {self._plan.timing.connack_s:g} s"
            self._end(Ending(End.UNANSWERED, reason))

    def _say_farewell(self, farewell: Sequence[Message], now_s: float) -> None:
        if self._farewell_until_s is None:
            self._farewell_until_s = now_s + self._plan.timing.farewell_s
            for message in farewell:
                self.outgoing.put(message)
            self._wakeup.ring()
        elif self.outgoing.is_idle:
            self._end(Ending(End.WANTED, "stopped"))
            self._client.disconnect()
            self._client.loop_write()
        elif now_s >= self._farewell_until_s:
            self._end(Ending(End.WANTED, "stopped without an acknowledgement"))

    def _send_waiting(self) -> None:
        while self._is_online and self._ending is None and (delivery := self.outgoing.take()) is not None:
            self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        limit = self._limits.packet_bytes
        try:
            if limit is not None and packet_bytes(delivery.message) > limit:
                # A broker would end the connection over it, and over every further try.
                reason = f"packet too large: the broker takes {limit} bytes"
                delivery.settle(Outcome(Settled.REFUSED, reason, PACKET_TOO_LARGE))
                return
            mid = publish(self._client, delivery.message)
        except PACKING_ERRORS as cause:
            reason = f"cannot be written as a packet ({cause})"
            delivery.settle(Outcome(Settled.REFUSED, reason, PAYLOAD_FORMAT_INVALID))
            return
        self.outgoing.sent(mid, delivery, self._now_s())

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            end = End.WRONG_PROTOCOL if reason.value == UNSUPPORTED_PROTOCOL else End.REFUSED
            self._end(Ending(end, str(reason)))
            return
        self._limits = limits_of(properties)
        self.outgoing.window = self._limits.window
        self._liveness.keepalive_s = client.keepalive
        if self._plan.subscriptions:
            client.subscribe([(topic_filter, 1) for topic_filter in self._plan.subscriptions])
            self._subscribed_s = self._now_s()
        for message in self._greeting():
            self.outgoing.put(message)
        self._is_online = True
        self.outgoing.open()
        self._events.on_accepted(flags.session_present)
        if not self._plan.subscriptions:
            self._be_ready()

    def _be_ready(self) -> None:
        self._subscribed_s = None
        if not self._is_ready:
            self._is_ready = True
            self._events.on_ready(self._spoken())

    def _greeting(self) -> Sequence[Message]:
        try:
            return self._events.greeting()
        except Exception:  # an escaping error would end the link without a word
            logger.exception("The greeting of %s could not be made.", self._plan.client_id)
            return ()

    def _spoken(self) -> str:
        version = VERSION_NAME[self._plan.protocol]
        tls = self._socket.version() if isinstance(self._socket, ssl.SSLSocket) else None
        return version if tls is None else f"{version}, {tls}"

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and reason.value == SESSION_TAKEN_OVER:
            said = f"another client uses the id {self._plan.client_id} ({reason})"
            self._end(Ending(End.TAKEN_OVER, said))
        else:
            self._end(self._closed("" if reason.value == UNSPECIFIED_ERROR else str(reason)))

    def _closed(self, reason: str) -> Ending:
        """How to read that the connection is gone."""
        if isinstance(self._socket, LinkSocket) and self._socket.fault is not None:
            fault = explain(self._socket.fault)
            return Ending(End.TLS, fault.reason, fault.advice)
        if not self._is_online:
            return Ending(End.UNANSWERED, reason or "closes without an answer")
        if reason := self._client.fault or reason:
            return Ending(End.LOST, f"connection lost: {reason}")
        return Ending(End.CLOSED, "connection closed without a reason")

    def _end(self, ending: Ending) -> None:
        """Note the first reason; what follows from it is none."""
        self._ending = self._ending or ending

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        # "No matching subscribers" (0x10) is no failure: the broker has it.
        settled = Settled.REFUSED if reason.is_failure else Settled.ACCEPTED
        self.outgoing.settle(mid, Outcome(settled, str(reason), reason.value))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties,
    ) -> None:
        for topic_filter, reason in zip(self._plan.subscriptions, reasons, strict=False):
            if reason.is_failure:
                self._events.on_refused(topic_filter, str(reason))
        self._be_ready()

    def _on_arrival(self, message: Message, mid: int) -> None:
        self._be_ready()  # a broker may send what we subscribed to before it says that we have
        self._messages_read += 1
        try:
            self._hand_over(message, mid)
        except Exception:  # an escaping error would end the connection
            logger.exception("A message on %s could not be handled.", message.topic)

    def _hand_over(self, message: Message, mid: int) -> None:
        intake = self._plan.intake
        if intake is None:
            self._events.on_message(message)
        else:
            intake.take(message, self._acknowledged.handle(mid, message.qos))
