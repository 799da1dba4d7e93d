"""The far end of GPIO lines: the kernel's gpio-sim, and a DMD controller's trigger wires on it.

Ref: kernel Documentation/admin-guide/gpio/gpio-sim.rst.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

CONFIGFS = Path("/sys/kernel/config/gpio-sim")


class GpioSim:
    """One simulated chip; there while in the context."""

    def __init__(self, label: str, lines: int = 32) -> None:
        self._label = label
        self._lines = lines
        self._config = CONFIGFS / label
        self._sysfs = Path()
        self.node = Path()

    def __enter__(self) -> Self:
        (self._config / "bank0").mkdir(parents=True)
        (self._config / "bank0/num_lines").write_text(str(self._lines))
        (self._config / "bank0/label").write_text(self._label)
        (self._config / "live").write_text("1")
        device = (self._config / "dev_name").read_text().strip()
        chip = (self._config / "bank0/chip_name").read_text().strip()
        self._sysfs = Path("/sys/devices/platform") / device / chip
        self.node = Path("/dev") / chip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self.remove()
        (self._config / "bank0").rmdir()
        self._config.rmdir()

    def remove(self) -> None:
        """Take the chip away, whoever uses it."""
        (self._config / "live").write_text("0")

    def attribute(self, gpio: int, name: str) -> Path:
        """``pull`` of an input, ``value`` of a line."""
        return self._sysfs / f"sim_gpio{gpio}" / name

    def edge(self, gpio: int, rest_s: float = 0.01) -> tuple[int, int]:
        """Rise and fall once; the rise lies between the two times that are returned.

        Then a rest: the kernel makes one event of edges that come before its thread has run.
        """
        pull = self.attribute(gpio, "pull")
        before_ns = time.monotonic_ns()
        pull.write_text("pull-up")
        after_ns = time.monotonic_ns()
        pull.write_text("pull-down")
        time.sleep(rest_s)
        return before_ns, after_ns


class FarEnd:
    """A controller on the other end of both wires: answers pulses while in the context.

    Args:
        sim: The chip.
        advance: Line that the host drives.
        exposure: Line that the host listens to.
        answer: What to do on a pulse; one edge by default. Told when the pulse was seen.
    """

    def __init__(
        self,
        sim: GpioSim,
        advance: int,
        exposure: int,
        answer: Callable[[int], None] | None = None,
    ) -> None:
        self._value = os.open(sim.attribute(advance, "value"), os.O_RDONLY)
        self._one_edge = lambda _: self.edges.append(sim.edge(exposure))
        self._answer = answer or self._one_edge
        self.edges: list[tuple[int, int]] = []
        self.pulses_ns: list[int] = []
        self._stopped = Event()
        self._thread = Thread(target=self._watch, name="far-end")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        os.close(self._value)

    def wait_for_fall(self, pulses: int) -> None:
        """Return when the end of ``pulses`` pulses was seen: a host must not pulse while it was not."""
        deadline_s = time.monotonic() + 10
        while len(self.pulses_ns) < pulses:
            assert time.monotonic() < deadline_s
            time.sleep(0.001)

    def _watch(self) -> None:
        was_high, rose_ns = False, 0
        while not self._stopped.is_set():
            is_high = os.pread(self._value, 1, 0) == b"1"
            now_ns = time.monotonic_ns()
            if is_high and not was_high:
                rose_ns = now_ns
                self._answer(now_ns)
            elif was_high and not is_high:
                self.pulses_ns.append(now_ns - rose_ns)
            was_high = is_high
