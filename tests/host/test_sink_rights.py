"""A recorder that may not read everything: the rules that we write, and a broker that refuses."""

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from host.gap_keeper import GapKeeper
from host.gap_watch import Patience
from host.open_sink import open_sink
from host.recorder import Batching, Recorder
from host.recording import RECEIVE_MAXIMUM, RecordingPlan
from lab.broker import loopback_broker
from tests.edge_app.provision.authorities import Signer, Wish
from tests.edge_app.provision.generated_broker import generated_broker
from tests.host.devices import Device
from tests.host.test_worker import wait_for
from tests.transport.test_mqtt import TIMEOUT_S
from transport.broker import BrokerAddress, LinkState, Message, Session, TlsSettings
from transport.intake import Intake
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

QUICK = Patience(grace_s=0.05, first_pause_s=0.05, longest_pause_s=0.05)
PLUGIN = "mosquitto_dynamic_security.so"
NO_LATENTS = {
    "defaultACLAccess": {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": True,
        "unsubscribe": True,
    },
    "groups": [{"groupname": "everybody", "roles": [{"rolename": "no-latents"}]}],
    "anonymousGroup": "everybody",
    "roles": [
        {
            "rolename": "no-latents",
            "acls": [{"acltype": "subscribePattern", "topic": "lsi/v1/+/latent", "allow": False}],
        }
    ],
}


@contextmanager
def recording_as_sink(port: int, tls: TlsSettings | None, path: Path) -> Iterator[Recorder]:
    """What ``lsi record`` runs, in a thread, and quick to look at gaps."""
    address = BrokerAddress("127.0.0.1", port, tls)
    plan = RecordingPlan(address, "sink", batching=Batching(flush_s=0.02))
    states: queue.SimpleQueue[LinkState] = queue.SimpleQueue()
    asked: queue.SimpleQueue[Message] = queue.SimpleQueue()
    sink = open_sink(str(path))
    recorder = Recorder(sink, GapKeeper(sink, QUICK), asked.put, batching=plan.batching)
    link = MqttLink(
        address,
        plan.client_id,
        subscriptions=plan.filters(),
        events=LinkEvents(on_state=lambda state, _: states.put(state)),
        session=Session(expires_s=plan.keep_s),
        intake=Intake(RECEIVE_MAXIMUM, recorder.take),
    )

    def send_questions() -> None:
        while not asked.empty():
            link.publish(asked.get())

    thread = threading.Thread(target=recorder.run, args=[send_questions])
    link.start()
    thread.start()
    try:
        assert states.get(timeout=TIMEOUT_S) is LinkState.ONLINE
        yield recorder
    finally:
        recorder.stop()
        thread.join(TIMEOUT_S)
        link.stop()
        sink.close()


def kinds(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT seq, kind FROM lsi_record ORDER BY seq").fetchall()


def test_a_sink_under_our_rules_keeps_the_events_and_stops_asking_for_the_latents_between_them(
    mosquitto_path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    signer, path = Signer("authority"), tmp_path / "r.db"
    for user in ("hall1", "sink"):
        signer.issue(tmp_path, user, Wish((user,)))
    tls = {
        user: TlsSettings(tmp_path / "ca.crt", tmp_path / f"{user}.crt", tmp_path / f"{user}.key")
        for user in ("hall1", "sink")
    }
    with (
        generated_broker(mosquitto_path, tmp_path, signer) as port,
        recording_as_sink(port, tls["sink"], path) as recorder,
        Device(port, tmp_path, "hall1", tls=tls["hall1"]) as device,
    ):
        for kind in ("event", "latent", "event"):
            device.record(kind=kind)
        wait_for(2, path)
        for round_number in (1, 2):
            device.tell()
            device.answer()  # to the question for number 2
            assert recorder.counts.asked == round_number
        device.tell()
        device.record()  # the fourth: what was told before it is settled when it is kept
        wait_for(3, path)
        deadline_s = time.monotonic() + 1
        while recorder.counts.asked == 2 and time.monotonic() < deadline_s:
            device.tell()
            time.sleep(0.1)
        assert recorder.counts.asked == 2
    assert kinds(path) == [(1, "event"), (3, "event"), (4, "event")]
    said = [record.getMessage() for record in caplog.records if "of a kind" in record.getMessage()]
    assert len(said) == 1
    assert "hall1 sent 1 records again, twice, and none came" in said[0]


def test_a_subscription_that_a_broker_refuses_is_told_and_the_rest_goes_on(
    mosquitto_path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = sorted(Path("/usr/lib").glob(f"*/{PLUGIN}"))
    if not plugins:
        pytest.skip("mosquitto has no dynamic security plugin here")
    rules, path = tmp_path / "rules.json", tmp_path / "r.db"
    rules.write_text(json.dumps(NO_LATENTS), "ascii")
    rules.chmod(0o644)
    tmp_path.chmod(0o755)
    settings = f"plugin {plugins[0]}\nplugin_opt_config_file {rules}\nuser root\n"
    with (
        loopback_broker(mosquitto_path, settings=settings) as broker,
        Device(broker.port, tmp_path, "acl1") as device,
        recording_as_sink(broker.port, None, path),
    ):
        device.record(3)
        wait_for(3, path)
    said = [record.getMessage() for record in caplog.records if "refuses" in record.getMessage()]
    assert len(said) == 1
    assert "a subscription to lsi/v1/+/latent (Not authorized). Try: its access rules" in said[0]
