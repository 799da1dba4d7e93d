"""``Results``: what becomes of what the policy let out of a scan. One way for each form of telling."""

from typing import Protocol

from edge_app.disclosure.live_state import LiveState
from edge_app.disclosure.policy import Disclosed
from edge_app.disclosure.visits import Visits
from edge_app.link.publisher import Publisher
from lsi.status import AggTerms
from lsi.topics import Kind


class Results(Protocol):
    """Tells results, in the form that the payload mode has for them."""

    def scan(self, payload: Disclosed) -> bool:
        """Take in a scan; whether live state was sent."""
        ...

    def rest(self) -> None:
        """No scan was made or none worked: a visit may be over all the same."""
        ...

    def current(self) -> bytes | None:
        """Live state for who has just come, where there is any."""
        ...

    def agg_terms(self) -> AggTerms | None:
        """What windows cost, where results are told as windows."""
        ...

    def is_stuck(self) -> bool:
        """Whether results wait for a person: the ledger of epsilon is out of order."""
        ...

    def close(self) -> None:
        """The service stops."""
        ...


class PerPersonResults:
    """Live state and the events of visits: modes ``attr-lite``, ``attr`` and ``latent``.

    Args:
        live: When live state is told.
        visits: When a visit begins and ends.
        publisher: The way out.
        every_scan: Live state of each scan as it is; for benches.
    """

    def __init__(self, live: LiveState, visits: Visits, publisher: Publisher, *, every_scan: bool) -> None:
        self._live = live
        self._visits = visits
        self._publisher = publisher
        self._every_scan = every_scan

    def scan(self, payload: Disclosed) -> bool:
        """Tell what is due; see ``Results``."""
        for event in self._visits.scan(payload):
            self._publisher.record(Kind.EVENT, event.encode_as)
        if self._every_scan:
            return self._publisher.publish(Kind.ATTR, payload.encode())
        due = self._live.scan(payload)
        if due is None or not self._publisher.publish(Kind.ATTR, due.encode()):
            return False
        self._live.sent(due)
        return True

    def rest(self) -> None:
        """See ``Results``."""
        for event in self._visits.tick():
            self._publisher.record(Kind.EVENT, event.encode_as)

    def current(self) -> bytes | None:
        """See ``Results``."""
        current = None if self._every_scan else self._live.current()
        return None if current is None else current.encode()

    def agg_terms(self) -> AggTerms | None:
        """There are no windows."""
        return None

    def is_stuck(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """End an open visit."""
        for event in self._visits.close():
            self._publisher.record(Kind.EVENT, event.encode_as)
