from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.settings.config import TrustSettings, load_config
from lsi.attributes import ATTR_LITE
from lsi.errors import AppConfigError, DisclosureError, LsiError

GOOD = """
device_id = "hall1"
board = "sim-mcp3208"
bundle = "b.lsib"
[mqtt]
host = "127.0.0.1"
tls = { mode = "off" }
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_are_tls_four_attributes_and_one_scan_a_second(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD.replace('tls = { mode = "off" }', "")))
    assert (config.broker.port, config.broker.keepalive_s) == (8883, 15)
    assert config.broker.tls is not None
    assert config.policy.allowed == ATTR_LITE
    assert config.interval_s == 1.0


def test_without_tls_the_port_is_1883(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert (config.broker.port, config.broker.tls) == (1883, None)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('"sim-mcp3208"', '"boards/mine.toml"')
    config = load_config(written(tmp_path, text))
    assert config.bundle == tmp_path / "b.lsib"
    assert config.board == str(tmp_path / "boards/mine.toml")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("device_id", "device-id", "unknown key 'device-id' .did you mean 'device_id'"),
        ('device_id = "hall1"', "", "'device_id' is a required property"),
        ('"hall1"', '"Hall 1"', "device_id: 'Hall 1' does not match"),
        ("[mqtt]", "[mqtt]\nport = 70000", "mqtt.port: 70000"),
        ("[mqtt]", "[mqtt]\npassword = 'x'", "mqtt: unknown key 'password'"),
        ('"off"', '"none"', "mqtt.tls.mode"),
        ('mode = "off"', 'mode = "file"', "'ca_file' is a required property"),
        ('mode = "off"', 'mode = "system", cert_file = "c"', "'key_file' is a dependency"),
        ('mode = "off"', 'mode = "system", ca_file = "c"', "does not read ca_file"),
        ("127.0.0.1", "192.168.0.9", "TLS is off"),
        ("[mqtt]", "[mqtt", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_key(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in GOOD
    with pytest.raises(AppConfigError, match=said):
        load_config(written(tmp_path, GOOD.replace(before, after, 1)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppConfigError, match=r"gone\.toml cannot be read"):
        load_config(tmp_path / "gone.toml")


def test_a_policy_can_narrow(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD + '[policy]\nattributes = ["Smiling"]\n'))
    assert config.policy.allowed == {"Smiling"}


def test_a_policy_cannot_widen(tmp_path: Path) -> None:
    with pytest.raises(DisclosureError, match="Male"):
        load_config(written(tmp_path, GOOD + '[policy]\nattributes = ["Male"]\n'))


def test_without_a_section_trust_nobody_is_trusted(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, GOOD)).trust == TrustSettings((), allow_unsigned=False)


def test_trusted_keys_are_paths_relative_to_the_file(tmp_path: Path) -> None:
    text = GOOD + '[trust]\nkeys = ["owner.pub", "/etc/lsi/next.pub"]\nallow_unsigned = true\n'
    trust = load_config(written(tmp_path, text)).trust
    assert trust == TrustSettings((tmp_path / "owner.pub", Path("/etc/lsi/next.pub")), allow_unsigned=True)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('keys = ["a", "b", "c", "d"]', "trust.keys"),
        ('keys = ["a", "a"]', "non-unique"),
        ('keys = "a"', "trust.keys"),
        ('allow_unsigned = "yes"', "trust.allow_unsigned"),
        ("alow_unsigned = true", "did you mean 'allow_unsigned'"),
    ],
)
def test_a_wrong_section_trust_is_refused(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(AppConfigError, match=said):
        load_config(written(tmp_path, f"{GOOD}[trust]\n{section}\n"))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (GOOD + text).encode()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    try:
        load_config(path)
    except LsiError as error:
        assert error.found  # noqa: PT017 - either outcome is right


def test_certificate_and_key_may_be_credentials_of_systemd(tmp_path: Path) -> None:
    files = 'ca_file = "ca.crt", cert_file = "credential:d.crt", key_file = "credential:d.key"'
    path = written(tmp_path, GOOD.replace('mode = "off"', f'mode = "file", {files}'))
    settings = load_config(path, {"CREDENTIALS_DIRECTORY": "/run/credentials/lsi-edge.service"}).broker.tls
    assert settings is not None
    folder = Path("/run/credentials/lsi-edge.service")
    assert (settings.cert_file, settings.key_file) == (folder / "d.crt", folder / "d.key")
    assert settings.ca_file == tmp_path / "ca.crt"
