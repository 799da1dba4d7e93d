"""Acquisition mode ``oversampled``: the DMD runs freely, a stream samples it with its trigger.

No wire leads from the host to the DMD and no timing of the host matters: what belongs to
which pattern is read afterwards from the trigger that was sampled beside the arms
(``firmware.acquisition.segmentation``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.flicker import Flicker, detect_flicker, without_flicker
from firmware.acquisition.running_pass import running_pass
from firmware.acquisition.segmentation import MIN_SWING, Waveform, segment
from firmware.acquisition.stream_record import StreamRecord
from firmware.blame import Blame
from firmware.interfaces import (
    Advance,
    Clock,
    PassSamples,
    PatternModulator,
    SampleStream,
    StreamBlock,
    StreamRole,
)
from lsi.errors import BoardConfigError, Part, TriggerCountError, TriggerTimeoutError
from lsi.measurement import ScanPlan
from lsi.units import NS_PER_US

_CONTROLLER, _CONVERTER = Blame(Part.CONTROLLER), Blame(Part.CONVERTER)

_SPARE_EXPOSURES: Final = 2
"""How much longer than planned a pass may last, besides ``ScanPlan.trigger_timeout_ns``."""


@dataclass(slots=True)
class OversampledAcquisition:
    """``Acquisition`` of a free-running pass.

    The modulator has to give the waveform that ``firmware.acquisition.segmentation`` describes, and to come
    back from ``start`` as soon as the start is on its way. ``trimmed_count`` goes into
    ``PassSamples``. With ``lamp_zero_counts``, what the lamp channel reads without light,
    counts are divided by the lamp; the ratio of two arms does not need it.

    Raises:
        BoardConfigError: The stream has no trigger, or no lamp that is to be divided by; or all
            samples would be trimmed.
    """

    plan: ScanPlan
    modulator: PatternModulator
    stream: SampleStream
    clock: Clock
    trimmed_count: int = 0
    lamp_zero_counts: float | None = None
    advance: Advance = field(default=Advance.FREE_RUNNING, init=False)
    _record: StreamRecord = field(init=False, repr=False)
    _is_awake: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._record = StreamRecord(self.stream.roles, self.stream.scale.full_scale_counts)
        if not 0 <= 2 * self.trimmed_count < self.plan.samples_per_pattern:
            found = f"{self.trimmed_count} of {self.plan.samples_per_pattern} samples trimmed at either end."
            raise BoardConfigError(found, hint="less than half of scan.samples_per_pattern.")
        if self.lamp_zero_counts is not None and not self._record.has(StreamRole.LAMP):
            found = "Counts cannot be divided by the lamp: the stream has no lamp channel."
            raise BoardConfigError(found, hint="converter.lamp_channel.")

    def acquire(self, patterns: int) -> PassSamples:
        """Start, record until the trigger stays low, cut into patterns; see ``Acquisition``.

        Raises:
            TriggerTimeoutError: The trigger channel does not change.
            TriggerCountError: Another number of exposures than ``patterns``, or bounce.
            ExposureError: Exposures of another length than planned.
            ScanError: The stream stands still, or left too much of a pattern unseen.
            BusError: A bus failed.
            FrameError: Something received is not a conversion.
        """
        self._record.clear()
        self._wake_stream()
        with running_pass(self.modulator):
            self._record_pass(patterns)
            with _CONTROLLER:
                is_running = self.modulator.is_running()
            if is_running:
                found = "The trigger stays low, but the controller still has patterns to show."
                raise TriggerCountError(found, hint="the wire from TRIG_OUT_1.")
        waveform = Waveform.of(self.plan)
        windows = segment(self._record, patterns, self.plan.samples_per_pattern, waveform)
        counts = self._counts_at(windows.rows)
        return PassSamples(counts, self.stream.scale, windows.dropped_count, self.trimmed_count)

    def flicker(self, dark_counts: float) -> Flicker | None:
        """How the light changed during the last pass; a figure of the lamp, not of the scene.

        From the lamp channel where its zero is known, else from the sum of the arms, which is
        the same for every mask. Takes milliseconds; not for the scan loop.

        Args:
            dark_counts: What the sum of the arms reads without light.

        Returns:
            ``None`` when the pass was too short to tell, or none has been recorded.
        """
        if not len(self._record):
            return None
        roles, zero_counts = self._arms(), dark_counts
        if self.lamp_zero_counts is not None:
            roles, zero_counts = [StreamRole.LAMP], self.lamp_zero_counts
        light = sum(self._record.channel(role).astype(np.float64) for role in roles) - zero_counts
        return detect_flicker(np.asarray(light), self._record.times_ns())

    def _arms(self) -> Sequence[StreamRole]:
        arms = (StreamRole.ARM_PLUS, StreamRole.ARM_MINUS)
        return [role for role in arms if self._record.has(role)]

    def _counts_at(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        counts = self._record.gather(rows, self._arms())
        if self.lamp_zero_counts is None:
            return counts
        lamp = self._record.gather(rows, [StreamRole.LAMP]).astype(np.float64)
        return without_flicker(counts, lamp - self.lamp_zero_counts, self.stream.scale)

    def _wake_stream(self) -> None:
        """One block for nothing before the first pass: a converter sets itself up when it is first read."""
        if not self._is_awake:
            with _CONVERTER:
                self.stream.read()
            self._is_awake = True

    def _record_pass(self, patterns: int) -> None:
        """Read blocks until the trigger has stayed low for one exposure after the last."""
        plan = self.plan
        lasts_ns = (patterns + _SPARE_EXPOSURES) * plan.exposure_ns
        deadline_ns = self.clock.now_ns() + plan.trigger_timeout_ns + lasts_ns
        watch = _TriggerWatch(plan.exposure_ns, int(MIN_SWING * self.stream.scale.full_scale_counts))
        column = list(self.stream.roles).index(StreamRole.TRIGGER)
        while not watch.is_over:
            with _CONVERTER:
                block = self.stream.read()
            self._record.add(block)
            watch.see(block, column)
            if block.ended_at_ns > deadline_ns and not watch.is_over:
                raise watch.late(lasts_ns)


class _TriggerWatch:
    """Tells when a pass is over, block by block and without allocating."""

    def __init__(self, exposure_ns: int, least_swing_counts: int) -> None:
        self.is_over = False
        self._exposure_ns = exposure_ns
        self._least_swing_counts = least_swing_counts
        self._low = np.iinfo(np.uint16).max
        self._high = 0
        self._last_high_ns: int | None = None
        self._ended_ns = 0

    def see(self, block: StreamBlock, column: int) -> None:
        """Take the next block into account."""
        trigger = block.counts[:, column]
        if not self._has_changed:
            self._low = min(self._low, int(trigger.min()))
            self._high = max(self._high, int(trigger.max()))
        if self._has_changed:
            self._see_level(block, trigger, (self._low + self._high) // 2)
        self._ended_ns = block.ended_at_ns

    @property
    def _has_changed(self) -> bool:
        return self._high - self._low >= self._least_swing_counts

    def _see_level(self, block: StreamBlock, trigger: NDArray[np.uint16], middle: int) -> None:
        if trigger[-1] > middle:
            self._last_high_ns = block.ended_at_ns
            return
        after_last = len(trigger) - int((trigger[::-1] > middle).argmax())
        if trigger[after_last - 1] > middle:
            taken_ns = block.ended_at_ns - block.started_at_ns
            self._last_high_ns = block.started_at_ns + taken_ns * after_last // len(trigger)
        elif self._last_high_ns is None:
            # High from the first sample on, so that no level was known before the first low one.
            self._last_high_ns = self._ended_ns
        self.is_over = block.ended_at_ns - self._last_high_ns >= self._exposure_ns

    def late(self, lasts_ns: int) -> TriggerTimeoutError | TriggerCountError:
        """What is wrong with a pass that is not over in time."""
        if not self._has_changed:
            found = f"The trigger channel did not change for {lasts_ns / NS_PER_US:.0f} us."
            return TriggerTimeoutError(found, hint="the wire from TRIG_OUT_1 and its divider.")
        found = f"The pass is not over {lasts_ns / NS_PER_US:.0f} us after its start."
        return TriggerCountError(found, hint="load the masks again; the controller runs another sequence.")
