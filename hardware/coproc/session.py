"""What the co-processor does with commands, and how samples leave it.

No hardware in here: ``Capture`` samples, ``Line`` takes bytes to the host. The same
file runs on the board (MicroPython) and in the simulated board (CPython).
"""

import binascii
import struct

from . import framing, timing
from .ports import Capture, Line

FIRMWARE = (1, 0, 0)
BATCH_BYTES = 2048
"""Samples travel once this many bytes of whole exposures are there, or the pass is complete."""

IDLE = 0
ARMED = 1
DONE = 2

AD738X = 1
"""The converters that the sampling program reads: AD7380 and AD7383, both results on one line."""


class Session:
    """One line, one converter.

    Args:
        chip: 1 RP2040, 2 RP2350, 0 none.
        boot: A number that differs after every start.
        capture: What samples.
        line: The way to the host.
    """

    def __init__(self, chip: int, boot: int, capture: Capture, line: Line) -> None:
        self._hello = struct.pack(
            framing.HELLO_LAYOUT, chip, *FIRMWARE, boot, capture.clock_hz, capture.ring_words
        )
        self._capture = capture
        self._write = line.write
        self._reader = framing.CommandReader()
        self._state = IDLE
        self._configured = 0
        self._divider = 1
        self._guard_loops = self._samples = self._masks = self._tail_us = 0
        self._complete = False
        self._completed_us = 0
        self._pass = self._sent = self._captured = self._flags = self._sequence = 0

    def boot(self) -> None:
        """Say that a new life begins: whatever was configured is gone."""
        self._write(framing.frame(framing.BOOT, 0, self._hello))

    def receive(self, chunk: bytes) -> None:
        """Carry out the commands in ``chunk``; damaged ones are not answered."""
        for kind, sequence, payload in self._reader.feed(chunk):
            self._handle(kind, sequence, payload)

    def poll(self) -> None:
        """Send what has been sampled since; call it over and over."""
        if self._state != ARMED:
            return
        written = self._capture.written_words()
        words = self._words_per_mask()
        self._captured = min(written // words, self._masks)
        if self._capture.stalled() or written - self._sent * words > self._capture.ring_words:
            self._end(framing.OVERRUN)
            return
        batch = max(1, BATCH_BYTES // (4 * words))
        while self._captured - self._sent >= batch or self._sent < self._captured == self._masks:
            self._send_data(self._sent, min(batch, self._captured - self._sent))
            self._sent = min(self._sent + batch, self._captured)
        if self._sent == self._masks:
            self._end_after_tail()

    def _handle(self, kind: int, sequence: int, payload: bytes) -> None:
        actions = {
            framing.HELLO: (0, self._on_hello),
            framing.CONFIGURE: (struct.calcsize(framing.CONFIGURE_LAYOUT), self._on_configure),
            framing.ARM: (struct.calcsize(framing.ARM_LAYOUT), self._on_arm),
            framing.STOP: (0, self._on_stop),
            framing.STATUS: (0, self._on_status),
            framing.RESEND: (struct.calcsize(framing.RESEND_LAYOUT), self._on_resend),
        }
        length, action = actions.get(kind, (len(payload), None))
        refusal = framing.MALFORMED
        if action is None:
            refusal = framing.UNKNOWN_COMMAND
        elif length == len(payload):
            answer = action(payload)
            if not isinstance(answer, int):
                self._write(framing.frame(kind | framing.REPLY, sequence, answer))
                return
            refusal = answer
        self._write(framing.frame(framing.REFUSED, sequence, bytes((kind, refusal))))

    # Each action returns the payload of its reply, or the number of a refusal.

    def _on_hello(self, payload: bytes) -> bytes:
        del payload
        return self._hello

    def _on_configure(self, payload: bytes) -> bytes | int:
        fields = struct.unpack(framing.CONFIGURE_LAYOUT, payload)
        guard_ns, tail_ns, spi_hz, masks, samples, converter, _ = fields
        self._halt()
        self._configured = 0
        if converter != AD738X or not 0 < samples <= timing.MAX_SAMPLES or not masks or not spi_hz:
            return framing.OUT_OF_RANGE
        clock_hz = self._capture.clock_hz
        divider = timing.divider_for(clock_hz, spi_hz)
        guard_loops = timing.guard_loops_for(clock_hz, divider, guard_ns)
        if divider > timing.MAX_DIVIDER or guard_loops > timing.MAX_GUARD_LOOPS:
            return framing.OUT_OF_RANGE
        if not self._capture.answers():
            return framing.CONVERTER_SILENT
        self._divider, self._guard_loops, self._samples, self._masks = divider, guard_loops, samples, masks
        self._tail_us = -(-tail_ns // 1000)
        self._configured = binascii.crc32(payload)
        guard_cycles = guard_loops + timing.EDGE_CYCLES
        return struct.pack(framing.TIMING_LAYOUT, clock_hz, divider, timing.FRAME_CYCLES, guard_cycles)

    def _on_arm(self, payload: bytes) -> bytes | int:
        self._halt()
        number, configured = struct.unpack(framing.ARM_LAYOUT, payload)
        if not self._masks or configured != self._configured:
            return framing.NOT_CONFIGURED
        self._pass, self._sent, self._captured, self._flags, self._sequence = number, 0, 0, 0, 0
        self._complete = False
        self._capture.start(self._divider, self._guard_loops, self._samples, self._masks)
        self._state = ARMED
        return bytes((number,))

    def _on_stop(self, payload: bytes) -> bytes:
        del payload
        self._halt()
        return self._summary()

    def _on_status(self, payload: bytes) -> bytes:
        del payload
        return bytes((self._state,)) + self._summary()

    def _on_resend(self, payload: bytes) -> bytes | int:
        number, first, masks = struct.unpack(framing.RESEND_LAYOUT, payload)
        if number != self._pass or self._state != DONE or first + masks > self._captured:
            return framing.GONE
        words = self._words_per_mask()
        if self._flags or self._capture.written_words() - first * words > self._capture.ring_words:
            return framing.GONE
        batch = max(1, BATCH_BYTES // (4 * words))
        for start in range(first, first + masks, batch):
            self._send_data(start, min(batch, first + masks - start))
        return bytes((number,))

    def _halt(self) -> None:
        """End the pass where it is; what was sampled but not sent yet can be asked for."""
        if self._state == ARMED:
            self._captured = min(self._capture.written_words() // self._words_per_mask(), self._masks)
            self._flags |= framing.OVERRUN if self._capture.stalled() else 0
            self._state = DONE
        self._capture.stop()

    def _end_after_tail(self) -> None:
        """An exposure too many begins within the tail, so that the counts of END tell of it."""
        if not self._complete:
            self._complete, self._completed_us = True, self._capture.now_us()
        if self._capture.elapsed_us(self._completed_us) >= self._tail_us:
            self._end(0)

    def _end(self, flags: int) -> None:
        self._flags |= flags
        self._state = DONE
        self._write(framing.frame(framing.END, self._next_sequence(), self._summary()))

    def _summary(self) -> bytes:
        """Edges go on being counted after the last exposure: one too many must be seen."""
        sampled = self._sent if self._flags else self._captured
        dropped = (self._masks - sampled) * self._samples
        edges = self._capture.edges()
        return struct.pack(framing.SUMMARY_LAYOUT, self._pass, self._flags, edges, self._captured, dropped)

    def _send_data(self, first: int, masks: int) -> None:
        """Exposures ``first`` to ``first + masks`` out of the ring, which may wrap within them."""
        words, ring_words = self._words_per_mask(), self._capture.ring_words
        fields = struct.pack(framing.DATA_LAYOUT, self._pass, self._flags, masks, first)
        start = first * words % ring_words
        end = start + masks * words
        ring = memoryview(self._capture.ring)
        parts: list[bytes | memoryview] = [fields, ring[4 * start : 4 * min(end, ring_words)]]
        if end > ring_words:
            parts.append(ring[: 4 * (end - ring_words)])
        head = framing.header(framing.DATA, self._next_sequence(), len(fields) + 4 * masks * words)
        check = binascii.crc32(head)
        self._write(head)
        for part in parts:
            check = binascii.crc32(part, check)
            self._write(part)
        self._write(struct.pack("<I", check))

    def _words_per_mask(self) -> int:
        """K - 1 samples, the closing word and the last sample."""
        return self._samples + 1

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence - 1
