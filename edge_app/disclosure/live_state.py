"""``LiveState``: which ``attr`` payloads leave, and with which answers.

Every payload holds the complete set of answers: a consumer that misses one needs no other. None of
them is kept for later; who missed one gets the next heartbeat.
"""

import threading
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from edge_app.disclosure.debounce import Agreement, Quorum
from edge_app.disclosure.policy import Disclosed
from edge_app.link.home_assistant import HEARTBEAT_S
from firmware.interfaces import Clock
from lsi.errors import AppConfigError
from lsi.units import NS_PER_S

_Answers: TypeAlias = tuple[bool | None, dict[str, bool | None]]


@dataclass(frozen=True, slots=True)
class LiveRules:
    """When a payload is due: on a change that ``quorum`` confirms, and ``heartbeat_s`` after the last.

    Raises:
        AppConfigError: A heartbeat outside 1 s to 1 h.
    """

    heartbeat_s: float = HEARTBEAT_S
    quorum: Quorum = field(default_factory=Quorum)

    def __post_init__(self) -> None:
        if not 1 <= self.heartbeat_s <= 3600:  # noqa: PLR2004 - from a second to an hour
            found = f"A heartbeat of {self.heartbeat_s} s."
            raise AppConfigError(found, hint="1 s to 3600 s.")


class LiveState:
    """The state of one sensor as its consumers see it. Safe to be called from several threads.

    The first scan is believed at once, so that a sensor has a state when it comes online; from then
    on each answer follows the quorum.
    """

    def __init__(self, rules: LiveRules, *, clock: Clock) -> None:
        self._quorum = rules.quorum
        self._heartbeat_ns = round(rules.heartbeat_s * NS_PER_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._origin: tuple[object, ...] | None = None
        self._votes: dict[str, Agreement] = {}
        self._presence = Agreement(rules.quorum, None)
        self._answers: dict[str, bool | None] = {}
        self._latest: Disclosed | None = None
        self._latest_ns = 0
        self._sent: _Answers | None = None
        self._sent_ns = 0

    def scan(self, payload: Disclosed) -> Disclosed | None:
        """Take in what the policy let out of one scan.

        Returns:
            The payload to send now, with stamps of this scan and answers of the quorum, or ``None``.
            It stays due with every scan until :meth:`sent` is told.
        """
        with self._lock:
            if origin_of(payload) != self._origin:
                self._begin(payload)
            self._latest = self._decided(payload)
            self._latest_ns = self._clock.now_ns()
            return self._latest if self._is_due() else None

    def sent(self, payload: Disclosed) -> None:
        """``payload`` was handed to the broker: the heartbeat counts from now."""
        with self._lock:
            self._sent = _answers(payload)
            self._sent_ns = self._clock.now_ns()

    def current(self) -> Disclosed | None:
        """What to tell who has just come: after a connect, after a birth of Home Assistant.

        ``None`` before the first scan, and when the last one that worked is older than a heartbeat:
        an old state is never told as a live one.
        """
        with self._lock:
            is_fresh = self._clock.now_ns() - self._latest_ns <= self._heartbeat_ns
            return self._latest if is_fresh else None

    def _begin(self, payload: Disclosed) -> None:
        """Another bundle or other attributes: older answers are not of the same questions."""
        self._origin = origin_of(payload)
        self._presence = Agreement(self._quorum, payload.face)
        self._votes = {name: Agreement(self._quorum, answer) for name, answer in payload.attributes.items()}
        self._answers = dict(payload.attributes)
        self._sent = None

    def _decided(self, payload: Disclosed) -> Disclosed:
        face = self._presence.vote(payload.face)
        if payload.face is True:
            self._answers = {name: self._votes[name].vote(said) for name, said in payload.attributes.items()}
        elif face is not True:
            self._forget()
        # A scan that lost a face for a moment says nothing about it.
        return replace(payload, face=face, attributes=self._answers)

    def _forget(self) -> None:
        """Nobody is there: whoever comes next inherits no answer."""
        self._votes = {name: Agreement(self._quorum, None) for name in self._votes}
        self._answers = dict.fromkeys(self._votes)

    def _is_due(self) -> bool:
        if self._latest is None or self._sent != _answers(self._latest):
            return True
        return self._latest_ns - self._sent_ns >= self._heartbeat_ns


def origin_of(payload: Disclosed) -> tuple[object, ...]:
    """Whose answers these are: device, start, bundle and the questions."""
    return payload.device_id, payload.stream, payload.bundle, frozenset(payload.attributes)


def _answers(payload: Disclosed) -> _Answers:
    return payload.face, dict(payload.attributes)
