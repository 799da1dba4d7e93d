import os
import ssl
from pathlib import Path

import pytest

from lsi.errors import AppConfigError
from transport.broker import BrokerAddress, Message, TlsSettings, is_loopback


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


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AppConfigError, match=r"no\.key cannot be read"):
        TlsSettings(cert_file=tmp_path / "c", key_file=tmp_path / "no.key").context()
    with pytest.raises(AppConfigError, match="TLS files cannot be used"):
        TlsSettings(ca_file=tmp_path / "no.pem").context()
    broken = tmp_path / "broken.pem"
    broken.write_bytes(os.urandom(64))
    with pytest.raises(AppConfigError, match="TLS files cannot be used"):
        TlsSettings(ca_file=broken).context()


def test_a_message_does_not_show_its_payload() -> None:
    assert repr(Message("a/b", b"secret")) == "Message(a/b, 6 bytes, qos=1, retain=False)"
