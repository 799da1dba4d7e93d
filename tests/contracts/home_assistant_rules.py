"""What Home Assistant core 2025.4 and 2026.2 accept, as rules that return what they find broken.

Each rule stands for something that was seen on a running core: a message that it rejects, an entity
that it drops or a value that it shows wrongly. Nothing here shares code with the device.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final

Document = Mapping[str, Any]
Sent = tuple[float, str, bytes, bool]
"""Time in seconds, topic, payload, retain flag."""

TOPIC: Final = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*/device/[A-Za-z0-9_-]+/config")
SHARED_KEYS: Final = {"avty", "avty_mode", "state_topic", "command_topic", "pl_avail", "pl_not_avail"}
ROOT_KEYS: Final = {"dev", "o", "cmps", "encoding"} | SHARED_KEYS
DEVICE_KEYS: Final = {
    "ids", "cns", "name", "mf", "mdl", "mdl_id", "hw", "sw", "sn", "via_device", "sa", "configuration_url",
}  # fmt: skip
ORIGIN_KEYS: Final = {"name", "sw", "url"}
DEVICE_CLASSES: Final = {
    "binary_sensor": {"occupancy", "problem"},
    "sensor": {"duration", "timestamp"},
    "update": {"firmware"},
}
ENTITY_KEYS: Final = {
    "p", "unique_id", "name", "qos", "default_entity_id", "device_class", "entity_category",
    "state_topic", "val_tpl", "expire_after", "state_class", "unit_of_meas", "cmd_t", "pl_inst",
}  # fmt: skip
MS: Final = "ms"

YES_NO: Final = re.compile(
    r"\{\{ \{true:'ON',false:'OFF'\}\.get\("
    r"(value_json\.face|\(value_json\.a\|default\(\{\},true\)\)(\.[A-Za-z_]\w*|\['\w+'\])),'None'\) \}\}"
)
PROBLEM: Final = re.compile(
    r"\{% set p = value_json\.problem\|default\(none\) %\}"
    r"\{\{ 'None' if p is none else 'ON' if p else 'OFF' \}\}"
)
VALUE: Final = re.compile(r"\{\{ \(value_json\.\w+\|default\(\{\},true\)\)\.\w+\|default\('None'\) \}\}")
COUNT: Final = re.compile(r"\{\{ value_json\.n\|default\('None'\) \}\}")
"""Of mode agg. Not seen by a core yet; rendered below as core renders it."""
TEMPLATES: Final = (YES_NO, PROBLEM, VALUE, COUNT)

HOSTILE: Final[Sequence[Any]] = (
    {}, [], {"a": None, "face": None, "problem": None, "outbox": None, "infer_ms": None, "certificate": None},
    {"a": [], "outbox": [], "infer_ms": "x", "certificate": 1}, {"a": {}, "outbox": {}, "infer_ms": {}},
    {"n": None},
)  # fmt: skip
"""Documents without a value: each template must give ``None`` for each, and touch nothing undefined."""

UPDATE_KEYS: Final = {
    "installed_version", "latest_version", "title", "release_summary", "release_url",
    "entity_picture", "in_progress", "update_percentage",
}  # fmt: skip

MIN_SPACING_S: Final = 5.0
MIN_SETTLE_S: Final = 2.0


def discovery_faults(topic: str, payload: bytes, *, retain: bool = True, qos: int = 1) -> list[str]:
    """Everything that is wrong with one discovery message; nothing if core takes it as meant."""
    faults = [] if TOPIC.fullmatch(topic) else ["topic outside [A-Za-z0-9_-]"]
    faults += [] if retain and qos == 1 else ["not retained, or not QoS 1"]
    try:
        document = json.loads(payload)
    except ValueError:
        return [*faults, "no JSON"]
    if not isinstance(document, dict):
        return [*faults, "no object"]
    parts: tuple[Callable[[Document], Iterator[str]], ...] = (
        _root,
        _device,
        _origin,
        _availability,
        _entities,
    )
    return faults + [fault for part in parts for fault in part(document)]


def _root(document: Document) -> Iterator[str]:
    yield from (f"unknown key {key} at the root" for key in sorted(set(document) - ROOT_KEYS))
    yield from (f"no {key}" for key in ("dev", "o", "cmps") if not isinstance(document.get(key), dict))


def _device(document: Document) -> Iterator[str]:
    device = _object(document, "dev")
    yield from (f"unknown key {key} in dev" for key in sorted(set(device) - DEVICE_KEYS))
    if not device.get("ids") and not device.get("cns"):
        yield "a device without ids"
    if not device.get("name"):
        yield "a device without a name"
    page = device.get("configuration_url", "http://x")
    if not (isinstance(page, str) and page.startswith(("http://", "https://"))):
        yield "configuration_url is not http(s)"


def _origin(document: Document) -> Iterator[str]:
    origin = _object(document, "o")
    yield from (f"unknown key {key} in o" for key in sorted(set(origin) - ORIGIN_KEYS))
    if not origin.get("name"):
        yield "an origin without a name"


def _availability(document: Document) -> Iterator[str]:
    topics = document.get("avty")
    if not (isinstance(topics, list) and topics and all(_is_topic(each.get("topic")) for each in topics)):
        yield "no availability: an entity that is gone would keep its state"
    if document.get("avty_mode", "latest") not in {"latest", "any", "all"}:
        yield "unknown avty_mode"


def _entities(document: Document) -> Iterator[str]:
    components = _object(document, "cmps")
    if not components:
        yield "no components: removes nothing and announces nothing"
    whole = {key: each for key, each in components.items() if set(each) != {"p"}}
    for key, component in components.items():
        if component.get("p") not in DEVICE_CLASSES:
            yield f"{key}: unknown platform"
        elif key in whole:
            yield from (f"{key}: {fault}" for fault in _entity(document, component))
    for name in ("unique_id", "default_entity_id"):
        values = [str(each.get(name)) for each in whole.values()]
        yield from (f"{name} {each} twice" for each in sorted({x for x in values if values.count(x) > 1}))


def _entity(document: Document, component: Document) -> Iterator[str]:
    platform = component["p"]
    yield from (f"unknown key {key}" for key in sorted(set(component) - ENTITY_KEYS))
    if not str(component.get("unique_id", "")).startswith(f"{(_ids(document) or ['-'])[0]}_"):
        yield "unique_id does not name the device"
    wanted = f"{platform}.{_slug(_object(document, 'dev').get('name'))}_{_slug(component.get('name'))}"
    if component.get("default_entity_id") != wanted:
        yield f"default_entity_id is not {wanted}: cores would differ"
    if component.get("qos") != 1:
        yield "qos 1 is missing: the root's is not handed on"
    if not _is_topic(component.get("state_topic", document.get("state_topic"))):
        yield "no state_topic"
    if "device_class" in component and component["device_class"] not in DEVICE_CLASSES[platform]:
        yield "unknown device_class"
    if component.get("entity_category", "diagnostic") not in {"diagnostic", "config"}:
        yield "unknown entity_category"
    yield from (_update if platform == "update" else _reading)(document, component)


def _reading(document: Document, component: Document) -> Iterator[str]:
    template = component.get("val_tpl")
    if not isinstance(template, str) or not any(each.fullmatch(template) for each in TEMPLATES):
        yield "a template that was not tried"
    else:
        yield from template_faults(template)
    is_number = "unit_of_meas" in component or "state_class" in component
    if is_number and (component["p"] != "sensor" or component.get("unit_of_meas", MS) != MS):
        yield "a unit or state class that core warns of"
    is_live = component.get("state_topic", document.get("state_topic")) == document.get("state_topic")
    expiry_s = component.get("expire_after")
    if is_live and not (isinstance(expiry_s, int) and expiry_s > 0):
        yield "no expire_after: a stale value would stay"


def _update(_: Document, component: Document) -> Iterator[str]:
    if not _is_topic(component.get("cmd_t")) or component.get("pl_inst") != "INSTALL":
        yield "no way to install"
    if "val_tpl" in component:
        yield "a template before the JSON of an update"


def template_faults(template: str) -> list[str]:
    """What a template does with documents that lack its value; nothing where jinja2 is missing."""
    faults = []
    for document in HOSTILE if find_spec("jinja2") else ():
        try:
            rendered = render(template, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, core logs it once per message
            faults.append(f"fails for {document}: {error}")
            continue
        if rendered != "None":
            faults.append(f"says {rendered!r} for {document}")
    return faults


def render(template: str, document: object) -> str:
    """``template`` as core renders it; touching something undefined is an error, core logs it."""
    return str(_compiled(template).render(value_json=document))


@functools.cache
def _compiled(template: str) -> Any:  # noqa: ANN401 - as below
    return _environment().from_string(template)


@functools.cache
def _environment() -> Any:  # noqa: ANN401 - jinja2 is there by way of other packages only
    from jinja2 import Undefined, UndefinedError  # noqa: PLC0415 - see above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - see above

    class Loud(Undefined):
        def _log(self) -> Any:  # noqa: ANN401 - never returns
            raise UndefinedError(self._undefined_message)

        __str__ = __iter__ = __bool__ = __len__ = _log

    return ImmutableSandboxedEnvironment(undefined=Loud)


def update_faults(payload: bytes) -> list[str]:
    """Everything that makes core drop a message on the update topic, or keep an old value."""
    try:
        document = json.loads(payload)
    except ValueError:
        return ["no JSON"]
    if not isinstance(document, dict):
        return ["no object"]
    faults = [f"unknown key {key}" for key in sorted(set(document) - UPDATE_KEYS)]
    versions = {key: document.get(key) for key in ("installed_version", "latest_version")}
    faults += [f"no {key}: the last one would stay" for key, each in versions.items() if not _is_text(each)]
    percentage = document.get("update_percentage")
    if percentage is not None and not (type(percentage) in {int, float} and 0 <= percentage <= 100):
        faults.append("update_percentage outside 0 to 100")
    if not isinstance(document.get("in_progress", False), bool):
        faults.append("in_progress is neither yes nor no")
    if not str(document.get("release_url", "https://x")).startswith(("http://", "https://")):
        faults.append("release_url is not http(s)")
    return faults


def series_faults(sent: Iterable[Sent]) -> list[str]:
    """What core would miss in a series of messages, retained or not at the right distance."""
    faults: list[str] = []
    last: tuple[float, str, bytes] | None = None
    known: dict[str, dict[str, tuple[bool, float]]] = {}
    for at_s, topic, payload, retain in sent:
        if not TOPIC.fullmatch(topic):
            continue
        if not retain:
            faults.append("discovery that is not retained")
        distance_s = float("inf") if last is None or last[1:] == (topic, payload) else at_s - last[0]
        if payload and distance_s < MIN_SPACING_S:
            faults.append("two different discovery payloads at once")
        faults += _transition(known, at_s, topic, payload)
        if payload:
            last = (at_s, topic, payload)
    return faults


def _transition(
    known: dict[str, dict[str, tuple[bool, float]]], at_s: float, topic: str, payload: bytes
) -> Iterator[str]:
    """Hold one message against what core knows: component -> (whole or platform only, since when)."""
    before = known.get(topic, {})
    if not payload:
        if topic not in known:
            yield "the removal of a device that was not announced"
        elif any(at_s - since_s < MIN_SETTLE_S for _, since_s in before.values()):
            yield "a device removed while it is set up"
        known.pop(topic, None)
        return
    after = {key: set(each) != {"p"} for key, each in json.loads(payload)["cmps"].items()}
    for key, (is_whole, since_s) in before.items():
        if key not in after and is_whole:
            yield f"{key} left out while it is still there"
        elif not after.get(key, True) and is_whole and at_s - since_s < MIN_SETTLE_S:
            yield f"{key} removed while it is set up"
        elif key not in after and at_s - since_s < MIN_SETTLE_S:
            yield f"{key} left out while it is removed"
    yield from (
        f"{key} removed although never announced" for key in after if not after[key] and key not in before
    )
    since = {
        key: before[key][1] if before.get(key, (None,))[0] is whole else at_s for key, whole in after.items()
    }
    known[topic] = {key: (whole, since[key]) for key, whole in after.items()}


def _object(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _ids(document: Document) -> list[str]:
    ids = _object(document, "dev").get("ids")
    return ids if isinstance(ids, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_topic(topic: object) -> bool:
    return isinstance(topic, str) and bool(topic) and not set(topic) & set("+#")


def _slug(name: object) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in str(name).lower()).split()
    return "_".join(words)
