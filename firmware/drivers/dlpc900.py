"""A DMD behind a TI DLPC900, loaded over USB in pattern-on-the-fly mode.

Ref: TI DLPC900 Programmer's Guide DLPU018J, section 5.3 "Pattern On-The-Fly Example",
and the pages of the commands named here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from firmware.drivers.dlpc900_cache import EncodedCache
from firmware.drivers.dlpc900_codes import DisplayMode, HardwareStatus, MainStatus
from firmware.drivers.dlpc900_controller import Dlpc900Controller
from firmware.drivers.dlpc900_image import CODING_VERSION, encode_masks
from firmware.drivers.dlpc900_patterns import MIN_TRIGGER_IN_DELAY_US, LutDefinition
from firmware.drivers.dlpc900_status import FAULTS, Dlpc900Status
from firmware.drivers.dlpc900_upload import Image, Progress, ProgressSink, before_upload, upload
from firmware.drivers.dmds import PLANES_PER_IMAGE, dmd_named
from firmware.drivers.mirror_field import MirrorField
from firmware.interfaces import TRIG_OUT_1_EARLY_FALL_US, Advance, Clock, HidDevice
from lsi.errors import BoardConfigError, BusError, BusErrorKind, ShapeMismatchError
from lsi.frozen import digest_of
from lsi.patterns import PatternSet
from lsi.placement import CENTRED, Placement
from lsi.units import NS_PER_US

_log = logging.getLogger(__name__)

MAX_EXPOSURE_US: Final = 0xFF_FFFF
"""24 bit in the LUT definition."""
_BROKEN: Final = HardwareStatus.INCOMPATIBLE_DMD | HardwareStatus.RESET_CONTROLLER_ERROR

# Video-pattern mode takes 300 ms to settle (DLPU018J, 0x1A1B); on-the-fly is not said to.
_MODE_POLLS: Final = 50
_MODE_POLL_MS: Final = 20


class Dlpc900:
    """``PatternModulator`` over USB HID.

    TRIG_OUT_1 frames each exposure, up to ``TRIG_OUT_1_EARLY_FALL_US`` before its end;
    TRIG_OUT_2 gives a pulse when one begins. Loaded ``TRIGGERED``, each edge of TRIG_IN_1
    shows the next pattern, 105 us later. Loaded ``FREE_RUNNING``, a start shows all of
    them one after another, and returns as soon as it is on the wire, so that whoever
    samples is in time for the first.

    After a stop the controller's idle mode flips all mirrors with equal time on both
    sides, as TI asks for whenever nothing is shown.

    Args:
        hid: The controller.
        dmd: Type of the DMD; ``load`` refuses to go on with another one.
        mirror_scale_px: Mirrors per mask pixel, both ways.
        placement: Where the field lies on the mirrors.
        reply_timeout_ms: How long one reply may take.
        progress: Told before the first byte of an upload and after every block.
        clock: By which ``progress`` measures the rate.
        cache: Where encoded masks are kept.

    Raises:
        BoardConfigError: Unknown DMD, or a scale below 1.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        hid: HidDevice,
        dmd: str = "DLP6500",
        *,
        mirror_scale_px: int,
        placement: Placement = CENTRED,
        reply_timeout_ms: int = 1_000,
        progress: ProgressSink | None = None,
        clock: Clock | None = None,
        cache: EncodedCache | None = None,
    ) -> None:
        self._controller = Dlpc900Controller(hid, reply_timeout_ms)
        self._dmd = dmd_named(dmd)
        if mirror_scale_px < 1:
            raise BoardConfigError(f"mirror_scale_px is {mirror_scale_px}.", hint="1 or more.")
        self._mirror_scale_px = mirror_scale_px
        self._placement = placement
        self._progress = progress
        self._clock = clock
        self._cache = cache
        self._advance = Advance.TRIGGERED
        self._loaded_digest: str | None = None
        self._is_in_pass = False

    @property
    def loaded_digest(self) -> str | None:
        """Digest of the loaded sequence; ``None`` when it is or may be lost."""
        return self._loaded_digest

    def status(self) -> Dlpc900Status:
        """What the controller says about itself; may be asked at any time.

        Raises:
            BusError: The controller does not answer or is gone.
        """
        with self._forgetting_masks_without_device():
            return self._controller.status()

    def estimate(self, sequence: PatternSet) -> Progress:
        """What a load of ``sequence`` will be; nothing is sent.

        Raises:
            ShapeMismatchError: More patterns or larger masks than the DMD can show.
        """
        return before_upload(self._encoded(sequence))

    def load(self, sequence: PatternSet, exposure_ns: int, advance: Advance = Advance.TRIGGERED) -> None:
        """Upload ``sequence``; takes from a fraction of a second to a minute.

        Limits are checked and all images encoded before the first byte is sent. The
        exposure is rounded up to whole microseconds.

        Raises:
            BusError: The controller refuses, does not answer or is gone.
            ShapeMismatchError: More patterns or larger masks than the DMD can show.
            BoardConfigError: An exposure that the controller cannot time, or another DMD
                than the board file names.
        """
        exposure_us = self._exposure_us(exposure_ns)
        images = self._encoded(sequence)
        self._loaded_digest = None
        with self._forgetting_masks_without_device():
            self._controller.drain()
            self._check_dmd()
            self._enter_on_the_fly()
            self._set_triggers()
            self._define(len(sequence), exposure_us, advance)
            upload(self._controller, images, self._progress, self._clock)
            # One open driver found the images to count only for a configuration that
            # follows them; TI's example does without.
            self._controller.configure(len(sequence), len(sequence))
        self._loaded_digest = sequence.digest
        self._advance = advance
        _log.info("DLPC900 loaded %r, %s", sequence, advance)

    def start(self) -> None:
        """Begin a pass; ends one that still runs.

        Raises:
            BusError: Nothing is loaded, the controller was reset, refuses or is gone.
        """
        if self._loaded_digest is None:
            raise BusError("DLPC900 holds no masks.", kind=BusErrorKind.REFUSED, hint="load before start.")
        with self._forgetting_masks_without_device():
            self._check_mode_is_kept()
            self._controller.stop_sequence()
            self._controller.end_idle()
            with self._forgetting_refused_masks():
                self._begin()
        self._is_in_pass = True

    def is_running(self) -> bool:
        """Whether the pass still has patterns to show. False once the last has ended.

        Raises:
            BusError: The sequencer has aborted, the masks were lost meanwhile, or the
                controller does not answer.
        """
        if not self._is_in_pass:
            # The controller also calls idle mode a running sequence (TI E2E 845747).
            return False
        with self._forgetting_masks_without_device():
            self._confirm_start()
            self._check_hardware(FAULTS)
            is_running = MainStatus.SEQUENCER_RUNNING in self._controller.main_status()
            if not is_running:
                # A controller that was reset has stopped too.
                self._check_mode_is_kept()
        return is_running

    def stop(self) -> None:
        """End the pass and let the mirrors idle. Safe at any time, twice too.

        A reply that gets lost is asked for once more.

        Raises:
            BusError: The controller does not answer, refuses or is gone.
        """
        self._is_in_pass = False
        with self._forgetting_masks_without_device():
            self._end_start()
            _insist(self._controller.stop_sequence)
            self._idle()

    def _encoded(self, sequence: PatternSet) -> list[Image]:
        count, height, width = sequence.shape
        if count > self._dmd.patterns:
            found = f"{count} patterns in one pass, a {self._dmd.name} shows {self._dmd.patterns}."
            raise ShapeMismatchError(found, hint="fewer masks.")
        field = MirrorField(self._dmd, height, width, self._mirror_scale_px, self._placement)
        if self._cache is None:
            return encode_masks(sequence.masks, field)
        name = digest_of(sequence.digest.encode(), repr(field).encode(), bytes([CODING_VERSION]))
        images = self._cache.get(name)
        if images is None:
            images = encode_masks(sequence.masks, field)
            self._cache.put(name, images)
        return images

    def _exposure_us(self, exposure_ns: int) -> int:
        exposure_us = -(-exposure_ns // NS_PER_US)
        least_us = self._dmd.min_exposure_us
        if exposure_ns < least_us * NS_PER_US or exposure_us > MAX_EXPOSURE_US:
            found = f"A DLPC900 with a {self._dmd.name} cannot expose {exposure_ns} ns."
            raise BoardConfigError(found, hint=f"exposure_us from {least_us} to {MAX_EXPOSURE_US}.")
        return exposure_us

    def _check_dmd(self) -> None:
        attached = self._controller.dmd_type()
        if attached.code != self._dmd.type_code:
            found = f"The controller has a {attached.name}, the board file names a {self._dmd.name}."
            raise BoardConfigError(found, hint="modulator.dmd as it is printed on the DMD.")

    def _enter_on_the_fly(self) -> None:
        # Stopped before and after the change: without it the controller can lock up.
        self._is_in_pass = False
        self._controller.stop_sequence()
        self._controller.end_idle()
        self._check_hardware(_BROKEN)
        self._controller.set_mode(DisplayMode.ON_THE_FLY)
        for _ in range(_MODE_POLLS):
            if self._controller.mode() == DisplayMode.ON_THE_FLY:
                self._controller.stop_sequence()
                return
            self._controller.pause(_MODE_POLL_MS)
        found = f"DLPC900 did not enter on-the-fly mode within {_MODE_POLLS * _MODE_POLL_MS} ms."
        raise BusError(found, kind=BusErrorKind.TIMEOUT, hint="power-cycle the board.")

    def _set_triggers(self) -> None:
        self._controller.set_trigger_in_1(MIN_TRIGGER_IN_DELAY_US)
        self._controller.set_trigger_out_1(0, -TRIG_OUT_1_EARLY_FALL_US)
        self._controller.set_trigger_out_2(0, 0)

    def _define(self, count: int, exposure_us: int, advance: Advance) -> None:
        waits = advance is Advance.TRIGGERED
        for k in range(count):
            image, plane = divmod(k, PLANES_PER_IMAGE)
            self._controller.define(LutDefinition(k, exposure_us, image, plane, waits_for_trigger=waits))
        self._controller.configure(count, count)

    def _begin(self) -> None:
        if self._advance is Advance.FREE_RUNNING:
            self._controller.post_start()
        else:
            self._controller.start_sequence()

    def _confirm_start(self) -> None:
        """Wait for the answer to a start that nobody waited for; its loss is no answer."""
        try:
            with self._forgetting_refused_masks():
                self._controller.confirm_start()
        except BusError as error:
            if error.kind is not BusErrorKind.TIMEOUT:
                raise

    def _end_start(self) -> None:
        """Take note of a start that was refused, but stop all the same."""
        try:
            self._confirm_start()
        except BusError as error:
            if error.kind is BusErrorKind.NO_DEVICE:
                raise
            _log.warning("the start of the pass that ends now failed: %s", error.found)

    def _idle(self) -> None:
        try:
            _insist(self._controller.let_idle)
        except BusError as error:
            # Parked mirrors are as safe as idle ones, and cannot idle.
            is_refused = error.kind is BusErrorKind.REFUSED
            if not is_refused or MainStatus.PARKED not in self._controller.main_status():
                raise

    def _check_mode_is_kept(self) -> None:
        if self._controller.mode() != DisplayMode.ON_THE_FLY:
            self._loaded_digest = None
            found = "DLPC900 has left on-the-fly mode: it was reset and holds no masks."
            raise BusError(found, kind=BusErrorKind.REFUSED, hint="load again.")

    def _check_hardware(self, unwanted: HardwareStatus) -> None:
        status = self._controller.hardware_status()
        found = status & unwanted
        if found or HardwareStatus.INITIALISED not in status:
            names = found.name or "not initialised"
            raise BusError(
                f"DLPC900 reports {names}.", kind=BusErrorKind.OTHER, hint="stop, then load again."
            )

    @contextmanager
    def _forgetting_masks_without_device(self) -> Iterator[None]:
        try:
            yield
        except BusError as error:
            if error.kind is BusErrorKind.NO_DEVICE:
                self._loaded_digest = None
                self._is_in_pass = False
            raise

    @contextmanager
    def _forgetting_refused_masks(self) -> Iterator[None]:
        """A start that is refused means that the table or its images are not there."""
        try:
            yield
        except BusError as error:
            if error.kind is BusErrorKind.REFUSED:
                self._loaded_digest = None
                self._is_in_pass = False
            raise


def _insist(action: Callable[[], None]) -> None:
    """Do ``action``, and once more when its reply gets lost: it may be done twice."""
    try:
        action()
    except BusError as error:
        if error.kind is not BusErrorKind.TIMEOUT:
            raise
        action()
