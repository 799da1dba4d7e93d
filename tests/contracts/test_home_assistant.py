"""Our messages against the written rules of Home Assistant, and the rules against broken messages."""

import copy
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.link.home_assistant import discovery
from lsi.attributes import ATTR_LITE
from lsi.errors import PayloadError
from lsi.problems import Problem
from lsi.schema import check
from lsi.status import HealthPayload
from lsi.update_state import UpdateState
from tests.contracts.home_assistant_rules import (
    discovery_faults,
    render,
    series_faults,
    template_faults,
    update_faults,
)
from tests.edge_app.link.home_assistant_cards import ATTR_LITE_NAMES, card
from tests.payloads import payload

Document = dict[str, Any]
needs_jinja2 = pytest.mark.skipif(find_spec("jinja2") is None, reason="jinja2 is not installed")

OURS = discovery(card(), ATTR_LITE_NAMES, certificate=True)
DEVICE_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,47}", fullmatch=True)


@given(
    st.lists(st.sampled_from(sorted(ATTR_LITE)), unique=True), DEVICE_NAMES, st.booleans(), st.floats(1, 3600)
)
def test_every_message_of_ours_keeps_every_rule(
    names: list[str], name: str, certificate: bool, heartbeat_s: float
) -> None:
    ours = discovery(card(name=name), names, certificate=certificate, heartbeat_s=heartbeat_s)
    assert discovery_faults(ours.topic, ours.payload) == []


@pytest.mark.parametrize("certificate", [True, False])
def test_a_sensor_that_counts_announces_visits_and_nothing_of_anybody(certificate: bool) -> None:
    ours = discovery(card(), ATTR_LITE_NAMES, certificate=certificate, counted=True)
    assert discovery_faults(ours.topic, ours.payload) == []
    check(json.loads(ours.payload), "discovery", error=PayloadError, source="discovery")
    assert set(ours.components) - {"certificate"} == {"visits", "problem", "backlog", "latency", "bundle"}


def test_every_name_of_an_attribute_keeps_every_rule() -> None:
    ours = discovery(card(), ("5_o_Clock_Shadow", "items", "A", "x__y_"))
    assert discovery_faults(ours.topic, ours.payload) == []


def entity(key: str, **changes: object) -> Callable[[Document], None]:
    def mutate(document: Document) -> None:
        for name, value in changes.items():
            if value is None:
                del document["cmps"][key][name]
            else:
                document["cmps"][key][name] = value

    return mutate


def part(where: str, **changes: object) -> Callable[[Document], None]:
    def mutate(document: Document) -> None:
        target = document[where] if where else document
        for name, value in changes.items():
            if value is None:
                del target[name]
            else:
                target[name] = value

    return mutate


BROKEN: list[tuple[Callable[[Document], None], str]] = [
    (part("", schema="lsi.discovery/1"), "unknown key schema at the root"),
    (part("", **{"~": "lsi/v1/hall1"}), "unknown key ~ at the root"),
    (part("", qos=1), "unknown key qos at the root"),
    (part("", o=None), "no o"),
    (part("", dev=None), "no dev"),
    (part("", cmps=None), "no cmps"),
    (part("", cmps={}), "no components"),
    (part("", avty=None), "no availability"),
    (part("", avty=[{"topic": "lsi/+/availability"}]), "no availability"),
    (part("", avty_mode="some"), "unknown avty_mode"),
    (part("", state_topic=None), "no state_topic"),
    (part("dev", colour="red"), "unknown key colour in dev"),
    (part("dev", ids=None), "a device without ids"),
    (part("dev", name=None), "a device without a name"),
    (part("dev", configuration_url="example.org"), "configuration_url is not http(s)"),
    (part("o", v=1), "unknown key v in o"),
    (part("o", name=None), "an origin without a name"),
    (entity("smiling", p="binary"), "unknown platform"),
    (entity("smiling", unique_id=None), "unique_id does not name the device"),
    (entity("smiling", unique_id="hall1_smiling"), "unique_id does not name the device"),
    (entity("smiling", unique_id="lsi_hall1_face"), "unique_id lsi_hall1_face twice"),
    (entity("smiling", object_id="hall_smiling"), "unknown key object_id"),
    (entity("smiling", default_entity_id=None), "default_entity_id is not"),
    (entity("smiling", default_entity_id="binary_sensor.smiling"), "default_entity_id is not"),
    (entity("smiling", qos=None), "qos 1 is missing"),
    (entity("smiling", expire_after=None), "no expire_after"),
    (entity("smiling", expire_after=-1), "no expire_after"),
    (entity("smiling", val_tpl="{{ 'ON' if value_json.a.Smiling else 'OFF' }}"), "was not tried"),
    (entity("smiling", val_tpl=None), "was not tried"),
    (entity("smiling", entity_category="secret"), "unknown entity_category"),
    (entity("smiling", state_class="measurement"), "core warns of"),
    (entity("face", device_class="face"), "unknown device_class"),
    (entity("latency", unit_of_meas="µs"), "core warns of"),
    (entity("backlog", state_topic="lsi/v1/#"), "no state_topic"),
    (entity("bundle", cmd_t=None), "no way to install"),
    (entity("bundle", pl_inst="install"), "no way to install"),
    (entity("bundle", val_tpl="{{ value }}"), "a template before the JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("mutate", "fault"), BROKEN, ids=[fault for _, fault in BROKEN])
def test_the_rules_find_each_broken_message(mutate: Callable[[Document], None], fault: str) -> None:
    document = copy.deepcopy(json.loads(OURS.payload))
    mutate(document)
    assert fault in " | ".join(discovery_faults(OURS.topic, json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("topic", "encoded", "retain", "qos"),
    [
        ("homeassistant/device/hall.1/config", OURS.payload, True, 1),
        ("homeassistant/device/hall1", OURS.payload, True, 1),
        (OURS.topic, OURS.payload, False, 1),
        (OURS.topic, OURS.payload, True, 0),
        (OURS.topic, OURS.payload[:-1], True, 1),
        (OURS.topic, b"[]", True, 1),
    ],
)
def test_the_rules_find_a_message_that_is_sent_wrongly(
    topic: str, encoded: bytes, retain: bool, qos: int
) -> None:
    assert discovery_faults(topic, encoded, retain=retain, qos=qos) != []


@needs_jinja2
@pytest.mark.parametrize(
    "template",
    [
        "{{ value_json.outbox.rows }}",
        "{{ 'ON' if value_json.face else 'OFF' }}",
        "{{ {true:'ON',false:'OFF'}.get(value_json.a.Smiling,'None') }}",
        "{{ value_json.problem|default('OFF') }}",
    ],
)
def test_the_rules_find_a_template_that_core_logs_or_that_turns_nothing_into_no(template: str) -> None:
    assert template_faults(template) != []


@needs_jinja2
@pytest.mark.parametrize("answer", [True, False, None])
def test_core_shows_a_payload_of_ours_as_it_is_meant(answer: bool | None) -> None:
    document = json.loads(payload(attributes={"Smiling": answer}).encode())
    shown = {True: "ON", False: "OFF", None: "None"}
    components = OURS.components
    assert render(components["smiling"]["val_tpl"], document) == shown[answer]
    assert render(components["eyeglasses"]["val_tpl"], document) == "None"


@needs_jinja2
@pytest.mark.parametrize(("face", "shown"), [(True, "ON"), (False, "OFF"), (None, "None")])
def test_core_shows_presence_as_it_is_meant(face: bool | None, shown: str) -> None:
    document = json.loads(payload(face=face, attributes={"Smiling": None}).encode())
    assert render(OURS.components["face"]["val_tpl"], document) == shown


@needs_jinja2
@pytest.mark.parametrize("problems", [frozenset(), frozenset({Problem.LOW_LIGHT})])
def test_core_shows_a_problem_of_ours_as_it_is_meant(problems: frozenset[Problem]) -> None:
    health = HealthPayload("hall1", "0123456789abcdef", problems, 1, 0, 0)
    rendered = render(OURS.components["problem"]["val_tpl"], json.loads(health.encode()))
    assert rendered == ("ON" if problems else "OFF")


@needs_jinja2
def test_core_shows_the_numbers_of_health() -> None:
    health = {
        "outbox": {"rows": 3},
        "infer_ms": {"p50": 12.5},
        "certificate": {"expires": "2027-01-02T03:04:05Z"},
    }
    shown = {
        key: render(OURS.components[key]["val_tpl"], health) for key in ("backlog", "latency", "certificate")
    }
    assert shown == {"backlog": "3", "latency": "12.5", "certificate": "2027-01-02T03:04:05Z"}


VERSIONS = st.tuples(*[st.integers(0, 9999)] * 3).map(lambda parts: ".".join(map(str, parts)))


@given(VERSIONS, VERSIONS, st.none() | st.integers(0, 100), st.none() | st.just("attr-lite-16"))
def test_every_update_of_ours_keeps_every_rule(
    installed: str, latest: str, percentage: int | None, title: str | None
) -> None:
    state = UpdateState(installed, latest, percentage is not None, percentage, title)
    assert update_faults(state.encode()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"v": "lsi.update/1"}, {"ts": 1}, {"dev": "hall1"},
        {"installed_version": None}, {"latest_version": ""},
        {"update_percentage": 101}, {"update_percentage": "5"}, {"in_progress": "yes"}, {"release_url": "x"},
    ],
)  # fmt: skip
def test_the_rules_find_each_broken_update(change: Document) -> None:
    document = json.loads(UpdateState("1.0.0", "1.0.1").encode())
    assert update_faults(json.dumps(document | change).encode()) != []


def test_the_rules_find_an_update_that_is_no_object() -> None:
    assert update_faults(b"1.0.0") != []
    assert update_faults(b"INSTALL") != []


WITH = OURS.payload
BARE = json.dumps({**OURS.document, "cmps": {**OURS.components, "smiling": {"p": "binary_sensor"}}}).encode()
WITHOUT = discovery(card(), ATTR_LITE_NAMES[1:], certificate=True).payload


def test_the_rules_know_the_series_that_removes_an_entity_and_the_one_that_removes_a_device() -> None:
    assert (
        series_faults(
            [(0, OURS.topic, WITH, True), (5, OURS.topic, BARE, True), (10, OURS.topic, WITHOUT, True)]
        )
        == []
    )
    assert series_faults([(0, OURS.topic, WITH, True), (2, OURS.topic, b"", True)]) == []


@pytest.mark.parametrize(
    ("series", "fault"),
    [
        ([(0, WITH), (6, WITHOUT)], "left out while it is still there"),
        ([(0, WITH), (1, BARE), (9, WITHOUT)], "smiling removed while it is set up"),
        ([(0, WITH), (6, BARE), (7, WITHOUT)], "smiling left out while it is removed"),
        ([(0, WITH), (4, BARE)], "two different discovery payloads at once"),
        ([(0, BARE)], "removed although never announced"),
        ([(0, WITH), (1, b"")], "a device removed while it is set up"),
        ([(0, b"")], "a device that was not announced"),
    ],
)
def test_the_rules_find_each_broken_series(series: list[tuple[float, bytes]], fault: str) -> None:
    sent = [(at_s, OURS.topic, each, True) for at_s, each in series]
    assert fault in " | ".join(series_faults(sent))


def test_the_rules_find_discovery_that_is_not_retained() -> None:
    assert series_faults([(0, OURS.topic, WITH, False)]) != []
