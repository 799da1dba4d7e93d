import queue
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from edge_app.cli_commands.mosquitto_config_command import add_mosquitto_config
from edge_app.provision.mosquitto_config import (
    DEVICE_READS,
    DEVICE_WRITES,
    BrokerSetup,
    Floor,
    Role,
    Version,
    access_rules,
    broker_config,
    is_reserved,
)
from lsi.errors import ConfigError
from lsi.topics import Kind
from tests.edge_app.provision.authorities import HOUR, NOW, Signer, Wish
from tests.edge_app.provision.generated_broker import generated_broker, run_command
from tests.transport.test_mqtt import Recorder
from transport.broker import BrokerAddress, LinkState, Message, TlsSettings
from transport.mqtt import MqttLink
from transport.outgoing import Outcome, Settled

USERS = ("hall1", "door2", "homeassistant", "decoder", "sink")

MATRIX = {
    # topic: who may write, who may read
    "lsi/v1/hall1/availability": ("hall1", "homeassistant sink"),
    "lsi/v1/hall1/info": ("hall1", "sink"),
    "lsi/v1/hall1/update": ("hall1", "homeassistant"),
    "lsi/v1/hall1/attr": ("hall1", "homeassistant sink"),
    "lsi/v1/hall1/event": ("hall1", "sink"),
    "lsi/v1/hall1/agg": ("hall1", "homeassistant sink"),
    "lsi/v1/hall1/latent": ("hall1", "decoder"),
    "lsi/v1/hall1/health": ("hall1", "homeassistant sink"),
    "lsi/v1/hall1/ack/replay": ("hall1", "sink"),
    "lsi/v1/hall1/ack/update": ("hall1", ""),
    "lsi/v1/hall1/cmd/replay": ("sink", "hall1"),
    "lsi/v1/hall1/cmd/update": ("homeassistant", "hall1"),
    "lsi/v1/hall1/cmd/rebirth": ("", "hall1"),
    "lsi/v1/hall1/cmd/identify": ("", "hall1"),
    "lsi/v1/hall1/cmd/pause": ("", "hall1"),
    "lsi/v1/hall1/raw": ("", ""),
    "lsi/v1/hall1": ("", ""),
    "homeassistant/device/hall1/config": ("hall1 homeassistant", "homeassistant"),
    "homeassistant/device/hall1/state": ("homeassistant", "homeassistant"),
    "zigbee2mqtt/bridge/state": ("", ""),
    "$SYS/broker/clients/total": ("", ""),
    "homeassistant/status": ("homeassistant", " ".join(USERS)),
}
WRITES = {(user, topic): user in who.split() for topic, (who, _) in MATRIX.items() for user in USERS}
READS = {(user, topic): user in who.split() for topic, (_, who) in MATRIX.items() for user in USERS}


@contextmanager
def client(folder: Path, port: int, user: str, *subscriptions: str) -> Iterator[tuple[MqttLink, Recorder]]:
    tls = TlsSettings(folder / "ca.crt", folder / f"{user}.crt", folder / f"{user}.key")
    recorder = Recorder()
    link = MqttLink(
        BrokerAddress("127.0.0.1", port, tls), user, events=recorder.events, subscriptions=subscriptions
    )
    link.start()
    try:
        assert recorder.state() is LinkState.ONLINE
        yield link, recorder
    finally:
        link.stop()


def told(link: MqttLink, topic: str) -> Outcome:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    assert link.send(Message(topic, b"x"), outcomes.put)
    return outcomes.get(timeout=5)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("authority")


@pytest.fixture(scope="module")
def broker(
    mosquitto_path: str, tmp_path_factory: pytest.TempPathFactory, signer: Signer
) -> Iterator[tuple[Path, int]]:
    """With one user more, who may write everything, so that every topic can be tried on readers."""
    folder = tmp_path_factory.mktemp("broker")
    for user in (*USERS, "tester"):
        signer.issue(folder, user, Wish((user,)))
    rules = "\nuser tester\ntopic readwrite #\ntopic readwrite $SYS/#\n"
    with generated_broker(mosquitto_path, folder, signer, more_rules=rules) as port:
        yield folder, port


@pytest.mark.parametrize("user", USERS)
def test_each_user_writes_exactly_what_the_matrix_says(broker: tuple[Path, int], user: str) -> None:
    with client(*broker, user) as (link, _):
        outcomes = {topic: told(link, topic) for topic in MATRIX if not topic.startswith("$")}
    assert {topic: outcome.settled is Settled.ACCEPTED for topic, outcome in outcomes.items()} == {
        topic: WRITES[user, topic] for topic in outcomes
    }
    assert {outcome.code for outcome in outcomes.values() if outcome.settled is not Settled.ACCEPTED} <= {
        0x87
    }


@pytest.mark.parametrize("user", USERS)
def test_each_user_is_sent_exactly_what_the_matrix_says(broker: tuple[Path, int], user: str) -> None:
    with client(*broker, user, "#", "$SYS/#") as (_, reader), client(*broker, "tester") as (writer, _):
        for topic in MATRIX:
            if not topic.startswith("$"):
                assert told(writer, topic).settled is Settled.ACCEPTED
        seen = set[str]()
        while (topic := reader.message().topic) != "homeassistant/status":
            seen.add(topic)
        seen.add(topic)
    assert seen == {topic for topic in MATRIX if READS[user, topic]}


def test_a_decoder_shares_its_subscription_with_other_workers(broker: tuple[Path, int]) -> None:
    with client(*broker, "decoder", "$share/workers/lsi/v1/+/latent") as (_, reader):
        with client(*broker, "hall1") as (writer, _):
            assert told(writer, "lsi/v1/hall1/latent").settled is Settled.ACCEPTED
        assert reader.message().topic == "lsi/v1/hall1/latent"


def is_taken(port: int, context: ssl.SSLContext, name: str = "127.0.0.1") -> bool:
    """Whether the broker waits for a first packet; in TLS 1.3 it refuses after the handshake."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            wrapped.settimeout(0.5)
            return bool(wrapped.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False


def context_of(ca: Path, stem: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if stem is not None:
        context.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))
    return context


CLIENTS = {
    "ours": (Wish(), True),
    "expired": (Wish(begins=NOW - 2 * HOUR, ends=NOW - HOUR), False),
    "not yet valid": (Wish(begins=NOW + HOUR), False),
    "not for clients": (Wish(usages=(x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,)), False),
    "a stranger's": (Wish(), False),
    "none": (None, False),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_the_broker_takes_exactly_the_certificates_of_its_authority(
    broker: tuple[Path, int], signer: Signer, tmp_path: Path, case: str
) -> None:
    folder, port = broker
    wish, accepted = CLIENTS[case]
    if wish is not None:
        (Signer("stranger") if case == "a stranger's" else signer).issue(tmp_path, "client", wish)
    context = context_of(folder / "ca.crt", tmp_path / "client" if wish is not None else None)
    assert is_taken(port, context) is accepted


@pytest.mark.parametrize(
    ("floor", "accepted"), [(Floor.TLS_1_3, [True, False]), (Floor.TLS_1_2, [True, True])]
)
def test_older_tls_than_the_floor_is_refused_and_1_1_always(
    mosquitto_path: str, tmp_path: Path, signer: Signer, floor: Floor, accepted: list[bool]
) -> None:
    signer.issue(tmp_path, "hall1", Wish())
    with generated_broker(mosquitto_path, tmp_path, signer, floor=floor) as port:
        found = []
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = context_of(tmp_path / "ca.crt", tmp_path / "hall1")
            context.maximum_version = version
            found.append(is_taken(port, context))
        context = context_of(tmp_path / "ca.crt", tmp_path / "hall1")
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert not is_taken(port, context)
    assert found == accepted


def test_a_revoked_certificate_is_refused(mosquitto_path: str, tmp_path: Path, signer: Signer) -> None:
    signer.issue(tmp_path, "stolen", Wish())
    signer.issue(tmp_path, "hall1", Wish())
    serial = x509.load_pem_x509_certificate((tmp_path / "stolen.crt").read_bytes()).serial_number
    revoked = x509.RevokedCertificateBuilder(serial, NOW - HOUR).build()
    listed = x509.CertificateRevocationListBuilder(
        signer.name, NOW - HOUR, NOW + HOUR, revoked_certificates=[revoked]
    )
    (tmp_path / "ca.crl").write_bytes(listed.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.PEM))
    with generated_broker(mosquitto_path, tmp_path, signer, with_crl=True) as port:
        found = [
            is_taken(port, context_of(tmp_path / "ca.crt", tmp_path / who)) for who in ("hall1", "stolen")
        ]
    assert found == [True, False]


def test_every_kind_of_topic_that_devices_know_has_a_rule() -> None:
    levels = {level.partition("/")[0] for level in (*DEVICE_WRITES, *DEVICE_READS)}
    assert {str(kind).partition("/")[0] for kind in Kind} <= levels


def test_only_the_decoder_is_named_beside_latent() -> None:
    rules = access_rules(BrokerSetup())
    assert [block for block in rules.split("\n\n") if "+/latent" in block] == [
        "user decoder\ntopic read lsi/v1/+/latent"
    ]


def test_each_line_of_mosquitto_gets_its_rules_its_own_way() -> None:
    old = broker_config(BrokerSetup(Version.V2_0))
    new = broker_config(BrokerSetup(Version.V2_1, plugin=Path("/x/acl.so")))
    assert "\nacl_file /etc/mosquitto/lsi/lsi.acl\n" in old
    assert "plugin" not in old
    assert "\nglobal_plugin /x/acl.so\nplugin_opt_acl_file /etc/mosquitto/lsi/lsi.acl\n" in new
    assert "\nacl_file" not in new


def test_another_discovery_prefix_moves_the_announcement_and_not_the_birth() -> None:
    rules = access_rules(BrokerSetup(prefix="ha"))
    assert "pattern write ha/device/%u/config" in rules
    assert "pattern read homeassistant/status" in rules
    assert "topic readwrite ha/#" in rules


@pytest.mark.parametrize(
    "wrong",
    [
        {"folder": Path("/etc/x\nallow_anonymous true")},
        {"listen": "::\n"},
        {"prefix": "#"},
        {"prefix": ""},
        {"folder": Path("here")},
        {"port": 0},
    ],
)
def test_a_value_that_would_change_the_file_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        BrokerSetup(**wrong)  # type: ignore[arg-type]  # each of its own type


def test_the_names_of_other_users_are_reserved() -> None:
    assert [name for name in ("hall1", *Role) if is_reserved(name)] == list(Role)


def test_the_command_writes_both_files_and_replaces_others_only_when_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*options: str) -> int:
        return run_command(add_mosquitto_config, "mosquitto-config", "--out", tmp_path, *options)

    assert write() == write() == 0
    config, rules = tmp_path / "mosquitto.conf", tmp_path / "lsi.acl"
    assert capsys.readouterr().out.splitlines() == 2 * [str(config), str(rules)]
    assert config.read_text("utf-8") == broker_config(BrokerSetup())
    assert (config.stat().st_mode & 0o777, rules.stat().st_mode & 0o777) == (0o644, 0o640)
    with pytest.raises(ConfigError, match=r"mosquitto\.conf exists"):
        write("--crl")
    assert "crlfile" not in config.read_text("utf-8")
    assert write("--crl", "--force", "--broker-version", "2.1", "--tls-floor", "1.2", "--port", "9") == 0
    assert {"listener 9", "tls_version tlsv1.2", "crlfile /etc/mosquitto/lsi/ca.crl"} <= set(
        config.read_text("utf-8").splitlines()
    )
