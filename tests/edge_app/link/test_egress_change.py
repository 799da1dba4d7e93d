"""The guard while the bundle changes: the new one's words pass, the old one's records too, nothing else."""

import threading
from dataclasses import replace

import pytest

from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import Announcements, ResultTerms
from edge_app.link.guarded_link import GuardedLink
from lsi.errors import EgressError, RecordWithheldError
from lsi.topics import Kind
from tests import leaving
from tests.edge_app.link.test_egress import message, record
from transport.broker import BrokerAddress, Message
from transport.link_events import LinkEvents

OTHER = "01234567"


def changed_to(terms: ResultTerms) -> EgressGuard:
    guard = EgressGuard(leaving.DEVICE, leaving.terms())
    guard.change(terms, Announcements())
    return guard


def other(names: tuple[str, ...] = leaving.NAMES) -> ResultTerms:
    return replace(leaving.terms(names=names), bundle=OTHER)


def test_the_new_bundles_words_pass_and_the_old_ones_close() -> None:
    guard = changed_to(other())
    guard.check(message(Kind.INFO, leaving.info(other())))
    guard.check(message(Kind.ATTR, leaving.attr(bundle=OTHER)))
    with pytest.raises(EgressError):
        guard.check(message(Kind.ATTR, leaving.attr()))


def test_records_of_the_bundle_before_may_still_go() -> None:
    guard = changed_to(other())
    for bundle in (leaving.BUNDLE, OTHER):
        payload = leaving.event(bundle=bundle)(3)
        guard.check_record(record(leaving.STREAM), payload)
        guard.check(message(Kind.EVENT, payload))
    assert not guard.is_closed


def test_a_record_of_the_bundle_before_is_held_back_where_the_new_one_tells_less() -> None:
    guard = changed_to(other(("Smiling",)))
    with pytest.raises(RecordWithheldError):
        guard.check_record(record(leaving.STREAM), leaving.event()(3))
    assert not guard.is_closed


def test_a_record_of_a_bundle_that_never_ran_closes() -> None:
    guard = changed_to(other())
    with pytest.raises(EgressError):
        guard.check_record(record(leaving.STREAM), leaving.event(bundle="deadbeef")(3))
    assert guard.is_closed


def test_back_and_forth_is_remembered_once() -> None:
    guard = changed_to(other())
    for _ in range(5):
        guard.change(leaving.terms(), Announcements())
        guard.change(other(), Announcements())
    assert guard._results is not None
    assert [each.bundle for each in guard._results.former] == [leaving.BUNDLE]
    assert all(each.former == () for each in guard._results.former)


def test_no_greeting_is_judged_in_mid_change() -> None:
    """A connect at the worst moment: the greeting waits, and is of the new bundle as a whole."""
    guard, told = EgressGuard(leaving.DEVICE, leaving.terms()), [leaving.info()]

    def greeting() -> list[Message]:
        return [message(Kind.INFO, told[0])]

    link = GuardedLink(BrokerAddress("127.0.0.1", 1, None), guard, events=LinkEvents(greeting))
    said: list[object] = []
    with link.silence():
        thread = threading.Thread(target=lambda: said.append(link._greet()))
        thread.start()
        guard.change(other(), Announcements())
        told[0] = leaving.info(other())
    thread.join()
    assert said == [[message(Kind.INFO, leaving.info(other()))]]
    assert not guard.is_closed
