"""The MCP3208's side of the wire, bit by bit.

Ref: Microchip MCP3204/3208, DS21298, section 5: after CS falls, leading zeros are
ignored; start bit, SGL/DIFF, D2, D1, D0; the input is sampled from the fourth rising
edge after the start bit to the falling edge of the fifth; then a null bit, 12 bits MSB
first, the same bits LSB first without repeating the last, then zeros.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from firmware.sim.spi import FLOATING
from lsi.sensor import SensorModel

COMMAND_BITS: Final = 5
_BITS: Final = 12

VoltsAt = Callable[[int, int], float]
"""Volts on an input: (channel, time in ns)."""


class Mcp3208Chip:
    """``SpiChip``: the shift machine.

    Args:
        volts_at: What is on the inputs.
        sensor: Width and reference of the converter.
    """

    def __init__(self, volts_at: VoltsAt, sensor: SensorModel) -> None:
        self._volts_at = volts_at
        self._sensor = sensor
        self._command: list[int] = []
        self._answer: list[int] = []

    def select(self, now_ns: int) -> None:
        """CS falls: begin a new conversion."""
        del now_ns
        self._command = []
        self._answer = []

    def deselect(self, now_ns: int) -> None:
        """CS rises: nothing happens."""

    def clock_edge(self, bit_in: int, now_ns: int) -> int:
        """One clock: ``bit_in`` is read on the rising edge, the result is what the chip drives."""
        if len(self._command) < COMMAND_BITS:
            if self._command or bit_in:
                self._command.append(bit_in)
            if len(self._command) == COMMAND_BITS:
                # One clock of sampling, then the null bit and the result.
                self._answer = [FLOATING, 0, *self._convert(now_ns)]
            return FLOATING
        return self._answer.pop(0) if self._answer else 0

    def _convert(self, now_ns: int) -> list[int]:
        _, single_ended, d2, d1, d0 = self._command
        channel = d2 << 2 | d1 << 1 | d0
        volts = self._volts_at(channel, now_ns)
        if not single_ended:
            # DS21298 table 5-2: pairs (0,1), (1,0), (2,3) ...; negative differences read 0.
            volts -= self._volts_at(channel ^ 1, now_ns)
        counts = int(self._sensor.counts(np.array([volts]))[0])
        msb_first = [counts >> shift & 1 for shift in reversed(range(_BITS))]
        return msb_first + msb_first[-2::-1]
