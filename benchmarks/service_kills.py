"""What a broker costs that is killed again and again while records are made."""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.report import Figure
from benchmarks.service_agents import AGENTS, config_file
from benchmarks.service_sink import Key, sink
from lab.broker import LOOPBACK, free_port
from lab.bundles import shipped_bundle
from lab.signed_copy import signed_copy

SEED: Final = 1
SECONDS_PER_KILL: Final = 4.0
"""Ten minutes with 50 kills are 12 s each; here three times as fast."""
DOWN_S: Final = 0.2
RECORD_PERIOD_S: Final = 0.25
ROUNDS: Final = 10


class Broker:
    """mosquitto as Debian sets it up: kept in memory, written to disk every half hour and at a clean stop."""

    def __init__(self, mosquitto: str, folder: Path, port: int) -> None:
        self._config = folder / "mosquitto.conf"
        self._mosquitto = mosquitto
        self._config.write_text(
            f"listener {port} {LOOPBACK}\nallow_anonymous true\n"
            f"persistence true\npersistence_location {folder}/\nuser root\n",
            "ascii",
        )
        self._process = self._started()

    def kill(self) -> None:
        """SIGKILL, a moment of nothing, and a new one."""
        self._process.kill()
        self._process.wait()
        time.sleep(DOWN_S)
        self._process = self._started()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [self._mosquitto, "-c", str(self._config)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours


def broker_kill_figures(mosquitto: str, kills: int) -> list[Figure]:
    """Records that never came, after all that were missing were asked for."""
    records, port = round(kills * SECONDS_PER_KILL / RECORD_PERIOD_S), free_port()
    with tempfile.TemporaryDirectory() as name, sink(port) as reader:
        folder = Path(name)
        copy = signed_copy(shipped_bundle(), folder)
        broker = Broker(mosquitto, folder, port)
        agent = _agent(config_file(folder, port, copy.bundle, copy.public_key), records)
        began = _weight(agent)
        _kill_at_random(broker, kills)
        made = _made(agent, records)
        reader.read()
        lost = made - reader.contents.keys()
        for _ in range(ROUNDS):
            missing = made - reader.contents.keys()
            if missing:
                reader.ask_again(missing)
                reader.read(SECONDS_PER_KILL)
        ended = _ended(agent)
        broker.stop()
    missing = made - reader.contents.keys()
    return [
        Figure(
            "broker_kill_missing",
            len(missing),
            "records",
            "0",
            not missing,
            {
                "kills": float(kills),
                "records": float(records),
                "lost_without_replay": float(len(lost)),
                "redeliveries": float(reader.redeliveries),
                "keys_with_two_contents": float(reader.doubles),
                "threads_more_at_the_end": ended[0] - began[0],
                "rss_mb_more_at_the_end": round(ended[1] - began[1], 2),
            },
        )
    ]


def _kill_at_random(broker: Broker, kills: int) -> None:
    rng = random.Random(SEED)  # noqa: S311 - nothing secret
    for _ in range(kills):
        time.sleep(rng.uniform(0, 2 * (SECONDS_PER_KILL - DOWN_S)))
        broker.kill()


def _agent(config: Path, records: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", AGENTS, "traffic", str(config), str(records), str(RECORD_PERIOD_S)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours


def _weight(agent: "subprocess.Popen[str]") -> tuple[float, float]:
    """Threads and resident MB, as the agent tells them at its start and its end."""
    assert agent.stdout is not None  # noqa: S101 - it is a pipe
    _, threads, rss_mb = agent.stdout.readline().split()
    return float(threads), float(rss_mb)


def _made(agent: "subprocess.Popen[str]", records: int) -> set[Key]:
    assert agent.stdout is not None  # noqa: S101 - it is a pipe
    lines = (agent.stdout.readline().split() for _ in range(records))
    return {(stream, int(number)) for stream, number in lines}


def _ended(agent: "subprocess.Popen[str]") -> tuple[float, float]:
    assert agent.stdin is not None  # noqa: S101 - it is a pipe
    agent.stdin.close()
    weight = _weight(agent)
    agent.wait()
    return weight
