"""A simulated co-processor behind a pseudo terminal: what pyserial opens is a real device node."""

import os
import select
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Self

from firmware.sim.coproc_chip import SimCoproc

POLL_S = 0.002


class PtyCoproc:
    """Serves ``chip`` until the context is left; its virtual time runs while the host waits."""

    def __init__(self, chip: SimCoproc) -> None:
        self._chip = chip
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.path = Path(os.ttyname(self._slave))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def unplug(self) -> None:
        """The node goes away with everything behind it."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        for number in (self._master, self._slave):
            if number >= 0:
                os.close(number)
        self._master = self._slave = -1

    def _serve(self) -> None:
        while not self._ending.is_set():
            if select.select([self._master], [], [], POLL_S)[0]:
                self._chip.write(os.read(self._master, 4096))
            waiting = self._chip.read(1)
            while waiting:
                waiting = waiting[os.write(self._master, waiting) :]
