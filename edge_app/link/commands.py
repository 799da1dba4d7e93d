"""``Commands``: what others may ask of this sensor over MQTT, and how often.

Whoever may write to ``cmd`` is not trusted further than that: messages are bounded in size and
number, retained ones do nothing, and answers go to ``ack/<command>`` alone, wherever the sender would
like to have them. No command reaches payload mode, masks or policy.
"""

import hashlib
import logging
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge_app.link.command_replies import Handler
from firmware.interfaces import Clock
from lsi.command_documents import (
    ACK_SCHEMA_ID,
    Accepted,
    AckPayload,
    Command,
    Parsed,
    Reason,
    Refused,
    Reply,
    Request,
    ack_topic,
    command_filter,
    command_of,
    parse_request,
)
from lsi.errors import LsiError
from lsi.units import NS_PER_S
from transport.broker import Message, MessageProperties

logger = logging.getLogger(__name__)

MAX_CORRELATION_BYTES: Final = 64
"""Four random UUIDs. What is longer is not carried back."""
ACK_EXPIRES_S: Final = 60
"""Who asked does not wait longer."""
MAX_ANSWERED: Final = 64
"""More than the rates of all commands let through in that time."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once, and one more every ``every_s``."""

    burst: int
    every_s: float


RATES: Final[Mapping[Command, Rate]] = MappingProxyType(
    {
        Command.UPDATE: Rate(2, 30.0),
        Command.REBIRTH: Rate(3, 10.0),
        Command.REPLAY: Rate(20, 1.0),
        Command.IDENTIFY: Rate(3, 10.0),
        Command.PAUSE: Rate(5, 10.0),
    }
)
"""A person presses a button twice; a sink asks for one gap after another, about as fast as they drain."""


class TokenBucket:
    """Says yes ``burst`` times at once and then once every ``every_s``; in whole nanoseconds."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._every_ns = round(rate.every_s * NS_PER_S)
        self._room_ns = rate.burst * self._every_ns
        self._clock = clock
        self._full_ns = clock.now_ns()  # when every token is back

    def take(self) -> int:
        """Take a token; returns 0, or without taking one the nanoseconds until there is one."""
        now_ns = self._clock.now_ns()
        full_ns = max(self._full_ns, now_ns) + self._every_ns
        wait_ns = max(0, full_ns - now_ns - self._room_ns)
        if wait_ns == 0:
            self._full_ns = full_ns
        return wait_ns


class Answered:
    """What was accepted lately, so that a command that comes twice is carried out once.

    MQTT delivers "at least once", and its mark of a repetition is lost at the broker: only what the
    sender put in tells a repetition from a second wish. So a message without correlation data is
    always new.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._acks: OrderedDict[tuple[str, bytes, bytes], tuple[int, Message]] = OrderedDict()

    def get(self, message: Message) -> Message | None:
        """The acknowledgement of the same message, if it was accepted in the last minute."""
        key = _same(message)
        at_ns, ack = (0, None) if key is None else self._acks.get(key, (0, None))
        return ack if self._clock.now_ns() - at_ns < ACK_EXPIRES_S * NS_PER_S else None

    def keep(self, message: Message, ack: Message) -> None:
        """Remember; the oldest are forgotten."""
        key = _same(message)
        if key is not None:
            self._acks[key] = (self._clock.now_ns(), ack)
            self._acks.move_to_end(key)
            if len(self._acks) > MAX_ANSWERED:
                self._acks.popitem(last=False)


class Commands:
    """Turns messages into calls of handlers, and their replies into acknowledgements.

    Not safe for two threads at once. Handlers may take long (a bundle is checked), so the network
    thread is the wrong one.

    Args:
        device_id: Whose commands these are.
        stream: The id of this start.
        handlers: What carries out each command; one without is refused as ``not_available``.
        clock: Monotonic time.
        rates: How often each command is taken.
    """

    def __init__(
        self,
        device_id: str,
        stream: str,
        handlers: Mapping[Command, Handler],
        *,
        clock: Clock,
        rates: Mapping[Command, Rate] = RATES,
    ) -> None:
        self._device_id = device_id
        self._stream = stream
        self._handlers = handlers
        self._buckets = {command: TokenBucket(rates[command], clock) for command in Command}
        self._told_too_often: set[Command] = set()
        self._answered = Answered(clock)

    @property
    def topic_filter(self) -> str:
        """What to subscribe to."""
        return command_filter(self._device_id)

    def handle(self, message: Message) -> Message | None:
        """Carry out what ``message`` asks.

        Returns:
            The acknowledgement to send, or ``None`` where there is nothing to answer: not a command of
            this device, retained (it would come again with every connect), or one of a flood, of which
            only the first is answered.
        """
        command = command_of(message.topic, self._device_id)
        if command is None or message.retain:
            logger.debug("A message that is no command for us is ignored.")
            return None
        wait_ns = self._buckets[command].take()
        if wait_ns:
            return self._put_off(command, message, wait_ns)
        self._told_too_often.discard(command)
        return self._answered.get(message) or self._answer(command, message)

    def _answer(self, command: Command, message: Message) -> Message:
        reply, request_id = self._carried_out(command, message)
        ack = self._ack(command, message, reply, request_id)
        if isinstance(reply, Accepted):
            self._answered.keep(message, ack)
        return ack

    def _put_off(self, command: Command, message: Message, wait_ns: int) -> Message | None:
        if command in self._told_too_often:
            return None
        self._told_too_often.add(command)
        logger.warning("Command '%s' comes too often and is not answered for a while.", command)
        refused = Refused(Reason.TOO_OFTEN, math.ceil(wait_ns / NS_PER_S))
        return self._ack(command, message, refused, parse_request(command, message.payload).request_id)

    def _carried_out(self, command: Command, message: Message) -> tuple[Reply, str | None]:
        parsed = _parsed(command, message)
        request_id = parsed.request_id
        if isinstance(parsed.outcome, Refused):
            return parsed.outcome, request_id
        reply = self._reply(parsed.outcome)
        return reply, request_id

    def _reply(self, request: Request) -> Reply:
        handler = self._handlers.get(request.command)
        if handler is None:
            return Refused(Reason.NOT_AVAILABLE)
        try:
            return handler(request)
        except LsiError as error:
            logger.warning("Command '%s' failed: %s", request.command, error)
        except OSError as error:
            logger.warning("Command '%s' failed: %s", request.command, error.strerror)
        return Refused(Reason.FAILED)

    def _ack(self, command: Command, message: Message, reply: Reply, request_id: str | None) -> Message:
        """Nothing that came is logged, and of it only id and correlation data go back."""
        if isinstance(reply, Accepted):
            logger.info("Command '%s' is accepted.", command)
        elif reply.reason is not Reason.TOO_OFTEN:
            logger.info("Command '%s' is refused: %s.", command, reply.reason)
        ack = AckPayload(self._device_id, self._stream, command, reply, request_id)
        properties = MessageProperties(
            expires_s=ACK_EXPIRES_S,
            content_type="application/json",
            user_properties=(("schema", ACK_SCHEMA_ID),),
            correlation_data=_correlation(message),
            is_text=True,
        )
        return Message(ack_topic(self._device_id, command), ack.encode(), properties=properties)


def _parsed(command: Command, message: Message) -> Parsed:
    """A command whose correlation data cannot be carried back could not be told apart: refused."""
    parsed = parse_request(command, message.payload)
    if message.properties.correlation_data is not None and _correlation(message) is None:
        return Parsed(Refused(Reason.TOO_LONG), parsed.request_id)
    return parsed


def _same(message: Message) -> tuple[str, bytes, bytes] | None:
    data = _correlation(message)
    return None if data is None else (message.topic, data, hashlib.sha256(message.payload).digest())


def _correlation(message: Message) -> bytes | None:
    data = message.properties.correlation_data
    return data if data is not None and len(data) <= MAX_CORRELATION_BYTES else None
