"""How soon readers are told that a device is gone which could not say so itself."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.report import Figure
from benchmarks.service_sink import Sink, sink
from edge_app.uplink import SESSION
from lsi.topics import Availability
from transport.broker import DEFAULT_KEEPALIVE_S

KILLED_GOAL_S: Final = SESSION.will_delay_s + 2.0
STOPPED_GOAL_S: Final = 1.5 * DEFAULT_KEEPALIVE_S + SESSION.will_delay_s
"""A broker waits one and a half keepalives (MQTT 5, 3.1.2.10). mosquitto 2.0 looks at them every 6 s, which
this goal does not allow for."""


def vanish_figures(config: Path, port: int) -> list[Figure]:
    """Seconds from SIGKILL and from SIGSTOP to the retained "offline"."""
    with sink(port, "availability") as messages:
        killed_s, stopped_s = (
            _gone_s(config, messages, signal_) for signal_ in (signal.SIGKILL, signal.SIGSTOP)
        )
    beside = {"will_delay_s": float(SESSION.will_delay_s), "keepalive_s": float(DEFAULT_KEEPALIVE_S)}
    return [
        _figure("sigkill_to_offline_s", killed_s, KILLED_GOAL_S, beside),
        _figure("sigstop_to_offline_s", stopped_s, STOPPED_GOAL_S, beside),
    ]


def _figure(name: str, value_s: float, goal_s: float, beside: dict[str, float]) -> Figure:
    return Figure(name, value_s, "s", f"<= {goal_s:g}", value_s <= goal_s, beside)


def _gone_s(config: Path, messages: Sink, how: signal.Signals) -> float:
    command = [sys.executable, "-m", "edge_app.cli", "--log-level", "ERROR", "run", "--config", str(config)]
    process = subprocess.Popen([*command, "--simulate"])  # noqa: S603 - ours
    try:
        _wait_for(messages, Availability.ONLINE)
        process.send_signal(how)
        began_s = time.monotonic()
        _wait_for(messages, Availability.OFFLINE)
        return time.monotonic() - began_s
    finally:
        process.kill()
        process.wait()


def _wait_for(messages: Sink, word: Availability) -> None:
    while messages.first().payload != word.encode():
        pass
