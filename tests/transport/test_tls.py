"""TLS against Debian's mosquitto: who is trusted, and what is said when nobody is."""

import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.broker import free_port
from tests.transport.certificates import Authority
from tests.transport.test_mqtt import Recorder
from transport.backoff import Backoff
from transport.broker import BrokerAddress, LinkState, Message, TlsSettings
from transport.mqtt import MqttLink


@contextmanager
def tls_broker(mosquitto: str, authority: Authority, folder: Path, server_address: str) -> Iterator[int]:
    """Mosquitto that asks for a client certificate of ``authority``."""
    port, server = free_port(), authority.issue("broker", server_address)
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\nrequire_certificate true\n"
        f"use_identity_as_username true\ntls_version tlsv1.3\npersistence false\nuser root\n"
        f"cafile {authority.ca_file}\ncertfile {server.cert_file}\nkeyfile {server.key_file}\n"
    )
    log = folder / "mosquitto.log"
    with log.open("wb") as file, subprocess.Popen([mosquitto, "-v", "-c", config], stderr=file) as process:
        try:
            deadline_s = time.monotonic() + 15
            while b"running" not in log.read_bytes() and time.monotonic() < deadline_s:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield port
        finally:
            process.terminate()


@contextmanager
def tls_link(port: int, tls: TlsSettings, recorder: Recorder) -> Iterator[MqttLink]:
    address = BrokerAddress("127.0.0.1", port, tls)
    link = MqttLink(address, "hall1", events=recorder.events, backoff=Backoff(lambda low, _: low / 50))
    link.start()
    try:
        yield link
    finally:
        link.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def test_with_the_right_certificates_a_message_is_taken(
    mosquitto_path: str, authority: Authority, tmp_path: Path
) -> None:
    device, recorder = authority.issue("hall1"), Recorder()
    tls = TlsSettings(authority.ca_file, device.cert_file, device.key_file)
    with (
        tls_broker(mosquitto_path, authority, tmp_path, "127.0.0.1") as port,
        tls_link(port, tls, recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        assert link.publish(Message("t/a", b"hello"))


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_broker_with_another_authority_or_name_is_refused_and_said(
    mosquitto_path: str, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    device, recorder = authority.issue("hall1"), Recorder()
    trusted = Authority(tmp_path, "stranger") if wrong == "authority" else authority
    tls = TlsSettings(trusted.ca_file, device.cert_file, device.key_file)
    server_address = "127.0.0.9" if wrong == "name" else "127.0.0.1"
    with (
        caplog.at_level(logging.WARNING),
        tls_broker(mosquitto_path, authority, tmp_path, server_address) as port,
        tls_link(port, tls, recorder) as link,
    ):
        assert recorder.state() is LinkState.REFUSED
        assert not link.publish(Message("t/a", b"hello"))
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    assert "Try: check certificate" in caplog.text


def test_a_device_without_a_certificate_never_comes_online(
    mosquitto_path: str, authority: Authority, tmp_path: Path
) -> None:
    recorder = Recorder()
    tls = TlsSettings(authority.ca_file)
    with (
        tls_broker(mosquitto_path, authority, tmp_path, "127.0.0.1") as port,
        tls_link(port, tls, recorder) as link,
    ):
        assert recorder.state() in {LinkState.AWAY, LinkState.REFUSED}
        assert not link.publish(Message("t/a", b"hello"))
