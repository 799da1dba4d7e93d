import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.broker import Message
from transport.outgoing import LIVE_ROOM, WINDOW, Delivery, OnSettled, Outcome, Outgoing, Settled

ACCEPTED = Outcome(Settled.ACCEPTED)


def opened() -> Outgoing:
    outgoing = Outgoing()
    outgoing.open()
    return outgoing


def message(number: int = 0, qos: int = 1) -> Message:
    return Message(f"t/{number}", b"", qos)


def test_nothing_is_taken_before_the_broker_said_yes_and_after_the_end() -> None:
    outgoing = Outgoing()
    assert not outgoing.offer(Delivery(message()), WINDOW)
    outgoing.open()
    assert outgoing.offer(Delivery(message()), WINDOW)
    outgoing.close("gone")
    assert not outgoing.offer(Delivery(message()), WINDOW)


def test_the_eleventh_unsettled_record_is_turned_away_and_one_acknowledgement_makes_room() -> None:
    outgoing = opened()
    assert [outgoing.offer(Delivery(message()), WINDOW) for _ in range(11)] == [True] * 10 + [False]
    delivery = outgoing.take()
    assert delivery is not None
    outgoing.sent(1, delivery, 0.0)
    assert not outgoing.offer(Delivery(message()), WINDOW)
    outgoing.settle(1, ACCEPTED)
    assert outgoing.offer(Delivery(message()), WINDOW)


def test_a_full_window_of_records_leaves_room_for_live_state() -> None:
    outgoing = opened()
    while outgoing.offer(Delivery(message()), WINDOW):
        pass
    assert outgoing.offer(Delivery(message()), LIVE_ROOM)


def test_at_most_a_window_is_in_flight_and_order_is_kept() -> None:
    outgoing = opened()
    outgoing.window = 3
    for number in range(5):
        outgoing.put(message(number))
    for mid in (1, 2, 3):
        delivery = outgoing.take()
        assert delivery is not None
        assert delivery.message == message(mid - 1)
        outgoing.sent(mid, delivery, float(mid))
    assert outgoing.take() is None
    assert outgoing.oldest_sent_s == 1.0
    outgoing.settle(1, ACCEPTED)
    assert outgoing.oldest_sent_s == 2.0
    following = outgoing.take()
    assert following is not None
    assert following.message == message(3)


def test_a_message_without_acknowledgement_needs_no_room_in_the_window() -> None:
    outgoing = opened()
    outgoing.window = 1
    outgoing.put(message(0))
    outgoing.put(message(1, qos=0))
    first = outgoing.take()
    assert first is not None
    outgoing.sent(1, first, 0.0)
    assert outgoing.take() is not None


def test_an_error_of_the_owner_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Outcome) -> None:
        raise RuntimeError

    with caplog.at_level(logging.ERROR):
        Delivery(message(), fail).settle(ACCEPTED)
    assert "could not be handled" in caplog.text


@pytest.mark.parametrize(
    ("outcome", "later"),
    [
        (Outcome(Settled.ACCEPTED), False),
        (Outcome(Settled.LOST), True),
        (Outcome(Settled.REFUSED, code=0x97), True),  # quota exceeded
        (Outcome(Settled.REFUSED, code=0x87), False),  # not authorized
        (Outcome(Settled.REFUSED, code=0x95), False),  # packet too large
    ],
)
def test_only_what_is_not_the_messages_fault_may_pass_later(outcome: Outcome, later: bool) -> None:
    assert outcome.may_pass_later is later


STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "send", "settle", "settle twice", "close"]), st.integers(1, 30))
)


@given(STEPS)
def test_every_message_that_was_taken_is_settled_exactly_once(
    steps: list[tuple[str, int]],
) -> None:
    outgoing, settled, taken, mid = opened(), Counter[int](), 0, 0

    def count_as(name: int) -> OnSettled:
        return lambda _: settled.update([name])

    for step, number in steps:
        if step == "offer":
            taken += outgoing.offer(Delivery(message(), count_as(taken + 1)), WINDOW)
        elif step == "send" and (delivery := outgoing.take()) is not None:
            mid += 1
            outgoing.sent(mid, delivery, float(mid))
        elif step.startswith("settle"):
            for _ in range(1 + step.endswith("twice")):
                outgoing.settle(number, ACCEPTED)
        elif step == "close":
            outgoing.close("gone")
        assert len(settled) <= taken
    outgoing.close("gone")
    assert settled == Counter(range(1, taken + 1))
    assert outgoing.is_idle
