"""Commands to the serial co-processor, each with its reply, and the frames it sends by itself."""

from collections import deque
from typing import Final, Protocol

from firmware.drivers.coproc_frames import (
    Configuration,
    Frame,
    FrameReader,
    Hello,
    Kind,
    Refusal,
    Summary,
    Timing,
    arm_payload,
    encode_frame,
    parse_hello,
    parse_summary,
    parse_timing,
    resend_payload,
)
from firmware.interfaces import Clock
from lsi.errors import BusError, BusErrorKind, Part
from lsi.units import NS_PER_MS

REPLY_TIMEOUT_NS: Final = 250 * NS_PER_MS
"""A reset of the converter takes 5 ms; the rest is margin for a busy USB line."""
TRIES: Final = 2
"""A command or its reply may be damaged once. Every command may be carried out twice."""
_SEQUENCES: Final = 1 << 16
_OF_A_PASS: Final = frozenset({Kind.DATA, Kind.END})
_UNASKED: Final = _OF_A_PASS | {Kind.BOOT}
_HINTS: Final = {
    Refusal.UNKNOWN_COMMAND: "flash the co-processor's firmware again.",
    Refusal.NOT_CONFIGURED: "configure it first.",
    Refusal.OUT_OF_RANGE: "1 to 255 samples, a shorter guard or a faster SPI clock.",
    Refusal.CONVERTER_SILENT: "check power, CS, SCLK, SDI and SDO of the converter.",
    Refusal.MALFORMED: "flash the co-processor's firmware again.",
    Refusal.GONE: "scan again.",
}


class SerialDevice(Protocol):
    """A serial line that carries bytes unchanged.

    For adapter authors: nothing of an earlier owner's input may be returned after opening.
    """

    def write(self, sent: bytes) -> None:
        """Send all of ``sent``.

        Raises:
            BusError: NO_DEVICE when the other end is gone.
        """
        ...

    def read(self, timeout_ms: int) -> bytes:
        """Everything that has come in; waits for the first byte, ``b""`` when none came in time.

        Raises:
            BusError: NO_DEVICE when the other end is gone.
        """
        ...


class RefusedError(BusError):
    """The co-processor answered that it will not; ``refusal`` says why."""

    def __init__(self, command: Kind, refusal: Refusal) -> None:
        found = f"The co-processor refuses {command.name}: {refusal.name.lower().replace('_', ' ')}."
        super().__init__(found, kind=BusErrorKind.REFUSED, hint=_HINTS[refusal])
        self.refusal = refusal
        if refusal is Refusal.CONVERTER_SILENT:
            self.part = Part.CONVERTER


class CoprocLink:
    """One co-processor at one line.

    A boot frame means that it forgot everything: waiting for a pass fails with it, while a
    command finds out by its reply.

    Args:
        port: The line.
        clock: Of the timeouts.
        reply_timeout_ns: For each try of a command.
    """

    def __init__(self, port: SerialDevice, clock: Clock, reply_timeout_ns: int = REPLY_TIMEOUT_NS) -> None:
        self._port = port
        self._clock = clock
        self._reply_timeout_ns = reply_timeout_ns
        self._reader = FrameReader()
        self._frames: deque[Frame] = deque()
        self._sequence = 0

    @property
    def damaged_frames(self) -> int:
        """Frames that the line has damaged so far; for health figures."""
        return self._reader.damaged

    def hello(self) -> Hello:
        """Who is there.

        Raises:
            BusError: Nobody answers.
            FrameError: The answer is of another version.
        """
        return parse_hello(self._command(Kind.HELLO))

    def configure(self, configuration: Configuration) -> Timing:
        """Set the sampling; ends a pass.

        Raises:
            RefusedError: Out of range, or the converter is silent.
            BusError: No answer.
        """
        return parse_timing(self._command(Kind.CONFIGURE, configuration.payload))

    def arm(self, pass_number: int, configuration: Configuration) -> None:
        """Sample the exposures that begin from now on. Frames of earlier passes are forgotten.

        Raises:
            RefusedError: NOT_CONFIGURED when it holds another configuration.
            BusError: No answer.
        """
        # What lies in the line is of earlier passes; a boot frame among it is old news.
        self._port.read(0)
        self._reader.clear()
        self._frames.clear()
        self._command(Kind.ARM, arm_payload(pass_number, configuration))

    def stop(self) -> Summary:
        """End the pass; safe at any time, twice too.

        Raises:
            BusError: No answer.
        """
        return parse_summary(self._command(Kind.STOP))

    def resend(self, pass_number: int, first: int, masks: int) -> None:
        """Have exposures sent once more. They come before the reply and wait in :meth:`next_frame`.

        Raises:
            RefusedError: GONE when they are no longer in memory.
            BusError: No answer.
        """
        self._command(Kind.RESEND, resend_payload(pass_number, first, masks))

    def next_frame(self, deadline_ns: int) -> Frame | None:
        """The next frame that is no reply; ``None`` when the deadline has passed.

        Raises:
            BusError: It restarted, or the line is gone.
        """
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame.kind == Kind.BOOT:
                    raise restarted()
                if frame.kind in _OF_A_PASS:
                    return frame
            if self._clock.now_ns() >= deadline_ns:
                return None
            self._frames += self._receive(deadline_ns)

    def _command(self, kind: Kind, payload: bytes = b"") -> bytes:
        self._sequence = (self._sequence + 1) % _SEQUENCES
        sent = encode_frame(kind, self._sequence, payload)
        for _ in range(TRIES):
            self._port.write(sent)
            deadline_ns = self._clock.now_ns() + self._reply_timeout_ns
            while self._clock.now_ns() < deadline_ns:
                frames = self._receive(deadline_ns)
                for index, frame in enumerate(frames):
                    if frame.sequence == self._sequence and frame.kind not in _UNASKED:
                        self._frames += frames[index + 1 :]
                        return _reply_to(kind, frame)
                    # A boot frame needs no answer here: what it means for the pass, the reply says.
                    if frame.kind in _OF_A_PASS:
                        self._frames.append(frame)
        found = f"The co-processor did not answer {kind.name}."
        hint = "check its USB cable, and that its firmware runs (see flash-the-coprocessor.md)."
        raise BusError(found, kind=BusErrorKind.TIMEOUT, hint=hint)

    def _receive(self, deadline_ns: int) -> list[Frame]:
        """Wait for bytes; the frames that are complete with them."""
        left_ns = deadline_ns - self._clock.now_ns()
        return self._reader.feed(self._port.read(max(1, left_ns // NS_PER_MS)))


def restarted() -> BusError:
    """The error for a pass during which the co-processor began anew."""
    found = "The co-processor restarted during the pass."
    return BusError(found, kind=BusErrorKind.OTHER, hint="check its supply; the next scan starts anew.")


def _reply_to(command: Kind, frame: Frame) -> bytes:
    """The payload of a reply."""
    if frame.kind == command | Kind.REPLY:
        return frame.payload
    reason = frame.payload[1] if frame.kind == Kind.REFUSED and len(frame.payload) > 1 else 0
    if reason in set(Refusal):
        raise RefusedError(command, Refusal(reason))
    found = f"The co-processor answered {command.name} with a frame of kind 0x{frame.kind:02x}."
    raise BusError(found, kind=BusErrorKind.FRAME, hint="the same version of firmware and host.")
