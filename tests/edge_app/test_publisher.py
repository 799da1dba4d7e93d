import io
import json

from edge_app.publisher import MqttPublisher, PrintingPublisher, message_of
from lab.broker import LoopbackBroker
from lsi.topics import Kind
from tests.transport.test_mqtt import Recorder, linked
from transport.broker import BrokerAddress, LinkState


def test_values_go_out_unretained_and_status_retained() -> None:
    attr, info = message_of("d", Kind.ATTR, b"{}"), message_of("d", Kind.INFO, b"{}")
    assert (attr.topic, attr.qos, attr.retain) == ("lsi/v1/d/attr", 1, False)
    assert (info.topic, info.qos, info.retain) == ("lsi/v1/d/info", 1, True)


def test_a_subscriber_sees_info_before_online_and_offline_in_the_end(mosquitto: LoopbackBroker) -> None:
    reader = Recorder()
    with linked(mosquitto.port, "order", reader, subscriptions=["lsi/v1/p1/#"]):
        assert reader.state() is LinkState.ONLINE
        publisher = MqttPublisher(BrokerAddress("127.0.0.1", mosquitto.port, None), "p1")
        assert not publisher.publish(Kind.ATTR, b"too early")
        publisher.open(lambda: [(Kind.INFO, b"{}")])
        first, second = reader.message(), reader.message()
        publisher.close()
        third = reader.message()
    assert [message.topic.rpartition("/")[2] for message in (first, second, third)] == [
        "info", "availability", "availability",
    ]  # fmt: skip
    assert (second.payload, third.payload) == (b"online", b"offline")


def test_printing_shows_exactly_what_would_leave() -> None:
    out = io.StringIO()
    publisher = PrintingPublisher("d", out)
    publisher.open(lambda: [(Kind.INFO, b'{"a":1}')])
    assert publisher.publish(Kind.ATTR, b'{"b":2}')
    publisher.close()
    lines = [line.split(" ", 1) for line in out.getvalue().splitlines()]
    assert [(topic, json.loads(text)) for topic, text in lines] == [
        ("lsi/v1/d/info", {"a": 1}),
        ("lsi/v1/d/attr", {"b": 2}),
    ]
