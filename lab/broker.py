"""A broker on loopback for a demo or a test: Debian's mosquitto, or one in Python."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lsi.errors import PublishError

LOOPBACK: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 15.0
POLL_S: Final = 0.05
STOP_TIMEOUT_S: Final = 5.0
_SBIN: Final = "/usr/sbin"
"""Debian installs mosquitto here, outside the PATH of most users."""


@dataclass(frozen=True, slots=True)
class LoopbackBroker:
    """A running broker; ``kind`` says which."""

    host: str
    port: int
    kind: str


def find_mosquitto() -> str | None:
    """Path of the mosquitto broker, /usr/sbin included, or ``None``."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)


@contextlib.contextmanager
def loopback_broker(
    mosquitto: str | None = None, port: int | None = None, settings: str = ""
) -> Iterator[LoopbackBroker]:
    """A broker that only this machine can reach, for as long as the context lasts.

    Args:
        mosquitto: The broker's path; without it the embedded one (MQTT 3.1.1) runs.
        port: A port to listen on; a free one by default.
        settings: More lines for mosquitto's file.

    Raises:
        PublishError: It did not start; the message holds what it said.
    """
    chosen = port or free_port()
    with tempfile.TemporaryDirectory(prefix="lsi-broker-") as folder, contextlib.ExitStack() as stack:
        log = stack.enter_context((Path(folder) / "log").open("w+b"))
        command = _mosquitto(mosquitto, chosen, Path(folder), settings) if mosquitto else _embedded(chosen)
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        stack.callback(_stop, process)
        if not _answers(process, chosen):
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-500:]
            raise PublishError(f"The broker did not start: {said}", hint="apt install mosquitto")
        yield LoopbackBroker(LOOPBACK, chosen, "mosquitto" if mosquitto else "embedded (amqtt)")


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _mosquitto(mosquitto: str, port: int, folder: Path, settings: str) -> list[str]:
    config = folder / "mosquitto.conf"
    lines = f"listener {port} {LOOPBACK}\nallow_anonymous true\npersistence false\n{settings}"
    config.write_text(lines, "ascii")
    return [mosquitto, "-c", str(config)]


def _embedded(port: int) -> list[str]:
    if find_spec("amqtt") is None:
        found = "No broker: mosquitto is not installed and neither is the embedded one."
        raise PublishError(found, hint="apt install mosquitto, or pip install 'lsi-host[demo]'.")
    return [sys.executable, "-m", "lab.embedded_broker", str(port)]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return True
        time.sleep(POLL_S)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
