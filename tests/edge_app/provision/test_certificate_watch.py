import os
from pathlib import Path

import pytest

from edge_app.provision import certificate_watch, provisioning
from edge_app.provision.certificate_watch import RETRY_S, CertificateWatch, pending_certificate
from edge_app.provision.provisioning import DeviceIdentity, commit, request, stage
from lsi.errors import ConfigError
from tests.edge_app.provision.authorities import HOUR, NOW, Signer, Wish
from tests.edge_app.provision.generated_broker import generated_broker
from tests.transport.test_mqtt import Recorder
from transport.broker import BrokerAddress, LinkState, TlsSettings
from transport.mqtt import MqttLink
from transport.renewal import Renewal

SOON = Wish(ends=NOW + 100 * HOUR)


class Bench:
    """A provisioned device, its authority, and a clock that stands until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.signer = Signer("authority")
        (folder / "ca.crt").write_bytes(self.signer.pem)
        tls = TlsSettings(folder / "ca.crt", folder / "mqtt.crt", folder / "mqtt.key")
        self.address = BrokerAddress("127.0.0.1", 8883, tls)
        self.identity = DeviceIdentity(
            "hall1", folder / "state", self.address, folder / "mqtt.crt", folder / "mqtt.key", tls.ca_file
        )
        self.request = request(self.identity).read_bytes()
        self.first = self.signer.answer(self.identity.request_file)
        stage(self.identity, self.first, NOW)
        commit(self.identity)
        self.now_s = 0.0
        self.watch = CertificateWatch(self.identity, lambda: NOW, lambda: self.now_s)

    def renewed(self, wish: Wish = SOON) -> bytes:
        return self.signer.answer(request(self.identity, renew=True), wish)

    def lay(self, content: bytes, name: str = "new.crt") -> Path:
        path = self.identity.incoming / name
        path.write_bytes(content)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_empty_folder_offers_nothing_and_the_expiry_is_known(bench: Bench) -> None:
    assert bench.watch.poll() is None
    assert bench.watch.refusal is None
    assert bench.watch.expires == (NOW + 1440 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_new_certificate_is_offered_once_and_the_old_one_stays_until_it_has_connected(bench: Bench) -> None:
    new = bench.renewed()
    path = bench.lay(new)
    offered = bench.watch.poll()
    assert offered is not None
    assert bench.watch.poll() is None
    assert bench.identity.is_in_place(bench.first)
    bench.watch.settled(Renewal(offered, is_accepted=True))
    assert bench.identity.is_in_place(bench.first)
    assert bench.watch.poll() is None
    assert bench.identity.is_in_place(new)
    assert bench.watch.expires == (NOW + 100 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert not path.exists()


def test_one_that_the_broker_refuses_is_told_and_tried_again_after_an_hour(bench: Bench) -> None:
    path = bench.lay(bench.renewed())
    offered = bench.watch.poll()
    assert offered is not None
    bench.watch.settled(Renewal(offered, is_accepted=False, reason="TLS: NO"))
    assert bench.watch.poll() is None
    assert bench.watch.refusal == "The broker does not take it (TLS: NO)."
    assert bench.identity.is_in_place(bench.first)
    assert path.exists()
    bench.now_s = RETRY_S
    assert bench.watch.poll() == offered


def test_one_that_may_not_be_used_is_told_once_and_another_one_is_looked_at_at_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.lay(bench.renewed(Wish(("door2",))))
    assert [bench.watch.poll() for _ in range(3)] == [None, None, None]
    assert "door2, not hall1" in str(bench.watch.refusal)
    assert len(caplog.records) == 1
    bench.lay(bench.renewed())
    assert bench.watch.poll() is not None


def test_one_that_cannot_be_read_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (bench.identity.incoming / "new.crt").mkdir()
    assert [bench.watch.poll() for _ in range(3)] == [None, None, None]
    assert len(caplog.records) == 1


def test_half_a_file_is_refused_and_the_whole_one_taken(bench: Bench) -> None:
    new = bench.renewed()
    bench.lay(new[:200])
    assert bench.watch.poll() is None
    assert bench.watch.refusal is not None
    bench.lay(new)
    assert bench.watch.poll() is not None


def test_an_answer_about_other_files_says_nothing(bench: Bench) -> None:
    new = bench.renewed()
    bench.lay(new)
    assert bench.watch.poll() is not None
    bench.watch.settled(Renewal(TlsSettings(), is_accepted=True))
    bench.watch.poll()
    assert not bench.identity.is_in_place(new)


def test_what_is_in_place_already_is_taken_away(bench: Bench) -> None:
    path = bench.lay(bench.first)
    assert bench.watch.poll() is None
    assert not path.exists()


def test_a_folder_that_is_emptied_takes_its_refusal_along(bench: Bench) -> None:
    path = bench.lay(b"nothing")
    bench.watch.poll()
    assert bench.watch.refusal is not None
    path.unlink()
    bench.watch.poll()
    assert bench.watch.refusal is None


def test_an_installation_that_a_full_disk_stopped_is_finished_at_a_later_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = bench.renewed()
    bench.lay(new)
    offered = bench.watch.poll()
    assert offered is not None
    bench.watch.settled(Renewal(offered, is_accepted=True))

    def full(_: DeviceIdentity) -> None:
        monkeypatch.undo()
        raise ConfigError("No space left.")

    monkeypatch.setattr(certificate_watch, "commit", full)
    bench.watch.poll()
    assert "No space left" in str(bench.watch.refusal)
    bench.now_s = RETRY_S
    again = bench.watch.poll()
    assert again is not None
    bench.watch.settled(Renewal(again, is_accepted=True))
    bench.watch.poll()
    assert bench.identity.is_in_place(new)


def test_an_accepted_pair_left_by_a_power_cut_is_put_in_place_first(bench: Bench) -> None:
    new = bench.renewed()
    stage(bench.identity, new, NOW)
    (bench.identity.state / provisioning.STAGED).rename(bench.identity.state / provisioning.ACCEPTED)
    bench.watch.poll()
    assert bench.identity.is_in_place(new)
    assert bench.watch.expires == bench.identity.expires


def test_the_newest_file_counts_and_hidden_links_and_others_do_not(tmp_path: Path) -> None:
    assert pending_certificate(tmp_path / "gone") is None
    for age, name in enumerate(["b.crt", "a.pem", ".c.crt", "notes.txt"]):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (age, age))
    (tmp_path / "link.crt").symlink_to("a.pem")
    assert pending_certificate(tmp_path) == tmp_path / "a.pem"


def test_a_running_link_changes_over_to_the_new_certificate(
    mosquitto_path: str, tmp_path: Path, bench: Bench
) -> None:
    new, recorder = bench.renewed(), Recorder()
    with generated_broker(mosquitto_path, tmp_path, bench.signer) as port:
        link = MqttLink(BrokerAddress("127.0.0.1", port, bench.address.tls), "hall1", events=recorder.events)
        link.start()
        try:
            assert recorder.state() is LinkState.ONLINE
            bench.lay(new)
            offered = bench.watch.poll()
            assert offered is not None
            link.replace_tls(offered)
            link.reconnect("a new certificate")
            bench.watch.settled(recorder.renewals.get(timeout=15))
        finally:
            link.stop()
    bench.watch.poll()
    assert bench.identity.is_in_place(new)
