"""What becomes of a scan once the policy has spoken: live state, visits, health, answers to commands."""

import logging
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from edge_app.bundles.changes import Changes, Unchanging
from edge_app.bundles.slot_report import problems_of_slots, slots_told, update_of, without_progress
from edge_app.disclosure.policy import Disclosed
from edge_app.disclosure.results import Results
from edge_app.link.command_replies import Handler, acting, pausing, replying
from edge_app.link.commands import Commands
from edge_app.link.publisher import Publisher, WayOut
from edge_app.pause import Pause
from edge_app.records.outbox_records import DropReason
from edge_app.rig.device_rig import shown_patterns
from edge_app.rig.mask_history import MaskHistory
from edge_app.settings.config import AppConfig
from edge_app.vitals import Vitals, read_vitals
from firmware.interfaces import Clock
from firmware.rig import Rig
from lsi.bundle import Bundle
from lsi.command_documents import Command, Reply
from lsi.disclosure import DisclosurePolicy
from lsi.errors import LsiError
from lsi.problems import ADVICE, Problem, problem_of
from lsi.status import Backlog, HealthPayload, InfoPayload, Throttling, Widening
from lsi.topics import Kind
from lsi.units import NS_PER_S
from lsi.update_state import UpdateState

logger = logging.getLogger(__name__)

HEALTH_PERIOD_NS: Final = 60 * NS_PER_S
INFERENCES: Final = 64
"""Of so many the median time is told."""
MAX_WIDENED: Final = 8
"""Of so many widenings of the policy info tells, the latest ones."""
MAX_STREAMS: Final = 8
"""Of so many starts health tells the highest seq, the latest ones."""


@dataclass(frozen=True, slots=True)
class Told:
    """What every payload of one start has in common."""

    config: AppConfig
    bundle: Bundle
    rig: Rig
    policy: DisclosurePolicy
    stream: str
    vitals: Callable[[], Vitals] = field(default=read_vitals)
    widened: Sequence[Widening] = ()
    changes: Changes = field(default_factory=Unchanging)


class Outlet:
    """Tells what the policy lets out. Not safe for two threads at once, but for :meth:`greeting`.

    Args:
        told: Who tells.
        results: Tells what scans gave.
        publisher: The way out.
        clock: Monotonic time.
        pause: What the command ``pause`` sets.
    """

    def __init__(
        self, told: Told, results: Results, publisher: Publisher, clock: Clock, pause: Pause
    ) -> None:
        self._told = told
        self._publisher = publisher
        self._clock = clock
        self._pause = pause
        self._told_paused = False
        self._results = results
        self._commands = Commands(told.config.device_id, told.stream, self._handlers(), clock=clock)
        self._scans = 0
        self._failed = 0
        self._infer_ms: deque[float] = deque(maxlen=INFERENCES)
        self._problems: frozenset[Problem] = frozenset()
        self._health_sent_ns = clock.now_ns()
        self._calibration_patterns = shown_patterns(told.config.state)
        self._frame_bits: int | None = None
        self._slots = told.changes.status()

    def greeting(self) -> Sequence[tuple[Kind, bytes]]:
        """What goes out after every connect, before "online"."""
        messages = [(Kind.INFO, self._info().encode()), (Kind.HEALTH, self._health().encode())]
        messages.append((Kind.UPDATE, self._update().encode()))
        current = self._results.current()
        return messages if current is None else [*messages, (Kind.ATTR, current)]

    def measured(self, frame_bits: Callable[[], int]) -> None:
        """Tell in ``info``, once for each bundle, how much a scan can hold."""
        if self._frame_bits is None:
            self._frame_bits = frame_bits()
            self._publisher.publish(Kind.INFO, self._info().encode())

    def tell(self, payload: Disclosed) -> bool:
        """Tell what one scan gave, where that is due; whether something was sent."""
        self._scans = payload.seq
        self._infer_ms.append(payload.infer_ms)
        self._set_problem(None)
        return self._results.scan(payload)

    def miss(self, seq: int, error: LsiError) -> None:
        """Tell that scan number ``seq`` gave nothing, and why."""
        self._scans = seq
        self._failed += 1
        self._set_problem(error)
        self.rest()

    def rest(self) -> None:
        """No scan was made or none worked: a visit may be over all the same."""
        self._results.rest()

    def serve(self) -> None:
        """Answer commands, tell Home Assistant what it is owed, and health when it is due."""
        for message in self._publisher.received():
            reply = self._commands.handle(message)
            if reply is not None:
                self._publisher.reply(reply)
        if self._told.changes.status() != self._slots:
            self.tell_slots()
        if self._publisher.serve():
            self._tell_again()
        elif self._is_health_due():
            self._publish_health()

    def change(self, told: Told, results: Results) -> None:
        """Tell of another bundle from now on; what the one before had to tell is :meth:`close`'s."""
        self._told, self._results = told, results
        self._frame_bits = None

    def close(self) -> None:
        """End an open visit."""
        self._results.close()

    def _is_health_due(self) -> bool:
        if self._told_paused != bool(self._pause.left_s):
            return True
        return self._clock.now_ns() - self._health_sent_ns >= HEALTH_PERIOD_NS

    def _handlers(self) -> Mapping[Command, Handler]:
        own = {
            Command.REBIRTH: acting(self._tell_again),
            Command.IDENTIFY: acting(_identify),
            Command.PAUSE: pausing(self._pause.begin),
            Command.UPDATE: replying(self._install),
        }
        return {**self._publisher.handlers(), **own}

    def _install(self) -> Reply:
        return self._told.changes.install()

    def _tell_again(self) -> None:
        self._health_sent_ns = self._clock.now_ns()
        for kind, payload in self.greeting():
            self._publisher.publish(kind, payload)

    def tell_slots(self) -> None:
        """The retained topics and health, where slots or bundle have changed."""
        before, self._slots = self._slots, self._told.changes.status()
        self._publisher.publish(Kind.UPDATE, self._update().encode())
        if without_progress(before) != without_progress(self._slots):
            self._publisher.publish(Kind.INFO, self._info().encode())
            self._publish_health()

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

    def _publish_health(self) -> None:
        self._health_sent_ns = self._clock.now_ns()
        self._publisher.publish(Kind.HEALTH, self._health().encode())

    def _health(self) -> HealthPayload:
        told, way_out, vitals = self._told, self._publisher.way_out(), self._told.vitals()
        paused_s = self._pause.left_s
        self._told_paused = bool(paused_s)
        return HealthPayload(
            device_id=told.config.device_id,
            stream=told.stream,
            problems=self._problems
            | _problems_of(way_out)
            | _problems_of_board(vitals)
            | (frozenset({Problem.LEDGER}) if self._results.is_stuck() else frozenset())
            | problems_of_slots(self._slots),
            scans=self._scans,
            scans_failed=self._failed,
            reconnects=way_out.reconnects,
            mirror_duty=told.rig.duty.extremes,
            infer_ms=statistics.median(self._infer_ms) if self._infer_ms else None,
            outbox=_backlog_of(way_out),
            certificate_expires=None if way_out.certificate is None else way_out.certificate.expires,
            highest=dict(list((way_out.highest or {}).items())[-MAX_STREAMS:]),
            paused_s=paused_s,
            temperature_c=vitals.temperature_c,
            throttled=vitals.throttled,
        )

    def _info(self) -> InfoPayload:
        told = self._told
        manifest, board = told.bundle.manifest, told.rig.board
        return InfoPayload(
            device_id=told.config.device_id,
            stream=told.stream,
            software=version("lsi-edge"),
            board=board.name,
            simulated=board.simulated,
            mode=told.policy.mode,
            policy=told.policy.digest[:8],
            attributes=disclosed_names(told.bundle, told.policy),
            d=manifest.d,
            bundle_name=manifest.name,
            bundle_version=manifest.version,
            bundle_id=manifest.short_id,
            calibration_patterns=self._calibration_patterns,
            widened=tuple(told.widened[-MAX_WIDENED:]),
            agg=self._results.agg_terms(),
            mask_patterns=MaskHistory(told.config.state).count,
            bits_per_frame=self._frame_bits,
            slots=slots_told(manifest, self._slots),
        )

    def _update(self) -> UpdateState:
        return update_of(self._told.bundle.manifest, self._slots)


def disclosed_names(bundle: Bundle, policy: DisclosurePolicy) -> tuple[str, ...]:
    """Attributes that ``policy`` lets out, of those that ``bundle`` answers."""
    return tuple(name for name in bundle.attributes.names if name in policy.allowed)


def _identify() -> None:
    logger.warning("This is the sensor that was asked to identify itself.")


def _problems_of(way_out: WayOut) -> frozenset[Problem]:
    found = {Problem.CLIENT_ID_CONFLICT} if way_out.is_in_conflict else set()
    if way_out.outbox is not None and way_out.outbox.fault is not None:
        found.add(Problem.OUTBOX)
    if way_out.certificate is not None and way_out.certificate.is_refused:
        found.add(Problem.CERTIFICATE)
    return frozenset(found)


def _problems_of_board(vitals: Vitals) -> frozenset[Problem]:
    """A board short of power is slowed down too: then that is the one thing to mend."""
    if Throttling.UNDER_VOLTAGE in vitals.throttled:
        return frozenset({Problem.POWER})
    return frozenset({Problem.HOT}) if vitals.throttled else frozenset()


def _backlog_of(way_out: WayOut) -> Backlog | None:
    status = way_out.outbox
    if status is None:
        return None
    withheld = status.dropped.get(DropReason.POLICY, 0)
    return Backlog(status.rows, status.kept, status.dead, sum(status.dropped.values()), withheld)
