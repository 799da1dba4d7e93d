"""``CountedResults``: mode ``agg``. Nobody's answers leave; windows of noisy counts do."""

from dataclasses import dataclass

from edge_app.disclosure.aggregate import Aggregator, AggRules
from edge_app.disclosure.policy import Disclosed
from edge_app.disclosure.visits import Visits
from edge_app.link.publisher import Publisher
from edge_app.wall_clock import WallClock
from lsi.aggregate import AggPayload
from lsi.status import AggTerms
from lsi.topics import Kind


@dataclass(frozen=True, slots=True)
class WindowStamp:
    """What every window of one start has in common; see ``AggPayload`` for the fields."""

    device_id: str
    stream: str
    bundle: str
    rules: AggRules


class CountedResults:
    """Counts visits and records windows; no live state, no events.

    Args:
        visits: When a visit begins and ends.
        aggregator: Counts them.
        publisher: The way out.
        stamp: Whose windows they are.
        wall_clock: Time of day, for people: windows do not follow it.
    """

    def __init__(
        self,
        visits: Visits,
        aggregator: Aggregator,
        publisher: Publisher,
        stamp: WindowStamp,
        wall_clock: WallClock,
    ) -> None:
        self._visits = visits
        self._aggregator = aggregator
        self._publisher = publisher
        self._stamp = stamp
        self._wall_clock = wall_clock

    def scan(self, payload: Disclosed) -> bool:
        """Count; nothing of a single scan is sent."""
        for event in self._visits.scan(payload):
            self._aggregator.count(event)
        self._tell_due()
        return False

    def rest(self) -> None:
        """See ``Results``."""
        for event in self._visits.tick():
            self._aggregator.count(event)
        self._tell_due()

    def current(self) -> bytes | None:
        """There is no live state."""
        return None

    def agg_terms(self) -> AggTerms | None:
        """Rules and what is on the ledger."""
        rules, spent = self._stamp.rules, self._aggregator.spent
        return AggTerms(rules.window_s, float(rules.epsilon), spent.releases, spent.epsilon)

    def is_stuck(self) -> bool:
        """Whether the ledger would not take the last window."""
        return self._aggregator.is_stuck

    def close(self) -> None:
        """A window that is cut short is not told."""

    def _tell_due(self) -> None:
        window = self._aggregator.due()
        if window is None:
            return
        stamp = self._stamp
        payload = AggPayload(
            device_id=stamp.device_id,
            stream=stamp.stream,
            seq=0,
            ts=self._wall_clock.timestamp(),
            clock=self._wall_clock.source(),
            bundle=stamp.bundle,
            window_s=stamp.rules.window_s,
            epsilon=float(stamp.rules.epsilon),
            sensitivity=self._aggregator.sensitivity,
            visits=window.visits,
            yes=window.yes,
        )
        self._publisher.record(Kind.AGG, payload.encode_as)
