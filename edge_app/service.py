"""The loop: scan, correct, encode, decide, publish. One scan that fails is dropped."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from edge_app.admission import check_compatible
from edge_app.config import AppConfig
from edge_app.encoder import Encoder
from edge_app.policy import ScanStamp, disclose
from edge_app.publisher import Publisher
from edge_app.wall_clock import SystemWallClock, WallClock
from firmware.clock import MonotonicClock
from firmware.correction import correct
from firmware.interfaces import Clock
from firmware.realtime import realtime_thread
from firmware.rig import Rig
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy
from lsi.errors import LsiError, RigError, ScanError
from lsi.measurement import DarkReference, Measurement, RawScan
from lsi.problems import ADVICE, Problem, problem_of
from lsi.status import HealthPayload, InfoPayload
from lsi.topics import Kind
from lsi.units import NS_PER_MS, NS_PER_S, ns_to_ms

logger = logging.getLogger(__name__)

HEALTH_PERIOD_NS: Final = 60 * NS_PER_S
STREAM_BYTES: Final = 8

ScanOutcome = tuple[RawScan, DarkReference] | ScanError | RigError


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of; each is replaced on its own in tests."""

    rig: Rig
    bundle: Bundle
    encoder: Encoder
    publisher: Publisher
    wall_clock: WallClock = field(default_factory=SystemWallClock)
    clock: Clock = field(default_factory=MonotonicClock)


class Service:
    """One sensor from start to stop.

    Every start draws a new random stream id, so that two starts never give one
    ``(dev, stream, seq)`` two contents.
    """

    def __init__(self, config: AppConfig, parts: Parts) -> None:
        check_compatible(parts.bundle.manifest, parts.rig.board.provides)
        self._config = config
        self._parts = parts
        self._policy: DisclosurePolicy = config.policy.narrowed(parts.bundle.allowed)
        self._stream = secrets.token_hex(STREAM_BYTES)
        self._scans = 0  # of which the outcome is known
        self._failed = 0
        self._problems: frozenset[Problem] = frozenset()
        self._health_sent_ns = 0

    @property
    def stream(self) -> str:
        """The id of this start."""
        return self._stream

    def run(self, stop: threading.Event, max_scans: int | None = None) -> int:
        """Scan until ``stop`` is set, the light of a simulation ends, or ``max_scans``.

        While one scan is encoded and published, by a thread of its own, this thread makes
        the next: what a scan takes is what the mirrors take. At most one is waiting.

        Returns:
            The number of scans made, failed ones included.
        """
        self._log_start()
        self._load_masks()
        self._parts.publisher.open(self._greeting)
        try:
            with self._pace(), ThreadPoolExecutor(1, "lsi-publish") as worker:
                self._scan_until(stop, max_scans, worker)
        finally:
            self._parts.publisher.close()
        return self._scans

    def _pace(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._parts.rig.board.simulated else realtime_thread()

    def _scan_until(self, stop: threading.Event, max_scans: int | None, worker: ThreadPoolExecutor) -> None:
        handled = worker.submit(lambda: None)
        made = 0
        while made != max_scans and self._parts.rig.next_scene():
            started_ns = self._parts.clock.now_ns()
            made += 1
            outcome = self._scan()
            handled.result()
            handled = worker.submit(self._handle, made, outcome)
            if stop.wait(self._pause_s(started_ns)):
                break
        handled.result()

    def _scan(self) -> ScanOutcome:
        try:
            self._load_masks()
            return self._parts.rig.scan(self._parts.bundle.patterns)
        except (ScanError, RigError) as error:
            return error

    def _handle(self, seq: int, outcome: ScanOutcome) -> None:
        """Correct, encode, decide and publish one scan; runs beside the next one."""
        self._scans = seq
        try:
            if isinstance(outcome, LsiError):
                raise outcome
            measurement = correct(*outcome, self._parts.rig.arm_minus_factor)
        except (ScanError, RigError) as error:
            self._failed += 1
            self._set_problem(error)
        else:
            self._set_problem(None)
            self._publish(measurement)
        self._publish_health_if_due(self._parts.clock.now_ns())

    def _publish(self, measurement: Measurement) -> None:
        started_ns = self._parts.clock.now_ns()
        logits = self._parts.encoder.encode(measurement)
        stamp = self._stamp(measurement, self._parts.clock.now_ns() - started_ns)
        payload = disclose(logits, self._policy, stamp).encode()
        sent = self._parts.publisher.publish(Kind.ATTR, payload)
        logger.debug("Scan %d: %.1f ms, sent: %s", self._scans, stamp.scan_ms, sent)

    def _stamp(self, measurement: Measurement, infer_ns: int) -> ScanStamp:
        wall_clock = self._parts.wall_clock
        return ScanStamp(
            device_id=self._config.device_id,
            stream=self._stream,
            seq=self._scans,
            ts=wall_clock.timestamp(),
            clock=wall_clock.source(),
            bundle=self._parts.bundle.manifest.short_id,
            scan_ms=ns_to_ms(measurement.duration_ns),
            infer_ms=infer_ns / NS_PER_MS,
        )

    def _load_masks(self) -> None:
        if not self._parts.rig.is_loaded(self._parts.bundle.patterns):
            self._parts.rig.load(self._parts.bundle.patterns)

    def _set_problem(self, error: LsiError | None) -> None:
        problems = frozenset() if error is None else frozenset({problem_of(error)})
        if problems == self._problems:
            return
        self._problems = problems
        if error is None:
            logger.info("Scans work again.")
        else:
            logger.warning("Scan %d was dropped: %s", self._scans, error.found)
            logger.warning("Try: %s", error.hint or ADVICE[problem_of(error)])
        self._publish_health()

    def _publish_health_if_due(self, now_ns: int) -> None:
        if now_ns - self._health_sent_ns >= HEALTH_PERIOD_NS:
            self._health_sent_ns = now_ns
            self._publish_health()

    def _publish_health(self) -> None:
        self._parts.publisher.publish(Kind.HEALTH, self._health().encode())

    def _health(self) -> HealthPayload:
        return HealthPayload(
            device_id=self._config.device_id,
            stream=self._stream,
            problems=self._problems,
            scans=self._scans,
            scans_failed=self._failed,
            reconnects=self._parts.publisher.reconnects,
            mirror_duty=self._parts.rig.duty.extremes,
        )

    def _info(self) -> InfoPayload:
        manifest = self._parts.bundle.manifest
        board = self._parts.rig.board
        return InfoPayload(
            device_id=self._config.device_id,
            stream=self._stream,
            software=version("lsi-edge"),
            board=board.name,
            simulated=board.simulated,
            mode=self._policy.mode,
            policy=self._policy.digest[:8],
            attributes=tuple(
                name for name in self._parts.bundle.attributes.names if name in self._policy.allowed
            ),
            d=manifest.d,
            bundle_name=manifest.name,
            bundle_version=manifest.version,
            bundle_id=manifest.short_id,
        )

    def _disclosed(self) -> tuple[str, ...]:
        return tuple(name for name in self._parts.bundle.attributes.names if name in self._policy.allowed)

    def _greeting(self) -> Sequence[tuple[Kind, bytes]]:
        return [(Kind.INFO, self._info().encode()), (Kind.HEALTH, self._health().encode())]

    def _pause_s(self, started_ns: int) -> float:
        spent_s = (self._parts.clock.now_ns() - started_ns) / NS_PER_S
        return max(0.0, self._config.interval_s - spent_s)

    def _log_start(self) -> None:
        manifest = self._parts.bundle.manifest
        logger.info("Bundle %s %s %s", manifest.name, manifest.version, manifest.short_id)
        allowed = ", ".join(self._disclosed()) or "presence only"
        logger.info("Policy %s lets out: %s", self._policy.mode, allowed)
        if manifest.signature is None:
            logger.warning("The bundle is not signed; whoever can write the file decides what is measured.")
