"""The service against a real mosquitto: how soon it speaks, what outages cost, what it weighs.

Records are made by an agent, a process with the shipping outbox, drain, commands and link and no
scans, which is killed while the broker is away, and whose broker is killed while it works. How much of
a core a steady service takes is measured twice: on the simulated board, whose own time is in it and
said so, and on recorded samples, where neither mirrors nor light nor converter are simulated
(what their drivers take is in ``benchmarks.scan``).

    python -m benchmarks.service --json
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report, resident_mb
from benchmarks.service_agents import AGENTS, config_file
from benchmarks.service_kills import broker_kill_figures
from benchmarks.service_sink import Key, Sink, sink
from benchmarks.service_vanish import vanish_figures
from lab.broker import find_mosquitto, free_port, loopback_broker
from lab.bundles import shipped_bundle
from lab.signed_copy import signed_copy
from lsi.errors import ConfigError

KILLS: Final = 3
STARTS: Final = 3
STEADY_S: Final = 20.0
GOAL_START_S: Final = 1.0
GOAL_RSS_MB: Final = 90.0
GOAL_CPU_PERCENT: Final = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument(
        "--records", type=int, default=300, help="made while the broker is away (20 a second drain)"
    )
    parser.add_argument("--kills", type=int, default=5, help="of the broker; the goal is for 50 (4 minutes)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise ConfigError("There is no mosquitto.", hint="apt install mosquitto")
    figures = [
        *_service_figures(mosquitto),
        *_outage_figures(mosquitto, parsed.records),
        *broker_kill_figures(mosquitto, parsed.kills),
    ]
    print(report("service", figures, as_json=parsed.json))
    return 0


def _service_figures(mosquitto: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, loopback_broker(mosquitto) as broker:
        copy = signed_copy(shipped_bundle(), Path(folder))
        config = config_file(Path(folder), broker.port, copy.bundle, copy.public_key)
        run = ["-m", "edge_app.cli", "--log-level", "ERROR", "run", "--config", str(config), "--simulate"]
        recorded = ["-m", AGENTS, "steady", str(config)]
        with sink(broker.port, "attr") as messages:
            starts_s = [_start_s(run, messages) for _ in range(STARTS + 1)]
            simulated_percent, rss_mb = _weighed(run, messages)
            steady_percent, _ = _weighed(recorded, messages)
        vanished = vanish_figures(config, broker.port)
    first_s = sorted(starts_s[1:])[len(starts_s[1:]) // 2]
    per_second = {"payloads_per_s": 10.0, "with_simulator": simulated_percent}
    return [
        _at_most("start_to_first_attr_s", first_s, "s", GOAL_START_S, {"cold": starts_s[0]}),
        _at_most("steady_cpu_percent", steady_percent, "% of a core", GOAL_CPU_PERCENT, per_second),
        _at_most("steady_rss_mb", rss_mb, "MB", GOAL_RSS_MB, {}),
        *vanished,
    ]


def _at_most(name: str, value: float, unit: str, goal: float, beside: dict[str, float]) -> Figure:
    return Figure(name, value, unit, f"<= {goal:g}", value <= goal, beside)


def _start_s(command: Sequence[str], messages: Sink) -> float:
    """From the start of the process to its first live state at a reader."""
    began_s = time.monotonic()
    process = _started(command)
    messages.first()
    took_s = time.monotonic() - began_s
    _stopped(process, messages)
    return took_s


def _weighed(command: Sequence[str], messages: Sink) -> tuple[float, float]:
    """CPU in per cent of a core over a while, and resident memory in MB."""
    process = _started(command)
    messages.first()
    time.sleep(1)
    before = _cpu_ticks(process.pid)
    time.sleep(STEADY_S)
    percent = 100 * (_cpu_ticks(process.pid) - before) / os.sysconf("SC_CLK_TCK") / STEADY_S
    rss_mb = resident_mb(process.pid)
    _stopped(process, messages)
    return percent, rss_mb


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *command])  # noqa: S603 - ours


def _stopped(process: "subprocess.Popen[bytes]", messages: Sink) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait()
    messages.forget()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _outage_figures(mosquitto: str, records: int) -> list[Figure]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        copy = signed_copy(shipped_bundle(), Path(folder))
        config = config_file(Path(folder), port, copy.bundle, copy.public_key)
        made = [key for _ in range(KILLS) for key in _killed_agent(config, records // KILLS)]
        with loopback_broker(mosquitto, port), sink(port) as reader:
            process = _agent(config, 0)
            reader.read()
            process.communicate("")
    missing = len(set(made) - reader.contents.keys())
    beside = {"records": float(len(made)), "kills": float(KILLS)}
    return [
        Figure("outage_records_missing", missing, "records", "0", missing == 0, beside),
        Figure("keys_with_two_contents", reader.doubles, "keys", "0", reader.doubles == 0, beside),
    ]


def _killed_agent(config: Path, records: int) -> list[Key]:
    """Keys that an agent told before it was killed, the broker being away."""
    process = _agent(config, records)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    process.stdout.readline()
    lines = (process.stdout.readline().split() for _ in range(records))
    made = [(stream, int(number)) for stream, number in lines]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return made


def _agent(config: Path, records: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", AGENTS, "traffic", str(config), str(records), "0.001"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours


if __name__ == "__main__":
    sys.exit(main())
