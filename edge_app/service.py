"""The loop: scan, correct, encode, decide, tell. One scan that fails is dropped."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from edge_app.bundles.admission import Admitted, check_compatible
from edge_app.bundles.changes import Changes, Unchanging
from edge_app.disclosure.latent_sealer import LatentSealer
from edge_app.disclosure.policy import ScanStamp, disclose, in_force
from edge_app.disclosure.results import Results
from edge_app.inference.encoder import Encoder
from edge_app.link.publisher import Publisher
from edge_app.notify import Notifier, Watchdog
from edge_app.outlet import Outlet, Told, disclosed_names
from edge_app.pause import Pause
from edge_app.results_choice import results_of
from edge_app.settings.config import AppConfig
from edge_app.wall_clock import SystemWallClock, WallClock
from firmware.acquisition.correction import correct
from firmware.clock import MonotonicClock
from firmware.interfaces import Clock
from firmware.realtime import realtime_thread
from firmware.rig import Rig
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy
from lsi.errors import LsiError, RigError, ScanError, SealError
from lsi.frame_information import frame_bits
from lsi.latent import LatentOffset
from lsi.measurement import DarkReference, Measurement, RawScan
from lsi.status import Widening
from lsi.topics import Kind
from lsi.units import NS_PER_MS, NS_PER_S, ns_to_ms

logger = logging.getLogger(__name__)

STREAM_BYTES: Final = 8
SERVE_S: Final = 1.0
"""Between two scans, commands and Home Assistant are served this often."""

ScanOutcome = tuple[RawScan, DarkReference] | ScanError | RigError


def new_stream() -> str:
    """A new random stream id: two starts never give one ``(dev, stream, seq)`` two contents."""
    return secrets.token_hex(STREAM_BYTES)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of; each is replaced on its own in tests."""

    rig: Rig
    bundle: Bundle
    encoder: Encoder
    publisher: Publisher
    wall_clock: WallClock = field(default_factory=SystemWallClock)
    clock: Clock = field(default_factory=MonotonicClock)
    stream: str = field(default_factory=new_stream)
    notifier: Notifier = field(default_factory=lambda: Notifier(None))
    watchdog: Watchdog | None = None
    widened: Sequence[Widening] = ()
    changes: Changes = field(default_factory=Unchanging)
    go_over: Callable[[Bundle, Callable[[], None]], None] = lambda _, act: act()
    sealer: Callable[[Bundle], LatentSealer | None] = lambda _: None


class Service:
    """One sensor from start to stop."""

    def __init__(self, config: AppConfig, parts: Parts) -> None:
        check_compatible(parts.bundle.manifest, parts.rig.board.provides)
        self._config = config
        self._parts = parts
        self._policy: DisclosurePolicy = in_force(config.policy, parts.bundle)
        self._pause = Pause(parts.clock)
        self._sealer = parts.sealer(parts.bundle)
        self._told_unsealed = False
        self._outlet = Outlet(self._told(), self._results(), parts.publisher, parts.clock, self._pause)

    def _told(self) -> Told:
        parts = self._parts
        return Told(
            self._config,
            parts.bundle,
            parts.rig,
            self._policy,
            parts.stream,
            widened=parts.widened,
            changes=parts.changes,
        )

    def _results(self) -> Results:
        parts = self._parts
        return results_of(
            self._config,
            parts.bundle,
            self._policy,
            parts.publisher,
            stream=parts.stream,
            clock=parts.clock,
            wall_clock=parts.wall_clock,
        )

    @property
    def stream(self) -> str:
        """The id of this start."""
        return self._parts.stream

    def run(self, stop: threading.Event, max_scans: int | None = None) -> int:
        """Scan until ``stop`` is set, the light of a simulation ends, or ``max_scans``.

        While one scan is encoded and told, by a thread of its own, this thread makes the
        next: what a scan takes is what the mirrors take. At most one is waiting.

        Returns:
            The number of scans made, failed ones included.
        """
        self._log_start()
        self._load_masks()
        with contextlib.ExitStack() as ending:  # each of them, whatever the others raise
            ending.callback(self._parts.notifier.close)
            ending.callback(self._parts.publisher.close)
            ending.callback(self._parts.changes.close)
            ending.callback(self._outlet.close)
            ending.callback(self._parts.notifier.stopping)
            self._parts.publisher.open(self._outlet.greeting)
            self._parts.notifier.ready("measuring")
            with self._pace(), ThreadPoolExecutor(1, "lsi-publish") as worker:
                return self._scan_until(stop, max_scans, worker)

    def _pace(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._parts.rig.board.simulated else realtime_thread()

    def _scan_until(self, stop: threading.Event, max_scans: int | None, worker: ThreadPoolExecutor) -> int:
        handled = worker.submit(self._outlet.serve)
        made = 0
        while made != max_scans and self._parts.rig.next_scene():
            change = self._parts.changes.due(self._parts.rig)
            if change is not None:
                handled.result()  # it was made with the masks and the encoder of before
                self._go_over(change)
            started_ns = self._parts.clock.now_ns()
            made += 1
            outcome = self._scan()
            handled.result()
            handled = worker.submit(self._handle, made, outcome)
            if self._rest(stop, started_ns + self._interval_ns, worker):
                break
        handled.result()
        return made

    def _go_over(self, change: Admitted) -> None:
        """Measure with another bundle from the next scan on, which loads its masks."""
        check_compatible(change.bundle.manifest, self._parts.rig.board.provides)
        self._outlet.close()
        self._parts = replace(self._parts, bundle=change.bundle, encoder=change.encoder)
        self._policy = in_force(self._config.policy, change.bundle)
        self._sealer = self._parts.sealer(change.bundle)
        self._log_start()
        results = self._results()
        self._parts.go_over(change.bundle, lambda: self._outlet.change(self._told(), results))
        self._outlet.tell_slots()
        self._parts.changes.entered()

    @property
    def _interval_ns(self) -> int:
        return round(self._config.interval_s * NS_PER_S)

    def _rest(self, stop: threading.Event, until_ns: int, worker: ThreadPoolExecutor) -> bool:
        """Wait for the next scan, serving meanwhile; whether the service is to end."""
        while (left_ns := max(until_ns, self._pause.until_ns) - self._parts.clock.now_ns()) > 0:
            if stop.wait(min(left_ns / NS_PER_S, SERVE_S)):
                return True
            worker.submit(self._idle).result()
        return stop.is_set()

    def _idle(self) -> None:
        if self._parts.watchdog is not None and self._pause.left_s:
            self._parts.watchdog.rested()
        self._outlet.rest()
        self._outlet.serve()

    def _scan(self) -> ScanOutcome:
        try:
            self._load_masks()
            outcome: ScanOutcome = self._parts.rig.scan(self._parts.bundle.patterns)
        except RigError as error:
            return error
        except ScanError as error:
            outcome = error
        if self._parts.watchdog is not None:
            self._parts.watchdog.captured()
        return outcome

    def _handle(self, seq: int, outcome: ScanOutcome) -> None:
        """Correct, encode, decide and tell one scan; runs beside the next one."""
        try:
            if isinstance(outcome, LsiError):
                raise outcome
            measurement = correct(*outcome, self._parts.rig.arm_minus_factor)
            self._outlet.measured(partial(frame_bits, *outcome))
        except (ScanError, RigError) as error:
            self._outlet.miss(seq, error)
            self._parts.changes.missed(error)
            self._prove_inference()
        else:
            self._publish(seq, measurement)
        self._outlet.serve()

    def _prove_inference(self) -> None:
        """Where no scan can be encoded, a dark room say, a golden vector shows that encoding works."""
        watchdog = self._parts.watchdog
        if watchdog is None or not watchdog.lacks_inference:
            return
        values = self._parts.bundle.golden.inputs[0]
        self._parts.encoder.encode(Measurement(values, self._parts.bundle.patterns.digest, 0, 0))
        watchdog.inferred()

    def _publish(self, seq: int, measurement: Measurement) -> None:
        started_ns = self._parts.clock.now_ns()
        logits, offset = self._encoded(measurement)
        self._parts.changes.inferred()
        if self._parts.watchdog is not None:
            self._parts.watchdog.inferred()
        stamp = self._stamp(seq, measurement, self._parts.clock.now_ns() - started_ns)
        disclosed = disclose(logits, self._policy, stamp)
        sent = self._outlet.tell(disclosed)
        if offset is not None and disclosed.face:
            self._seal(offset, stamp)
        logger.debug("Scan %d: %.1f ms, sent: %s", seq, stamp.scan_ms, sent)

    def _encoded(self, measurement: Measurement) -> tuple[AttributeLogits, LatentOffset | None]:
        """In every other mode than ``latent`` the offset is not even read out of the runtime."""
        if self._sealer is None:
            return self._parts.encoder.encode(measurement), None
        return self._parts.encoder.encode_latent(measurement)

    def _seal(self, offset: LatentOffset, stamp: ScanStamp) -> None:
        """Hand on the latent of a scan with a face in it, as an envelope; of nobody there is none."""
        if self._sealer is None:
            return
        try:
            record = self._sealer.record_of(offset.values, stamp.ts, stamp.clock)
        except SealError as error:
            if not self._told_unsealed:
                logger.warning("Latents are not sent: %s Try: %s", error.found, error.hint)
            self._told_unsealed = True
        else:
            self._told_unsealed = False
            self._parts.publisher.record(Kind.LATENT, record)

    def _stamp(self, seq: int, measurement: Measurement, infer_ns: int) -> ScanStamp:
        wall_clock = self._parts.wall_clock
        return ScanStamp(
            device_id=self._config.device_id,
            stream=self._parts.stream,
            seq=seq,
            ts=wall_clock.timestamp(),
            clock=wall_clock.source(),
            bundle=self._parts.bundle.manifest.short_id,
            scan_ms=ns_to_ms(measurement.duration_ns),
            infer_ms=infer_ns / NS_PER_MS,
        )

    def _load_masks(self) -> None:
        if not self._parts.rig.is_loaded(self._parts.bundle.patterns):
            self._parts.rig.load(self._parts.bundle.patterns)

    def _log_start(self) -> None:
        manifest = self._parts.bundle.manifest
        logger.info("Bundle %s %s %s", manifest.name, manifest.version, manifest.short_id)
        allowed = ", ".join(disclosed_names(self._parts.bundle, self._policy)) or "presence only"
        logger.info("Policy %s lets out: %s", self._policy.mode, allowed)
        if manifest.signature is None:
            logger.warning("The bundle is not signed; whoever can write the file decides what is measured.")
