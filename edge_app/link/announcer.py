"""``Announcer``: says to Home Assistant what is due, when it is due."""

import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from edge_app.link.announced import SETTLE_S, SPACING_S, Announced, Step
from edge_app.link.home_assistant import STATUS_TOPIC, Discovery
from firmware.interfaces import Clock
from lsi.topics import Availability
from lsi.units import NS_PER_S
from transport.broker import Message

ANSWER_S: Final = (1.0, 10.0)
"""A birth is answered after a random time in between: not all devices of a house at once."""
RETRY_S: Final = 1.0
"""After a message that the connection did not take."""


class Announcer:
    """Sends the steps of :class:`Announced` at their pace.

    It never waits: whoever owns the connection asks it what is due. Safe to be called from
    several threads. Removals are worked off once after a start, once after a change and once after
    every birth of Home Assistant, not on every reconnect: the entity is seen for a moment each time.

    Args:
        announced: What was announced before.
        wanted: What to announce; ``None`` where Home Assistant is switched off.
        retained: The topics of ours that hold retained messages.
        clock: Where the time comes from.
        uniform: Like ``random.uniform``; replaced in tests.
    """

    def __init__(
        self,
        announced: Announced,
        wanted: Discovery | None,
        retained: frozenset[str],
        *,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._announced = announced
        self._wanted = wanted
        self._retained = retained
        self._clock = clock
        self._uniform = uniform
        self._lock = threading.Lock()
        self._is_up = False
        self._steps: deque[Step] = deque()
        self._step_ns = 0  # when the first of the steps is due
        self._last: tuple[bytes, int] | None = None  # the last announcement and its time
        self._owes_removals = True
        self._owes_state = False
        self._after_birth = False  # Home Assistant was there from the first of the steps
        self._answer_ns: int | None = None  # when a birth is answered
        self._state_ns: int | None = None  # when attr and health are sent again

    def connected(self) -> list[Message]:
        """The connection is up: begin anew.

        Returns:
            What to send at once, before ``info``; the rest comes from :meth:`serve`.
        """
        with self._lock:
            self._is_up = True
            self._answer_ns = self._state_ns = None
            self._begin(after_birth=False)
            first: list[Message] = []

            def take(message: Message) -> bool:
                first.append(message)
                return True

            self._send_due(take)
            return first

    def lost(self) -> None:
        """The connection is gone: nothing is due until it is back."""
        with self._lock:
            self._is_up = False
            self._steps.clear()
            self._answer_ns = self._state_ns = None

    def change(self, wanted: Discovery | None) -> None:
        """Announce something else from now on: another bundle, another policy."""
        with self._lock:
            self._wanted = wanted
            self._owes_removals = True
            if self._is_up:
                self._begin(after_birth=False)

    def heard(self, message: Message) -> None:
        """Take note of what Home Assistant says on ``STATUS_TOPIC``; other topics are not for us."""
        if message.topic != STATUS_TOPIC:
            return
        with self._lock:
            if message.payload == Availability.ONLINE.encode():
                # A birth while another waits for its answer shares it: a flood costs nothing.
                if self._answer_ns is None:
                    self._answer_ns = self._clock.now_ns() + _ns(self._uniform(*ANSWER_S))
            elif message.payload == Availability.OFFLINE.encode():
                self._answer_ns = self._state_ns = None
                self._after_birth = self._owes_state = False

    def next_due_ns(self) -> int | None:
        """When :meth:`serve` has something to do, or ``None``."""
        with self._lock:
            times_ns = (self._answer_ns, self._state_ns, self._ready_ns() if self._steps else None)
            return min((each for each in times_ns if each is not None), default=None)

    def serve(self, send: Callable[[Message], bool]) -> bool:
        """Send what is due; what ``send`` does not take is tried again.

        Returns:
            Whether ``attr`` and ``health`` are to be sent again now: Home Assistant was born and knows
            the entities, and neither topic is retained.
        """
        with self._lock:
            now_ns = self._clock.now_ns()
            if self._answer_ns is not None and now_ns >= self._answer_ns:
                self._answer_ns = None
                self._begin(after_birth=True)
            self._send_due(send)
            state_is_due = self._state_ns is not None and now_ns >= self._state_ns
            if state_is_due:
                self._state_ns = None
            return state_is_due

    def _begin(self, *, after_birth: bool) -> None:
        series = self._announced.announce(self._wanted, self._retained)
        self._owes_removals |= after_birth
        self._owes_state = after_birth and self._wanted is not None
        self._steps = deque(series if self._owes_removals else self._announced.manifest.announcement())
        self._step_ns = self._clock.now_ns()
        self._after_birth = after_birth

    def _send_due(self, send: Callable[[Message], bool]) -> None:
        while self._steps and self._clock.now_ns() >= self._ready_ns():
            if not send(self._steps[0].message):
                self._step_ns = self._clock.now_ns() + _ns(RETRY_S)
                return
            self._sent(self._steps.popleft())

    def _sent(self, step: Step) -> None:
        now_ns = self._clock.now_ns()
        if step.announces:
            self._last = (step.payload, now_ns)
        if self._owes_state:
            self._owes_state = False
            self._state_ns = now_ns + _ns(SETTLE_S)
        if self._steps:
            self._step_ns = now_ns + _ns(self._steps[0].delay_s)
        elif self._owes_removals:
            self._owes_removals = False
            self._announced.sent(after_birth=self._after_birth)

    def _ready_ns(self) -> int:
        """When the first of the steps may go: its delay, and the distance from another announcement."""
        step = self._steps[0]
        if self._last is None or not step.announces or step.payload == self._last[0]:
            return self._step_ns
        return max(self._step_ns, self._last[1] + _ns(SPACING_S))


def _ns(duration_s: float) -> int:
    return round(duration_s * NS_PER_S)
