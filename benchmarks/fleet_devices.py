"""Many devices in one process: a real MQTT connection each, records of the shipping type, no rig.

    python -m benchmarks.fleet_devices --port 1883 --devices 1000 --rate-hz 1 --seconds 60

A device keeps a record until the broker has it, as the outbox does; here in memory. Prints what was made.
"""

import argparse
import heapq
import json
import resource
import secrets
import selectors
import sys
import time
from collections.abc import Sequence
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from host.sink import utc_now
from lsi.events import EventPayload, Phase, ScanBucket

HOST: Final = "127.0.0.1"
WINDOW: Final = 10
OK: Final = MQTTErrorCode.MQTT_ERR_SUCCESS
MISC_S: Final = 1.0
RETRY_S: Final = 0.5
PATIENCE_S: Final = 120.0
SPARE_FILES: Final = 64
EXPIRES_S: Final = 86_400


def _properties() -> Properties:
    """What a device says beside a record."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's class has no types
    properties.MessageExpiryInterval, properties.ContentType = EXPIRES_S, "application/json"
    properties.PayloadFormatIndicator = 1
    return properties


PROPERTIES: Final = _properties()


class Device:
    """One connection that makes a record now and then."""

    def __init__(self, number: int, port: int) -> None:
        self.name, self.stream, self.seq = f"d{number:05d}", secrets.token_hex(8), 0
        self._port, self._retry_s = port, 0.0
        self.waiting = 0
        self.is_online = False
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self.name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self.client.max_inflight_messages_set(WINDOW)
        self.client.on_publish = self._on_publish
        self.client.on_connect = self._on_connect

    def connect(self) -> bool:
        """Try to reach the broker; what it had not acknowledged is sent again."""
        now_s = time.monotonic()
        if now_s < self._retry_s:
            return False
        self._retry_s, self.is_online = now_s + RETRY_S, False
        try:
            if self.client.socket() is None and self.seq == 0:
                return (
                    self.client.connect(HOST, self._port, 60, clean_start=False)
                    == MQTTErrorCode.MQTT_ERR_SUCCESS
                )
            return self.client.reconnect() == MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            return False

    def make(self) -> bool:
        """Make a record; ``False`` while ten are unacknowledged."""
        if self.waiting >= WINDOW or not self.is_online:
            return False
        self.seq += 1
        self.waiting += 1
        now = utc_now()
        event = EventPayload(
            device_id=self.name, stream=self.stream, seq=self.seq, ts=now, clock="ntp", bundle="89abcdef",
            phase=Phase.START, visit=f"{self.stream}-{self.seq}", began=now, scans=ScanBucket.ONES,
            attributes={"Smiling": self.seq % 2 == 0, "Mouth_Slightly_Open": None, "Eyeglasses": False},
        )  # fmt: skip
        self.client.publish(f"lsi/v1/{self.name}/event", event.encode(), 1, properties=PROPERTIES)
        return True

    def _on_connect(self, *_: object) -> None:
        self.is_online = True

    def _on_publish(self, *_: object) -> None:
        self.waiting -= 1


class Fleet:
    """All devices, moved by one loop."""

    def __init__(self, devices: Sequence[Device], rate_hz: float) -> None:
        self._devices = devices
        self._period_s = 1 / rate_hz
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[Device, paho.SocketLike] = {}

    def run(self, seconds: float) -> None:
        """Make records for so long, then wait until the broker has all of them."""
        start_s = time.monotonic()
        spread = self._period_s / len(self._devices)
        due = [(start_s + place * spread, place) for place in range(len(self._devices))]
        end_s, misc_s = start_s + seconds, start_s
        while time.monotonic() < end_s + PATIENCE_S:
            now_s = time.monotonic()
            if now_s < end_s:
                self._make(due, now_s)
            elif not any(device.waiting for device in self._devices):
                return
            if now_s >= misc_s:
                self._look_after_links()
                misc_s = now_s + MISC_S
            self._move(min(0.02, max(0.0, due[0][0] - now_s)))
        raise TimeoutError

    def _make(self, due: list[tuple[float, int]], now_s: float) -> None:
        while due[0][0] <= now_s:
            due_s, place = heapq.heappop(due)
            device = self._devices[place]
            device.make()
            heapq.heappush(due, (due_s + self._period_s, place))
            if device.client.want_write():
                device.client.loop_write()

    def _move(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            device: Device = key.data
            for _ in range(WINDOW):
                if (
                    device.client.socket() is None
                    or device.client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS
                ):
                    break
            if device.client.want_write():
                device.client.loop_write()

    def _look_after_links(self) -> None:
        self._forget_closed()
        for device in self._devices:
            if device not in self._sockets and (device.client.socket() or device.connect()):
                found = device.client.socket()
                if found is not None:
                    self._sockets[device] = found
                    self._selector.register(found, selectors.EVENT_READ, device)
            device.client.loop_misc()

    def _forget_closed(self) -> None:
        """All of them before anybody connects: a new socket may get the number of a closed one."""
        for device, watched in list(self._sockets.items()):
            if device.client.socket() is not watched:
                del self._sockets[device]
                self._selector.unregister(watched)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fleet and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_devices", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rate-hz", type=float, default=1.0, help="records of each device")
    parser.add_argument("--seconds", type=float, default=60.0)
    parsed = parser.parse_args(arguments)
    allow_files(parsed.devices)
    devices = [Device(number, parsed.port) for number in range(parsed.devices)]
    Fleet(devices, parsed.rate_hz).run(parsed.seconds)
    print(json.dumps({device.stream: device.seq for device in devices}))
    return 0


def allow_files(count: int) -> None:
    """A socket is a file; many systems allow 1,024 unless asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE_FILES
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
