"""The seams of the firmware: what a driver may rely on and what an adapter must do.

Implementations share no code, so these are ``typing.Protocol``; the suites in
``tests/contracts`` hold every implementation to the text here. Everything blocks.
Time is integer nanoseconds of one ``Clock``; edges and conversions are told on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lsi.frozen import frozen_array
from lsi.measurement import CountScale
from lsi.patterns import PatternSet

MAX_MESSAGE_TRANSFERS: Final = 511
"""Transfers of one SPI message: 511 structures of 32 bytes fit into an ioctl's 14-bit size field."""
SELECT_GAP_NS: Final = 10_000
"""CS between two transfers of a message: what Linux waits unless it is told otherwise
(drivers/spi/spi.c, ``_spi_transfer_cs_change_delay``)."""


class Clock(Protocol):
    """Monotonic time. On the device CLOCK_MONOTONIC, in a simulation its own."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        ...

    def wait_until_ns(self, deadline_ns: int) -> None:
        """Return when ``now_ns() >= deadline_ns``; at once if that has passed."""
        ...


class SpiMessage(Protocol):
    """Transfers that were laid out once and are run again and again, without allocation.

    ``received`` (n, bytes of a word) uint8 is written anew by every run.
    """

    received: NDArray[np.uint8]

    def run(self) -> None:
        """Shift all words, selecting the chip anew for each.

        Raises:
            BusError: The bus failed, or moved fewer bytes than asked for; nothing received counts then.
        """
        ...


class SpiDevice(Protocol):
    """One chip on an SPI bus, selected by its own line.

    For driver authors: call ``transfer`` once per data sheet transaction, or lay out
    many with ``message``. Speed and mode belong to the board file, not to you.

    For adapter authors: assert select, shift, deassert, in that order and also on
    failure. Return exactly as many bytes as were sent.
    """

    def transfer(self, sent: bytes) -> bytes:
        """Shift ``sent`` out and return what came in.

        Raises:
            BusError: Nothing usable came back; ``kind`` tells why.
        """
        ...

    def message(self, words: Sequence[bytes]) -> SpiMessage:
        """Lay out ``words`` (all of one length) as one message.

        Raises:
            BusError: REFUSED when there are none, more than ``MAX_MESSAGE_TRANSFERS``, words of
                different lengths, or more bytes than the bus buffers.
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


TRIG_OUT_1_EARLY_FALL_US: Final = 20
"""TRIG_OUT_1 of a free-running pass is high from the start of each exposure to this long before its end.

Exposures that follow each other without darkness would give one long high level (a user's
measurement, TI E2E 980889); the early fall parts them and costs no time. 20 us is the most
that a DLPC900 allows (0x1A1D).
"""


class Advance(StrEnum):
    """What makes a controller show the next pattern of a pass.

    ``TRIGGERED``: an edge on its advance input. ``FREE_RUNNING``: its own timer, one
    exposure right after the other, from the start of the pass.
    """

    TRIGGERED = "triggered"
    FREE_RUNNING = "free_running"


class PatternModulator(Protocol):
    """A DMD and its controller: load once, start, advance, stop."""

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        """Put the patterns of one pass into the controller.

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


class Sampler(Protocol):
    """Room for the samples of one pass, laid out once and used for every pass."""

    def take(self, index: int) -> None:
        """Convert now, for pattern ``index`` of the pass.

        Raises:
            BusError: The converter does not answer.
        """
        ...

    def counts(self) -> NDArray[np.uint16]:
        """What was taken, (patterns, arms, samples); a copy.

        Raises:
            FrameError: Something that was received is not a conversion.
        """
        ...


class BucketDetector(Protocol):
    """One or two photodiodes behind a converter that is asked while a pattern is shown."""

    @property
    def scale(self) -> CountScale:
        """What a count means."""
        ...

    def sampler(self, patterns: int, samples: int) -> Sampler:
        """Room for ``samples`` per arm of ``patterns`` patterns.

        Raises:
            BoardConfigError: A number of samples that the converter cannot take.
        """
        ...


class StreamRole(StrEnum):
    """What a channel of a ``SampleStream`` is wired to.

    ``TRIGGER`` is high while a pattern is exposed; ``LAMP`` a photodiode that sees the
    light source itself.
    """

    ARM_PLUS = "arm_plus"
    ARM_MINUS = "arm_minus"
    TRIGGER = "trigger"
    LAMP = "lamp"


@dataclass(frozen=True, slots=True, repr=False)
class StreamBlock:
    """Conversions at even spacing, all channels at the same instant.

    Shape: ``counts`` (N, C) uint16, column by column as the stream's ``roles``; a view that
    the next block overwrites. ``started_at_ns`` is not later than the first conversion,
    ``ended_at_ns`` not earlier than the last. Between two blocks time passes unseen.
    """

    counts: NDArray[np.uint16]
    started_at_ns: int
    ended_at_ns: int


class SampleStream(Protocol):
    """A converter that samples arms and trigger together, over and over."""

    @property
    def scale(self) -> CountScale:
        """What a count means."""
        ...

    @property
    def roles(self) -> Sequence[StreamRole]:
        """What each column of a block is."""
        ...

    def read(self) -> StreamBlock:
        """The next block, as soon as it has been taken.

        Raises:
            BusError: The converter does not answer.
            FrameError: It answers with something that is not a conversion.
        """
        ...


@dataclass(frozen=True, slots=True, repr=False)
class PassSamples:
    """The samples of one pass, as they were taken.

    Shape: ``counts`` (P, A, S) uint16: patterns of the pass, arms (1 or 2), samples.
    ``dropped_count`` conversions were lost while patterns were shown. ``trimmed_count``
    of the sorted samples are to be left out at either end.
    """

    counts: NDArray[np.uint16]
    scale: CountScale
    dropped_count: int = 0
    trimmed_count: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", frozen_array("counts", self.counts, np.uint16, (None, None, None)))

    def __repr__(self) -> str:
        return f"PassSamples(shape={self.counts.shape})"


class Acquisition(Protocol):
    """One way to sample a pass: who sets the pace, and how samples find their pattern."""

    @property
    def advance(self) -> Advance:
        """How the modulator has to be loaded."""
        ...

    def acquire(self, patterns: int) -> PassSamples:
        """Show the loaded sequence of ``patterns`` patterns once and sample each of them.

        The modulator is stopped afterwards, also after a failure.

        Raises:
            ScanError: Not every pattern was shown once, in order, and sampled while it was shown.
            BusError: A bus failed or the modulator lost its masks.
            FrameError: A converter answered with something that is not a conversion.
        """
        ...
