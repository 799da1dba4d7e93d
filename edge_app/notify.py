r"""What systemd is told about the service: that it is ready, what it does, that it still measures.

Ref: sd_notify(3), sd_watchdog_enabled(3). One datagram per message to the socket that
``NOTIFY_SOCKET`` names:

    READY=1\nSTATUS=...\n
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Final

from firmware.interfaces import Clock
from lsi.units import NS_PER_S

logger = logging.getLogger(__name__)

NS_PER_US: Final = 1_000
MAX_STATUS: Final = 200
"""Characters of a status line; more does not fit into a line of ``systemctl status``."""
INTERVALS_PER_TIMEOUT: Final = 2
"""Feed twice per timeout, as sd_watchdog_enabled(3) asks."""
PERIODS_PER_TIMEOUT: Final = 4
"""Scans per timeout at the least: one may be late, and one fall short of a feeding."""


class Notifier:
    """Sends to systemd's socket, and does nothing where there is none. Never blocks, never fails.

    Args:
        address: A path, or ``@`` and a name for an abstract socket; ``None`` for nobody.
    """

    def __init__(self, address: str | None) -> None:
        self._address = _socket_address(address)
        self._socket = None if self._address is None else socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if self._socket is not None:
            self._socket.setblocking(False)  # a full queue must not delay a scan
        self._failed = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Notifier":
        """The notifier that systemd asked for, if it did."""
        return cls(environ.get("NOTIFY_SOCKET"))

    @property
    def is_heard(self) -> bool:
        """Whether anybody asked to be told."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """Startup is over; ``status`` says what it does now."""
        self._send("READY=1", *([f"STATUS={_one_line(status)}"] if status else []))

    def status(self, text: str) -> None:
        """One line for ``systemctl status``. Never a measured value."""
        self._send(f"STATUS={_one_line(text)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> None:
        """Shutdown begins."""
        self._send("STOPPING=1", *([f"STATUS={_one_line(status)}"] if status else []))

    def set_timeout(self, timeout_us: int) -> None:
        """Ask for another time without food after which the service counts as hung."""
        self._send(f"WATCHDOG_USEC={timeout_us}")

    def close(self) -> None:
        """Close the socket; what is told afterwards goes nowhere."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto("".join(f"{line}\n" for line in lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                logger.warning("systemd was not told (%s). Its watchdog may restart us.", error.strerror)
            self._failed = True
        else:
            self._failed = False


class Watchdog:
    """Feeds systemd's watchdog with finished work alone; a timer that ticks would prove nothing.

    Since the last feeding a capture and an inference have to be finished, and the way out has
    to be alive at this moment. Methods may be called from any thread, each feeds when it is time.

    Args:
        notifier: Who is told.
        clock: Monotonic time.
        timeout_ns: After this long without food the service is restarted; ``None`` for no watchdog.
        way_out_is_alive: Whether the transport is live, or the outbox takes records.
    """

    def __init__(
        self,
        notifier: Notifier,
        clock: Clock,
        timeout_ns: int | None,
        way_out_is_alive: Callable[[], bool],
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._interval_ns = None if timeout_ns is None else timeout_ns // INTERVALS_PER_TIMEOUT
        self._way_out_is_alive = way_out_is_alive
        self._lock = threading.Lock()
        self._fed_ns = clock.now_ns()
        self._has_captured = False
        self._has_inferred = False

    @property
    def interval_ns(self) -> int | None:
        """Shortest time between two feedings; ``None`` where nobody watches."""
        return self._interval_ns

    @property
    def lacks_inference(self) -> bool:
        """A feeding is due, and an inference is all that is missing.

        So it is in the dark: every scan is refused, and a sensor that is well would be
        restarted all night. A golden vector through the encoder is an inference too.
        """
        with self._lock:
            return self._is_due() and self._has_captured and not self._has_inferred

    def captured(self) -> None:
        """A pass of the masks was acquired to its end, whatever is thought of its light."""
        with self._lock:
            self._has_captured = True
        self._feed()

    def inferred(self) -> None:
        """The encoder answered."""
        with self._lock:
            self._has_inferred = True
        self._feed()

    def rested(self) -> None:
        """The loop came round and nothing is to be measured: the sensor is paused."""
        with self._lock:
            self._has_captured = self._has_inferred = True
        self._feed()

    def _feed(self) -> None:
        with self._lock:
            if not (self._is_due() and self._has_captured and self._has_inferred):
                return
            if not self._way_out_is_alive():
                return
            self._has_captured = self._has_inferred = False
            self._fed_ns = self._clock.now_ns()
        self._notifier.alive()

    def _is_due(self) -> bool:
        return self._interval_ns is not None and self._clock.now_ns() - self._fed_ns >= self._interval_ns


def watchdog_for(
    environ: Mapping[str, str],
    notifier: Notifier,
    clock: Clock,
    *,
    scan_interval_s: float,
    way_out_is_alive: Callable[[], bool],
) -> Watchdog:
    """The watchdog that systemd asked this process for.

    Where scans are further apart than the unit's ``WatchdogSec`` allows, systemd is asked for
    a longer timeout.
    """
    timeout_us = watchdog_us(environ)
    if timeout_us is not None:
        needed_us = round(scan_interval_s * PERIODS_PER_TIMEOUT * NS_PER_S / NS_PER_US)
        if needed_us > timeout_us:
            timeout_us = needed_us
            notifier.set_timeout(needed_us)
    timeout_ns = None if timeout_us is None else timeout_us * NS_PER_US
    return Watchdog(notifier, clock, timeout_ns, way_out_is_alive)


def watchdog_us(environ: Mapping[str, str]) -> int | None:
    """``WATCHDOG_USEC``, where it is meant for this process and can be used."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    given = environ.get("WATCHDOG_USEC", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) > 0 else None


def _socket_address(address: str | None) -> str | None:
    if not address or address[0] not in "/@":
        return None  # vsock: is for virtual machines, not for services
    return "\0" + address[1:] if address[0] == "@" else address


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_STATUS]
