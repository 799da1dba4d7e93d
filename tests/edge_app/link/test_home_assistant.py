import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.link.home_assistant import (
    MAX_DISCOVERY_BYTES,
    Discovery,
    discovery,
    discovery_payload,
    discovery_topic,
    encode_discovery,
    retained_topics,
    slug,
)
from lsi.attributes import ATTR_LITE
from lsi.errors import ConfigError, PayloadError
from lsi.update_state import UpdateState
from tests.edge_app.link.home_assistant_cards import ATTR_LITE_NAMES, card

SMILING: dict[str, Any] = {
    "p": "binary_sensor", "unique_id": "lsi_hall1_smiling", "name": "Smiling", "qos": 1, "expire_after": 120,
    "default_entity_id": "binary_sensor.hall_sensor_smiling",
    "val_tpl": "{{ {true:'ON',false:'OFF'}.get((value_json.a|default({},true)).Smiling,'None') }}",
}  # fmt: skip
GOLDEN = {
    "dev": {
        "ids": ["lsi_hall1"], "name": "Hall sensor", "mf": "LSI", "mdl": "LSI single-pixel", "mdl_id": "d32",
        "sw": "0.1.0", "hw": "rpi4", "sn": "hall1", "configuration_url": "https://example.org/hall1",
    },
    "o": {"name": "lsi-edge", "sw": "0.1.0"},
    "avty": [{"topic": "lsi/v1/hall1/availability"}], "avty_mode": "all", "state_topic": "lsi/v1/hall1/attr",
    "cmps": {
        "smiling": SMILING,
        "mouth_slightly_open": SMILING | {
            "unique_id": "lsi_hall1_mouth_slightly_open", "name": "Mouth slightly open",
            "default_entity_id": "binary_sensor.hall_sensor_mouth_slightly_open",
            "val_tpl": SMILING["val_tpl"].replace("Smiling", "Mouth_Slightly_Open"),
        },
        "eyeglasses": SMILING | {
            "unique_id": "lsi_hall1_eyeglasses", "name": "Eyeglasses",
            "default_entity_id": "binary_sensor.hall_sensor_eyeglasses",
            "val_tpl": SMILING["val_tpl"].replace("Smiling", "Eyeglasses"),
        },
        "wearing_hat": SMILING | {
            "unique_id": "lsi_hall1_wearing_hat", "name": "Wearing hat",
            "default_entity_id": "binary_sensor.hall_sensor_wearing_hat",
            "val_tpl": SMILING["val_tpl"].replace("Smiling", "Wearing_Hat"),
        },
        "face": {
            "p": "binary_sensor", "unique_id": "lsi_hall1_face", "name": "Occupancy",
            "device_class": "occupancy", "qos": 1, "expire_after": 120,
            "default_entity_id": "binary_sensor.hall_sensor_occupancy",
            "val_tpl": "{{ {true:'ON',false:'OFF'}.get(value_json.face,'None') }}",
        },
        "problem": {
            "p": "binary_sensor", "unique_id": "lsi_hall1_problem", "name": "Problem",
            "device_class": "problem", "entity_category": "diagnostic", "qos": 1,
            "default_entity_id": "binary_sensor.hall_sensor_problem", "state_topic": "lsi/v1/hall1/health",
            "val_tpl": "{% set p = value_json.problem|default(none) %}"
            "{{ 'None' if p is none else 'ON' if p else 'OFF' }}",
        },
        "backlog": {
            "p": "sensor", "unique_id": "lsi_hall1_backlog", "name": "Backlog",
            "entity_category": "diagnostic", "state_class": "measurement", "qos": 1,
            "default_entity_id": "sensor.hall_sensor_backlog", "state_topic": "lsi/v1/hall1/health",
            "val_tpl": "{{ (value_json.outbox|default({},true)).rows|default('None') }}",
        },
        "latency": {
            "p": "sensor", "unique_id": "lsi_hall1_latency", "name": "Inference time",
            "entity_category": "diagnostic", "device_class": "duration", "unit_of_meas": "ms",
            "state_class": "measurement", "qos": 1,
            "default_entity_id": "sensor.hall_sensor_inference_time", "state_topic": "lsi/v1/hall1/health",
            "val_tpl": "{{ (value_json.infer_ms|default({},true)).p50|default('None') }}",
        },
        "bundle": {
            "p": "update", "unique_id": "lsi_hall1_bundle", "name": "Model bundle",
            "entity_category": "config", "qos": 1,
            "default_entity_id": "update.hall_sensor_model_bundle", "state_topic": "lsi/v1/hall1/update",
            "cmd_t": "lsi/v1/hall1/cmd/update", "pl_inst": "INSTALL",
        },
    },
}  # fmt: skip
"""The message that two versions of core took without a warning."""

names = st.lists(st.sampled_from(sorted(ATTR_LITE)), unique=True).map(tuple)


def test_the_message_is_the_one_that_core_took_without_a_warning() -> None:
    found = discovery(card(page="https://example.org/hall1"), ATTR_LITE_NAMES)
    assert found.topic == "homeassistant/device/hall1/config"
    assert json.loads(found.payload) == GOLDEN


def test_a_device_with_a_certificate_tells_when_it_ends() -> None:
    components = discovery(card(), (), certificate=True).components
    assert components["certificate"] == {
        "p": "sensor", "unique_id": "lsi_hall1_certificate", "name": "Certificate expiry",
        "device_class": "timestamp", "entity_category": "diagnostic", "qos": 1,
        "default_entity_id": "sensor.hall_sensor_certificate_expiry", "state_topic": "lsi/v1/hall1/health",
        "val_tpl": "{{ (value_json.certificate|default({},true)).expires|default('None') }}",
    }  # fmt: skip
    assert "certificate" not in discovery(card(), ()).components


@given(names)
def test_only_the_attributes_that_may_leave_are_named(allowed: tuple[str, ...]) -> None:
    payload = discovery_payload(card(), allowed)
    for name in ATTR_LITE:
        assert (name.encode() in payload) is (name in allowed)
        assert (name.lower() in discovery(card(), allowed).components) is (name in allowed)


@given(names)
def test_the_same_device_always_gives_the_same_bytes(allowed: tuple[str, ...]) -> None:
    assert discovery_payload(card(), allowed) == discovery(card(), list(allowed)).payload


@pytest.mark.parametrize(("heartbeat_s", "expiry_s"), [(60, 120), (1, 2), (0.5 + 1, 3), (3600, 7200)])
def test_a_live_entity_expires_after_two_heartbeats(heartbeat_s: float, expiry_s: int) -> None:
    components = discovery(card(), ("Smiling",), heartbeat_s=heartbeat_s).components
    expiring = {key: each["expire_after"] for key, each in components.items() if "expire_after" in each}
    assert expiring == {"smiling": expiry_s, "face": expiry_s}


@pytest.mark.parametrize("heartbeat_s", [0, -1, float("nan"), 3601])
def test_a_heartbeat_that_makes_no_sense_is_refused(heartbeat_s: float) -> None:
    with pytest.raises(ConfigError, match="heartbeat"):
        discovery(card(), (), heartbeat_s=heartbeat_s)


def test_forty_attributes_fit_into_one_message() -> None:
    many = tuple(f"Attribute_With_A_Name_Of_Its_Own_{number:02}" for number in range(40))
    assert 12_000 < len(discovery_payload(card(), many)) < MAX_DISCOVERY_BYTES


def test_a_message_over_the_bound_is_refused() -> None:
    with pytest.raises(PayloadError, match="at most 32768"):
        encode_discovery({"cmps": {"x": "y" * MAX_DISCOVERY_BYTES}})


def test_an_attribute_whose_name_is_no_name_in_a_template_is_looked_up_by_its_text() -> None:
    components = discovery(card(), ("5_o_Clock_Shadow", "items")).components
    assert "['5_o_Clock_Shadow']" in components["5_o_clock_shadow"]["val_tpl"]
    assert "['items']" in components["items"]["val_tpl"]


@pytest.mark.parametrize(
    "twice", [("Smiling", "smiling"), ("Problem",), ("Face",), ("Occupancy",), ("A_B", "A__B")]
)
def test_two_entities_of_one_name_are_refused(twice: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="Two entities"):
        discovery(card(), twice)


@pytest.mark.parametrize(
    "changes",
    [
        {"device_id": "hall.1"}, {"device_id": "Hall"}, {"device_id": ""}, {"device_id": "a" * 33},
        {"name": ""}, {"name": " hall"}, {"name": "Küche"}, {"name": "a/b"}, {"name": "x" * 49},
        {"name": "a\n"},
        {"model": ""}, {"hardware": "pi\n"}, {"software": "ä"}, {"maker": "m" * 65},
        {"page": "example.org"}, {"page": "ftp://example.org"}, {"page": "http://"},
        {"d": 0}, {"d": 513},
    ],
)  # fmt: skip
def test_a_card_that_core_would_refuse_or_spell_differently_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refused:
        card(**changes)
    assert refused.value.hint


@pytest.mark.parametrize("prefix", ["", "home/#", "home assistant", "/x", "x/", "a.b", "homeassistant\n"])
def test_a_prefix_outside_the_alphabet_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        discovery_topic("hall1", prefix)


@pytest.mark.parametrize("name", ["", "a b", "x'}}", "_a", "a.b"])
def test_an_attribute_that_could_leave_its_template_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="attribute"):
        discovery(card(), (name,))


@given(st.text("Aa0 _-", min_size=1))
def test_a_slug_has_no_separator_at_its_ends_nor_two_in_a_row(text: str) -> None:
    assert "__" not in slug(text)
    assert slug(text) == slug(text).strip("_")
    assert slug(slug(text)) == slug(text)


def test_what_the_device_retains_under_its_own_topics_is_listed() -> None:
    assert retained_topics("hall1") == {f"lsi/v1/hall1/{kind}" for kind in ("availability", "info", "update")}


def test_a_discovery_shows_how_much_it_is_and_not_what() -> None:
    assert repr(discovery(card(), ())) == "Discovery(homeassistant/device/hall1/config, 5 components)"
    with pytest.raises(TypeError):
        Discovery("t", {}).document["x"] = 1  # type: ignore[index] # that it cannot be written to


def test_an_update_says_both_versions_and_progress_every_time() -> None:
    assert json.loads(UpdateState("1.0.0", "1.1.0").encode()) == {
        "installed_version": "1.0.0", "latest_version": "1.1.0",
        "in_progress": False, "update_percentage": None,
    }  # fmt: skip
    running = UpdateState("1.0.0", "1.1.0", in_progress=True, percentage=40, title="attr-lite-16")
    assert json.loads(running.encode()) == {
        "installed_version": "1.0.0", "latest_version": "1.1.0", "in_progress": True, "update_percentage": 40,
        "title": "attr-lite-16",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("versions", "rest"),
    [
        (("", "1.0.0"), {}), (("1.0.0", "1.0"), {}), (("1.0.0", "1.0.0\n"), {}), (("v1.0.0", "1.0.0"), {}),
        (("1.0.0", "1.0.1"), {"in_progress": True, "percentage": 101}),
        (("1.0.0", "1.0.1"), {"in_progress": True, "percentage": -1}),
        (("1.0.0", "1.0.1"), {"percentage": 5}), (("1.0.0", "1.0.1"), {"title": ""}),
        (("1.0.0", "1.0.1"), {"title": "t" * 65}),
    ],
)  # fmt: skip
def test_an_update_that_core_would_drop_is_refused(
    versions: tuple[str, str], rest: dict[str, object]
) -> None:
    with pytest.raises(PayloadError):
        UpdateState(*versions, **rest)  # type: ignore[arg-type] # wrong values on purpose
