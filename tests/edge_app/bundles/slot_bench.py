"""A service on a simulated board whose bundles lie in real slots, second by second of a simulated clock."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_app.bundles.admission import Admitted
from edge_app.bundles.changeover import Changeover, Rules
from edge_app.bundles.device_slots import starting_bundle
from edge_app.bundles.slot_files import DiskFiles, Files
from edge_app.bundles.slot_lock import table_lock
from edge_app.bundles.slot_store import FOLDER, SlotStore
from edge_app.bundles.slot_table import Held, SlotTable, Standing
from edge_app.service import Parts, Service
from firmware.factory import open_rig
from firmware.rig import Rig
from firmware.sim.clock import SimClock
from firmware.sim.light import LightSequence
from lsi.bundle import contents_of, open_archive, write_bundle
from lsi.command_documents import AckPayload, Command, Reply, command_topic
from lsi.payload import AttributePayload
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Kind
from lsi.units import NS_PER_S
from lsi.update_state import UpdateState
from tests.bundles import small_files, small_manifest
from tests.edge_app.test_service import BOARD, BRIGHT, CONFIG, FixedEncoder, RecordingPublisher
from transport.broker import Message

NOW = "2026-01-01T12:00:00.000Z"
INSTALL = Message(command_topic("hall1", Command.UPDATE), b"INSTALL")
Act = Callable[[], object]
Light = Callable[[int], NDArray[np.float32]]


def small(version: str, epoch: int = 0, *, expires: str | None = None, **files: bytes) -> bytes:
    """A bundle with a content of its own."""
    members = small_files(**{"encoder": version.encode(), **files})
    return write_bundle(
        small_manifest(members, version=version, security_epoch=epoch, expires=expires), members
    )


OLD, NEW = small("1.0.0", 1), small("1.1.0", 2)


def admit_small(content: bytes, path: Path) -> Admitted:
    bundle = contents_of(open_archive(content, path))
    return Admitted(bundle, FixedEncoder(bundle))  # type: ignore[arg-type] # an encoder of tests


class SlotBench:
    """A device; ``run`` its service and does what is planned before each scan."""

    def __init__(self, state: Path, factory: bytes | None = OLD, files: Files | None = None) -> None:
        self.state = state
        self.store = SlotStore(state / FOLDER, files or DiskFiles(), lambda: NOW, partial(table_lock, state))
        self.rules = Rules(
            policy=CONFIG.policy,
            interval_ns=0,
            today=dt.date(2026, 1, 1),
            admit=admit_small,
            factory=lambda: None if factory is None else admit_small(factory, Path("factory.lsib")),
        )
        self.publisher = RecordingPublisher()
        self.clock = SimClock()
        self.acknowledged = 0
        self.is_broker_there = True
        self.seconds_to_each_rollback: list[float] = []

    def put(self, content: bytes) -> None:
        self.store.install(content, open_archive(content, Path("new.lsib")).manifest)

    def commit(self, content: bytes) -> None:
        """``content`` is active, as after a trial in an earlier life."""
        self.put(content)
        self.store.activate(offline_ok=False)
        self.store.begin_try()
        self.store.commit()

    def command(self) -> None:
        self.publisher.inbox.append(INSTALL)

    def run(
        self,
        scans: int,
        plan: Mapping[int, Act] | None = None,
        light: Light = lambda _: BRIGHT,
        *,
        is_killed: bool = False,
        every_s: int = 1,
    ) -> None:
        """One life of the service; one that is killed does not end in good order."""
        rig = open_rig(BOARD, LightSequence(self._scenes(scans, plan or {}, light, every_s)))
        with rig:
            changes = Changeover(
                self.store,
                starting_bundle(self.store, self.rules),
                self.rules,
                clock=self.clock,
                acknowledged=lambda: self.acknowledged,
            )
            if is_killed:
                changes.close = lambda: None  # type: ignore[method-assign] # nobody is left to do it
            Service(replace(CONFIG, state=self.state), self._parts(rig, changes)).run(threading.Event())

    def _parts(self, rig: Rig, changes: Changeover) -> Parts:
        running = changes._running.admitted
        return Parts(rig, running.bundle, running.encoder, self.publisher, clock=self.clock, changes=changes)

    def _scenes(
        self, scans: int, plan: Mapping[int, Act], light: Light, every_s: int
    ) -> Iterator[NDArray[np.float32]]:
        for scan in range(scans):
            self.clock.advance(every_s * NS_PER_S)
            self.acknowledged += self.is_broker_there
            plan.get(scan, lambda: None)()
            yield light(scan)

    @property
    def table(self) -> SlotTable:
        return self.store.table()

    def held(self, standing: Standing) -> Held:
        held = self.table.of(standing)
        assert held is not None, self.table
        return held

    @property
    def versions(self) -> list[str]:
        """Which bundle made each payload, by version."""
        by_id = {open_archive(each, Path("x")).manifest.short_id: each for each in (OLD, NEW)}
        return [open_archive(by_id[payload.bundle], Path("x")).manifest.version for payload in self.payloads]

    @property
    def payloads(self) -> list[AttributePayload]:
        return [AttributePayload.decode(each) for each in self.publisher.of(Kind.ATTR)]

    @property
    def updates(self) -> list[UpdateState]:
        return [UpdateState.decode(each) for each in self.publisher.of(Kind.UPDATE)]

    @property
    def info(self) -> InfoPayload:
        return InfoPayload.decode(self.publisher.of(Kind.INFO)[-1])

    @property
    def health(self) -> HealthPayload:
        return HealthPayload.decode(self.publisher.of(Kind.HEALTH)[-1])

    @property
    def replies(self) -> list[Reply]:
        return [AckPayload.decode(each.payload).reply for each in self.publisher.replies]
