import shutil
from pathlib import Path

import pytest

from edge_app.cli_commands.provision_command import add_provision
from edge_app.provision.provisioning import ACCEPTED, STAGED
from edge_app.rig.rig_lock import rig_lock
from edge_app.wall_clock import utc_if_synced
from lab.broker import free_port
from lsi.errors import BusError, ConfigError, PublishError
from tests.edge_app.provision.authorities import NOW, Signer, Wish
from tests.edge_app.provision.generated_broker import generated_broker, run_command


@pytest.fixture(autouse=True)
def _synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.cli_commands.provision_command.utc_if_synced", lambda: NOW)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    signer = Signer("authority")
    (tmp_path / "ca.crt").write_bytes(signer.pem)
    return signer


def run(folder: Path, port: int, *options: str | Path) -> int:
    path = folder / "config.toml"
    path.write_text(
        'device_id = "hall1"\nboard = "sim-mcp3208"\nbundle = "b.lsib"\nstate = "state"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
        'tls = { mode = "file", ca_file = "ca.crt", cert_file = "mqtt.crt", key_file = "mqtt.key" }\n',
        "utf-8",
    )
    return run_command(add_provision, "provision", "--config", path, *options)


def signed(folder: Path, signer: Signer, wish: Wish | None = None) -> Path:
    path = folder / "hall1.crt"
    path.write_bytes(signer.answer(folder / "state" / "provision" / "hall1.csr", wish))
    return path


def test_from_nothing_to_a_certificate_that_the_broker_takes(
    mosquitto_path: str, tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        assert run(tmp_path, port) == 0
        certificate = signed(tmp_path, signer)
        assert run(tmp_path, port, "--finish", certificate) == 0
        assert run(tmp_path, port, "--finish", certificate) == 0
    assert (tmp_path / "mqtt.crt").read_bytes() == certificate.read_bytes()
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert str(tmp_path / "state" / "provision" / "hall1.csr") in lines[0]
    assert [line.split(" in place")[0] for line in lines[1:]] == [
        "The broker takes it; it is",
        "This certificate was",
    ]
    key = (tmp_path / "mqtt.key").read_text("ascii")
    secrets = {line for line in key.splitlines() if "KEY" not in line}
    assert not [secret for secret in secrets if secret in said.out + said.err]


def test_a_broker_that_is_away_changes_nothing_and_the_same_command_goes_on_later(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    run(tmp_path, free_port())
    certificate = signed(tmp_path, signer)
    with pytest.raises(PublishError, match=r"good, but not tried: .* is away"):
        run(tmp_path, free_port(), "--finish", certificate)
    assert not (tmp_path / "mqtt.crt").exists()
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        assert run(tmp_path, port, "--finish", certificate) == 0
    assert (tmp_path / "mqtt.crt").exists()


def test_what_a_power_cut_left_is_finished_without_asking_the_broker_again(
    tmp_path: Path, signer: Signer
) -> None:
    run(tmp_path, free_port())
    certificate = signed(tmp_path, signer)
    with pytest.raises(PublishError):
        run(tmp_path, free_port(), "--finish", certificate)
    (tmp_path / "state" / STAGED).rename(tmp_path / "state" / ACCEPTED)
    assert run(tmp_path, free_port(), "--finish", certificate) == 0
    assert (tmp_path / "mqtt.crt").read_bytes() == certificate.read_bytes()


def test_a_broker_that_refuses_it_leaves_the_old_one(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        run(tmp_path, port)
        run(tmp_path, port, "--finish", signed(tmp_path, signer))
    before = (tmp_path / "mqtt.crt").read_bytes(), (tmp_path / "mqtt.key").read_bytes()
    with generated_broker(mosquitto_path, other, Signer("another")) as port:
        assert run(tmp_path, port, "--renew") == 0
        with pytest.raises(PublishError) as refused:
            run(tmp_path, port, "--finish", signed(tmp_path, signer))
    assert "lsi-edge doctor tls" in refused.value.hint
    assert ((tmp_path / "mqtt.crt").read_bytes(), (tmp_path / "mqtt.key").read_bytes()) == before


def test_while_the_service_runs_the_certificate_is_sent_to_its_folder(tmp_path: Path, signer: Signer) -> None:
    run(tmp_path, free_port())
    certificate = signed(tmp_path, signer)
    with rig_lock(tmp_path / "state"), pytest.raises(BusError, match="service runs") as refused:
        run(tmp_path, free_port(), "--finish", certificate)
    assert str(tmp_path / "state" / "certificates") in refused.value.hint


def test_a_certificate_that_is_wrong_is_refused_with_every_reason(tmp_path: Path, signer: Signer) -> None:
    run(tmp_path, free_port())
    wrong = signed(tmp_path, signer, Wish(("door2",), None))
    with pytest.raises(ConfigError, match=r"door2, not hall1\. It is not for clients"):
        run(tmp_path, free_port(), "--finish", wrong)
    shutil.rmtree(tmp_path / "state" / "provision")
    with pytest.raises(ConfigError, match="cannot be read"):
        run(tmp_path, free_port(), "--finish", tmp_path / "gone.crt")


def test_without_a_synchronised_clock_it_says_that_no_date_was_judged(
    mosquitto_path: str,
    tmp_path: Path,
    signer: Signer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("edge_app.cli_commands.provision_command.utc_if_synced", lambda: None)
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        run(tmp_path, port)
        assert run(tmp_path, port, "--finish", signed(tmp_path, signer)) == 0
    assert "dates of the certificate are not judged" in capsys.readouterr().out


@pytest.mark.parametrize(("source", "is_known"), [("ntp", True), ("unsynced", False)])
def test_the_time_counts_only_when_the_kernel_says_so(
    monkeypatch: pytest.MonkeyPatch, source: str, is_known: bool
) -> None:
    monkeypatch.setattr("edge_app.wall_clock.SystemWallClock.source", lambda _: source)
    assert (utc_if_synced() is not None) is is_known
