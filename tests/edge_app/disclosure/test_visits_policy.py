"""From logits through the policy to live state and events: what is not allowed is nowhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.disclosure.live_state import LiveRules, LiveState
from edge_app.disclosure.policy import ScanStamp, disclose
from edge_app.disclosure.visits import VisitRules, Visits
from firmware.sim.clock import SimClock
from lsi.attributes import ATTR_LITE, AttributeLogits, AttributeSchema
from lsi.disclosure import DisclosurePolicy
from lsi.events import EventPayload
from lsi.payload import AttributePayload
from lsi.units import NS_PER_S

NAMES = ("Male", "Smiling", "Young", "Eyeglasses")
BANDS = ((0.0, 0.0), (-1.0, 1.0), (0.0, 0.0), (-0.5, 0.5))
SCHEMA = AttributeSchema(NAMES, (0.0, 0.0, 0.0, 0.0), 0.0, BANDS)
ROWS = st.lists(
    st.lists(st.floats(-9, 9, width=32).map(lambda value: value + 0.123), min_size=5, max_size=5),
    min_size=3,
    max_size=30,
)


@settings(max_examples=60)
@given(ROWS, st.frozensets(st.sampled_from(sorted(ATTR_LITE))))
def test_no_blocked_attribute_and_no_logit_is_in_any_payload(
    rows: list[list[float]], allowed: frozenset[str]
) -> None:
    clock, policy = SimClock(), DisclosurePolicy(allowed)
    live, visits = LiveState(LiveRules(), clock=clock), Visits(VisitRules(), clock=clock)
    encoded: list[bytes] = []
    for seq, row in enumerate(rows):
        stamp = ScanStamp("hall1", "a" * 16, seq, "2026-11-22T12:00:00.000Z", "ntp", "89abcdef", 30.0, 0.5)
        payload = disclose(AttributeLogits(np.array(row, np.float32), SCHEMA), policy, stamp)
        due = live.scan(payload)
        encoded += [] if due is None else [due.encode()]
        encoded += [event.encode_as(seq + 1) for event in visits.scan(payload)]
        clock.advance(4 * NS_PER_S)
    encoded += [event.encode_as(99) for event in visits.close()]
    for text in encoded:
        read = EventPayload.decode(text) if b"lsi.event/1" in text else AttributePayload.decode(text)
        assert set(read.attributes) == allowed & set(NAMES)
        assert b"Male" not in text
        assert b"Young" not in text
        assert not any(f"{value:.3f}".lstrip("-").encode() in text for row in rows for value in row)


@pytest.mark.parametrize("logits", [AttributeLogits(np.ones(5, np.float32), SCHEMA)])
def test_logits_themselves_are_taken_nowhere(logits: AttributeLogits) -> None:
    live, visits = LiveState(LiveRules(), clock=SimClock()), Visits(VisitRules(), clock=SimClock())
    with pytest.raises(AttributeError):
        live.scan(logits)  # type: ignore[arg-type] # that the type checker refuses it is half of the test
    with pytest.raises(AttributeError):
        visits.scan(logits)  # type: ignore[arg-type] # same
