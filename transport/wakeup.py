"""``Wakeup``: rings at a thread that waits for a socket."""

import socket
import threading
from contextlib import suppress
from typing import Final

MANY_BYTES: Final = 4096


class Wakeup:
    """A pair of sockets: ``ring`` from any thread makes ``waiting`` readable for one."""

    def __init__(self) -> None:
        self.waiting, self._ringing = socket.socketpair()
        self.waiting.setblocking(False)
        self._ringing.setblocking(False)
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Wake the thread; does nothing after ``close``."""
        # The lock keeps the number of a socket just closed from being somebody else's by now.
        # A full buffer is as good as a ring.
        with self._lock, suppress(OSError):
            self._ringing.send(b"!")

    def clear(self) -> None:
        """Forget the rings so far."""
        with suppress(BlockingIOError):
            self.waiting.recv(MANY_BYTES)

    def close(self) -> None:
        """Give both sockets back."""
        with self._lock:
            self.waiting.close()
            self._ringing.close()
