"""TLS against Debian's mosquitto: who is trusted, what is said when nobody is, and renewal."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.transport.certificates import Authority, Identity
from tests.transport.far_ends import Mosquitto, mosquitto_with
from tests.transport.test_mqtt import TIMEOUT_S, Recorder
from transport.backoff import Backoff
from transport.broker import BrokerAddress, LinkState, Message, TlsSettings
from transport.mqtt import MqttLink
from transport.tls import explain

ONLY_VERSION = """openssl_conf = main
[main]
ssl_conf = versions
[versions]
system_default = only
[only]
MinProtocol = {0}
MaxProtocol = {0}
CipherString = DEFAULT@SECLEVEL=0
"""


@contextmanager
def tls_broker(
    mosquitto: str, folder: Path, authority: Authority, server: Identity, only_version: str = ""
) -> Iterator[Mosquitto]:
    """Mosquitto that asks for a client certificate of ``authority``."""
    config = (
        "allow_anonymous false\nrequire_certificate true\nuse_identity_as_username true\n"
        f"tls_version {'tlsv1.1' if only_version else 'tlsv1.3'}\n"
        f"cafile {authority.ca_file}\ncertfile {server.cert_file}\nkeyfile {server.key_file}\n"
    )
    openssl_config = None
    if only_version:
        openssl_config = folder / "openssl.cnf"
        openssl_config.write_text(ONLY_VERSION.format(only_version))
    with mosquitto_with(mosquitto, folder, config, openssl_config) as broker:
        yield broker


@contextmanager
def tls_link(port: int, tls: TlsSettings, recorder: Recorder, backoff_s: float = 0.02) -> Iterator[MqttLink]:
    address = BrokerAddress("127.0.0.1", port, tls)
    link = MqttLink(address, "hall1", events=recorder.events, backoff=Backoff(lambda _, __: backoff_s))
    link.start()
    try:
        yield link
    finally:
        link.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def settings(authority: Authority, device: Identity, server_name: str | None = None) -> TlsSettings:
    return TlsSettings(authority.ca_file, device.cert_file, device.key_file, server_name)


@dataclass(frozen=True)
class Row:
    """One line of the table: what is wrong, what the link is then, and what it says."""

    wrong: str
    state: LinkState
    reason: str
    advice: str = ""
    only_version: str = ""


TABLE = [
    Row("nothing", LinkState.ONLINE, "MQTT 5, TLSv1.3"),
    Row("nothing, over 1.2", LinkState.ONLINE, "MQTT 5, TLSv1.2", only_version="TLSv1.2"),
    Row("name, but server_name is right", LinkState.ONLINE, "MQTT 5, TLSv1.3"),
    Row(
        "authority of the broker",
        LinkState.REFUSED,
        "self-signed certificate in certificate chain",
        "ca_file",
    ),
    Row("address of the broker", LinkState.REFUSED, "IP address mismatch", "server_name"),
    Row("name of the broker", LinkState.REFUSED, "Hostname mismatch", "server_name"),
    Row("date of the broker", LinkState.REFUSED, "certificate has expired", "clock of this machine"),
    Row("broker speaks 1.1 only", LinkState.REFUSED, "ALERT_PROTOCOL_VERSION", "TLS 1.2", "TLSv1.1"),
    Row("no certificate of ours", LinkState.REFUSED, "TLSV13_ALERT_CERTIFICATE_REQUIRED", "cert_file"),
    Row(
        "no certificate of ours, over 1.2",
        LinkState.REFUSED,
        "ALERT_HANDSHAKE_FAILURE",
        "cert_file",
        "TLSv1.2",
    ),
    Row("authority of ours", LinkState.REFUSED, "TLSV1_ALERT_UNKNOWN_CA", "cert_file"),
    Row("date of ours", LinkState.REFUSED, "SSLV3_ALERT_CERTIFICATE_EXPIRED", "renew the certificate"),
]


def parties(wrong: str, authority: Authority, folder: Path) -> tuple[Identity, TlsSettings]:
    """The broker's certificate and our settings, with one thing wrong."""
    server, device = authority.issue("broker"), authority.issue("hall1")
    stranger = Authority(folder, "stranger")
    named = authority.issue("named", host="broker.lan")
    ours, nobody = settings(authority, device), TlsSettings(authority.ca_file)
    return {
        "name, but server_name is right": (named, settings(authority, device, "broker.lan")),
        "authority of the broker": (server, settings(stranger, device)),
        "address of the broker": (authority.issue("elsewhere", "127.0.0.9"), ours),
        "name of the broker": (named, settings(authority, device, "other.lan")),
        "date of the broker": (authority.issue("late", expired=True), ours),
        "no certificate of ours": (server, nobody),
        "no certificate of ours, over 1.2": (server, nobody),
        "authority of ours": (server, settings(authority, stranger.issue("strange"))),
        "date of ours": (server, settings(authority, authority.issue("old", expired=True))),
    }.get(wrong, (server, ours))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.wrong)
def test_the_table_of_accepted_and_refused(
    mosquitto_path: str, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    server, ours = parties(row.wrong, authority, tmp_path)
    recorder = Recorder()
    with (
        caplog.at_level(logging.INFO),
        tls_broker(mosquitto_path, tmp_path, authority, server, row.only_version) as broker,
        tls_link(broker.port, ours, recorder) as link,
    ):
        assert recorder.state() is row.state
        assert link.publish(Message("t/a", b"hello")) is (row.state is LinkState.ONLINE)
    assert row.reason in recorder.reasons[0]
    said = "".join(record.getMessage() for record in caplog.records)
    assert row.reason in said
    assert row.advice in said


@contextmanager
def slow_judge(server: Identity, authority: Authority) -> Iterator[int]:
    """A broker that takes a while to look at a client's certificate, and resets over what it has not read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert_file, server.key_file)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)

        def judge() -> None:
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls:
                while True:
                    try:
                        tls.do_handshake()
                    except ssl.SSLWantReadError:
                        time.sleep(0.05)
                    except ssl.SSLError:
                        return

        thread = threading.Thread(target=judge)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_refusal_that_comes_after_the_handshake_is_read_before_the_reset(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("strange")
    recorder = Recorder()
    with (
        slow_judge(authority.issue("broker"), authority) as port,
        tls_link(port, settings(authority, stranger), recorder, backoff_s=60),
    ):
        assert recorder.state() is LinkState.REFUSED
    assert recorder.reasons == ["TLS: TLSV1_ALERT_UNKNOWN_CA"]


def test_a_renewed_certificate_is_used_at_the_next_connect(
    mosquitto_path: str, authority: Authority, tmp_path: Path
) -> None:
    recorder = Recorder()
    old = settings(authority, authority.issue("hall1"))
    new = settings(authority, authority.issue("hall1-new"))
    with (
        tls_broker(mosquitto_path, tmp_path, authority, authority.issue("broker")) as broker,
        tls_link(broker.port, old, recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        link.replace_tls(new)
        assert recorder.renewals.empty()
        link.reconnect("new certificate")
        renewal = recorder.renewals.get(timeout=TIMEOUT_S)
        assert (renewal.settings, renewal.is_accepted) == (new, True)
        assert [recorder.state(), recorder.state()] == [LinkState.CONNECTING, LinkState.ONLINE]
        # The broker logs the user, which is the name in the certificate.
        assert "u'hall1-new'" in broker.log.read_text()


def test_a_renewal_that_the_broker_refuses_leaves_the_old_certificate_in_use(
    mosquitto_path: str, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    old = settings(authority, authority.issue("hall1"))
    bad = settings(authority, Authority(tmp_path, "stranger").issue("hall1-bad"))
    with (
        tls_broker(mosquitto_path, tmp_path, authority, authority.issue("broker")) as broker,
        tls_link(broker.port, old, recorder) as link,
    ):
        assert recorder.state() is LinkState.ONLINE
        link.replace_tls(bad)
        link.reconnect("new certificate")
        renewal = recorder.renewals.get(timeout=TIMEOUT_S)
        assert (renewal.settings, renewal.is_accepted) == (bad, False)
        assert renewal.reason == "TLS: TLSV1_ALERT_UNKNOWN_CA"
        states = [recorder.state() for _ in range(3)]
        assert states == [LinkState.CONNECTING, LinkState.REFUSED, LinkState.ONLINE]
    assert "the old ones stay in use" in caplog.text


def test_a_link_without_tls_cannot_be_given_certificates() -> None:
    link = MqttLink(BrokerAddress("127.0.0.1", 1, None), "x")
    with pytest.raises(ValueError, match="uses no TLS"):
        link.replace_tls(TlsSettings())


def test_the_keys_of_a_connection_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = TlsSettings().context()
    assert context.keylog_filename is None


def test_an_error_that_nobody_knows_keeps_openssls_words() -> None:
    fault = explain(ssl.SSLError(1, "something new"))
    assert "something new" in fault.reason
    assert fault.advice
