"""The pattern memory and sequencer inside the simulated DLPC900.

Ref: TI DLPU018J, pages of 0x1A24, 0x1A2A, 0x1A2B, 0x1A31 and 0x1A34. Codes that methods
return are those of command 0x0100; 0 is "done". Not modelled: patterns that need no
trigger, more than one bit of depth, pause.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from firmware.sim.dlpc900_image import (
    ENHANCED_RLE,
    HEADER_BYTES,
    UNCOMPRESSED,
    StoredImage,
    compression_of,
    decode_image,
)
from firmware.sim.dlpc900_mirrors import ALL_OFF, MOVE_NS, MirrorState, MirrorTimeline, Shown
from lsi.errors import FrameError
from lsi.units import NS_PER_US

Waiting = Literal["hold", "dark"]

WIDTH_PX: Final = 1920
HEIGHT_PX: Final = 1080
DONE: Final = 0
NOT_NOW: Final = 5
BAD_PARAMETER: Final = 6
ABSENT: Final = 7
BAD_COMPRESSION: Final = 9
BAD_BIT: Final = 10
BAD_EXPOSURE: Final = 14
BAD_NUMBER: Final = 15
BAD_DEFINITION: Final = 16
BAD_IMAGE: Final = 17

_LUT_ENTRIES: Final = 400
_IMAGES: Final = 18
_BITS: Final = 24
_BLACK_US: Final = 105
_WAIT: Final = 0x80
_DEPTH_AND_WAIT: Final = 0x8E
_MAX_IMAGE_BYTES: Final = HEADER_BYTES + 4 * WIDTH_PX * HEIGHT_PX


@dataclass(frozen=True, slots=True)
class LutEntry:
    """One definition of 0x1A34."""

    exposure_ns: int
    image: int
    bit: int
    gives_trigger_out: bool


@dataclass(slots=True)
class TriggerSettings:
    """Delay of TRIG_IN_1 to the exposure and of the exposure to TRIG_OUT_2."""

    in_delay_us: int = 105
    out_delay_us: int = 0


class PatternMemory:
    """Definitions, the active look-up table and the images; ``revision`` counts changes."""

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        self.active: list[LutEntry] = []
        self.patterns_to_show = 0
        self.is_armed = False
        self._defined: dict[int, LutEntry] = {}
        self._images: dict[int, StoredImage] = {}
        self._incoming = bytearray()
        self._incoming_index = 0
        self._incoming_size: int | None = None
        self._next_image = 0

    def define(self, data: bytes) -> int:
        """0x1A34. Images must be uploaded again after a definition."""
        index, options = int.from_bytes(data[:2], "little"), data[5]
        exposure_us = int.from_bytes(data[2:5], "little")
        image = int.from_bytes(data[10:12], "little")
        checks = (
            (index < _LUT_ENTRIES, BAD_NUMBER),
            (exposure_us >= _BLACK_US, BAD_EXPOSURE),
            (options & _DEPTH_AND_WAIT == _WAIT, BAD_DEFINITION),
            (image >> 11 < _BITS, BAD_BIT),
            (image & 0x7FF < _IMAGES, BAD_IMAGE),
        )
        code = next((code for holds, code in checks if not holds), DONE)
        if code == DONE:
            entry = LutEntry(exposure_us * NS_PER_US, image & 0x7FF, image >> 11, data[9] & 1 == 0)
            self._defined[index] = entry
            self._images.clear()
            self.is_armed = False
        return code

    def configure(self, entries: int, patterns_to_show: int) -> int:
        """0x1A31: make the first ``entries`` definitions the active table."""
        if not 1 <= entries <= _LUT_ENTRIES:
            return BAD_NUMBER
        if any(k not in self._defined for k in range(entries)):
            return BAD_DEFINITION
        self.active = [self._defined[k] for k in range(entries)]
        self.patterns_to_show = patterns_to_show
        self.is_armed = all(entry.image in self._images for entry in self.active)
        self._next_image = self._last_image
        self.revision += 1
        return DONE

    @property
    def _last_image(self) -> int:
        return max(entry.image for entry in self.active)

    def begin_image(self, index: int, size: int) -> int:
        """0x1A2A: the last image of the active table first, then downwards."""
        if not self.active:
            return NOT_NOW
        if index >= _IMAGES or index not in (self._next_image, self._last_image):
            return BAD_IMAGE
        if not HEADER_BYTES < size <= _MAX_IMAGE_BYTES:
            return BAD_PARAMETER
        self.is_armed = False
        self._images.pop(index, None)
        self._incoming, self._incoming_index, self._incoming_size = bytearray(), index, size
        self._next_image = index - 1
        return DONE

    def add_block(self, block: bytes) -> int:
        """0x1A2B: the next bytes of the image that was begun."""
        if self._incoming_size is None:
            return NOT_NOW
        self._incoming += block
        if len(self._incoming) < self._incoming_size:
            return DONE
        is_whole = len(self._incoming) == self._incoming_size
        self._incoming_size = None
        return self._store(bytes(self._incoming)) if is_whole else BAD_PARAMETER

    def _store(self, image: bytes) -> int:
        if compression_of(image) not in (UNCOMPRESSED, ENHANCED_RLE):
            return BAD_COMPRESSION
        try:
            self._images[self._incoming_index] = decode_image(image, WIDTH_PX, HEIGHT_PX)
        except FrameError:
            return BAD_PARAMETER
        self.revision += 1
        return DONE

    def plane(self, k: int) -> NDArray[np.bool_]:
        """Mirrors of entry ``k`` of the active table, (1080, 1920)."""
        entry = self.active[k]
        return self._images[entry.image].plane(entry.bit)

    def open_fraction(
        self, shape: tuple[int, int], origin_px: tuple[int, int], scale_px: int
    ) -> NDArray[np.float32]:
        """Share of open mirrors per square of ``scale_px``, (n, h, w) in the order of the table."""
        fractions = [
            self._images[entry.image].open_fraction(entry.bit, shape, origin_px, scale_px)
            for entry in self.active
        ]
        return np.stack(fractions) if fractions else np.zeros((0, *shape), np.float32)

    @property
    def is_complete(self) -> bool:
        """Whether there is a table and every image it names."""
        return bool(self.active) and all(entry.image in self._images for entry in self.active)


class Sequencer:
    """Shows the active table, one entry per trigger.

    Args:
        memory: What to show.
        timeline: Told what the mirrors do.
        waiting: After an exposure, until the next trigger: "hold" keeps the mask,
            "dark" turns all mirrors off, as DLPU018J says of a pattern before one that
            waits for a trigger (0x1A31).
    """

    def __init__(self, memory: PatternMemory, timeline: MirrorTimeline, waiting: Waiting) -> None:
        self.triggers = TriggerSettings()
        self._memory = memory
        self._timeline = timeline
        self._waiting = waiting
        self._is_started = False
        self._shown_count = 0
        self._busy_until_ns = 0

    def start(self, now_ns: int) -> int:
        """0x1A24 2: wait for the first trigger."""
        if not self._memory.is_complete:
            return ABSENT
        if not self._memory.is_armed:
            return NOT_NOW
        self._is_started = True
        self._shown_count = 0
        self._busy_until_ns = now_ns
        self._timeline.change(now_ns, ALL_OFF)
        return DONE

    def stop(self, now_ns: int) -> None:
        """0x1A24 0: at once."""
        self._is_started = False
        self._timeline.change(now_ns, ALL_OFF)

    def is_running(self, now_ns: int) -> bool:
        """From the start until the last exposure of the pass has ended."""
        return self._is_started and (self._has_more or now_ns < self._busy_until_ns)

    @property
    def _has_more(self) -> bool:
        limit = self._memory.patterns_to_show
        return limit == 0 or self._shown_count < limit

    def trigger_in(self, now_ns: int) -> int | None:
        """A pulse on TRIG_IN_1; see ``SimDlpc900.trigger_in``."""
        if not self._is_started or not self._has_more or now_ns < self._busy_until_ns:
            return None
        plane = self._shown_count % len(self._memory.active)
        entry = self._memory.active[plane]
        begins_ns = now_ns + self.triggers.in_delay_us * NS_PER_US
        self._shown_count += 1
        self._busy_until_ns = begins_ns + entry.exposure_ns
        self._plan(begins_ns, plane)
        return begins_ns + self.triggers.out_delay_us * NS_PER_US if entry.gives_trigger_out else None

    def _plan(self, begins_ns: int, plane: int) -> None:
        self._timeline.change(begins_ns - _BLACK_US * NS_PER_US, ALL_OFF)
        self._timeline.change(begins_ns, Shown(MirrorState.MOVING, plane))
        self._timeline.change(begins_ns + MOVE_NS, Shown(MirrorState.PLANE, plane))
        if self._waiting == "dark":
            self._timeline.change(self._busy_until_ns, ALL_OFF)
