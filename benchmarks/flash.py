"""Power cuts while a bundle is installed, and what an update costs a sensor that is measuring.

The power goes at every operation of every change of the slots, on a simulated disk, with real bundles and
every check that a device makes. Install is timed on this machine's disk. The gap in sensing is seen by a
reader of a real broker while a service on the simulated board is told to install; the rollback is one of a
trial that was entered, so that the masks go to the DMD once more. The simulator's CPU time is in both.

    python -m benchmarks.flash --json
"""

import argparse
import datetime as dt
import json
import logging
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, report
from edge_app.bundles.admission import Terms
from edge_app.bundles.changeover import Changeover, Rules
from edge_app.bundles.device_slots import admit_content, open_slots, rules_of, starting_bundle
from edge_app.bundles.installation import install
from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import Happened
from edge_app.disclosure.policy import in_force
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import Announcements, ResultTerms
from edge_app.link.publisher import PrintingPublisher
from edge_app.service import Parts, Service, new_stream
from edge_app.settings.config import AppConfig, load_config
from firmware.boards.board import find_board
from firmware.clock import MonotonicClock
from firmware.factory import open_rig
from lab.broker import find_mosquitto, loopback_broker
from lab.bundles import SHIPPED, shipped_bundle
from lab.power_cut_sweep import scenarios, sweep
from lab.signed_copy import release_of
from lsi.bundle import Bundle, open_bundle
from lsi.command_documents import Command, UpdateCommand, command_topic
from lsi.disclosure import PayloadMode
from lsi.errors import ConfigError
from lsi.key_files import write_key_pair
from lsi.minisign import SecretKey
from lsi.topics import Kind, Topic
from lsi.units import NS_PER_S
from transport.broker import BrokerAddress, Message
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

DEVICE: Final = "bench"
BOARD: Final = "sim-mcp3208"
OTHER: Final = "attr-lite-64-0.2.0.lsib"
"""The bundle that is gone over to: four times the masks of the one before."""
INSTALLS: Final = 5
INTERVAL_S: Final = 0.1
PATIENCE_NS: Final = 3 * NS_PER_S
"""Of a try that is to fail; a device waits a minute, which is no part of a rollback."""
TIMEOUT_S: Final = 120.0
GOAL_POINTS: Final = 200
GOAL_GAP_S: Final = 2.0
GOAL_ROLLBACK_S: Final = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flash", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise ConfigError("There is no mosquitto.", hint="apt install mosquitto")
    with tempfile.TemporaryDirectory() as folder:
        shelf = _Shelf.in_folder(Path(folder))
        figures = [
            *_power_cuts(shelf),
            _install(shelf, Path(folder) / "install"),
            _rollback(shelf, Path(folder) / "rollback"),
            _sensing_gap(shelf, Path(folder) / "gap", mosquitto),
        ]
    print(report("flash", figures, as_json=parsed.json))
    return 0


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Signed bundles, the key that signed them, and the terms of the device that trusts it."""

    old: bytes
    new: bytes
    newest: bytes
    public_key: Path
    terms: Terms

    @classmethod
    def in_folder(cls, folder: Path) -> "_Shelf":
        key = SecretKey.generate()
        _, public = write_key_pair(key, folder / "owner")
        small, large = (open_bundle(shipped_bundle(name)) for name in (SHIPPED, OTHER))
        board = find_board(BOARD)
        terms = Terms(
            (key.public_key,), allow_unsigned=False, provides=board.provides,
            mode=PayloadMode.ATTR_LITE, today=_today(),
        )  # fmt: skip
        return cls(
            release_of(small, key, version="1.0.0", security_epoch=1),
            release_of(large, key, version="1.1.0", security_epoch=2),
            release_of(small, key, version="2.0.0", security_epoch=3),
            public,
            terms,
        )


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _power_cuts(shelf: _Shelf) -> list[Figure]:
    check = cache(lambda content: admit_content(shelf.terms, content, Path("slot.lsib")))
    tried, wrong, operations = Counter[str](), 0, set()
    for scenario in scenarios(shelf.old, shelf.new, shelf.newest):
        for point in sweep(scenario, check):
            tried[point.operation.split()[1]] += 1
            wrong += bool(point.wrong)
            operations.add((point.scenario, point.operation))
    points = tried.total()
    beside = {"operations": float(len(operations)), **{each: float(tried[each]) for each in sorted(tried)}}
    return [
        Figure(
            "power_cut_points_tried", points, "points", f">= {GOAL_POINTS}", points >= GOAL_POINTS, beside
        ),
        Figure("power_cut_points_without_valid_slot", wrong, "points", "0", wrong == 0, {}),
    ]


def _install(shelf: _Shelf, folder: Path) -> Figure:
    """From the bytes of a bundle to a staged slot, checks included; on this machine's disk."""
    took_s, floor_s = [], []
    for number in range(INSTALLS):
        config = _config(folder / str(number), shelf, port=1883)
        store, rules = open_slots(config.state), rules_of(config, shelf.terms)
        began_s = time.monotonic()
        install(shelf.new, Path("new.lsib"), store, rules)
        took_s.append(time.monotonic() - began_s)
        floor_s.append(_plain_write_s(folder / str(number), shelf.new))
    beside = {"plain_write_and_sync": statistics.median(floor_s), "bytes": float(len(shelf.new))}
    return Figure("install_s", statistics.median(took_s), "s", None, None, beside)


def _plain_write_s(folder: Path, content: bytes) -> float:
    began_s = time.monotonic()
    with (folder / "plain").open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - began_s


def _rollback(shelf: _Shelf, folder: Path) -> Figure:
    """From the failure of the last try to the first payload of the old bundle; nobody answers here."""
    config = _config(folder, shelf, port=1883)
    rules = replace(rules_of(config, shelf.terms), patience_ns=PATIENCE_NS, interval_ns=0)
    store = open_slots(config.state)
    _commit(shelf.old, store, rules)
    install(shelf.new, Path("new.lsib"), store, rules)
    store.activate(offline_ok=False)
    seen = _Seen(store)
    with open_rig(find_board(BOARD)) as rig:
        origin = starting_bundle(store, rules)
        changes = Changeover(store, origin, rules, clock=MonotonicClock(), acknowledged=lambda: 0)
        bundle, stream = origin.admitted.bundle, new_stream()
        guard = EgressGuard(DEVICE, _results(config, bundle, stream))

        def go_over(other: Bundle, act: Callable[[], None]) -> None:
            guard.change(_results(config, other, stream), Announcements())
            act()

        publisher = PrintingPublisher(guard, seen)
        parts = Parts(
            rig, bundle, origin.admitted.encoder, publisher, stream=stream, changes=changes, go_over=go_over
        )
        Service(config, parts).run(seen.is_over)
    took_s = seen.back_s - seen.failed_s
    return Figure("rollback_s", took_s, "s", f"<= {GOAL_ROLLBACK_S:g}", took_s <= GOAL_ROLLBACK_S, {})


def _results(config: AppConfig, bundle: Bundle, stream: str) -> ResultTerms:
    return ResultTerms.of(in_force(config.policy, bundle), bundle, stream)


class _Seen(StringIO):
    """What the service prints, and when: the last payload of the new bundle, the first of the old one."""

    def __init__(self, store: SlotStore) -> None:
        super().__init__()
        self._store = store
        self._line = ""
        self.is_over = threading.Event()
        self.failed_s = self.back_s = 0.0

    def write(self, text: str) -> int:
        """A piece of a line; once the table says "rolled back", the next payload is the old bundle's."""
        self._line += text
        if not text.endswith("\n"):
            return len(text)
        line, self._line = self._line, ""
        if self.is_over.is_set() or f"/{Kind.ATTR} " not in line:
            return len(text)
        now_s = time.monotonic()
        is_back = any(line.what is Happened.ROLLED_BACK for line in self._store.table().history)
        if not is_back:
            self.failed_s = now_s  # the try fails after this payload, before the next
        else:
            self.back_s = now_s
            self.is_over.set()
        return len(text)


def _commit(content: bytes, store: SlotStore, rules: Rules) -> None:
    install(content, Path("old.lsib"), store, rules)
    store.activate(offline_ok=True)
    store.begin_try()
    store.commit()


def _sensing_gap(shelf: _Shelf, folder: Path, mosquitto: str) -> Figure:
    """The longest time between two payloads around an update, as a subscriber sees it."""
    with loopback_broker(mosquitto) as broker:
        config = _config(folder, shelf, port=broker.port)
        store, rules = open_slots(config.state), rules_of(config, shelf.terms)
        _commit(shelf.old, store, rules)
        install(shelf.new, Path("new.lsib"), store, rules)
        arrivals: queue.Queue[tuple[float, str]] = queue.Queue()
        with _reader(broker.port, arrivals) as link, _service(folder / "config.toml"):
            seen = [arrivals.get(timeout=TIMEOUT_S) for _ in range(20)]
            wanted = command_topic(DEVICE, Command.UPDATE)
            link.publish(Message(wanted, UpdateCommand.INSTALL.value.encode()))
            while seen[-1][1] == seen[0][1]:
                seen.append(arrivals.get(timeout=TIMEOUT_S))
            seen += [arrivals.get(timeout=TIMEOUT_S) for _ in range(10)]
    gaps_s = [after - before for (before, _), (after, _) in pairwise(seen)]
    gap_s = max(gaps_s[19:])
    beside = {"median_between_payloads": statistics.median(gaps_s[:19])}
    return Figure("sensing_gap_s", gap_s, "s", f"<= {GOAL_GAP_S:g}", gap_s <= GOAL_GAP_S, beside)


@contextmanager
def _reader(port: int, arrivals: "queue.Queue[tuple[float, str]]") -> Iterator[MqttLink]:
    """Puts the time and the bundle of every payload into ``arrivals``."""

    def take(message: Message) -> None:
        arrivals.put((time.monotonic(), json.loads(message.payload)["bundle"]))

    link = MqttLink(
        BrokerAddress("127.0.0.1", port, None),
        f"reader-{os.getpid()}",
        subscriptions=[str(Topic(DEVICE, Kind.ATTR))],
        events=LinkEvents(on_message=take),
    )
    link.start()
    try:
        yield link
    finally:
        link.stop()


@contextmanager
def _service(config: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "edge_app.cli", "--log-level", "ERROR", "run", "--config", str(config)]
    with subprocess.Popen(command) as process:  # noqa: S603 - ours
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _config(folder: Path, shelf: _Shelf, port: int) -> AppConfig:
    (folder / "state").mkdir(parents=True)
    path = folder / "config.toml"
    path.write_text(
        f'device_id = "{DEVICE}"\nboard = "{BOARD}"\nstate = "state"\n'
        f'mqtt = {{ host = "127.0.0.1", port = {port}, tls = {{ mode = "off" }} }}\n'
        f"scan = {{ interval_s = {INTERVAL_S} }}\nlive = {{ every_scan = true }}\n"
        "home_assistant = { enabled = false }\n"
        f"trust = {{ keys = [{json.dumps(str(shelf.public_key))}] }}\n",
        "utf-8",
    )
    return load_config(path, {})


if __name__ == "__main__":
    sys.exit(main())
