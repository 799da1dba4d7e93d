"""A DMD behind a TI DLPC900, loaded over USB in pattern-on-the-fly mode.

Ref: TI DLPC900 Programmer's Guide DLPU018J, section 5.3 "Pattern On-The-Fly Example",
and the pages of the commands named here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from firmware.drivers.dlpc900_frames import (
    MAX_BLOCK_BYTES,
    Command,
    DisplayMode,
    HardwareStatus,
    LutDefinition,
    MainStatus,
    Sequencer,
    image_block,
    image_start,
    lut_configuration,
    trigger_in_1,
    trigger_out,
)
from firmware.drivers.dlpc900_image import PLANES, encode_image, pack_planes
from firmware.drivers.dlpc900_link import Dlpc900Link
from firmware.drivers.mirror_field import MirrorField, dmd_named
from firmware.interfaces import HidDevice
from lsi.errors import BoardConfigError, BusError, BusErrorKind, ShapeMismatchError
from lsi.patterns import PatternSet
from lsi.units import NS_PER_US

_log = logging.getLogger(__name__)

MIN_EXPOSURE_US: Final = 105
"""Shortest one-bit exposure (DLPU018J, "Minimum Exposure in Any Pattern Mode")."""
MAX_EXPOSURE_US: Final = 0xFF_FFFF
"""24 bit in the LUT definition."""
TRIGGER_DELAY_US: Final = 105
"""From the edge of TRIG_IN_1 to the exposure: the least the controller accepts (0x1A35)."""

# Video-pattern mode takes 300 ms to settle (DLPU018J, 0x1A1B); on-the-fly is not said to.
_MODE_POLLS: Final = 50
_MODE_POLL_MS: Final = 20

_BROKEN: Final = HardwareStatus.INCOMPATIBLE_DMD | HardwareStatus.RESET_CONTROLLER_ERROR
_DERAILED: Final = HardwareStatus.SEQUENCER_ABORT | HardwareStatus.SEQUENCER_ERROR

Progress = Callable[[int, int], None]
"""Told during an upload: (bytes done, bytes in all)."""


class Dlpc900:
    """``PatternModulator`` over USB HID.

    Each advance of TRIG_IN_1 shows the next pattern; TRIG_OUT_2 gives an edge when its
    exposure starts. After a stop the controller's idle mode flips all mirrors with equal
    time on both sides, as TI asks for whenever nothing is shown.

    Args:
        hid: The controller.
        dmd: Type of the DMD.
        mirror_scale_px: Mirrors per mask pixel, both ways.
        reply_timeout_ms: How long one reply may take.
        progress: Told after every block of an upload.

    Raises:
        BoardConfigError: Unknown DMD, or a scale below 1.
    """

    def __init__(
        self,
        hid: HidDevice,
        dmd: str = "DLP6500",
        *,
        mirror_scale_px: int,
        reply_timeout_ms: int = 1_000,
        progress: Progress | None = None,
    ) -> None:
        self._link = Dlpc900Link(hid, reply_timeout_ms)
        self._dmd = dmd_named(dmd)
        if mirror_scale_px < 1:
            raise BoardConfigError(f"mirror_scale_px is {mirror_scale_px}.", hint="1 or more.")
        self._mirror_scale_px = mirror_scale_px
        self._progress = progress
        self._loaded_digest: str | None = None
        self._is_in_pass = False

    @property
    def loaded_digest(self) -> str | None:
        """Digest of the loaded sequence; ``None`` when it is or may be lost."""
        return self._loaded_digest

    def load(self, sequence: PatternSet, exposure_ns: int) -> None:
        """Upload ``sequence``; takes from a fraction of a second to a minute.

        Limits are checked and all images encoded before the first byte is sent. The
        exposure is rounded up to whole microseconds.

        Raises:
            BusError: The controller refuses, does not answer or is gone.
            ShapeMismatchError: More patterns or larger masks than the DMD can show.
            BoardConfigError: An exposure that the controller cannot time.
        """
        exposure_us = _exposure_us(exposure_ns)
        images = self._encoded(sequence)
        self._loaded_digest = None
        with self._forgetting_masks_without_device():
            self._enter_on_the_fly()
            self._set_triggers()
            self._define(len(sequence), exposure_us)
            self._upload(images)
            # Definitions count only once configured, and images only for the configuration
            # that follows them.
            self._configure(len(sequence))
        self._loaded_digest = sequence.digest
        _log.info("DLPC900 loaded %r", sequence)

    def start(self) -> None:
        """Begin a pass: the first advance shows pattern 0. Ends one that still runs.

        Raises:
            BusError: Nothing is loaded, the controller was reset, refuses or is gone.
        """
        if self._loaded_digest is None:
            raise BusError("DLPC900 holds no masks.", kind=BusErrorKind.REFUSED, hint="load before start.")
        with self._forgetting_masks_without_device():
            self._check_mode_is_kept()
            self._sequencer(Sequencer.STOP)
            self._link.write(Command.DMD_IDLE, b"\x00")
            self._sequencer(Sequencer.START)
        self._is_in_pass = True

    def is_running(self) -> bool:
        """Whether the pass still has patterns to show. False once the last has ended.

        Raises:
            BusError: The sequencer has aborted, or the controller does not answer.
        """
        if not self._is_in_pass:
            # The controller also calls idle mode a running sequence (TI E2E 845747).
            return False
        with self._forgetting_masks_without_device():
            self._check_hardware(_BROKEN | _DERAILED)
            status = MainStatus(self._link.read_byte(Command.MAIN_STATUS))
        return bool(status & MainStatus.SEQUENCER_RUNNING)

    def stop(self) -> None:
        """End the pass and let the mirrors idle. Safe at any time, twice too."""
        self._is_in_pass = False
        with self._forgetting_masks_without_device():
            self._sequencer(Sequencer.STOP)
            self._link.write(Command.DMD_IDLE, b"\x01")

    def _encoded(self, sequence: PatternSet) -> list[bytes]:
        count, height, width = sequence.shape
        if count > self._dmd.lut_entries:
            found = f"{count} patterns in one pass, a {self._dmd.name} shows {self._dmd.lut_entries}."
            raise ShapeMismatchError(found, hint="fewer masks.")
        field = MirrorField(self._dmd, height, width, self._mirror_scale_px)
        return [encode_image(field.spread(image)) for image in pack_planes(sequence.masks)]

    def _enter_on_the_fly(self) -> None:
        # Stopped before and after the change: without it the controller can lock up.
        self._is_in_pass = False
        self._sequencer(Sequencer.STOP)
        self._link.write(Command.DMD_IDLE, b"\x00")
        self._check_hardware(_BROKEN)
        self._link.write(Command.DISPLAY_MODE, bytes([DisplayMode.ON_THE_FLY]))
        for _ in range(_MODE_POLLS):
            if self._mode() == DisplayMode.ON_THE_FLY:
                self._sequencer(Sequencer.STOP)
                return
            self._link.pause(_MODE_POLL_MS)
        found = f"DLPC900 did not enter on-the-fly mode within {_MODE_POLLS * _MODE_POLL_MS} ms."
        raise BusError(found, kind=BusErrorKind.TIMEOUT, hint="power-cycle the board.")

    def _set_triggers(self) -> None:
        self._link.write(Command.TRIGGER_IN_1, trigger_in_1(TRIGGER_DELAY_US))
        self._link.write(Command.TRIGGER_OUT_2, trigger_out(0, 0))

    def _define(self, count: int, exposure_us: int) -> None:
        for k in range(count):
            image, plane = divmod(k, PLANES)
            entry = LutDefinition(k, exposure_us, image, plane, waits_for_trigger=True)
            self._link.write(Command.LUT_DEFINITION, entry.to_bytes())
        self._configure(count)

    def _configure(self, count: int) -> None:
        self._link.write(Command.LUT_CONFIGURATION, lut_configuration(count, patterns_to_show=count))

    def _upload(self, images: list[bytes]) -> None:
        done, total = 0, sum(map(len, images))
        # The last image first (DLPU018J, 0x1A2A: "always load the images in reverse order").
        for index, image in reversed(list(enumerate(images))):
            self._link.write(Command.IMAGE_START, image_start(index, len(image)))
            for start in range(0, len(image), MAX_BLOCK_BYTES):
                block = image[start : start + MAX_BLOCK_BYTES]
                self._link.write(Command.IMAGE_BLOCK, image_block(block))
                done += len(block)
                if self._progress is not None:
                    self._progress(done, total)

    def _check_mode_is_kept(self) -> None:
        if self._mode() != DisplayMode.ON_THE_FLY:
            self._loaded_digest = None
            found = "DLPC900 has left on-the-fly mode: it was reset and holds no masks."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint="load again.")

    def _check_hardware(self, unwanted: HardwareStatus) -> None:
        status = HardwareStatus(self._link.read_byte(Command.HARDWARE_STATUS))
        found = status & unwanted
        if found or not status & HardwareStatus.INITIALISED:
            names = found.name or "not initialised"
            raise BusError(
                f"DLPC900 reports {names}.", kind=BusErrorKind.OTHER, hint="stop, then load again."
            )

    def _mode(self) -> int:
        return self._link.read_byte(Command.DISPLAY_MODE) & 3

    def _sequencer(self, action: Sequencer) -> None:
        self._link.write(Command.START_STOP, bytes([action]))

    @contextmanager
    def _forgetting_masks_without_device(self) -> Iterator[None]:
        try:
            yield
        except BusError as error:
            if error.kind is BusErrorKind.NO_DEVICE:
                self._loaded_digest = None
                self._is_in_pass = False
            raise


def _exposure_us(exposure_ns: int) -> int:
    exposure_us = -(-exposure_ns // NS_PER_US)
    if exposure_ns < MIN_EXPOSURE_US * NS_PER_US or exposure_us > MAX_EXPOSURE_US:
        found = f"A DLPC900 cannot expose {exposure_ns} ns."
        raise BoardConfigError(found, hint=f"exposure_us from {MIN_EXPOSURE_US} to {MAX_EXPOSURE_US}.")
    return exposure_us
