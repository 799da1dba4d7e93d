"""Far ends of a link: mosquitto with a configuration of the test's, and a broker that is told what to say."""

import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lab.broker import free_port

START_TIMEOUT_S: Final = 15

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x80, 0xC0, 0xE0
CONNACK_5: Final = bytes.fromhex("20 03 00 00 00")
CONNACK_5_NOT_AUTHORIZED: Final = bytes.fromhex("20 03 00 87 00")
CONNACK_311: Final = bytes.fromhex("20 02 00 00")
PINGRESP: Final = bytes.fromhex("D0 00")
TAKEN_OVER: Final = bytes.fromhex("E0 02 8E 00")


@dataclass(frozen=True)
class Mosquitto:
    """A running mosquitto; ``freeze`` stops it as a broken machine would: sockets stay open."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def mosquitto_with(
    path: str, folder: Path, config: str = "allow_anonymous true\n", openssl_config: Path | None = None
) -> Iterator[Mosquitto]:
    """Mosquitto on loopback with the lines of ``config`` below its listener."""
    port = free_port()
    file, log = folder / f"mosquitto-{port}.conf", folder / f"mosquitto-{port}.log"
    file.write_text(f"listener {port} 127.0.0.1\npersistence false\nuser root\nlog_type all\n{config}")
    environment = dict(os.environ)
    if openssl_config is not None:
        environment["OPENSSL_CONF"] = str(openssl_config)
    with (
        log.open("wb") as out,
        subprocess.Popen([path, "-v", "-c", file], stderr=out, env=environment) as process,
    ):
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while b"running" not in log.read_bytes() and time.monotonic() < deadline_s:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
            yield Mosquitto(port, process, log)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


def puback(packet: bytes, reason: int = 0) -> bytes:
    """The MQTT 5 acknowledgement of a PUBLISH of QoS 1."""
    topic_bytes = int.from_bytes(packet[2:4], "big")
    mid = packet[4 + topic_bytes : 6 + topic_bytes]
    return bytes([0x40, 3]) + mid + bytes([reason])


class ScriptedBroker:
    """One connection after the other; ``answer`` maps each packet to the bytes sent back.

    ``None`` closes the connection. Remaining lengths above 127 are not understood, on purpose.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._server.getsockname()[1]
        self.packets: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def packet(self, kind: int, timeout_s: float = 10) -> bytes:
        """The next packet of one kind; others before it are dropped."""
        while (packet := self.packets.get(timeout=timeout_s))[0] & 0xF0 != kind:
            pass
        return packet

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                connection, _ = self._server.accept()
                connection.settimeout(0.05)
                with connection:
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        received = b""
        while not self._stop.is_set():
            try:
                more = connection.recv(4096)
            except TimeoutError:
                continue
            if not more:
                return
            received += more
            while len(received) >= 2 and len(received) >= 2 + received[1]:
                packet, received = received[: 2 + received[1]], received[2 + received[1] :]
                self.packets.put(packet)
                answer = self._answer(packet)
                if answer is None:
                    return
                connection.sendall(answer)


def well_behaved(packet: bytes) -> bytes:
    """What an MQTT 5 broker answers that takes everything."""
    match packet[0] & 0xF0:
        case 0x10:
            return CONNACK_5
        case 0x30 if packet[0] & 0x06:
            return puback(packet)
        case 0xC0:
            return PINGRESP
        case _:
            return b""
