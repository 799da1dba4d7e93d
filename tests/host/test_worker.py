"""``lsi record`` and ``lsi worker`` as processes, against mosquitto: killed, restarted, without a broker."""

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from host.cli import main
from host.open_sink import open_sink
from host.record_command import default_client_id
from lab.broker import LoopbackBroker, free_port, loopback_broker
from lab.postgres import LocalPostgres
from tests.host.devices import Device
from tests.transport.test_mqtt import TIMEOUT_S
from transport.protocol import V311, ProtocolChoice

POLL_S = 0.05
STALL_S = 1.0
LSI = [sys.executable, "-m", "host.cli", "--log-level", "INFO"]
KILLED_SQL = """
SELECT count(*), max(seq), count(*) FILTER (WHERE contradicted) FROM lsi_record WHERE device = 'kill1'
"""


@contextmanager
def recording(broker: LoopbackBroker, sink: Path | str, device_id: str) -> Iterator["subprocess.Popen[str]"]:
    options = ["--port", str(broker.port), "--tls", "off", "--sink", str(sink), "--flush-s", "0.02"]
    command = [*LSI, "record", "--device", device_id, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            subscribed(process)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def counted(path: Path, sql: str = "SELECT count(*) FROM lsi_record") -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            found: int = connection.execute(sql).fetchone()[0]
            return found
    except sqlite3.OperationalError:
        return 0


def wait_for(rows: int, path: Path) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while counted(path) < rows and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    assert counted(path) == rows


def test_a_recorder_keeps_what_comes_and_ends_with_a_summary(
    mosquitto: LoopbackBroker, tmp_path: Path
) -> None:
    path = tmp_path / "r.db"
    with Device(mosquitto.port, tmp_path, "rec1") as device:
        with recording(mosquitto, path, "rec1") as process:
            device.record(20)
            wait_for(20, path)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        assert said.splitlines()[-1].startswith("20 records, 0 copies, 0 contradictions, 0 rejected")
        device.record(5)  # nobody listens; the broker keeps them for the session
        with recording(mosquitto, path, "rec1"):
            wait_for(25, path)


def test_workers_killed_at_random_lose_nothing_and_keep_each_key_once(
    mosquitto_path: str, postgres: LocalPostgres, tmp_path: Path
) -> None:
    dice = random.Random(7)  # noqa: S311 - chance that repeats
    with (
        loopback_broker(mosquitto_path) as broker,
        Device(broker.port, tmp_path, "kill1") as device,
        psycopg.connect(postgres.url, autocommit=True) as database,
        ExitStack() as ended,
    ):
        workers = [ended.enter_context(working(broker, postgres, name)) for name in "ab"]
        for worker in workers:
            subscribed(worker)
        for _ in range(2):
            device.record(40)
            victim = dice.randrange(2)
            workers[victim].kill()
            workers[victim].communicate()
            device.record(20)
            workers[victim] = ended.enter_context(working(broker, postgres, "ab"[victim]))
        deadline_s = time.monotonic() + TIMEOUT_S
        while database.execute(KILLED_SQL).fetchone() != (120, 120, 0) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        assert database.execute(KILLED_SQL).fetchone() == (120, 120, 0)
        for worker in workers:
            worker.terminate()
            worker.communicate()
            assert worker.returncode == 0


@contextmanager
def working(broker: LoopbackBroker, postgres: LocalPostgres, name: str) -> Iterator["subprocess.Popen[str]"]:
    options = ["--port", str(broker.port), "--tls", "off", "--sink", postgres.url, "--flush-s", "0.02"]
    command = [*LSI, "worker", "--worker", name, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def subscribed(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if "is online" in line:
            return
        said.append(line)
    raise AssertionError("it ended:\n" + "".join(said))


def test_a_broker_without_mqtt_5_is_refused(
    mosquitto: LoopbackBroker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = ProtocolChoice.__init__

    def old(self: ProtocolChoice) -> None:
        original(self)
        self.current = V311

    monkeypatch.setattr(ProtocolChoice, "__init__", old)
    options = ["--port", str(mosquitto.port), "--tls", "off", "--sink", str(tmp_path / "r.db")]
    assert main(["record", *options]) == 6
    assert "MQTT 3.1.1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "a/b", "+", "x" * 33])
def test_a_worker_without_a_usable_name_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--worker", name, "--tls", "off", "--sink", str(tmp_path / "r.db")]) == 3
    assert "names no worker" in capsys.readouterr().err


def test_each_sink_has_a_session_of_its_own() -> None:
    assert default_client_id("a.db") == default_client_id("a.db") != default_client_id("b.db")


def test_a_sink_that_stands_still_and_a_broker_that_restarts_lose_nothing(
    mosquitto_path: str, postgres: LocalPostgres, tmp_path: Path
) -> None:
    port = free_port()
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # where the broker's user may go
        psycopg.connect(postgres.url, autocommit=True) as database,
        ExitStack() as ended,
    ):
        Path(folder).chmod(0o777)
        keep = f"persistence true\npersistence_location {folder}/\n"
        stack = ended.enter_context(ExitStack())
        stack.enter_context(loopback_broker(mosquitto_path, port, keep))
        device = ended.enter_context(Device(port, tmp_path, "stall1"))
        broker = LoopbackBroker("127.0.0.1", port, "mosquitto")
        recorder = ended.enter_context(recording(broker, postgres.url, "stall1"))
        database.execute("BEGIN; LOCK TABLE lsi_record IN ACCESS EXCLUSIVE MODE")
        device.record(40)
        with pytest.raises(subprocess.TimeoutExpired):
            recorder.wait(STALL_S)
        stack.close()
        stack.enter_context(loopback_broker(mosquitto_path, port, keep))
        database.execute("COMMIT")
        device.wait_online()
        device.record(20)
        sql = KILLED_SQL.replace("kill1", "stall1")
        deadline_s = time.monotonic() + TIMEOUT_S
        while database.execute(sql).fetchone() != (60, 60, 0) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        assert database.execute(sql).fetchone() == (60, 60, 0)
    sink = open_sink(postgres.url)
    assert sink.missing("stall1", device.stream, 60) == []
    sink.close()
