import datetime as dt
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.cli_commands.doctor import Finding, Verdict
from edge_app.cli_commands.doctor_tls import Diagnosis, diagnose_tls
from edge_app.cli_commands.doctor_tls_command import add_doctor_tls
from lab.broker import LoopbackBroker, free_port
from tests.edge_app.provision.authorities import BROKER, HOUR, NOW, Signer, Wish
from tests.edge_app.provision.generated_broker import generated_broker, run_command
from transport.broker import BrokerAddress, TlsSettings
from transport.tls import DATE_THEIRS, NAME_THEIRS, RENEW_OURS, TRUST_OURS, TRUST_THEIRS, VERSION


@pytest.fixture(autouse=True)
def _a_broker_near_by_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.cli_commands.doctor_tls.VERDICT_S", 0.4)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """The authority of broker and device; hall1's files lie beside the broker's."""
    signer = Signer("authority")
    (tmp_path / "ca.crt").write_bytes(signer.pem)
    signer.issue(tmp_path, "hall1", Wish())
    return signer


def address(folder: Path, port: int, stem: str | None = "hall1", ca: str = "ca.crt") -> BrokerAddress:
    own = (None, None) if stem is None else (folder / f"{stem}.crt", folder / f"{stem}.key")
    return BrokerAddress("127.0.0.1", port, TlsSettings(folder / ca, *own))


def problems(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.verdict is Verdict.PROBLEM]


def test_when_all_is_well_the_chain_is_shown_and_nothing_stops_it(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        diagnosis = diagnose_tls(address(tmp_path, port), "hall1", NOW)
    assert diagnosis.is_healthy
    assert {finding.verdict for finding in diagnosis.findings} == {Verdict.OK}
    broker, root = diagnosis.chain
    assert root.subject == "CN=authority"
    assert (broker.subject, broker.issuer, broker.names) == ("CN=broker", "CN=authority", ("127.0.0.1",))
    assert "takes us as hall1" in diagnosis.findings[-1].found


DAY = 24 * HOUR
WRONG = {
    "wrong name": (replace(BROKER, address="127.0.0.9"), "mismatch.*its names: 127.0.0.9", NAME_THEIRS),
    "expired": (replace(BROKER, begins=NOW - 2 * DAY, ends=NOW - DAY), "has expired", DATE_THEIRS),
    "not yet valid": (replace(BROKER, begins=NOW + DAY), "not yet valid", DATE_THEIRS),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_brokers_certificate_is_said(
    mosquitto_path: str, tmp_path: Path, signer: Signer, case: str
) -> None:
    wish, said, fix = WRONG[case]
    with generated_broker(mosquitto_path, tmp_path, signer, wish=wish) as port:
        diagnosis = diagnose_tls(address(tmp_path, port), "hall1", NOW)
    (problem,) = problems(diagnosis)
    assert re.search(said, problem.found)
    assert problem.fix == fix
    assert diagnosis.chain[0].subject == "CN=broker"


def test_another_authority_is_said_with_the_file_that_is_trusted(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    (tmp_path / "other.crt").write_bytes(Signer("other").pem)
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        diagnosis = diagnose_tls(address(tmp_path, port, ca="other.crt"), "hall1", NOW)
    ours, theirs = problems(diagnosis)
    assert ours.found == "No authority of ca_file signed it; its issuer is CN=authority."
    assert f"trusted: {tmp_path / 'other.crt'}" in theirs.found
    assert theirs.fix == TRUST_THEIRS


def test_without_a_synchronised_clock_the_clock_is_blamed_and_the_rest_still_judged(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    wish = replace(BROKER, begins=NOW + DAY)
    with generated_broker(mosquitto_path, tmp_path, signer, wish=wish) as port:
        diagnosis = diagnose_tls(address(tmp_path, port), "hall1", None)
    clock, *_ = diagnosis.findings
    assert (clock.check, clock.verdict) == ("clock", Verdict.WARNING)
    assert "no date of a certificate is judged" in clock.found
    (problem,) = problems(diagnosis)
    assert "by a clock that is not synchronised" in problem.found
    assert "time server" in problem.fix
    assert diagnosis.findings[-1] == Finding("without dates", Verdict.OK, "everything else is right")


def test_a_wrong_name_is_found_behind_a_wrong_clock(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    wish = replace(BROKER, begins=NOW + DAY, address="127.0.0.9")
    with generated_broker(mosquitto_path, tmp_path, signer, wish=wish) as port:
        diagnosis = diagnose_tls(address(tmp_path, port), "hall1", None)
    assert [problem.fix for problem in problems(diagnosis)][-1] == NAME_THEIRS


def test_a_broker_that_wants_a_certificate_gets_none(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        diagnosis = diagnose_tls(address(tmp_path, port, None), "hall1", NOW)
    (problem,) = problems(diagnosis)
    assert (problem.found, problem.fix) == ("TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED", TRUST_OURS)


def test_a_certificate_of_ours_that_the_broker_does_not_take_is_found_on_both_sides(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    Signer("other").issue(tmp_path, "strange", Wish())
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        diagnosis = diagnose_tls(address(tmp_path, port, "strange"), "hall1", NOW)
    ours, theirs = problems(diagnosis)
    assert "its issuer is CN=other" in ours.found
    assert theirs.fix == TRUST_OURS


def test_an_expired_certificate_of_ours_is_refused_with_its_date(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    signer.issue(tmp_path, "old", Wish(begins=NOW - 2 * DAY, ends=NOW - DAY))
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        diagnosis = diagnose_tls(address(tmp_path, port, "old"), "hall1", NOW)
    ours, theirs = problems(diagnosis)
    assert ours.found.startswith("CN=hall1 expired at")
    assert theirs.fix == RENEW_OURS


def test_certificates_that_end_within_a_month_are_a_warning(
    mosquitto_path: str, tmp_path: Path, signer: Signer
) -> None:
    signer.issue(tmp_path, "late", Wish(ends=NOW + DAY))
    with generated_broker(mosquitto_path, tmp_path, signer, wish=replace(BROKER, ends=NOW + DAY)) as port:
        diagnosis = diagnose_tls(address(tmp_path, port, "late"), "hall1", NOW)
    warned = [finding for finding in diagnosis.findings if finding.verdict is Verdict.WARNING]
    assert [finding.check for finding in warned] == ["our certificate", "broker's end"]
    assert diagnosis.is_healthy


@contextmanager
def tls_1_1_server(folder: Path) -> Iterator[int]:
    """OpenSSL as a broker that stopped at TLS 1.1."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-quiet"]
    files: list[str | Path] = ["-cert", folder / "broker.crt", "-key", folder / "broker.key"]
    old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    with subprocess.Popen(
        [*command, *files, *old], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline_s = time.monotonic() + 15
            while time.monotonic() < deadline_s:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
            yield port
        finally:
            process.kill()


def test_a_broker_that_is_too_old_is_said(tmp_path: Path, signer: Signer) -> None:
    signer.issue(tmp_path, "broker", BROKER)
    with tls_1_1_server(tmp_path) as port:
        diagnosis = diagnose_tls(address(tmp_path, port), "hall1", NOW)
    (problem,) = problems(diagnosis)
    assert problem.fix == VERSION


def test_a_port_without_tls_is_said(tmp_path: Path, signer: Signer, mosquitto: LoopbackBroker) -> None:
    del signer
    diagnosis = diagnose_tls(address(tmp_path, mosquitto.port), "hall1", NOW)
    (problem,) = problems(diagnosis)
    assert diagnosis.chain == ()
    assert "TLS" in problem.found
    assert problem.fix


def test_a_broker_that_is_away_is_said_and_our_own_files_are_judged(tmp_path: Path, signer: Signer) -> None:
    del signer
    (tmp_path / "hall1.key").chmod(0o644)
    diagnosis = diagnose_tls(address(tmp_path, free_port()), "hall1", NOW)
    key, away = problems(diagnosis)
    assert "open to others" in key.found
    assert "does not answer" in away.found


def test_without_tls_there_is_nothing_to_judge() -> None:
    diagnosis = diagnose_tls(BrokerAddress("127.0.0.1", free_port(), None), "hall1", NOW)
    assert [finding.verdict for finding in diagnosis.findings] == [Verdict.WARNING]


def config(folder: Path, port: int) -> Path:
    path = folder / "config.toml"
    path.write_text(
        'device_id = "hall1"\nboard = "sim-mcp3208"\nbundle = "b.lsib"\nstate = "state"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
        'tls = { mode = "file", ca_file = "ca.crt", cert_file = "hall1.crt", key_file = "hall1.key" }\n',
        "utf-8",
    )
    return path


def test_the_command_says_it_in_lines_and_as_json_and_ends_with_0_or_1(
    mosquitto_path: str,
    tmp_path: Path,
    signer: Signer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "edge_app.cli_commands.doctor_tls_command.utc_if_synced", lambda: NOW + dt.timedelta(0)
    )
    with generated_broker(mosquitto_path, tmp_path, signer) as port:
        assert run_command(add_doctor_tls, "tls", "--config", config(tmp_path, port)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1. CN=broker, signed by CN=authority"
    assert lines[-1] == f"127.0.0.1:{port} (TLS): nothing stops it"
    assert run_command(add_doctor_tls, "tls", "--config", config(tmp_path, port), "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["healthy"], document["chain"]) == (False, [])
    assert [finding["check"] for finding in document["findings"]] == [
        "clock",
        "our certificate",
        "connection",
    ]
    assert "BEGIN" not in str(lines)
