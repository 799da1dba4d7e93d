"""One consumer that finds a full queue: the shipping recorder into a sink, or bare paho into nothing.

python -m benchmarks.fleet_reader --port 1883 --count 20000 --sink records.db
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from host.gap_keeper import GapKeeper
from host.open_sink import open_sink
from host.recorder import Recorder
from host.recording import RECEIVE_MAXIMUM
from transport.broker import BrokerAddress, Session
from transport.intake import Intake
from transport.mqtt import MqttLink

HOST: Final = "127.0.0.1"
CLIENT_ID: Final = "fleet-reader"
TOPICS: Final = "lsi/v1/+/event"
KEEP_S: Final = 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Read ``--count`` records and print how many a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_reader", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--sink", help="without one: bare paho")
    parser.add_argument("--subscribe-only", action="store_true", help="leave a session behind and end")
    parsed = parser.parse_args(arguments)
    if parsed.subscribe_only:
        _Bare(parsed.port, 0).run()
        return 0
    cpu_s = time.process_time()
    seconds = _record(parsed) if parsed.sink else _Bare(parsed.port, parsed.count).run()
    cpu_s = time.process_time() - cpu_s
    print(json.dumps({"per_s": parsed.count / seconds, "cpu_us": 1e6 * cpu_s / parsed.count}))
    return 0


def _record(parsed: argparse.Namespace) -> float:
    """Seconds from the connect to the commit of the last record."""
    sink = open_sink(parsed.sink)
    recorder = Recorder(sink, GapKeeper(sink), lambda _: None)
    link = MqttLink(
        BrokerAddress(HOST, parsed.port, None),
        CLIENT_ID,
        subscriptions=[TOPICS],
        session=Session(expires_s=KEEP_S),
        intake=Intake(RECEIVE_MAXIMUM, recorder.take),
    )

    def on_round() -> None:
        if recorder.counts.stored.new >= parsed.count:
            recorder.stop()

    start_s = time.monotonic()
    link.start()
    recorder.run(on_round)
    seconds = time.monotonic() - start_s
    link.stop()
    sink.close()
    return seconds


class _Bare:
    """paho as its manual has it: acknowledged on arrival, nothing looked at."""

    def __init__(self, port: int, count: int) -> None:
        self._left = count
        self._port = port
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, CLIENT_ID, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def run(self) -> float:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's class has no types
        properties.SessionExpiryInterval = KEEP_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        start_s = time.monotonic()
        self._client.connect(HOST, self._port, clean_start=False, properties=properties)
        self._client.loop_forever()
        return time.monotonic() - start_s

    def _on_connect(self, *_: object) -> None:
        self._client.subscribe(TOPICS, 1)

    def _on_subscribe(self, *_: object) -> None:
        if not self._left:
            self._client.disconnect()

    def _on_message(self, *_: object) -> None:
        self._left -= 1
        if not self._left:
            self._client.disconnect()


if __name__ == "__main__":
    sys.exit(main())
