"""A converter behind the serial co-processor: whole passes of raw samples.

The co-processor waits for the exposure edges of the DMD controller and clocks an AD7383
itself, so the host's timing does not matter. Raw samples travel; sums are made here.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.blame import Blame
from firmware.drivers.coproc_frames import (
    Configuration,
    Data,
    Frame,
    Kind,
    Refusal,
    Summary,
    Timing,
    parse_data,
    parse_summary,
)
from firmware.drivers.coproc_link import CoprocLink, RefusedError, restarted
from lsi.errors import (
    BoardConfigError,
    BusError,
    BusErrorKind,
    ExposureError,
    FrameError,
    Part,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
)
from lsi.measurement import ScanPlan

RESENDS: Final = 3
"""How often what the line has damaged is asked for."""
_PASSES: Final = 255
"""Pass numbers run from 1 to this; 0 is a co-processor that has not been armed."""
_CONVERTER: Final = Blame(Part.CONVERTER)
_SIGN: Final = np.uint16(0x8000)
_STILL_EXPOSED: Final = 0b10
"""In the closing word: the trigger was still high one frame after the last conversion."""


class PassBuffer:
    """Room for the samples of one pass, used again for every pass.

    Args:
        masks: Exposures of a pass.
        samples: Conversions per exposure.
    """

    def __init__(self, masks: int, samples: int) -> None:
        self._samples = samples
        # A row per exposure: K words, channel A in the upper half, and before the last of them
        # the closing word.
        self._words: NDArray[np.uint32] = np.zeros((masks, samples + 1), "<u4")
        self._samples_at = np.delete(np.arange(samples + 1), samples - 1)
        self._seen = np.zeros(masks, np.bool_)
        self.left = masks

    def clear(self) -> None:
        """Begin a pass."""
        self._seen[:] = False
        self.left = len(self._seen)

    def add(self, data: Data) -> None:
        """Take exposures in; what is there already has to be the same.

        Raises:
            FrameError: Not whole exposures, or beyond the pass.
            ScanError: An exposure came twice with different samples.
        """
        end, row_bytes = data.first + data.masks, 4 * self._words.shape[1]
        if end > len(self._seen) or len(data.words) != data.masks * row_bytes:
            found = (
                f"{len(data.words)} bytes for {data.masks} exposures from {data.first} of {len(self._seen)}."
            )
            raise FrameError(found, hint="the same version of firmware and host.")
        rows = np.frombuffer(data.words, "<u4").reshape(data.masks, -1)
        seen, words = self._seen[data.first : end], self._words[data.first : end]
        if seen.any() and not np.array_equal(rows[seen], words[seen]):
            found = f"An exposure of {data.first} to {end - 1} came twice, with different samples."
            raise ScanError(found, hint="check the serial line.")
        self.left -= data.masks - int(np.count_nonzero(seen))
        words[:] = rows
        seen[:] = True

    def gaps(self) -> list[tuple[int, int]]:
        """Runs of exposures that are missing: first, number."""
        edges = np.flatnonzero(np.diff(np.concatenate([[True], self._seen, [True]])))
        return [(int(start), int(end - start)) for start, end in edges.reshape(-1, 2)]

    def cut_short(self) -> int:
        """Exposures that ended before their last conversion was over."""
        return int(np.count_nonzero(self._words[:, -2] & _STILL_EXPOSED == 0))

    def codes(self) -> NDArray[np.uint16]:
        """(masks, 2, samples): channels A and B as the converter sent them."""
        # The view splits each word into its halves, the lower one, channel B, first.
        halves = self._words.view("<u2").reshape(len(self._words), -1, 2)
        return halves[:, self._samples_at, ::-1].transpose(0, 2, 1)


@dataclass(frozen=True, slots=True)
class CoprocSettings:
    """How the converter is wired and read.

    Attributes:
        spi_hz: Upper limit for SCLK; the spacing of conversions follows from it.
        channels: Channel of arm + and, where there is one, of arm -: 0 is A, 1 is B.
        early_fall_ns: How long before the end of an exposure its trigger falls.
    """

    spi_hz: int
    channels: tuple[int, ...] = (0, 1)
    early_fall_ns: int = 0


class Coproc:
    """Passes of samples from an AD7380 or AD7383.

    The converter sends two's complement; counts have its zero at half scale.

    Args:
        link: The co-processor.
        plan: Guard, number of samples and the exposure that they have to fit into.
        settings: Of the converter.
    """

    def __init__(self, link: CoprocLink, plan: ScanPlan, settings: CoprocSettings) -> None:
        self._link = link
        self._plan = plan
        self._settings = settings
        self._channels = list(settings.channels)
        self._high_ns = plan.exposure_ns - settings.early_fall_ns
        self._buffer = PassBuffer(1, plan.samples_per_pattern)
        self._configuration = self._configuration_of(1)
        self._pass = 0
        self._summary: Summary | None = None

    def arm(self, patterns: int) -> None:
        """Sample the next ``patterns`` exposures.

        Raises:
            BoardConfigError: The samples do not fit into an exposure.
            BusError: It does not answer or refuses.
        """
        if patterns != self._configuration.masks:
            self._configuration = self._configuration_of(patterns)
            self._buffer = PassBuffer(patterns, self._plan.samples_per_pattern)
        self._buffer.clear()
        self._summary = None
        self._pass = self._pass % _PASSES + 1
        try:
            self._link.arm(self._pass, self._configuration)
        except RefusedError as error:
            if error.refusal is not Refusal.NOT_CONFIGURED:
                raise
            self._check_fits(self._link.configure(self._configuration))
            self._link.arm(self._pass, self._configuration)

    def collect(self, deadline_ns: int) -> None:
        """Take in what is sent until the pass has ended or the deadline has passed.

        Raises:
            BusError: It restarted, or the line is gone.
            FrameError: A frame that is sound but makes no sense.
            ScanError: An exposure came twice with different samples.
        """
        while self._summary is None:
            frame = self._link.next_frame(deadline_ns)
            if frame is None:
                return
            self._take(frame)

    def finish(self) -> NDArray[np.uint16]:
        """End the pass and check it; what the line has lost is asked for once more.

        Returns:
            Counts (patterns, arms, samples).

        Raises:
            TriggerTimeoutError: Not a single edge came.
            TriggerCountError: Another number of exposures than armed for.
            ExposureError: An exposure ended before its last conversion came out.
            BusError: Samples were lost in the co-processor or on the line, or it restarted.
            FrameError: The converter always sends the same.
        """
        self._check_count(self._summary or self._link.stop())
        self._fill_gaps()
        short = self._buffer.cut_short()
        if short:
            found = f"{short} of {self._configuration.masks} exposures ended before their last conversion."
            raise ExposureError(found, hint="raise scan.exposure_us; check which output TRIGGER is wired to.")
        codes = self._buffer.codes()
        if codes.min() == codes.max():
            found = "Every conversion of the pass reads the same on both channels."
            with _CONVERTER:
                raise FrameError(found, hint="check SDO, CS and power of the converter.")
        return codes[:, self._channels] ^ _SIGN

    def _take(self, frame: Frame) -> None:
        if frame.kind == Kind.DATA:
            data = parse_data(frame.payload)
            if data.pass_number == self._pass:
                self._buffer.add(data)
        else:
            summary = parse_summary(frame.payload)
            if summary.pass_number == self._pass:
                self._summary = summary

    def _fill_gaps(self) -> None:
        tries = 0
        while self._buffer.left and tries < RESENDS:
            tries += 1
            for first, masks in self._buffer.gaps():
                self._link.resend(self._pass, first, masks)
                while (frame := self._link.next_frame(0)) is not None:
                    self._take(frame)
        if self._buffer.left:
            asked = self._configuration.masks
            found = f"{self._buffer.left} of {asked} exposures were damaged on the line, again and again."
            raise BusError(found, kind=BusErrorKind.FRAME, hint="a shorter or shielded USB cable.")

    def _check_count(self, summary: Summary) -> None:
        asked = self._configuration.masks
        if summary.pass_number != self._pass:
            raise restarted()
        if summary.overrun:
            found = f"The co-processor lost samples after {summary.captured} of {asked} exposures."
            raise BusError(
                found, kind=BusErrorKind.OVERRUN, hint="fewer samples per pattern, longer exposures."
            )
        if not summary.edges:
            found = "The co-processor saw no exposure."
            raise TriggerTimeoutError(found, hint="check the wire from TRIG_OUT_1.")
        if summary.edges != asked or summary.captured != asked:
            found = f"{summary.edges} exposures began, {summary.captured} were sampled, {asked} asked for."
            raise TriggerCountError(found, hint="check the trigger wire for bounce and noise.")

    def _check_fits(self, timing: Timing) -> None:
        """The closing word is taken one frame after the last conversion, and has to see the trigger."""
        samples = self._plan.samples_per_pattern
        needed_ns = timing.guard_ns + samples * timing.spacing_ns
        if needed_ns > self._high_ns:
            found = f"Guard and {samples} conversions take {needed_ns:.0f} of {self._high_ns} ns of trigger."
            raise BoardConfigError(
                found, hint="fewer scan.samples_per_pattern or a faster coprocessor.spi_hz."
            )

    def _configuration_of(self, patterns: int) -> Configuration:
        plan = self._plan
        # An exposure too many would begin within the length of one.
        return Configuration(
            plan.settle_ns, plan.exposure_ns, self._settings.spi_hz, patterns, plan.samples_per_pattern
        )
