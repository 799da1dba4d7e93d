"""``short_link``: a connection for one command, with the id that the broker's rules know."""

import contextlib
import queue
from collections.abc import Iterator
from typing import Final

from edge_app.link.egress import EgressGuard
from edge_app.link.guarded_link import GuardedLink
from lsi.errors import PublishError
from transport.broker import ADVICE, BrokerAddress, LinkState
from transport.link_events import LinkEvents

CONNECT_TIMEOUT_S: Final = 15.0


@contextlib.contextmanager
def short_link(address: BrokerAddress, guard: EgressGuard) -> Iterator[GuardedLink]:
    """Connect once and disconnect in the end; a running service with this id would lose its connection.

    Raises:
        PublishError: The broker is away or refuses us; with the reason.
    """
    states: queue.SimpleQueue[tuple[LinkState, str]] = queue.SimpleQueue()
    events = LinkEvents(on_state=lambda state, reason: states.put((state, reason)))
    link = GuardedLink(address, guard, events=events, says_availability=False)
    link.start()
    try:
        state, reason = _first_state(states)
        if state is not LinkState.ONLINE:
            found = f"Broker {address} is {state} ({reason})."
            raise PublishError(found, hint=ADVICE.get(state, "the same command again."))
        yield link
    finally:
        link.stop()


def _first_state(states: "queue.SimpleQueue[tuple[LinkState, str]]") -> tuple[LinkState, str]:
    try:
        return states.get(timeout=CONNECT_TIMEOUT_S)
    except queue.Empty:
        return LinkState.AWAY, "no answer"
