import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.settings.config import load_config
from edge_app.settings.environment import overridden
from lsi.errors import AppConfigError

FILE = """
device_id = "hall1"
board = "sim-mcp3208"
bundle = "b.lsib"
[mqtt]
host = "127.0.0.1"
tls = { mode = "off" }
"""


def test_a_variable_takes_the_place_of_its_key(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    environ = {
        "LSI_DEVICE_ID": "hall2",
        "LSI_MQTT__PORT": "2883",
        "LSI_SCAN__INTERVAL_S": "0.5",
        "LSI_POLICY__ATTRIBUTES": '["Smiling"]',
        "LSI_TRUST__ALLOW_UNSIGNED": "true",
        "HOME": "/root",
    }
    config = load_config(path, environ)
    assert (config.device_id, config.broker.port, config.interval_s) == ("hall2", 2883, 0.5)
    assert config.policy.allowed == {"Smiling"}
    assert config.trust.allow_unsigned
    assert load_config(path, {}).device_id == "hall1"


def test_a_section_that_the_file_does_not_have_is_made_and_the_file_is_not_changed() -> None:
    document = {"mqtt": {"host": "a"}}
    assert overridden(document, {"LSI_MQTT__TLS__MODE": "system"}) == {
        "mqtt": {"host": "a", "tls": {"mode": "system"}}
    }
    assert document == {"mqtt": {"host": "a"}}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("LSI_MQTT__HOTS", "LSI_MQTT__HOST"), ("LSI_MQTT", "LSI_"), ("LSI_DEVICE__ID", "LSI_DEVICE_ID")],
)
def test_a_variable_that_names_no_key_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(AppConfigError, match=hint):
        overridden({}, {name: "x"})


def test_a_number_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(AppConfigError, match="LSI_MQTT__PORT is not a value"):
        overridden({}, {"LSI_MQTT__PORT": "eighty"})


def test_a_value_of_the_wrong_kind_is_refused_by_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    with pytest.raises(AppConfigError, match=r"mqtt\.port"):
        load_config(path, {"LSI_MQTT__PORT": "[1]"})


@given(st.text(max_size=40))
def test_text_is_taken_as_it_is(text: str) -> None:
    assert overridden({}, {"LSI_DEVICE_ID": text}) == {"device_id": text}


@given(st.text(max_size=40))
def test_any_text_for_a_number_is_a_value_or_refused(text: str) -> None:
    with contextlib.suppress(AppConfigError):
        assert overridden({}, {"LSI_MQTT__PORT": text}).keys() == {"mqtt"}


def test_a_second_line_is_not_a_second_key() -> None:
    with pytest.raises(AppConfigError, match="not a value"):
        overridden({}, {"LSI_MQTT__PORT": "1\nhost = 2"})
