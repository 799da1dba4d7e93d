"""The trigger wires through the kernel's GPIO character device (``gpiod`` 2).

Edges are stamped by the kernel in its interrupt, on CLOCK_MONOTONIC, and numbered; how
late this process wakes up does not matter. Edges that come before the kernel's interrupt
thread has run are one to it (seen on gpio-sim), so a bounce of a few us may not show.
Ref: linux/gpio.h, gpio_v2_line_event.
"""

import errno
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from gpiod.line import Clock as EventClock

from firmware.buses.trigger_wires import (
    TriggerWires,
    gpio_busy,
    gpio_denied,
    gpio_gone,
    no_chip,
    no_exposure,
)
from firmware.interfaces import Clock
from lsi.errors import BusError, BusErrorKind
from lsi.units import NS_PER_MS

_CONSUMER: Final = "lsi-edge"
EVENT_BUFFER: Final = 256
"""Edges that the kernel keeps for us; older ones are lost to us but keep their number."""
_LINE_SEQNO_MASK: Final = 0xFFFF_FFFF

# No debounce: a second edge is a fault that the count of edges has to show. A pull-down,
# so that an open wire rests instead of counting noise.
_EXPOSURE: Final = gpiod.LineSettings(
    direction=Direction.INPUT,
    edge_detection=Edge.RISING,
    bias=Bias.PULL_DOWN,
    event_clock=EventClock.MONOTONIC,
)
_ADVANCE: Final = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)


class GpiodTriggerLine:
    """``TriggerLine`` on two lines of a GPIO chip.

    Not for use from two threads at once.

    Args:
        wires: Which lines.
        clock: CLOCK_MONOTONIC: edges are stamped on it.
        dev_dir: Where the chips are.

    Raises:
        BusError: NO_DEVICE without such a chip, PERMISSION, or REFUSED when a line is in use
            or does not exist.
    """

    def __init__(self, wires: TriggerWires, clock: Clock, dev_dir: Path = Path("/dev")) -> None:
        self._clock = clock
        self._pulse_ns = wires.pulse_ns
        self._edges = 0
        self._last_seqno = 0
        self._high: dict[int | str, Value] = {wires.advance_gpio: Value.ACTIVE}
        self._low: dict[int | str, Value] = {wires.advance_gpio: Value.INACTIVE}
        with _open_chip(wires, dev_dir) as chip:
            self._advance = _request(chip, wires.advance_gpio, _ADVANCE)
            try:
                self._exposure = _request(chip, wires.exposure_gpio, _EXPOSURE)
            except BusError:
                self._advance.release()
                raise
        self._poll = select.poll()
        self._poll.register(self._exposure.fd, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def advance(self, timeout_ns: int) -> int:
        """Pulse, then the kernel's time of the first edge since; see ``TriggerLine``.

        Raises:
            TriggerTimeoutError: No edge within ``timeout_ns`` of the pulse.
            BusError: The lines are gone.
        """
        with _lines_present():
            self._drain()
            pulse_ns = self._clock.now_ns()
            self._pulse(pulse_ns)
            edge_ns = self._first_edge(pulse_ns, pulse_ns + timeout_ns)
        if edge_ns is None:
            raise no_exposure(timeout_ns)
        return edge_ns

    def edges_seen(self) -> int:
        """Exposure edges since the line was opened, those the kernel had to drop included.

        Raises:
            BusError: The lines are gone.
        """
        with _lines_present():
            self._drain()
        return self._edges

    def close(self) -> None:
        """Give both lines back; safe twice."""
        self._advance.release()
        self._exposure.release()

    def _pulse(self, started_ns: int) -> None:
        self._advance.set_values(self._high)
        try:
            self._clock.wait_until_ns(started_ns + self._pulse_ns)
        finally:
            self._advance.set_values(self._low)

    def _first_edge(self, after_ns: int, deadline_ns: int) -> int | None:
        """Time of the first edge from ``after_ns`` to ``deadline_ns``, as soon as it is known."""
        while True:
            left_ns = deadline_ns - self._clock.now_ns()
            if not self._poll.poll(max(0, -(-left_ns // NS_PER_MS))):
                return None
            edge_ns = self._read(after_ns)
            if edge_ns is not None:
                return edge_ns if edge_ns <= deadline_ns else None

    def _drain(self) -> None:
        while self._poll.poll(0):
            self._read(0)

    def _read(self, after_ns: int) -> int | None:
        """Count the edges that wait, at least one; the first of them at or after ``after_ns``."""
        events = self._exposure.read_edge_events()
        last = events[-1].line_seqno
        self._edges += (last - self._last_seqno) & _LINE_SEQNO_MASK
        self._last_seqno = last
        return next((event.timestamp_ns for event in events if event.timestamp_ns >= after_ns), None)


def _open_chip(wires: TriggerWires, dev_dir: Path) -> gpiod.Chip:
    """The chip with one of the wanted labels, the first label first."""
    paths: dict[str, Path] = {}
    denied = []
    # Newer systems link the old number of a Pi 5's header to the new one.
    for path in sorted(path for path in dev_dir.glob("gpiochip*") if not path.is_symlink()):
        try:
            with gpiod.Chip(str(path)) as chip:
                paths.setdefault(chip.get_info().label, path)
        except PermissionError:
            denied.append(str(path))
        except OSError:
            continue  # not a GPIO chip, or just gone
    for label in wires.chips:
        if label in paths:
            return gpiod.Chip(str(paths[label]))
    raise no_chip(wires, sorted(paths), denied)


def _request(chip: gpiod.Chip, gpio: int, settings: gpiod.LineSettings) -> gpiod.LineRequest:
    try:
        return chip.request_lines({gpio: settings}, consumer=_CONSUMER, event_buffer_size=EVENT_BUFFER)
    except PermissionError as error:
        raise gpio_denied(f"GPIO {gpio} of {chip.path}") from error
    except (OSError, ValueError) as error:
        lines = chip.get_info().num_lines
        if not 0 <= gpio < lines:
            found = f"There is no GPIO {gpio}: the chip has 0 to {lines - 1}."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint="BCM numbers, not pins.") from error
        if isinstance(error, OSError) and error.errno == errno.EBUSY:
            raise gpio_busy(gpio, chip.get_line_info(gpio).consumer) from error
        raise gpio_gone(f"GPIO {gpio} cannot be requested", error) from error


@contextmanager
def _lines_present() -> Iterator[None]:
    try:
        yield
    except (OSError, gpiod.RequestReleasedError) as error:
        raise gpio_gone("the trigger lines do not work", error) from error
