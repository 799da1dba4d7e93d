"""What Home Assistant is told, and how it answers: device discovery, bundle updates, its birth.

One retained message on ``<prefix>/device/<device_id>/config`` makes the device appear with all
its entities. The rules below were tried on Home Assistant core 2025.4 and 2026.2. Core rejects the
whole message for one unknown key at the root, in ``dev`` or in ``o``, so there is none here.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from lsi.attributes import NAME
from lsi.command_documents import Command, UpdateCommand, command_topic
from lsi.errors import ConfigError, PayloadError
from lsi.topics import DEVICE_ID, RETAINED, Kind, Topic

DEFAULT_PREFIX: Final = "homeassistant"
STATUS_TOPIC: Final = "homeassistant/status"
"""Where Home Assistant says ``online`` (not retained) and, by its will, ``offline``."""
ORIGIN: Final = "lsi-edge"
HEARTBEAT_S: Final = 60.0
HEARTBEATS_MISSED: Final = 2
"""An entity of ``attr`` is unavailable after this many heartbeats without a message."""
QOS: Final = 1
"""Stated in every component: core does not hand the root's on."""
MAX_DISCOVERY_BYTES: Final = 32_768
"""40 attributes with long names and the rest need 18 kB."""
MAX_D: Final = 512

DEVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,47}")
"""No other letters: core would spell them in ASCII its own way, and the entity ids would differ."""
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,32}(/[A-Za-z0-9_-]{1,32}){0,3}")
_TEXT: Final = re.compile(r"[ -~]{1,64}")
_PAGE: Final = re.compile(r"https?://[!-~]{1,200}")

_YES_NO: Final = "{{ {true:'ON',false:'OFF'}.get(%s,'None') }}"
"""``None`` makes an entity "unknown": neither a missing nor a null value is a "no"."""
_ATTRIBUTES: Final = "(value_json.a|default({},true))"
_NUMBER: Final = "{{ (value_json.%s|default({},true)).%s|default('None') }}"
_COUNT: Final = "{{ value_json.n|default('None') }}"
_PROBLEM: Final = (
    "{% set p = value_json.problem|default(none) %}{{ 'None' if p is none else 'ON' if p else 'OFF' }}"
)

Component = dict[str, Any]
"""One entity as core reads it; ``p`` names its platform."""


class Platform(StrEnum):
    """The kinds of entity that a sensor has."""

    BINARY_SENSOR = "binary_sensor"
    SENSOR = "sensor"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """Who the sensor is.

    ``name`` is what people see and what entity ids begin with; ``page`` is an address of a web
    page about the device, if there is one.

    Raises:
        ConfigError: A text that Home Assistant would refuse or spell differently.
    """

    device_id: str
    name: str
    model: str
    d: int
    software: str
    hardware: str
    maker: str = "LSI"
    page: str | None = None

    def __post_init__(self) -> None:
        _demand(DEVICE_ID, self.device_id, "device_id")
        _demand(DEVICE_NAME, self.name, "name of the device")
        for key in ("model", "software", "hardware", "maker"):
            _demand(_TEXT, getattr(self, key), key)
        if self.page is not None:
            _demand(_PAGE, self.page, "page")
        if not 1 <= self.d <= MAX_D:
            raise ConfigError(f"A device with d = {self.d}.", hint=f"1 to {MAX_D} masks.")


@dataclass(frozen=True, slots=True)
class Discovery:
    """One discovery message: where it goes and what it says."""

    topic: str
    document: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", MappingProxyType(dict(self.document)))

    @property
    def components(self) -> Mapping[str, Component]:
        """The entities by key."""
        components: Mapping[str, Component] = self.document["cmps"]
        return components

    @property
    def payload(self) -> bytes:
        """Compact UTF-8 JSON.

        Raises:
            PayloadError: Longer than ``MAX_DISCOVERY_BYTES``.
        """
        return encode_discovery(self.document)

    def __repr__(self) -> str:
        return f"Discovery({self.topic}, {len(self.components)} components)"


def discovery(  # noqa: PLR0913 - keyword-only, each a different thing
    card: DeviceCard,
    attributes: Sequence[str],
    *,
    heartbeat_s: float = HEARTBEAT_S,
    certificate: bool = False,
    counted: bool = False,
    prefix: str = DEFAULT_PREFIX,
) -> Discovery:
    """The message that makes ``card``'s device appear.

    Args:
        card: The device.
        attributes: What the policy lets out, of what the bundle answers. No other is named.
        heartbeat_s: The longest pause between two ``attr`` messages.
        certificate: Whether ``health`` tells when a client certificate ends.
        counted: Whether nothing is told but windows of noisy counts: no presence, no attribute.
        prefix: Home Assistant's discovery prefix.

    Raises:
        ConfigError: A prefix, heartbeat or attribute that cannot be announced.
    """
    topic = discovery_topic(card.device_id, prefix)
    expire_after_s = _expiry_s(heartbeat_s)
    components = [
        *([_visits(card)] if counted else _live(card, attributes, expire_after_s)),
        *_diagnostics(card),
        *([_certificate(card)] if certificate else []),
        _bundle(card),
    ]
    _check_distinct(components)
    return Discovery(topic, {**_root(card), "cmps": dict(components)})


def discovery_payload(
    card: DeviceCard,
    attributes: Sequence[str],
    *,
    heartbeat_s: float = HEARTBEAT_S,
    certificate: bool = False,
) -> bytes:
    """The bytes of :func:`discovery`; the same arguments always give the same bytes."""
    return discovery(card, attributes, heartbeat_s=heartbeat_s, certificate=certificate).payload


def discovery_topic(device_id: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Where the device is announced.

    Raises:
        ConfigError: An id or prefix outside Home Assistant's alphabet.
    """
    _demand(DEVICE_ID, device_id, "device_id")
    _demand(_PREFIX, prefix, "discovery prefix")
    return f"{prefix}/device/{device_id}/config"


def encode_discovery(document: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON of a discovery document.

    Raises:
        PayloadError: Longer than ``MAX_DISCOVERY_BYTES``.
    """
    encoded = json.dumps(dict(document), separators=(",", ":")).encode()
    if len(encoded) > MAX_DISCOVERY_BYTES:
        found = f"Discovery of {len(encoded)} bytes, at most {MAX_DISCOVERY_BYTES} may leave."
        raise PayloadError(found, hint="fewer attributes.")
    return encoded


def slug(text: str) -> str:
    """``text`` as core writes it into an entity id; for the letters that names may have."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def retained_topics(device_id: str) -> frozenset[str]:
    """Every topic under ``lsi/v1`` on which the device leaves a retained message."""
    return frozenset(str(Topic(device_id, kind)) for kind in RETAINED)


def _root(card: DeviceCard) -> dict[str, Any]:
    device: dict[str, Any] = {
        "ids": [f"lsi_{card.device_id}"],
        "name": card.name,
        "mf": card.maker,
        "mdl": card.model,
        "mdl_id": f"d{card.d}",
        "sw": card.software,
        "hw": card.hardware,
        "sn": card.device_id,
    }
    if card.page is not None:
        device["configuration_url"] = card.page
    return {
        "dev": device,
        "o": {"name": ORIGIN, "sw": card.software},
        "avty": [{"topic": str(Topic(card.device_id, Kind.AVAILABILITY))}],
        "avty_mode": "all",
        "state_topic": str(Topic(card.device_id, Kind.ATTR)),
    }


def _component(
    card: DeviceCard, key: str, platform: Platform, name: str, **options: str | int
) -> tuple[str, Component]:
    """``unique_id`` names the device too: core drops a second entity with the same one.

    ``default_entity_id`` is what cores that do not know it build by themselves.
    """
    named: Component = {
        "p": str(platform),
        "unique_id": f"lsi_{card.device_id}_{key}",
        "name": name,
        "qos": QOS,
        "default_entity_id": f"{platform}.{slug(card.name)}_{slug(name)}",
    }
    return key, {**named, **options}


def _live(
    card: DeviceCard, attributes: Sequence[str], expire_after_s: int
) -> Sequence[tuple[str, Component]]:
    shown = [_attribute(card, name, expire_after_s) for name in attributes]
    return [*shown, _presence(card, expire_after_s)]


def _visits(card: DeviceCard) -> tuple[str, Component]:
    """Noisy; unknown where a window had too few. No ``expire_after``: a window may be a day long."""
    return _component(
        card,
        "visits",
        Platform.SENSOR,
        "Visits",
        state_class="measurement",
        state_topic=str(Topic(card.device_id, Kind.AGG)),
        val_tpl=_COUNT,
    )


def _attribute(card: DeviceCard, name: str, expire_after_s: int) -> tuple[str, Component]:
    _demand(NAME, name, "attribute")
    # "5_o_Clock" is no name in a template, and "items" would be found on the dictionary itself.
    is_plain = name.isidentifier() and not hasattr(dict, name)
    value = _ATTRIBUTES + (f".{name}" if is_plain else f"['{name}']")
    shown = name.replace("_", " ").capitalize()
    template = _YES_NO % value
    return _component(
        card, name.lower(), Platform.BINARY_SENSOR, shown, expire_after=expire_after_s, val_tpl=template
    )


def _presence(card: DeviceCard, expire_after_s: int) -> tuple[str, Component]:
    return _component(
        card,
        "face",
        Platform.BINARY_SENSOR,
        "Occupancy",
        device_class="occupancy",
        expire_after=expire_after_s,
        val_tpl=_YES_NO % "value_json.face",
    )


def _diagnostics(card: DeviceCard) -> list[tuple[str, Component]]:
    """No ``expire_after``: availability tells whether a device can say that it has a problem."""
    health = {"entity_category": "diagnostic", "state_topic": str(Topic(card.device_id, Kind.HEALTH))}
    number = {**health, "state_class": "measurement"}
    rows, p50 = _NUMBER % ("outbox", "rows"), _NUMBER % ("infer_ms", "p50")
    duration = {"device_class": "duration", "unit_of_meas": "ms"}
    return [
        _component(
            card,
            "problem",
            Platform.BINARY_SENSOR,
            "Problem",
            **{"device_class": "problem", "val_tpl": _PROBLEM, **health},
        ),
        _component(card, "backlog", Platform.SENSOR, "Backlog", **{"val_tpl": rows, **number}),
        _component(
            card, "latency", Platform.SENSOR, "Inference time", **{"val_tpl": p50, **duration, **number}
        ),
    ]


def _certificate(card: DeviceCard) -> tuple[str, Component]:
    return _component(
        card,
        "certificate",
        Platform.SENSOR,
        "Certificate expiry",
        device_class="timestamp",
        entity_category="diagnostic",
        state_topic=str(Topic(card.device_id, Kind.HEALTH)),
        val_tpl=_NUMBER % ("certificate", "expires"),
    )


def _bundle(card: DeviceCard) -> tuple[str, Component]:
    return _component(
        card,
        "bundle",
        Platform.UPDATE,
        "Model bundle",
        entity_category="config",
        state_topic=str(Topic(card.device_id, Kind.UPDATE)),
        cmd_t=command_topic(card.device_id, Command.UPDATE),
        pl_inst=UpdateCommand.INSTALL.value,
    )


def _check_distinct(components: Sequence[tuple[str, Component]]) -> None:
    for what in ([key for key, _ in components], [each["default_entity_id"] for _, each in components]):
        twice = sorted({each for each in what if what.count(each) > 1})
        if twice:
            found = f"Two entities would be called {', '.join(twice)}."
            raise ConfigError(found, hint="attributes with names of their own.")


def _expiry_s(heartbeat_s: float) -> int:
    if not 1 <= heartbeat_s <= 3600:  # noqa: PLR2004 - from a second to an hour
        raise ConfigError(f"A heartbeat of {heartbeat_s} s.", hint="1 s to 3600 s.")
    return math.ceil(HEARTBEATS_MISSED * heartbeat_s)


def _demand(pattern: re.Pattern[str], text: str, what: str) -> None:
    if not pattern.fullmatch(text):
        raise ConfigError(
            f"The {what} {text[:64]!r} cannot be announced.", hint=f"text that matches {pattern.pattern}"
        )
