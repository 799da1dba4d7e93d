"""The seams of the firmware: what a driver may rely on and what an adapter must do.

Implementations share no code, so these are ``typing.Protocol``; the suites in
``tests/contracts`` hold every implementation to the text here. Everything blocks.
Time is integer nanoseconds of one ``Clock``; edges and conversions are told on it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lsi.patterns import PatternSet


class Clock(Protocol):
    """Monotonic time. On the device CLOCK_MONOTONIC, in a simulation its own."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        ...

    def wait_until_ns(self, deadline_ns: int) -> None:
        """Return when ``now_ns() >= deadline_ns``; at once if that has passed."""
        ...


class SpiDevice(Protocol):
    """One chip on an SPI bus, selected by its own line.

    For driver authors: call ``transfer`` once per data sheet transaction. Speed and
    mode belong to the board file, not to you.

    For adapter authors: assert select, shift, deassert, in that order and also on
    failure. Return exactly as many bytes as were sent.
    """

    def transfer(self, sent: bytes) -> bytes:
        """Shift ``sent`` out and return what came in.

        Raises:
            BusError: Nothing usable came back; ``kind`` tells why.
        """
        ...


class HidDevice(Protocol):
    """A USB HID device with 64-byte reports and no report ids."""

    def write(self, report: bytes) -> None:
        """Send one output report of 64 bytes (the adapter adds the leading report id 0).

        Raises:
            BusError: NO_DEVICE when it is gone.
        """
        ...

    def read(self, timeout_ms: int) -> bytes:
        """The next input report (64 bytes), or ``b""`` when none came in time.

        Raises:
            BusError: NO_DEVICE when it is gone.
        """
        ...


class TriggerLine(Protocol):
    """The two wires between host and DMD controller: advance, and exposure started."""

    def advance(self, timeout_ns: int) -> int:
        """Pulse the advance input and wait for the edge that starts the exposure.

        Edges that came before the pulse are not taken for the answer; they are counted.

        Returns:
            When the edge came, in nanoseconds of the rig's clock.

        Raises:
            TriggerTimeoutError: No edge within ``timeout_ns``.
        """
        ...

    def edges_seen(self) -> int:
        """Exposure edges since the line was opened, expected or not."""
        ...


class PatternModulator(Protocol):
    """A DMD and its controller: load once, start, advance by trigger, stop."""

    def load(self, sequence: PatternSet, exposure_ns: int) -> None:
        """Put the patterns of one pass into the controller; each advance shows the next.

        Raises:
            BusError: The controller refuses or does not answer.
            ShapeMismatchError: More patterns or larger masks than the DMD can show.
        """
        ...

    @property
    def loaded_digest(self) -> str | None:
        """Digest of the loaded sequence; ``None`` when it is or may be lost."""
        ...

    def start(self) -> None:
        """Begin a pass: the first advance shows pattern 0."""
        ...

    def is_running(self) -> bool:
        """Whether the pass still has patterns to show. False once the last has ended."""
        ...

    def stop(self) -> None:
        """End the pass and let the mirrors idle. Safe at any time, twice too."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class ArmBlock:
    """One A B B A block: two samples of each arm and the time they took.

    Shape: ``counts`` (2, 2) uint16, arm by sample. ``started_at_ns`` is not later than
    the first conversion, ``ended_at_ns`` not earlier than the end of the last.
    """

    counts: NDArray[np.uint16]
    started_at_ns: int
    ended_at_ns: int


class BucketDetector(Protocol):
    """Two photodiodes behind a converter."""

    @property
    def full_scale_counts(self) -> int:
        """The highest code of the converter."""
        ...

    def read_block(self) -> ArmBlock:
        """Convert arm +, arm -, arm -, arm + now.

        Raises:
            BusError: The converter does not answer.
            FrameError: It answers with something that is not a conversion.
        """
        ...
