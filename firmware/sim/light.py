"""Light that falls on a simulated DMD: a field of luminance, never a picture file.

Whoever decodes pictures does so elsewhere and sends light frames::

    magic "LSIL" | height u16 LE | width u16 LE | height x width float32 LE

Luminance is linear; 1 is white. Frames come from outside and are checked.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lsi.errors import FrameError
from lsi.frozen import frozen_array
from lsi.units import NS_PER_S

MAGIC: Final = b"LSIL"
_HEADER: Final = struct.Struct("<4sHH")
MAX_SIDE_PX: Final = 1024
MAX_LUMINANCE: Final = 1e6
DEFAULT_SIDE_PX: Final = 64

Field = NDArray[np.float32]


class LightSource(Protocol):
    """What shines on the DMD. ``revision`` changes whenever ``field`` does."""

    @property
    def field(self) -> Field:
        """Shape (H, W) float32: linear luminance, 1 is white."""
        ...

    @property
    def revision(self) -> int:
        """A number that changes with the field."""
        ...

    def advance(self) -> bool:
        """Move to the next scene; ``False`` when there is none, and the last one stays."""
        ...


@runtime_checkable
class ChangingLight(LightSource, Protocol):
    """Light whose brightness changes while its scene stays."""

    def factor_at(self, now_ns: int) -> float:
        """By what the field is to be multiplied at ``now_ns``; 0 is darkness."""
        ...


class StillLight:
    """One field for ever."""

    revision = 0

    def __init__(self, field: Field) -> None:
        self._field = _checked(field)

    @property
    def field(self) -> Field:
        """The field, read-only."""
        return self._field

    def advance(self) -> bool:
        """There is always light."""
        return True


class LightSequence:
    """One field after another; dark before the first, and the last one stays."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = iter(fields)
        self._field = _checked(np.zeros((DEFAULT_SIDE_PX, DEFAULT_SIDE_PX), np.float32))
        self._revision = 0

    @property
    def field(self) -> Field:
        """The field shown now."""
        return self._field

    @property
    def revision(self) -> int:
        """Fields shown so far."""
        return self._revision

    def advance(self) -> bool:
        """Show the next field."""
        following = next(self._fields, None)
        if following is None:
            return False
        self._field = _checked(following)
        self._revision += 1
        return True


class LightStream(LightSequence):
    """Light frames from a binary stream, one per scene; waiting for a frame blocks.

    Raises:
        FrameError: From :meth:`advance`: a frame that is cut off or makes no sense.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(_frames(stream))


@dataclass(slots=True)
class FlickeringLight:
    """``ChangingLight``: another source under a lamp that flickers, drifts or goes out.

    The brightness is a sine of ``flicker_hz`` and relative amplitude ``depth`` about 1, with
    ``pulsed`` a square wave; it drifts by ``drift_per_s`` and is gone from ``off_from_ns`` on.

    Raises:
        ValueError: A depth outside 0..1, or a frequency below 0.
    """

    source: LightSource
    flicker_hz: float = 100.0
    depth: float = 0.0
    drift_per_s: float = 0.0
    pulsed: bool = False
    off_from_ns: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= 1 or self.flicker_hz < 0:
            message = f"depth {self.depth} must lie in 0..1 and flicker_hz {self.flicker_hz} not below 0"
            raise ValueError(message)

    @property
    def field(self) -> Field:
        """The field of the source."""
        return self.source.field

    @property
    def revision(self) -> int:
        """That of the source."""
        return self.source.revision

    def advance(self) -> bool:
        """Move the source to its next scene."""
        return self.source.advance()

    def factor_at(self, now_ns: int) -> float:
        """Brightness at ``now_ns``; see :class:`ChangingLight`."""
        if self.off_from_ns is not None and now_ns >= self.off_from_ns:
            return 0.0
        seconds = now_ns / NS_PER_S
        wave = math.sin(2 * math.pi * self.flicker_hz * seconds)
        if self.pulsed:
            wave = math.copysign(1.0, wave)
        return max(1 + self.depth * wave + self.drift_per_s * seconds, 0.0)


def encode_light_frame(field: Field) -> bytes:
    """One light frame.

    Raises:
        FrameError: A field that :class:`LightStream` would refuse.
    """
    checked = _checked(field)
    return _HEADER.pack(MAGIC, *checked.shape) + checked.astype("<f4").tobytes()


def smooth_field(side_px: int = DEFAULT_SIDE_PX) -> Field:
    """A bright spot over a slope: light for a simulation without a scene."""
    axis = np.linspace(-1.0, 1.0, side_px)
    spot = np.exp(-4 * ((axis[:, None] + 0.2) ** 2 + (axis[None, :] - 0.1) ** 2))
    field: Field = (0.15 + 0.05 * axis[None, :] + 0.6 * spot).astype(np.float32)
    return field


def _frames(stream: BinaryIO) -> Iterator[Field]:
    while header := stream.read(_HEADER.size):
        yield _parse(header, stream)


def _parse(header: bytes, stream: BinaryIO) -> Field:
    if len(header) != _HEADER.size:
        raise FrameError(f"Light frame cut off after {len(header)} bytes.", hint="whole frames.")
    magic, height, width = _HEADER.unpack(header)
    if magic != MAGIC or not 1 <= height <= MAX_SIDE_PX or not 1 <= width <= MAX_SIDE_PX:
        found = f"Not a light frame: header {header.hex(' ')}."
        raise FrameError(found, hint="frames made by firmware.sim.light.encode_light_frame.")
    size = 4 * height * width
    body = stream.read(size)
    if len(body) != size:
        raise FrameError(f"Light frame cut off: {len(body)} of {size} bytes.", hint="whole frames.")
    return np.frombuffer(body, "<f4").astype(np.float32).reshape(height, width)


def _checked(field: Field) -> Field:
    if (
        not bool(np.isfinite(field).all())
        or float(field.min(initial=0)) < 0
        or field.max(initial=0) > MAX_LUMINANCE
    ):
        found = f"Luminance must be finite and within 0..{MAX_LUMINANCE:g}."
        raise FrameError(found, hint="linear luminance with white at 1.")
    return frozen_array("light field", field, np.float32, (None, None))
