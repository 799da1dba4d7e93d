"""Child processes of ``benchmarks.service``: parts of the shipping service, each with one thing left out."""

import datetime as dt
import json
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.report import resident_mb
from edge_app.bundles.admission import Terms, admit
from edge_app.disclosure.policy import in_force
from edge_app.link.egress_rules import ResultTerms
from edge_app.outlet import Outlet, Told
from edge_app.pause import Pause
from edge_app.results_choice import results_of
from edge_app.service import Parts, Service
from edge_app.settings.config import AppConfig, load_config
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock
from firmware.boards.board import find_board
from firmware.clock import MonotonicClock
from firmware.factory import open_rig
from firmware.interfaces import Acquisition, Advance, PassSamples
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.topics import Kind

AGENTS: Final = "benchmarks.service_agents"
"""What ``python -m`` starts."""
DEVICE: Final = "bench"
TODAY: Final = dt.date(2026, 1, 1)


def config_file(folder: Path, port: int, bundle: Path, key: Path | None) -> Path:
    """A configuration for a broker on loopback, ten scans a second, each told."""
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


class Agent:
    """Outbox, drain, link, commands and health of the service, and no scans.

    Args:
        config: As the service reads it.
    """

    def __init__(self, config: AppConfig) -> None:
        clock = MonotonicClock()
        self.stream = secrets.token_hex(8)
        outbox = open_outbox(config, self.stream, clock=clock, wall_clock=SystemWallClock())
        bundle = admit(_factory(config), _terms(config)).bundle
        policy = in_force(config.policy, bundle)
        terms = ResultTerms.of(policy, bundle, self.stream)
        self._bundle_id = bundle.manifest.short_id
        self.uplink = Uplink(config, outbox, None, results=terms, clock=clock)
        wall_clock = SystemWallClock()
        results = results_of(
            config, bundle, policy, self.uplink, stream=self.stream, clock=clock, wall_clock=wall_clock
        )
        told = Told(config, bundle, open_rig(find_board(config.board)), policy, self.stream)
        self._outlet = Outlet(told, results, self.uplink, clock, Pause(clock))
        self.uplink.open(self._outlet.greeting)

    def make(self, records: int, pause: Callable[[], bool]) -> None:
        """``records`` records, each key told on standard output; then serves until ``pause`` says no."""
        number = 0
        while True:
            if number < records:
                number += 1
                self.uplink.record(Kind.EVENT, _event(self.stream, self._bundle_id, number).encode_as)
                print(self.stream, number, flush=True)
            self._outlet.serve()
            if not pause():
                return


def traffic(config_path: Path, records: int, period_s: float) -> int:
    """Make a record every ``period_s``; ends when standard input does, with threads and memory told."""
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    agent = Agent(load_config(config_path, {}))
    print("began", threading.active_count(), resident_mb(), flush=True)
    agent.make(records, lambda: not over.wait(period_s))
    print("ended", threading.active_count(), resident_mb(), flush=True)
    agent.uplink.close()
    return 0


class Recorded:
    """``Acquisition``: each pass of a rig once, then always the same samples."""

    def __init__(self, real: Acquisition) -> None:
        self._real = real
        self._passes: dict[int, PassSamples] = {}

    @property
    def advance(self) -> Advance:
        """That of the rig."""
        return self._real.advance

    def acquire(self, patterns: int) -> PassSamples:
        """From memory, so that neither mirrors nor light are simulated."""
        if patterns not in self._passes:
            self._passes[patterns] = self._real.acquire(patterns)
        samples = self._passes[patterns]
        return replace(samples, counts=np.array(samples.counts))


def _factory(config: AppConfig) -> Path:
    assert config.bundle is not None  # noqa: S101 - the benchmark writes it
    return config.bundle


def steady(config_path: Path) -> int:
    """The service on recorded samples until it is told to stop."""
    config, stop = load_config(config_path, {}), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    admitted = admit(_factory(config), _terms(config))
    clock, stream = MonotonicClock(), secrets.token_hex(8)
    outbox = open_outbox(config, stream, clock=clock, wall_clock=SystemWallClock())
    with open_rig(find_board(config.board)) as rig:
        rig.parts = replace(rig.parts, acquisition=Recorded(rig.parts.acquisition))
        results = ResultTerms.of(in_force(config.policy, admitted.bundle), admitted.bundle, stream)
        uplink = Uplink(config, outbox, None, results=results, clock=clock)
        Service(config, Parts(rig, admitted.bundle, admitted.encoder, uplink, stream=stream)).run(stop)
    return 0


def _terms(config: AppConfig) -> Terms:
    return Terms.of(config.trust, find_board(config.board), config.policy.mode, TODAY)


def _event(stream: str, bundle_id: str, number: int) -> EventPayload:
    return EventPayload(
        device_id=DEVICE,
        stream=stream,
        seq=number,
        ts="2026-01-01T12:00:00.000Z",
        clock="ntp",
        bundle=bundle_id,
        phase=Phase.START,
        visit=f"{stream}-{number}",
        began="2026-01-01T12:00:00.000Z",
        scans=ScanBucket.ONES,
        attributes={"Smiling": number % 2 == 0},
        duration_s=None,
    )


def main(arguments: Sequence[str]) -> int:
    """``traffic CONFIG RECORDS PERIOD_S`` or ``steady CONFIG``."""
    kind, config, *rest = arguments
    if kind == "steady":
        return steady(Path(config))
    records, period_s = rest
    return traffic(Path(config), int(records), float(period_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
