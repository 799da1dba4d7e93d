"""A fleet against real servers: mosquitto, PostgreSQL and SQLite, with ``lsi record`` and ``lsi worker``.

1,000 devices with a connection each make records; faster than one a second, so that time is compressed. Every
record must be in the database; when it was committed is the server's own word. Throughput is that of one
process that finds a full queue, beside a bare paho subscriber that finds the same queue.

    python -m benchmarks.fleet --json
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.fleet_devices import allow_files
from benchmarks.report import Figure, report
from host.open_sink import open_sink
from lab.broker import find_mosquitto, free_port, loopback_broker
from lab.postgres import LocalPostgres, find_postgres, local_postgres
from lsi.errors import ConfigError

GOAL_RECORDS_PER_S: Final = 5_000
WORKERS: Final = 3
KILL_EVERY_S: Final = 10.0
STALL_S: Final = 1.0
SETTLE_S: Final = 120.0
POLL_S: Final = 0.25
COMMIT_TIMES: Final = "track_commit_timestamp = on\n"
NO_QUEUE_LIMIT: Final = "max_queued_messages 0\n"
LSI: Final = (sys.executable, "-m", "host.cli", "--log-level", "INFO")
LATENCY_SQL: Final = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP
    (ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - ts::timestamptz) * 1000) FROM lsi_record
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done; the goals hold for the sizes in the issue, the defaults are for who repeats it."""

    devices: int
    seconds: float
    speed: float
    kill_seconds: float
    queued: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Records a second, processor time of the reader for each, and the load of the machine before."""

    per_s: float
    cpu_us: float
    load: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the devices' time, at 1 record/s")
    parser.add_argument("--speed", type=float, default=2.0, help="how much faster than that")
    parser.add_argument("--kill-seconds", type=float, default=40.0)
    parser.add_argument("--queued", type=int, default=20_000, help="records that wait for a consumer")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="one part; may be repeated")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    scale = Scale(parsed.devices, parsed.seconds, parsed.speed, parsed.kill_seconds, parsed.queued)
    mosquitto, binaries = find_mosquitto(), find_postgres()
    if mosquitto is None or binaries is None:
        raise ConfigError("mosquitto or PostgreSQL is missing.", hint="apt install mosquitto postgresql")
    allow_files(parsed.devices)
    with local_postgres(binaries, COMMIT_TIMES) as postgres:
        parts = [part for name, part in PARTS.items() if name in (parsed.only or PARTS)]
        figures = [figure for part in parts for figure in part(mosquitto, postgres, scale)]
    print(report("fleet", figures, as_json=parsed.json))
    return 0


def _fleet_figures(mosquitto: str, postgres: LocalPostgres, scale: Scale) -> list[Figure]:
    _empty(postgres)
    with loopback_broker(mosquitto, settings=NO_QUEUE_LIMIT) as broker:
        with _consumer(broker.port, postgres.url, "record"):
            made = _devices(broker.port, scale.devices, scale.speed, scale.seconds / scale.speed)
            _wait_for(postgres, made)
        p50_ms, p99_ms = _query(postgres, LATENCY_SQL)[0]
    records = float(sum(made.values()))
    beside = {
        "records": records,
        "devices": float(scale.devices),
        "records_per_s": scale.devices * scale.speed,
    }
    return [
        *_missing_and_twofold(postgres, made, "fleet_missing", "keys_with_two_contents", beside),
        Figure("publish_to_commit_p99_ms", p99_ms, "ms", None, None, {"p50": p50_ms}),
        Figure("redeliveries", _redelivered(postgres), "records", None, None, {"records": records}),
    ]


def _throughput_figures(mosquitto: str, postgres: LocalPostgres, scale: Scale) -> list[Figure]:
    count = scale.queued
    with tempfile.TemporaryDirectory() as folder:
        sinks = {"sqlite": str(Path(folder) / "r.db"), "postgres": postgres.url}
        ceiling = _drained(mosquitto, count, [sys.executable, "-m", "benchmarks.fleet_reader"])
        found = {}
        for name, sink in sinks.items():
            _empty(postgres)
            found[name] = _drained(
                mosquitto, count, [sys.executable, "-m", "benchmarks.fleet_reader", "--sink", sink]
            )
    goal = f">= {GOAL_RECORDS_PER_S:,}"
    beside = {"bare_paho_per_s": ceiling.per_s, "bare_paho_cpu_us": ceiling.cpu_us}
    figures = [
        Figure(
            f"{name}_records_per_s", drain.per_s, "records/s", goal, drain.per_s >= GOAL_RECORDS_PER_S,
            {**beside, "cpu_us": drain.cpu_us, "load": drain.load},
        )
        for name, drain in found.items()
    ]  # fmt: skip
    beside = {"queued": float(count), "load": ceiling.load}
    return [*figures, Figure("broker_ceiling_per_s", ceiling.per_s, "messages/s", None, None, beside)]


def _drained(mosquitto: str, count: int, command: list[str]) -> Drain:
    """What a reader does whose session has a full queue when it comes."""
    with loopback_broker(mosquitto, settings=NO_QUEUE_LIMIT) as broker:
        options = ["--port", str(broker.port), "--count", str(count)]
        _run([*command, *options, "--subscribe-only"])
        devices, rate_hz = 100, 40.0
        made: dict[str, int] = {}
        while sum(made.values()) < count:
            left = count - sum(made.values())
            made |= _devices(broker.port, devices, rate_hz, left / devices / rate_hz + 1.0)
        load = os.getloadavg()[0]
        found = json.loads(_run([*command, *options]))
        return Drain(found["per_s"], found["cpu_us"], load)


def _kill_figures(mosquitto: str, postgres: LocalPostgres, scale: Scale) -> list[Figure]:
    _empty(postgres)
    dice = random.Random(1)  # noqa: S311 - chance that repeats
    kills = 0
    with loopback_broker(mosquitto, settings=NO_QUEUE_LIMIT) as broker:
        workers = {name: _worker(broker.port, postgres.url, name) for name in map(str, range(WORKERS))}
        try:
            with _devices_running(broker.port, 200, 2.0, scale.kill_seconds) as running:
                end_s = time.monotonic() + scale.kill_seconds
                while time.monotonic() + KILL_EVERY_S < end_s:
                    time.sleep(KILL_EVERY_S)
                    name = dice.choice(sorted(workers))
                    workers[name].kill()
                    workers[name].communicate()
                    kills += 1
                    workers[name] = _worker(broker.port, postgres.url, name)
                made = running()
            _wait_for(postgres, made)
        finally:
            _end(list(workers.values()))
    beside = {"records": float(sum(made.values())), "kills": float(kills), "copies": _redelivered(postgres)}
    return _missing_and_twofold(
        postgres, made, "worker_kill_missing", "worker_kill_keys_with_two_contents", beside
    )


def _stall_figures(mosquitto: str, postgres: LocalPostgres, scale: Scale) -> list[Figure]:
    """A sink that stands still for a second every three, and a broker that is restarted twice."""
    _empty(postgres)
    port, seconds = free_port(), min(30.0, scale.kill_seconds)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        keep = f"persistence true\npersistence_location {folder}/\n{NO_QUEUE_LIMIT}"
        stack = [loopback_broker(mosquitto, port, keep)]
        stack[-1].__enter__()
        with _consumer(port, postgres.url, "record"), _devices_running(port, 200, 2.0, seconds) as running:
            for round_number in range(int(seconds / 3)):
                time.sleep(3 - STALL_S)
                _stall(postgres)
                if round_number in {2, 5}:
                    stack.pop().__exit__(None, None, None)
                    stack.append(loopback_broker(mosquitto, port, keep))
                    stack[-1].__enter__()
            made = running()
            _wait_for(postgres, made)
        stack.pop().__exit__(None, None, None)
    sink = open_sink(postgres.url)
    by_stream = {
        stream: device
        for device, stream in _query(postgres, "SELECT DISTINCT device, stream FROM lsi_record")
    }
    gaps = sum(len(sink.missing(by_stream[stream], stream, seq)) for stream, seq in made.items() if seq)
    sink.close()
    beside = {"records": float(sum(made.values())), "copies": _redelivered(postgres)}
    missing, _ = _missing_and_twofold(postgres, made, "stall_and_restart_missing", "", beside)
    return [missing, Figure("stall_and_restart_gaps", float(gaps), "gaps", "0", gaps == 0, {})]


def _stall(postgres: LocalPostgres) -> None:
    with _connected(postgres) as connection:
        connection.execute("BEGIN; LOCK TABLE lsi_record IN ACCESS EXCLUSIVE MODE")
        time.sleep(STALL_S)
        connection.execute("COMMIT")


def _missing_and_twofold(
    postgres: LocalPostgres, made: Mapping[str, int], missing: str, twofold: str, beside: dict[str, float]
) -> list[Figure]:
    held = dict(_query(postgres, "SELECT stream, count(*) FROM lsi_record GROUP BY stream"))
    lost = float(sum(made.values()) - sum(held.values()))
    double = float(_query(postgres, "SELECT count(*) FROM lsi_record WHERE contradicted")[0][0])
    return [
        Figure(missing, lost, "records", "0", lost == 0, beside),
        Figure(twofold, double, "keys", "0", double == 0, {}),
    ]


def _redelivered(postgres: LocalPostgres) -> float:
    return float(_query(postgres, "SELECT coalesce(sum(copies) - count(*), 0) FROM lsi_record")[0][0])


def _devices(port: int, devices: int, rate_hz: float, seconds: float) -> dict[str, int]:
    with _devices_running(port, devices, rate_hz, seconds) as running:
        return running()


@contextmanager
def _devices_running(
    port: int, devices: int, rate_hz: float, seconds: float
) -> Iterator[Callable[[], dict[str, int]]]:
    options = ["--port", port, "--devices", devices, "--rate-hz", rate_hz, "--seconds", seconds]
    command = [sys.executable, "-m", "benchmarks.fleet_devices", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours

        def finish() -> dict[str, int]:
            out, _ = process.communicate()
            made: dict[str, int] = json.loads(out)
            return made

        yield finish


@contextmanager
def _consumer(port: int, sink: str, command: str) -> Iterator[None]:
    options = ["--port", str(port), "--tls", "off", "--sink", sink, "--report-s", "1000"]
    process = _online([*LSI, command, *options])
    try:
        yield
    finally:
        _end([process])


def _worker(port: int, sink: str, name: str) -> "subprocess.Popen[bytes]":
    options = ["--worker", name, "--port", str(port), "--tls", "off", "--sink", sink, "--report-s", "1000"]
    return _online([*LSI, "worker", *options])


def _online(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start a consumer and wait until it has subscribed: what was published before is not its business."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE)  # noqa: S603 - ours
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    for line in process.stderr:
        if b"is online" in line:
            return process
    raise ConfigError("A consumer ended before it was online.")


def _end(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _wait_for(postgres: LocalPostgres, made: Mapping[str, int]) -> None:
    """Until everything is there, or nothing more comes for a while."""
    deadline_s, wanted = time.monotonic() + SETTLE_S, sum(made.values())
    while time.monotonic() < deadline_s:
        if _query(postgres, "SELECT count(*) FROM lsi_record")[0][0] >= wanted:
            return
        time.sleep(POLL_S)


def _empty(postgres: LocalPostgres) -> None:
    open_sink(postgres.url).close()
    with _connected(postgres) as connection:
        connection.execute("TRUNCATE lsi_record, lsi_stream, lsi_gone, lsi_quarantine")


def _query(postgres: LocalPostgres, sql: str) -> list[Any]:
    with _connected(postgres) as connection:
        found = connection.execute(sql.encode()).fetchall()
    return [row[0] if sql is LATENCY_SQL else row for row in found]


def _connected(postgres: LocalPostgres) -> "psycopg.Connection[Any]":
    return psycopg.connect(f"host={postgres.folder} user=lsi dbname=postgres", autocommit=True)


def _run(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - ours


PARTS: Final[Mapping[str, Callable[[str, LocalPostgres, Scale], list[Figure]]]] = {
    "fleet": _fleet_figures,
    "throughput": _throughput_figures,
    "kills": _kill_figures,
    "stall": _stall_figures,
}


if __name__ == "__main__":
    sys.exit(main())
