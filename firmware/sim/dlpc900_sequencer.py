"""The sequencer inside the simulated DLPC900: which pattern is shown when.

Ref: TI DLPU018J, pages of 0x1A24, 0x1A31 and 0x1A34.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from firmware.sim.dlpc900_memory import ABSENT, DONE, LutEntry, PatternMemory
from firmware.sim.dlpc900_mirrors import ALL_OFF, MOVE_NS, MirrorState, MirrorTimeline, Shown
from firmware.sim.dlpc900_outputs import TriggerOutputs
from lsi.units import NS_PER_US

Waiting = Literal["hold", "dark"]

WIDTH_PX: Final = 1920
"""Of the DLP6500."""
HEIGHT_PX: Final = 1080
START_NS: Final = 105 * NS_PER_US
"""From a start to the first pattern that needs no trigger. Unverified; short, so that late samplers fail."""

_BLACK_NS: Final = 105 * NS_PER_US
_KEPT_ROUNDS: Final = 4
_KEPT_ENDS: Final = 8_192


@dataclass(slots=True)
class TriggerInput:
    """Data of 0x1A35."""

    delay_us: int = 105


class Sequencer:
    """Shows the active table: an entry that waits, on its trigger; others by the timer.

    What the timer shows is worked out up to the time that somebody asks about.

    Args:
        memory: What to show.
        timeline: Told what the mirrors do.
        outputs: Told about exposures.
        waiting: After an exposure, until the next trigger: "hold" keeps the mask,
            "dark" turns all mirrors off, as DLPU018J says of a pattern before one that
            waits for a trigger (0x1A31).
    """

    def __init__(
        self, memory: PatternMemory, timeline: MirrorTimeline, outputs: TriggerOutputs, waiting: Waiting
    ) -> None:
        self.trigger_input = TriggerInput()
        self._memory = memory
        self._timeline = timeline
        self._outputs = outputs
        self._waiting = waiting
        self._is_started = False
        self._is_paused = False
        self._shown_count = 0
        self._exposed_until_ns = 0
        self._next_ns = 0
        self._ends_ns: deque[int] = deque(maxlen=_KEPT_ENDS)

    def start(self, now_ns: int) -> int:
        """0x1A24 2: from the first pattern, after a pause from the interrupted one."""
        if not self._memory.is_complete:
            return ABSENT
        self.advance_to(now_ns)
        self._end(now_ns)
        if not self._is_paused:
            self._shown_count = 0
        self._is_started, self._is_paused = True, False
        self._exposed_until_ns, self._next_ns = now_ns, now_ns + START_NS
        self._ends_ns.clear()
        return DONE

    def pause(self, now_ns: int) -> None:
        """0x1A24 1: black at once (unverified); the next start shows the present pattern again."""
        self.advance_to(now_ns)
        if not self.is_running(now_ns):
            return
        while self._ends_ns and self._ends_ns[-1] > now_ns:
            self._ends_ns.pop()
            self._shown_count -= 1
        self._is_started, self._is_paused = False, True
        self._end(now_ns)

    def stop(self, now_ns: int) -> None:
        """0x1A24 0: at once."""
        self.advance_to(now_ns)
        self._is_started = self._is_paused = False
        self._end(now_ns)

    def _end(self, now_ns: int) -> None:
        self._outputs.cut(now_ns)
        self._timeline.change(now_ns, ALL_OFF)

    def is_running(self, now_ns: int) -> bool:
        """From the start until the last exposure of the pass has ended."""
        self.advance_to(now_ns)
        return self._is_started and (self._has_more or now_ns < self._exposed_until_ns)

    @property
    def _has_more(self) -> bool:
        limit = self._memory.patterns_to_show
        return limit == 0 or self._shown_count < limit

    @property
    def _next_entry(self) -> LutEntry:
        return self._memory.active[self._shown_count % len(self._memory.active)]

    def trigger_in(self, now_ns: int) -> int | None:
        """A pulse on TRIG_IN_1; see ``SimDlpc900.trigger_in``."""
        self.advance_to(now_ns)
        is_due = self._is_started and self._has_more and now_ns >= self._exposed_until_ns
        if not is_due or not self._next_entry.waits_for_trigger:
            return None
        entry = self._next_entry
        begins_ns = now_ns + self.trigger_input.delay_us * NS_PER_US
        self._timeline.change(begins_ns - _BLACK_NS, ALL_OFF)
        self._show(entry, begins_ns)
        delay_ns = self._outputs.start.rising_us * NS_PER_US
        return begins_ns + delay_ns if entry.gives_trigger_out else None

    def advance_to(self, time_ns: int) -> None:
        """Plan all that the timer shows up to ``time_ns``, be it past or future."""
        if self._is_started:
            self._skip_rounds(time_ns)
        while self._is_started and self._has_more and self._next_ns <= time_ns:
            entry = self._next_entry
            if entry.waits_for_trigger:
                return
            self._show(entry, self._next_ns)

    def _skip_rounds(self, time_ns: int) -> None:
        """Leave out whole rounds of an endless table that nobody looked at."""
        table = self._memory.active
        if self._memory.patterns_to_show or any(entry.waits_for_trigger for entry in table):
            return
        round_ns = sum(entry.exposure_ns + entry.dark_ns for entry in table)
        rounds = (time_ns - self._next_ns) // round_ns - max(_KEPT_ROUNDS, 512 // len(table))
        if rounds > 0:
            self._next_ns += rounds * round_ns
            self._shown_count += rounds * len(table)

    def _show(self, entry: LutEntry, begins_ns: int) -> None:
        plane = self._shown_count % len(self._memory.active)
        ends_ns = begins_ns + entry.exposure_ns
        self._timeline.change(begins_ns, Shown(MirrorState.MOVING, plane))
        self._timeline.change(begins_ns + MOVE_NS, Shown(MirrorState.PLANE, plane))
        if self._waiting == "dark" or entry.dark_ns:
            self._timeline.change(ends_ns, ALL_OFF)
        self._outputs.expose(begins_ns, ends_ns, gives_start=entry.gives_trigger_out)
        self._shown_count += 1
        self._ends_ns.append(ends_ns)
        self._exposed_until_ns, self._next_ns = ends_ns, ends_ns + entry.dark_ns
