"""The device's own windows of counts, as a mechanism that can be attacked."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, cast

from edge_app.disclosure.aggregate import Aggregator, AggRules
from edge_app.disclosure.privacy_ledger import PrivacyLedger, Spent
from firmware.sim.clock import SimClock
from lab.audit.counts import Released
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.units import NS_PER_S

MECHANISM: Final = "discrete Laplace on the device"


class DeviceCounts:
    """Sends visits through ``edge_app.disclosure.aggregate.Aggregator`` and takes the window that it tells.

    Args:
        names: The attributes that are counted.
        rules: Window and epsilon as the device has them.
    """

    def __init__(self, names: Sequence[str], rules: AggRules | None = None) -> None:
        self._rules = rules or AggRules()
        self._names = tuple(names)
        self._clock = SimClock()
        # A ledger on disk would be written a million times; what it says changes no count.
        ledger = cast("PrivacyLedger", _NoLedger())
        self._aggregator = Aggregator(self._rules, names, ledger, clock=self._clock)
        self._ends: dict[tuple[bool, ...], EventPayload] = {}

    @property
    def epsilon(self) -> float:
        """What the device claims for one visit and one window."""
        return float(self._rules.epsilon)

    def release(self, counts: Sequence[int]) -> Released:
        """One window of ``counts[0]`` visits, of which the first ``counts[1 + k]`` say yes to attribute k."""
        for visit in range(counts[0]):
            self._aggregator.count(self._end(tuple(visit < yes for yes in counts[1:])))
        self._clock.advance(self._rules.window_s * NS_PER_S)
        window = self._aggregator.due()
        if window is None or window.visits is None or window.yes is None:
            return None
        return (window.visits, *(window.yes[name] for name in self._names))

    def _end(self, answers: tuple[bool, ...]) -> EventPayload:
        if answers not in self._ends:
            attributes = dict(zip(self._names, answers, strict=True))
            self._ends[answers] = EventPayload(
                device_id="audit",
                stream="0" * 16,
                seq=1,
                ts="2026-01-01T00:00:00.000Z",
                clock="ntp",
                bundle="0" * 8,
                phase=Phase.END,
                visit=f"{'0' * 16}-1",
                began="2026-01-01T00:00:00.000Z",
                duration_s=0,
                scans=ScanBucket.ONES,
                attributes=attributes,
            )
        return self._ends[answers]


class _NoLedger:
    """Takes every cost and keeps none."""

    spent: Final = Spent()

    def spend(self, epsilon: Fraction, window_ms: int, end_ms: int) -> None:
        """Nothing."""
