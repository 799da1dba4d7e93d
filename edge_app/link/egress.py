"""``EgressGuard``: the last word on every message, on the bytes that would leave.

It trusts nobody in front of it: not the policy, not the code that made a payload, not the outbox. One
message that may not leave closes it for good, and the service ends: a bug is then seen the first time.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, NoReturn

from edge_app.link.egress_rules import (
    Announcements,
    ResultTerms,
    check_ack,
    check_agg,
    check_attr,
    check_availability,
    check_event,
    check_health,
    check_info,
    check_latent,
    check_update,
    record_key,
)
from edge_app.records.outbox_records import Record
from lsi.command_documents import ACK_SCHEMA_ID, Command, ack_topic
from lsi.disclosure import RESULT_KINDS, DisclosurePolicy
from lsi.errors import EgressError, EgressRuleError, LsiError, PayloadError, RecordWithheldError
from lsi.topics import QOS, RETAINED, Kind, Topic
from transport.broker import Message, MessageProperties

logger = logging.getLogger(__name__)

MAX_CORRELATION_BYTES: Final = 64
JSON_TYPE: Final = "application/json"
SEALED_TYPE: Final = "application/vnd.lsi.sealed+cbor"

Check = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How messages on one topic look; ``check`` raises for a payload that may not leave."""

    name: str
    qos: int
    retain: bool
    check: Check


class EgressGuard:
    """Judges messages of one device. Safe to be called from several threads.

    Args:
        device_id: Whose messages these are.
        results: What may be told of a scene; ``None`` for a command that tells nothing of one.
        announcements: What Home Assistant may be told.
        limit: The policy of device and site, which no bundle exceeds; by default that of ``results``.

    Raises:
        EgressError: ``results`` exceed the limit.
    """

    def __init__(
        self,
        device_id: str,
        results: ResultTerms | None = None,
        announcements: Announcements | None = None,
        limit: DisclosurePolicy | None = None,
    ) -> None:
        self._device_id = device_id
        self._results = results
        self._announcements = announcements or Announcements()
        self._rules = self._made_rules()
        self._lock = threading.Lock()
        self._closed_by: EgressError | None = None
        self._limit = limit or (None if results is None else results.policy)
        self._check_limit(results)

    @property
    def device_id(self) -> str:
        """Whose messages pass."""
        return self._device_id

    @property
    def is_closed(self) -> bool:
        """Whether something was stopped, and nothing leaves any more."""
        return self._closed_by is not None

    def change(self, results: ResultTerms, announcements: Announcements) -> None:
        """Judge by what another bundle may tell; records of the ones before wait and may still go.

        Not while a greeting is judged (``GuardedLink.silence``).

        Raises:
            EgressError: More than the policy of device and site; nothing leaves any more.
        """
        self._check_limit(results)
        before = self._results
        self._results = results if before is None else results.after(before)
        self._announcements = announcements
        self._rules = self._made_rules()

    def _check_limit(self, results: ResultTerms | None) -> None:
        if results is not None and self._limit is not None and results.policy.exceeds(self._limit):
            self._close("change", "A bundle would let out more than device and site do.")

    def demand_open(self) -> None:
        """Tell the service why it has to end.

        Raises:
            EgressError: Something was stopped.
        """
        if self._closed_by is not None:
            raise self._closed_by

    def check(self, message: Message) -> None:
        """Let ``message`` pass, or close.

        Raises:
            EgressError: It may not leave, or an earlier one might not.
        """
        self.demand_open()
        # Subclasses may say one thing here and another to the socket.
        if (
            type(message) is not Message
            or type(message.topic) is not str
            or type(message.payload) is not bytes
        ):
            self._close("message", "It is made of other types than a message.")
        rule = self._rules.get(message.topic)
        if rule is None or not message.payload:
            self._check_clearing(message)
            return
        try:
            _check_envelope(message, rule)
            rule.check(message.payload)
        except LsiError as error:
            self._close(rule.name, _reason(error))
        except Exception:  # noqa: BLE001 - a check that fails is no reason to send
            self._close(rule.name, "It could not be judged.")

    def check_record(self, record: Record, payload: bytes) -> None:
        """Judge a record from the outbox just before it leaves.

        Raises:
            EgressError: One of this start, which was let in, may not leave: somebody changed it.
            RecordWithheldError: One of an earlier start that the policy in force keeps.
            PayloadError: One of an earlier start that is none, or not the one its key says.
        """
        self.demand_open()
        if self._results is None:
            self._close(record.kind, "It is a record of a command that makes none.")
        is_own = record.key.stream == self._results.stream
        if is_own and not self._results.is_of_former(record.kind, payload):
            self._check_own(record, payload, self._results)
            return
        kinds = RESULT_KINDS[self._results.policy.mode]
        if record.kind not in kinds:
            raise RecordWithheldError("The payload mode in force sends no records of this kind.")
        rule = self._rules[str(Topic(self._device_id, Kind(record.kind)))]
        named = record_key(record.kind, payload, self._results)
        if record.topic not in self._rules or named != (record.key.stream, record.key.seq):
            raise EgressRuleError("A record that is not the one its key says.")
        _check_late(rule, payload)

    def _check_own(self, record: Record, payload: bytes, results: ResultTerms) -> None:
        if record_key(record.kind, payload, results) != (record.key.stream, record.key.seq):
            self._close(record.kind, "It is not the record that its key says.")
        self.check(Message(record.topic, payload))

    def _made_rules(self) -> Mapping[str, _Rule]:
        rules = {
            str(Topic(self._device_id, kind)): _Rule(kind, QOS[kind], kind in RETAINED, check)
            for kind, check in self._made_checks().items()
        }
        for topic in self._announcements.topics:
            rules[topic] = _Rule("discovery", 1, True, partial(self._announcements.check, topic))
        if self._results is not None:
            for command in Command:
                check = partial(
                    check_ack, command=command, device_id=self._device_id, stream=self._results.stream
                )
                rules[ack_topic(self._device_id, command)] = _Rule("ack", 1, False, check)
        return MappingProxyType(rules)

    def _made_checks(self) -> Mapping[Kind, Check]:
        own: dict[Kind, Check] = {Kind.AVAILABILITY: check_availability}
        if self._results is None:
            return own
        of_results = {
            Kind.INFO: check_info,
            Kind.ATTR: check_attr,
            Kind.EVENT: check_event,
            Kind.AGG: check_agg,
        }
        for kind, check in of_results.items():
            own[kind] = partial(check, device_id=self._device_id, terms=self._results)
        own[Kind.LATENT] = partial(check_latent, terms=self._results)
        own[Kind.HEALTH] = partial(check_health, device_id=self._device_id, stream=self._results.stream)
        own[Kind.UPDATE] = check_update
        return own

    def _check_clearing(self, message: Message) -> None:
        """An empty retained message takes one of our own away; nothing else goes to an unknown topic."""
        is_ours = message.topic in self._announcements.clearable | self._announcements.topics
        is_plain = message.properties == MessageProperties() and message.qos == 1
        if message.payload or not message.retain or not is_ours or not is_plain:
            self._close("message", "Its topic is none that this sensor writes to.")

    def _close(self, kind: str, reason: str) -> NoReturn:
        with self._lock:
            if self._closed_by is None:
                found = f"A message of kind '{kind}' was stopped at the way out: {reason}"
                hint = "report it; nothing leaves any more until the sensor is restarted."
                self._closed_by = EgressError(found, hint=hint)
                logger.critical("%s", found)
            raise self._closed_by from None


def _check_envelope(message: Message, rule: _Rule) -> None:
    """QoS, retain flag and properties: they carry bytes too."""
    if (message.qos, message.retain) != (rule.qos, rule.retain):
        raise EgressRuleError("Its QoS or retain flag is another than its topic's.")
    properties, is_ack = message.properties, rule.name == "ack"
    correlation = properties.correlation_data or b""
    if not (is_ack or not correlation) or len(correlation) > MAX_CORRELATION_BYTES:
        raise EgressRuleError("It carries correlation data that answers nobody.")
    schema = (("schema", ACK_SCHEMA_ID),) if is_ack else ()
    if properties.user_properties not in {(), schema} or properties.response_topic is not None:
        raise EgressRuleError("It carries properties of its own.")
    if properties.content_type not in {None, SEALED_TYPE if rule.name == Kind.LATENT else JSON_TYPE}:
        raise EgressRuleError("It carries another content type.")


def _check_late(rule: _Rule, payload: bytes) -> None:
    try:
        rule.check(payload)
    except RecordWithheldError:
        raise
    except LsiError as error:
        raise PayloadError(_reason(error)) from None


def _reason(error: LsiError) -> str:
    """Why, without a word of the payload: what a schema says of it may quote it."""
    is_ours = isinstance(error, EgressRuleError | RecordWithheldError)
    return error.found if is_ours else "It does not fit its schema."
