"""What each topic may carry, judged on the bytes that would leave.

No refusal holds a word of what was refused: reasons go to logs, and a log is a way out too.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from edge_app.link.announced import Manifest
from edge_app.link.home_assistant import MAX_DISCOVERY_BYTES, Component, Discovery, encode_discovery
from lsi.bundle import Bundle
from lsi.command_documents import Command
from lsi.disclosure import RESULT_KINDS, DisclosurePolicy
from lsi.errors import EgressError, EgressRuleError, LsiError, RecordWithheldError
from lsi.strict_json import spelled, strict_document
from lsi.topics import Availability, Kind
from lsi.update_state import UpdateState

ATTR_DECIMALS: Final = 1
"""Durations in ``attr``; a number with all its digits could hold a measured value."""
HEALTH_DECIMALS: Final = 3
EPSILON_DECIMALS: Final = 3
_SHARED_ENTITIES: Final = frozenset({"face", "problem"})


class SealedRule(Protocol):
    """What knows an envelope of this device; a device that seals nothing has none."""

    def key_of(self, payload: bytes) -> tuple[str, int]:
        """Stream and seq; raises ``LsiError`` for anything that this device did not seal to its host."""
        ...


@dataclass(frozen=True, slots=True)
class ResultTerms:
    """What this start may tell of a scene.

    ``policy`` is the one in force: the narrowest of device, site and bundle. ``names`` are the attributes
    that it lets out, of those that the bundle ``bundle`` (its short id) answers. ``former`` are the terms
    of bundles that ran before in the same start: their records may still wait for the broker.
    """

    stream: str
    bundle: str
    policy: DisclosurePolicy
    names: frozenset[str]
    sealed: SealedRule | None = None
    former: tuple["ResultTerms", ...] = ()

    def after(self, before: "ResultTerms") -> "ResultTerms":
        """These terms, after those of ``before`` in the same start."""
        others = (replace(before, former=()), *before.former)
        return replace(self, former=tuple(each for each in others if each.bundle != self.bundle))

    @property
    def bundles(self) -> frozenset[str]:
        """The bundles of this start, by short id."""
        return frozenset({self.bundle, *(each.bundle for each in self.former)})

    def is_of_former(self, kind: str, payload: bytes) -> bool:
        """Whether a record of this start was made by a bundle before the one that runs."""
        if kind == Kind.LATENT:
            return record_key(kind, payload, replace(self, former=())) is None
        try:
            bundle = json.loads(payload)["bundle"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return False
        return bundle in self.bundles - {self.bundle}

    @classmethod
    def of(
        cls, policy: DisclosurePolicy, bundle: Bundle, stream: str, sealed: SealedRule | None = None
    ) -> "ResultTerms":
        """The terms of one start under the policy in force."""
        names = policy.allowed & frozenset(bundle.attributes.names)
        return cls(stream, bundle.manifest.short_id, policy, names, sealed)


@dataclass(frozen=True, slots=True)
class Announcements:
    """The discovery messages that may leave: what is wanted now, and what earlier ones take back.

    Every entity of a message must be one of these, or name its bare platform, which removes it.
    ``clearable`` are topics on which an empty retained message takes our own one away.

    Raises:
        EgressError: What is wanted names an attribute that ``names`` does not.
    """

    wanted: Discovery | None = None
    earlier: Manifest = field(default_factory=Manifest)
    names: frozenset[str] = frozenset()
    clearable: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.wanted is not None and not _attribute_keys(self.wanted) <= set(map(str.lower, self.names)):
            raise EgressError("Home Assistant would be told of an attribute that may not leave.")

    @property
    def topics(self) -> frozenset[str]:
        """Where an announcement may go."""
        return frozenset(topic for topic, _ in self._documents())

    def check(self, topic: str, payload: bytes) -> None:
        """Refuse ``payload`` unless it is put together of what may be announced on ``topic``."""
        document = strict_document(payload, "discovery", max_bytes=MAX_DISCOVERY_BYTES)
        known = [each for where, each in self._documents() if where == topic]
        if _root_of(document) not in [_root_of(each) for each in known]:
            raise EgressRuleError("An announcement of another device.")
        entities = {key: [each["cmps"].get(key) for each in known] for key in document["cmps"]}
        for key, entity in document["cmps"].items():
            if not any(entity in (each, _bare(each)) for each in entities[key] if each is not None):
                raise EgressRuleError("An announcement of an entity that is not ours.")

    def _documents(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Every document that may leave, as it reads after a trip through JSON."""
        wanted = [] if self.wanted is None else [(self.wanted.topic, dict(self.wanted.document))]
        current = self.earlier.current
        former = [] if current is None else [(current.topic, dict(current.document))]
        if current is not None and self.earlier.leaving:
            leaving = {**current.document["cmps"], **self.earlier.leaving}
            former.append((current.topic, {**current.document, "cmps": leaving}))
        return [*wanted, *former, *((topic, dict(each)) for topic, each in self.earlier.gone.items())]


def record_key(kind: str, payload: bytes, terms: ResultTerms) -> tuple[str, int] | None:
    """Stream and seq that a record itself names; ``None`` where it names none."""
    if kind == Kind.LATENT:
        for sealed in _seals(terms):
            with contextlib.suppress(LsiError):
                return sealed.key_of(payload)
        return None
    try:
        document = json.loads(payload)
        key = document["stream"], document["seq"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return key if type(key[0]) is str and type(key[1]) is int else None


def check_availability(payload: bytes) -> None:
    """One of two words."""
    if payload not in {each.encode() for each in Availability}:
        raise EgressRuleError("No word of availability.")


def check_update(payload: bytes) -> None:
    """The state of Home Assistant's update entity, in its one spelling."""
    if UpdateState.decode(payload).encode() != payload:
        raise EgressRuleError("An update that is not in canonical form.")


def check_ack(payload: bytes, command: Command, device_id: str, stream: str) -> None:
    """Codes and counters, and the id that the sender chose."""
    document = strict_document(payload, "ack")
    _check_origin(document, device_id, stream)
    if document["command"] != command:
        raise EgressRuleError("An acknowledgement of another command.")


def check_health(payload: bytes, device_id: str, stream: str) -> None:
    """Codes and counters."""
    _check_origin(strict_document(payload, "health", decimals=HEALTH_DECIMALS), device_id, stream)


def check_info(payload: bytes, device_id: str, terms: ResultTerms) -> None:
    """What this sensor is; what it says of the policy must be the policy."""
    document = strict_document(payload, "info", decimals=EPSILON_DECIMALS)
    _check_origin(document, device_id, terms.stream)
    says = (document["mode"], document["policy"], document["bundle"]["id"], frozenset(document["attributes"]))
    if says != (terms.policy.mode, terms.policy.digest[:8], terms.bundle, terms.names):
        raise EgressRuleError("An info that tells another policy than the one in force.")


def check_attr(payload: bytes, device_id: str, terms: ResultTerms) -> None:
    """Live state: of this start, of the running bundle, with all allowed attributes and no other."""
    _check_kind(Kind.ATTR, terms)
    document = strict_document(payload, "attr", decimals=ATTR_DECIMALS)
    _check_origin(document, device_id, terms.stream)
    if document["bundle"] != terms.bundle or set(document["a"]) != terms.names:
        raise EgressRuleError("Live state with other attributes than the policy lets out.")


def check_event(payload: bytes, device_id: str, terms: ResultTerms) -> None:
    """A visit, of this start or an earlier one, with nothing that the policy in force keeps."""
    _check_kind(Kind.EVENT, terms)
    document = strict_document(payload, "event")
    if document["dev"] != device_id or not document["visit"].startswith(f"{document['stream']}-"):
        raise EgressRuleError("An event of another device or start.")
    is_ours = document["stream"] == terms.stream
    if is_ours and document["bundle"] not in terms.bundles:
        raise EgressRuleError("An event of another bundle.")
    if not set(document["a"]) <= terms.names:
        raise RecordWithheldError("An event with an attribute that the policy in force keeps.")


def check_agg(payload: bytes, device_id: str, terms: ResultTerms) -> None:
    """A window of noisy counts, of this start or an earlier one."""
    _check_kind(Kind.AGG, terms)
    document = strict_document(payload, "agg", decimals=EPSILON_DECIMALS)
    if document["dev"] != device_id:
        raise EgressRuleError("A window of another device.")
    is_ours, counted = document["stream"] == terms.stream, set(document["yes"] or ())
    known = {(each.bundle, 1 + len(each.names)) for each in (terms, *terms.former)}
    if is_ours and (document["bundle"], document["sensitivity"]) not in known:
        raise EgressRuleError("A window of another bundle or policy.")
    if not counted <= terms.names:
        raise RecordWithheldError("A window with an attribute that the policy in force keeps.")


def check_latent(payload: bytes, terms: ResultTerms) -> None:
    """An envelope that this device sealed, unopened: nobody here could open it."""
    _check_kind(Kind.LATENT, terms)
    if not _seals(terms):
        raise EgressRuleError("A latent of a device that seals none.")
    if record_key(Kind.LATENT, payload, terms) is None:
        raise EgressRuleError("A latent that this device did not seal.")


def _seals(terms: ResultTerms) -> list[SealedRule]:
    return [each.sealed for each in (terms, *terms.former) if each.sealed is not None]


def _check_kind(kind: Kind, terms: ResultTerms) -> None:
    if kind not in RESULT_KINDS[terms.policy.mode]:
        raise RecordWithheldError(f"The payload mode in force sends no '{kind}'.")


def _check_origin(document: Mapping[str, Any], device_id: str, stream: str) -> None:
    if (document["dev"], document["stream"]) != (device_id, stream):
        raise EgressRuleError("A payload of another device or start.")


def _root_of(document: Mapping[str, Any]) -> bytes:
    return spelled({key: value for key, value in document.items() if key != "cmps"})


def _bare(entity: Component) -> Component:
    return {"p": entity["p"]}


def _attribute_keys(wanted: Discovery) -> set[str]:
    """Entities that show live state, by key: an attribute's name in small letters."""
    document = strict_document(encode_discovery(wanted.document), "discovery", max_bytes=MAX_DISCOVERY_BYTES)
    shows = {key for key, entity in document["cmps"].items() if entity["p"] == "binary_sensor"}
    return shows - _SHARED_ENTITIES
