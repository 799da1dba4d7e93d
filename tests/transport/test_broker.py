import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from lsi.errors import AppConfigError
from tests.transport.certificates import Authority
from transport.broker import BrokerAddress, Message, MessageProperties, TlsSettings, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_tls_a_broker_must_be_on_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert BrokerAddress(host, 1883, None).host == host


@pytest.mark.parametrize("host", ["192.168.1.2", "broker.example", "localhost.example", "0.0.0.0"])  # noqa: S104 - refused
def test_without_tls_any_other_broker_is_refused(host: str) -> None:
    with pytest.raises(AppConfigError, match="TLS is off"):
        BrokerAddress(host, 1883, None)
    assert BrokerAddress(host, 8883, TlsSettings()).tls is not None


def test_the_context_checks_name_and_chain() -> None:
    context = TlsSettings().context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    key = tmp_path / "device.key"
    key.write_text("k")
    key.chmod(0o640)
    with pytest.raises(AppConfigError, match=f"chmod 600 {key}"):
        TlsSettings(cert_file=tmp_path / "c", key_file=key).context()


@pytest.mark.parametrize(("mode", "refusal"), [(0o440, "cannot be used"), (0o444, "open to others")])
def test_a_credential_is_readable_for_its_group_and_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, refusal: str
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    key = tmp_path / "device.key"
    key.write_text("no key, so that whoever reads it says so")
    key.chmod(mode)
    with pytest.raises(AppConfigError, match=refusal):
        TlsSettings(cert_file=key, key_file=key).context()


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AppConfigError, match=r"no\.key cannot be read"):
        TlsSettings(cert_file=tmp_path / "c", key_file=tmp_path / "no.key").context()
    with pytest.raises(AppConfigError, match="TLS files cannot be used"):
        TlsSettings(ca_file=tmp_path / "no.pem").context()
    broken = tmp_path / "broken.pem"
    broken.write_bytes(os.urandom(64))
    with pytest.raises(AppConfigError, match="TLS files cannot be used"):
        TlsSettings(ca_file=broken).context()


@pytest.mark.parametrize("keepalive_s", [0, 31, 3600])
def test_a_keepalive_that_leaves_a_dead_client_online_is_refused(keepalive_s: int) -> None:
    with pytest.raises(AppConfigError, match="keepalive_s from 1 to 30"):
        BrokerAddress("127.0.0.1", 1883, None, keepalive_s)


def test_an_encrypted_key_is_refused_instead_of_asked_for_on_the_terminal(tmp_path: Path) -> None:
    device = Authority(tmp_path, "authority").issue("d")
    key = load_pem_private_key(device.key_file.read_bytes(), None)
    locked = BestAvailableEncryption(b"secret")
    device.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    with pytest.raises(AppConfigError, match="TLS files cannot be used"):
        TlsSettings(cert_file=device.cert_file, key_file=device.key_file).context()


@pytest.mark.parametrize("expires_s", [-1, 2**32])
def test_a_life_that_fits_into_no_packet_is_refused(expires_s: int) -> None:
    with pytest.raises(ValueError, match="expires_s"):
        MessageProperties(expires_s=expires_s)


def test_a_message_does_not_show_its_payload() -> None:
    message = Message("a/b", b"secret", properties=MessageProperties(correlation_data=b"hidden"))
    assert repr(message) == "Message(a/b, 6 bytes, qos=1, retain=False)"
