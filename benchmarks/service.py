"""The service against a real mosquitto: how soon it speaks, what an outage costs, what it weighs.

Records are made by an agent of its own, a process with the shipping outbox, drain and link and no
rig, which is killed while the broker is away. A figure of the whole service is taken on the
simulated board, whose own CPU time is in it and said so.

    python -m benchmarks.service --json
"""

import argparse
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report
from edge_app.config import load_config
from edge_app.egress_rules import ResultTerms
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock
from firmware.clock import MonotonicClock
from lab.broker import LoopbackBroker, find_mosquitto, free_port, loopback_broker
from lab.bundles import shipped_bundle
from lab.signed_copy import signed_copy
from lsi.errors import ConfigError
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.topics import Kind
from transport.broker import BrokerAddress, Message
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

BUNDLE: Final = "01234567"
DEVICE: Final = "bench"
KILLS: Final = 3
STARTS: Final = 3
STEADY_S: Final = 20.0
SILENCE_S: Final = 20.0
"""After so long without a message nothing more is expected."""
GOAL_START_S: Final = 1.0
GOAL_RSS_MB: Final = 90.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument(
        "--records", type=int, default=300, help="made while the broker is away (20 a second drain)"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--agent", nargs=2, metavar=("CONFIG", "RECORDS"), help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.agent:
        return agent(Path(parsed.agent[0]), int(parsed.agent[1]))
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise ConfigError("There is no mosquitto.", hint="apt install mosquitto")
    figures = [*_service_figures(mosquitto), *_outage_figures(mosquitto, parsed.records)]
    print(report("service", figures, as_json=parsed.json))
    return 0


def agent(config_path: Path, records: int) -> int:
    """Make ``records`` records, tell each key, then stay until killed or told to end."""
    config, clock, stream = load_config(config_path, {}), MonotonicClock(), secrets.token_hex(8)
    outbox = open_outbox(config, stream, clock=clock, wall_clock=SystemWallClock())
    results = ResultTerms(stream, BUNDLE, config.policy, config.policy.allowed)
    uplink = Uplink(config, outbox, None, results=results, clock=clock)
    uplink.open(list)
    for number in range(1, records + 1):
        uplink.record(Kind.EVENT, _event(stream, number).encode_as)
        print(stream, number, flush=True)
    sys.stdin.read()
    uplink.close()
    return 0


def _event(stream: str, number: int) -> EventPayload:
    return EventPayload(
        device_id=DEVICE,
        stream=stream,
        seq=number,
        ts="2026-01-01T12:00:00.000Z",
        clock="ntp",
        bundle=BUNDLE,
        phase=Phase.START,
        visit=f"{stream}-{number}",
        began="2026-01-01T12:00:00.000Z",
        scans=ScanBucket.ONES,
        attributes={"Smiling": number % 2 == 0},
        duration_s=None,
    )


def _outage_figures(mosquitto: str, records: int) -> list[Figure]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder), port, shipped_bundle(), None)
        made = [key for _ in range(KILLS) for key in _killed_agent(config, records // KILLS)]
        contents = _drained(mosquitto, port, config)
    missing = len(set(made) - contents.keys())
    doubles = sum(len(variants) > 1 for variants in contents.values())
    beside = {"records": float(len(made)), "kills": float(KILLS)}
    return [
        Figure("outage_records_missing", missing, "records", "0", missing == 0, beside),
        Figure("keys_with_two_contents", doubles, "keys", "0", doubles == 0, beside),
    ]


def _killed_agent(config: Path, records: int) -> list[tuple[str, int]]:
    """Keys that an agent told before it was killed, the broker being away."""
    process = _agent(config, records)
    made: list[tuple[str, int]] = []
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    for line in process.stdout:
        stream, number = line.split()
        made.append((stream, int(number)))
        if len(made) == records:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return made


def _agent(config: Path, records: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.service", "--agent", str(config), str(records)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours


def _drained(mosquitto: str, port: int, config: Path) -> dict[tuple[str, int], Counter[str]]:
    """What a reader gets from an agent that makes nothing new: contents by key, without ``hist``."""
    contents: dict[tuple[str, int], Counter[str]] = {}
    with loopback_broker(mosquitto, port) as broker, _reader(broker, f"lsi/v1/{DEVICE}/event") as messages:
        process = _agent(config, 0)
        for message in _until_silence(messages):
            document = json.loads(message.payload)
            document.pop("hist", None)
            key = (document["stream"], document["seq"])
            contents.setdefault(key, Counter())[json.dumps(document, sort_keys=True)] += 1
        process.communicate("")
    return contents


def _until_silence(messages: "queue.Queue[Message]") -> Iterator[Message]:
    while True:
        try:
            yield messages.get(timeout=SILENCE_S)
        except queue.Empty:
            return


@contextmanager
def _reader(broker: LoopbackBroker, topic: str) -> Iterator["queue.Queue[Message]"]:
    messages: queue.Queue[Message] = queue.Queue()
    address = BrokerAddress(broker.host, broker.port, None)
    link = MqttLink(
        address, f"reader-{os.getpid()}", subscriptions=[topic], events=LinkEvents(on_message=messages.put)
    )
    link.start()
    try:
        yield messages
    finally:
        link.stop()


def _service_figures(mosquitto: str) -> list[Figure]:
    starts_s, weights = [], (0.0, 0.0)
    with tempfile.TemporaryDirectory() as folder, loopback_broker(mosquitto) as broker:
        copy = signed_copy(shipped_bundle(), Path(folder))
        config = _config(Path(folder), broker.port, copy.bundle, copy.public_key)
        with _reader(broker, f"lsi/v1/{DEVICE}/attr") as messages:
            for start in range(STARTS + 1):
                began_s = time.monotonic()
                process = _service(config)
                messages.get(timeout=60)
                starts_s.append(time.monotonic() - began_s)
                if start == STARTS:
                    weights = _weighed(process.pid)
                process.send_signal(signal.SIGTERM)
                process.wait()
    first_s = sorted(starts_s[1:])[len(starts_s[1:]) // 2]
    cpu_percent, rss_mb = weights
    return [
        Figure(
            "start_to_first_attr_s",
            first_s,
            "s",
            f"<= {GOAL_START_S}",
            first_s <= GOAL_START_S,
            {"cold": starts_s[0]},
        ),
        Figure(
            "steady_cpu_percent_with_simulator",
            cpu_percent,
            "% of a core",
            None,
            None,
            {"payloads_per_s": 10.0},
        ),
        Figure("steady_rss_mb", rss_mb, "MB", f"<= {GOAL_RSS_MB:g}", rss_mb <= GOAL_RSS_MB, {}),
    ]


def _service(config: Path) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "edge_app.cli",
        "--log-level",
        "ERROR",
        "run",
        "--config",
        str(config),
        "--simulate",
    ]
    return subprocess.Popen(command)  # noqa: S603 - ours


def _weighed(pid: int) -> tuple[float, float]:
    """CPU in per cent of a core over a while, and resident memory in MB."""
    ticks = os.sysconf("SC_CLK_TCK")
    before = _cpu_ticks(pid)
    time.sleep(STEADY_S)
    cpu_percent = 100 * (_cpu_ticks(pid) - before) / ticks / STEADY_S
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    rss_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return cpu_percent, rss_kb / 1024


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _config(folder: Path, port: int, bundle: Path, key: Path | None) -> Path:
    trust = f"trust = {{ keys = [{json.dumps(str(key))}] }}\n" if key else ""
    text = (
        f'device_id = "{DEVICE}"\nboard = "sim-mcp3208"\nstate = "state"\n'
        f"bundle = {json.dumps(str(bundle))}\n"
        f'mqtt = {{ host = "127.0.0.1", port = {port}, tls = {{ mode = "off" }} }}\n'
        f"scan = {{ interval_s = 0.1 }}\nlive = {{ every_scan = true }}\n{trust}"
    )
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
