import io
import json

from edge_app.publisher import PrintingPublisher, message_of
from lsi.topics import Kind


def test_values_go_out_unretained_and_status_retained() -> None:
    attr, info = message_of("d", Kind.ATTR, b"{}"), message_of("d", Kind.INFO, b"{}")
    assert (attr.topic, attr.qos, attr.retain) == ("lsi/v1/d/attr", 1, False)
    assert (info.topic, info.qos, info.retain) == ("lsi/v1/d/info", 1, True)


def test_printing_shows_exactly_what_would_leave() -> None:
    out = io.StringIO()
    publisher = PrintingPublisher("d", out)
    publisher.open(lambda: [(Kind.INFO, b'{"a":1}')])
    assert publisher.publish(Kind.ATTR, b'{"b":2}')
    for _ in range(2):
        publisher.record(Kind.EVENT, lambda seq: json.dumps({"seq": seq}).encode())
    publisher.close()
    lines = [line.split(" ", 1) for line in out.getvalue().splitlines()]
    assert [(topic, json.loads(text)) for topic, text in lines] == [
        ("lsi/v1/d/info", {"a": 1}),
        ("lsi/v1/d/attr", {"b": 2}),
        ("lsi/v1/d/event", {"seq": 1}),
        ("lsi/v1/d/event", {"seq": 2}),
    ]
