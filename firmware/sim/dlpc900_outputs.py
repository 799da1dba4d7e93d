"""Levels of TRIG_OUT_1 and TRIG_OUT_2 over time, past and planned.

Ref: TI DLPU018J, 0x1A1D and 0x1A1E; TI E2E 980889 (a user's measurement): without
darkness between two exposures TRIG_OUT_1 stays high, and TRIG_OUT_2 pulses for 20 us
when a pattern begins.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from lsi.units import NS_PER_US

_KEPT: Final = 8_192


@dataclass(slots=True)
class OutputSettings:
    """Data of 0x1A1D or 0x1A1E."""

    rising_us: int = 0
    falling_us: int = 0
    is_inverted: bool = False


class TriggerOutputs:
    """Both outputs; the latest few thousand pulses are kept.

    Attributes:
        frame: Settings of TRIG_OUT_1; they count for exposures that are told after a change.
        start: Settings of TRIG_OUT_2.
    """

    def __init__(self) -> None:
        self.frame = OutputSettings()
        self.start = OutputSettings()
        self._rises_ns: list[int] = []
        self._falls_ns: list[int] = []
        self._starts_ns: list[int] = []

    def expose(self, begins_ns: int, ends_ns: int, *, gives_start: bool) -> None:
        """One exposure, not before the last one told; ``gives_start`` of TRIG_OUT_2."""
        rise_ns = begins_ns + self.frame.rising_us * NS_PER_US
        fall_ns = ends_ns + self.frame.falling_us * NS_PER_US
        if self._falls_ns and rise_ns <= self._falls_ns[-1]:
            self._falls_ns[-1] = max(fall_ns, self._falls_ns[-1])
        elif rise_ns < fall_ns:
            self._rises_ns.append(rise_ns)
            self._falls_ns.append(fall_ns)
        if gives_start:
            self._starts_ns.append(begins_ns + self.start.rising_us * NS_PER_US)
        for times in (self._rises_ns, self._falls_ns, self._starts_ns):
            if len(times) > 2 * _KEPT:
                del times[:_KEPT]

    def cut(self, now_ns: int) -> None:
        """The sequence ends at ``now_ns``: both outputs rest from then on."""
        keep = bisect_left(self._rises_ns, now_ns)
        del self._rises_ns[keep:], self._falls_ns[keep:]
        if keep:
            self._falls_ns[-1] = min(self._falls_ns[-1], now_ns)
        del self._starts_ns[bisect_left(self._starts_ns, now_ns) :]

    def frame_level_at(self, time_ns: int) -> bool:
        """Level of TRIG_OUT_1."""
        pulse = bisect_right(self._rises_ns, time_ns) - 1
        is_exposing = pulse >= 0 and time_ns < self._falls_ns[pulse]
        return is_exposing != self.frame.is_inverted

    def frames(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Pulses of TRIG_OUT_1 that begin within, as (begin, end)."""
        first, last = bisect_left(self._rises_ns, start_ns), bisect_left(self._rises_ns, end_ns)
        return list(zip(self._rises_ns[first:last], self._falls_ns[first:last], strict=True))

    def starts(self, start_ns: int, end_ns: int) -> list[int]:
        """Pulses of TRIG_OUT_2 that begin within."""
        return self._starts_ns[bisect_left(self._starts_ns, start_ns) : bisect_left(self._starts_ns, end_ns)]
