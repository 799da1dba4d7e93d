"""The trigger wires through a module with the API of RPi.GPIO, best rpi-lgpio.

That API tells edges to a callback and does not say when they came. So an edge is stamped
when the callback runs: never early, but late. lgpio holds every edge back for at least
500 us, looks each 500 us (0.2.2, lgPthAlerts.c), and a thread has to wake up then: 0.5 to
2 ms in all (U). ``GpiodTriggerLine`` has no such lag; this one is for exposures of several
ms on systems that keep to a module of that kind.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition
from types import TracebackType
from typing import Final, Self

from firmware.buses.gpio_module import (
    MODEL_PATH,
    check_gpio_module,
    gpio_failures,
    import_gpio,
    installed_gpio_module,
)
from firmware.buses.trigger_wires import TriggerWires, gpio_busy, gpio_gone, no_exposure
from firmware.interfaces import Clock
from lsi.units import NS_PER_MS, NS_PER_S, NS_PER_US

LEAST_DELAY_NS: Final = 105 * NS_PER_US
"""From a pulse to its exposure: the least that a DLPC900 can be set to (0x1A35)."""
MAX_LAG_NS: Final = 3 * NS_PER_MS
CLOSING_REST_NS: Final = 50 * NS_PER_MS
"""lgpio's thread may sleep through a line that is claimed just when the last one was given
back: it looks at its list, then waits for a signal that has been given in between (0.2.2,
lgPthAlerts.c; seen on gpio-sim). No edge is told then. So a close lets it fall asleep first."""


class LgpioTriggerLine:
    """``TriggerLine`` through ``RPi.GPIO``, as rpi-lgpio provides it.

    An answer that is told more than ``max_lag_ns`` after the earliest moment at which it
    can have come counts as none, for nobody knows when it came; a board that uses this
    adapter leaves that much room at the end of an exposure. One per process: the module
    keeps its state to itself. rpi-lgpio starts a thread at import that ends with the
    process. The environment variable RPI_LGPIO_CHIP is set.

    Args:
        wires: Which lines.
        clock: The rig's clock.
        max_lag_ns: How late an edge may be told.
        model_path: Where the kernel names the board.

    Raises:
        BusError: REFUSED for a module that cannot work here and for lines in use, NO_DEVICE
            without such a chip, PERMISSION; OTHER without a module.
    """

    def __init__(
        self,
        wires: TriggerWires,
        clock: Clock,
        *,
        max_lag_ns: int = MAX_LAG_NS,
        model_path: Path = MODEL_PATH,
    ) -> None:
        self._wires = wires
        self._clock = clock
        self._max_answer_ns = LEAST_DELAY_NS + max_lag_ns
        # Shared with the thread that tells edges, under this lock.
        self._told = Condition()
        self._edges = 0
        self._pulse_ns = 0
        self._answer_ns: int | None = None
        self._claimed: list[int] = []
        self._gpio = import_gpio(check_gpio_module(installed_gpio_module(), model_path), wires)
        self._claim()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def advance(self, timeout_ns: int) -> int:
        """Pulse, then the time at which the first edge since was told; see ``TriggerLine``.

        Raises:
            TriggerTimeoutError: No edge was told within ``timeout_ns`` of the pulse, or so
                late that nobody knows when it came.
            BusError: The lines do not work any more.
        """
        self._expect_answer()
        latest_ns = self._pulse_ns + min(timeout_ns, self._max_answer_ns)
        with _lines_present():
            self._pulse()
        with self._told:
            self._told.wait_for(self._is_answered, max(0, latest_ns - self._clock.now_ns()) / NS_PER_S)
            answer_ns = self._answer_ns
        if answer_ns is None or answer_ns > latest_ns:
            raise no_exposure(latest_ns - self._pulse_ns)
        return answer_ns

    def edges_seen(self) -> int:
        """Exposure edges told since the line was opened."""
        with self._told:
            return self._edges

    def close(self) -> None:
        """Give both lines back, and rest; safe twice."""
        if self._claimed:
            # rpi-lgpio takes the callbacks of a line away with the line.
            with suppress(*gpio_failures()):
                self._gpio.cleanup(self._claimed)
            self._claimed = []
            self._clock.wait_until_ns(self._clock.now_ns() + CLOSING_REST_NS)

    def _claim(self) -> None:
        """Request both lines.

        The original RPi.GPIO finds no edges ("Failed to add edge detection") from kernel 6.6
        on, for the header does not begin at GPIO 0 there any more (raspberrypi/linux 6037).
        """
        gpio = self._gpio
        line = self._wires.advance_gpio
        try:
            gpio.setmode(gpio.BCM)
            gpio.setup(line, gpio.OUT, initial=0)
            self._claimed.append(line)
            line = self._wires.exposure_gpio
            # As with gpiod: a pull-down against an open wire, and no debounce.
            gpio.setup(line, gpio.IN, pull_up_down=gpio.PUD_DOWN)
            self._claimed.append(line)
            gpio.add_event_detect(line, gpio.RISING, callback=self._on_edge)
        except gpio_failures() as error:
            self.close()
            if "busy" in str(error).lower():
                raise gpio_busy(line, "") from error
            what = (
                f"GPIO {line} cannot be requested (the original RPi.GPIO finds no edges from kernel 6.6 on)"
            )
            raise gpio_gone(what, error) from error

    def _expect_answer(self) -> None:
        with self._told:
            self._pulse_ns = self._clock.now_ns()
            self._answer_ns = None

    def _on_edge(self, _channel: int) -> None:
        """Runs in the module's thread."""
        now_ns = self._clock.now_ns()
        with self._told:
            self._edges += 1
            # Too soon to be the answer: it came before the pulse and is only told now.
            if self._answer_ns is None and now_ns - self._pulse_ns >= LEAST_DELAY_NS:
                self._answer_ns = now_ns
                self._told.notify()

    def _is_answered(self) -> bool:
        return self._answer_ns is not None

    def _pulse(self) -> None:
        line = self._wires.advance_gpio
        self._gpio.output(line, 1)
        try:
            self._clock.wait_until_ns(self._pulse_ns + self._wires.pulse_ns)
        finally:
            self._gpio.output(line, 0)


@contextmanager
def _lines_present() -> Iterator[None]:
    try:
        yield
    except gpio_failures() as error:
        raise gpio_gone("the trigger lines do not work", error) from error
