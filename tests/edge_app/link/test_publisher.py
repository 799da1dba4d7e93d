import io
import json

import pytest

from edge_app.link.egress import EgressGuard
from edge_app.link.publisher import PrintingPublisher, message_of
from lsi.errors import EgressError
from lsi.topics import Kind
from tests import leaving


def test_values_go_out_unretained_and_status_retained() -> None:
    attr, info = message_of("d", Kind.ATTR, b"{}"), message_of("d", Kind.INFO, b"{}")
    assert (attr.topic, attr.qos, attr.retain) == ("lsi/v1/d/attr", 1, False)
    assert (info.topic, info.qos, info.retain) == ("lsi/v1/d/info", 1, True)


def test_printing_shows_exactly_what_would_leave() -> None:
    out = io.StringIO()
    publisher = PrintingPublisher(EgressGuard("hall1", leaving.terms()), out)
    publisher.open(lambda: [(Kind.INFO, leaving.info())])
    assert publisher.publish(Kind.ATTR, leaving.attr())
    for _ in range(2):
        publisher.record(Kind.EVENT, leaving.event())
    publisher.close()
    lines = [line.split(" ", 1) for line in out.getvalue().splitlines()]
    assert [(topic, json.loads(text)["v"]) for topic, text in lines] == [
        ("lsi/v1/hall1/info", "lsi.info/1"),
        ("lsi/v1/hall1/attr", "lsi.attr/1"),
        ("lsi/v1/hall1/event", "lsi.event/1"),
        ("lsi/v1/hall1/event", "lsi.event/1"),
    ]
    assert [json.loads(text)["seq"] for _, text in lines[2:]] == [1, 2]


def test_what_would_not_leave_is_not_printed_either() -> None:
    out = io.StringIO()
    publisher = PrintingPublisher(EgressGuard("hall1", leaving.terms()), out)
    with pytest.raises(EgressError):
        publisher.publish(Kind.ATTR, leaving.attr(attributes={"Male": True}))
    assert out.getvalue() == ""
