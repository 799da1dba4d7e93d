"""The serial port of a converter: a command in, an answer out, one bit each per clock."""

from typing import Final

_LONGEST: Final = 256
"""Clocks of a frame for which the answer is laid out."""


class ShiftRegister:
    """What the first clocks of a frame shift in, and what all of them find on the line.

    Args:
        command_clocks: Length of a command.
    """

    def __init__(self, command_clocks: int) -> None:
        self.stuck_at: int | None = None
        """What the master reads whatever the chip does: ``FLOATING``, or 0 of a line to ground."""
        self.clocks = 0
        self.command = 0
        self._command_clocks = command_clocks
        self._stream = 0

    @property
    def is_whole(self) -> bool:
        """Whether a whole command came in."""
        return self.clocks >= self._command_clocks

    def lay_out(self, idle: int, answer: int = 0, bits: int = 0) -> None:
        """Begin a frame: the next clocks find ``answer``, then ``idle`` for ever."""
        if self.stuck_at is not None:
            idle, answer, bits = self.stuck_at, 0, 0
        rest = _LONGEST - bits
        self._stream = answer << rest | ((1 << rest) - 1) * idle
        self.clocks = 0
        self.command = 0

    def clock(self, bit_in: int) -> int:
        """One clock: ``bit_in`` is read, the result is on the line."""
        self.clocks += 1
        if self.clocks <= self._command_clocks:
            self.command = self.command << 1 | bit_in
        return self._stream >> (_LONGEST - self.clocks) & 1

    def shift(self, sent: bytes) -> bytes:
        """All clocks of a frame at once; the same as one by one."""
        self.clocks = 8 * len(sent)
        self.command = int.from_bytes(sent[: self._command_clocks // 8], "big")
        return (self._stream >> (_LONGEST - self.clocks)).to_bytes(len(sent), "big")
