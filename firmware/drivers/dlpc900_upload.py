"""Sending encoded images to a DLPC900, and how long it will take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from firmware.drivers.dlpc900_controller import Dlpc900Controller
from firmware.drivers.dlpc900_frames import REPORT_BYTES
from firmware.drivers.dlpc900_patterns import MAX_BLOCK_BYTES
from firmware.interfaces import Clock
from lsi.units import NS_PER_S

REPORTS_PER_S: Final = 1_000
"""Reports of 64 bytes that a DLPC900 takes or gives. Unverified: one per USB frame."""
_BLOCK_REPORTS: Final = MAX_BLOCK_BYTES // REPORT_BYTES + 1 + 1  # eight out, one reply
_BYTES_PER_S: Final = MAX_BLOCK_BYTES * REPORTS_PER_S / _BLOCK_REPORTS

Image = tuple[bytes, ...]
"""Header and data, one part per controller of the DMD."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is.

    Attributes:
        bytes_done: Sent and accepted; 0 before the first byte.
        bytes_total: Of all images.
        seconds_left: By the rate so far, where a clock is at hand; at first, and without
            a clock, by an assumed rate that was not measured on a device.
    """

    bytes_done: int
    bytes_total: int
    seconds_left: float


ProgressSink = Callable[[Progress], None]


def before_upload(images: Sequence[Image]) -> Progress:
    """What an upload of ``images`` will be."""
    total = sum(len(part) for image in images for part in image)
    return Progress(0, total, total / _BYTES_PER_S)


def upload(
    controller: Dlpc900Controller,
    images: Sequence[Image],
    progress: ProgressSink | None = None,
    clock: Clock | None = None,
) -> None:
    """Send all images, the last one first.

    Args:
        controller: Its table must be configured.
        images: In the order of their indices.
        progress: Told before the first byte and after every block.
        clock: By which the rate is measured.

    Raises:
        BusError: The controller refuses, does not answer or is gone.
    """
    meter = _Meter(before_upload(images), progress, clock)
    # DLPU018J, 0x1A2A: "always load the images in reverse order".
    for index in reversed(range(len(images))):
        for part, encoded in enumerate(images[index]):
            controller.begin_image(index, len(encoded), part=part)
            for start in range(0, len(encoded), MAX_BLOCK_BYTES):
                block = encoded[start : start + MAX_BLOCK_BYTES]
                controller.add_block(block, part=part)
                meter.add(len(block))


class _Meter:
    """Tells how far it is; nothing without a sink."""

    def __init__(self, first: Progress, sink: ProgressSink | None, clock: Clock | None) -> None:
        self._total = first.bytes_total
        self._sink = sink
        self._clock = clock
        self._done = 0
        self._started_ns = clock.now_ns() if clock is not None else 0
        if sink is not None:
            sink(first)

    def add(self, sent_bytes: int) -> None:
        self._done += sent_bytes
        if self._sink is not None:
            rate = self._bytes_per_s()
            self._sink(Progress(self._done, self._total, (self._total - self._done) / rate))

    def _bytes_per_s(self) -> float:
        taken_ns = self._clock.now_ns() - self._started_ns if self._clock is not None else 0
        return self._done * NS_PER_S / taken_ns if taken_ns > 0 else _BYTES_PER_S
