"""Publishes what devices tell, each message once the broker has the one before."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lsi.status import InfoPayload
from tests.host.devices import health, visit
from tests.lsi.test_status import INFO
from tests.payloads import payload
from tests.transport.test_mqtt import TIMEOUT_S, Recorder, linked
from transport.broker import LinkState, Message
from transport.mqtt import MqttLink
from transport.outgoing import Outcome, Settled

STREAM = "0123456789abcdef"


class FleetWriter:
    """Speaks for any device."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link

    def send(self, topic: str, content: bytes, *, retain: bool = False) -> None:
        """Publish one message below ``lsi/v1/``."""
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        assert self._link.send(Message(f"lsi/v1/{topic}", content, retain=retain), outcomes.put)
        assert outcomes.get(timeout=TIMEOUT_S).settled is Settled.ACCEPTED

    def info(self, device_id: str, **changes: Any) -> None:  # noqa: ANN401 - any field
        """What it is; retained."""
        info: InfoPayload = replace(INFO, device_id=device_id, **changes)
        self.send(f"{device_id}/info", info.encode(), retain=True)

    def answer(self, device_id: str, *, is_smiling: bool, seq: int) -> None:
        """Its live state."""
        live = payload(device_id=device_id, seq=seq, attributes={"Smiling": is_smiling, "Eyeglasses": None})
        self.send(f"{device_id}/attr", live.encode())

    def everything(self, device_id: str) -> None:
        """A word on every topic of a sensor in mode ``attr-lite``."""
        self.info(device_id)
        self.send(f"{device_id}/availability", b"online", retain=True)
        self.answer(device_id, is_smiling=True, seq=1)
        self.send(f"{device_id}/event", visit(STREAM, device_id, seq=3).encode())
        self.send(f"{device_id}/health", health(STREAM, 9, device_id, waiting=37).encode())


@contextmanager
def fleet_writer(port: int) -> Iterator[FleetWriter]:
    """A connection to the broker on ``port``."""
    recorder = Recorder()
    with linked(port, "writer", recorder) as link:
        assert recorder.state() is LinkState.ONLINE
        yield FleetWriter(link)
