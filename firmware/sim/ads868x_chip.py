"""The ADS868x's side of the wire, bit by bit, and the filter in front of its converter.

Ref: registers, bits and opcodes as several public drivers of the family have them; TI E2E
1397626 (a conversion begins when CONVST/CS rises and takes 665 ns). Unverified and chosen
here: what is done when CS rises early, that a result which is not ready is replaced by the one
before, the place of a byte that was read, the second parity bit (even, over everything before
the parity bits), the filter's kind and corner.
Not modelled: alarms, reset by pin, other SPI modes, two data lines, power down.
"""

import math
from typing import Final

from firmware.sim.shift_register import ShiftRegister
from firmware.sim.spi import FLOATING, VoltsAt
from lsi.units import NS_PER_S, NS_PER_US

FILTER_HZ: Final = 15_000.0
FRAME_CLOCKS: Final = 32
_CHANNEL: Final = 0
_STEP_NS: Final = 2 * NS_PER_US
_MEMORY_NS: Final = 300 * NS_PER_US
"""After that long exp(-20) is left of what was before."""
_POWER_UP_NS: Final = 20_000 * NS_PER_US
"""Unverified."""
LONG_AGO_NS: Final = -NS_PER_S
_CONVERSION_NS: Final = {"ads8681": 665, "ads8685": 1_000, "ads8689": 5_000}
"""By the name that board files use; the latter two are unverified."""
_CODES: Final = 65_536

_DEVICE_ID_HIGH: Final = 0x02
_DATAOUT_CTL: Final = 0x10
_RANGE_SEL: Final = 0x14
_HALF_WORDS: Final = (0x00, _DEVICE_ID_HIGH, 0x04, 0x08, 0x0C, _DATAOUT_CTL, _RANGE_SEL, 0x20, 0x24, 0x28)
_CLEAR, _SET = 0b1100000, 0b1101100
_READ, _READ_BYTE = 0b1100100, 0b0100100
_WRITE, _WRITE_HIGH, _WRITE_LOW = 0b1101000, 0b1101001, 0b1101010
_PARITY: Final = 1 << 3
_TEST_PATTERNS: Final = {4: 0x0000, 5: 0xFFFF, 6: 0x5555, 7: 0x3333}
_BIPOLAR: Final = {0: 3.0, 1: 2.5, 2: 1.5, 3: 1.25, 4: 0.625}
_UNIPOLAR: Final = {8: 3.0, 9: 2.5, 10: 1.5, 11: 1.25}
_RANGES: Final = {
    **{code: (-ends, 2 * ends) for code, ends in _BIPOLAR.items()},
    **{code: (0.0, ends) for code, ends in _UNIPOLAR.items()},
}
"""Low end and span of each range, in units of the reference."""


class InputFilter:
    """Second-order Butterworth low-pass; its input is held for 2 us at a time."""

    def __init__(self, volts_at: VoltsAt) -> None:
        self._volts_at = volts_at
        self._decay_hz = 2 * math.pi * FILTER_HZ / math.sqrt(2)
        self._time_ns: int | None = None
        self._volts = 0.0
        self._slope = 0.0

    def volts(self, now_ns: int) -> float:
        """The output at ``now_ns``, which must not go back."""
        begin_ns = now_ns - _MEMORY_NS
        if self._time_ns is None or self._time_ns < begin_ns:
            self._time_ns, self._slope = begin_ns, 0.0
            self._volts = self._volts_at(_CHANNEL, begin_ns)
        while self._time_ns < now_ns:
            step_ns = min(_STEP_NS, now_ns - self._time_ns)
            self._step(self._volts_at(_CHANNEL, self._time_ns + step_ns // 2), step_ns)
            self._time_ns += step_ns
        return self._volts

    def _step(self, held_v: float, step_ns: int) -> None:
        """The distance e to an input that is held obeys e'' + 2 a e' + 2 a^2 e = 0."""
        rate = self._decay_hz
        angle = rate * step_ns / NS_PER_S
        left = math.exp(-angle)
        cosine, sine = left * math.cos(angle), left * math.sin(angle)
        distance, slope = self._volts - held_v, self._slope
        self._volts = held_v + distance * (cosine + sine) + slope / rate * sine
        self._slope = slope * (cosine - sine) - 2 * rate * distance * sine


class Ads868xChip:
    """``SpiChip``: registers, filter, converter and the shift machine.

    Args:
        volts_at: What is on the input, channel 0.
        name: Which member of the family.
        vref_v: Reference.
        powered_at_ns: When the supply came up.
    """

    def __init__(
        self,
        volts_at: VoltsAt,
        name: str,
        vref_v: float = 4.096,
        powered_at_ns: int = LONG_AGO_NS,
    ) -> None:
        self.line = ShiftRegister(FRAME_CLOCKS)
        self._filter = InputFilter(volts_at)
        self._conversion_ns = _CONVERSION_NS[name]
        self._vref_v = vref_v
        self._asked: int | None = None
        self.reset(powered_at_ns)

    def reset(self, now_ns: int) -> None:
        """The supply fails and comes back: everything is as at the beginning."""
        self._is_awake = False
        self._awake_ns = now_ns + _POWER_UP_NS
        self._registers = dict.fromkeys(_HALF_WORDS, 0)
        self._asked = None
        self._latest = self._pending = 0
        self._ready_ns = 0
        self.line.lay_out(FLOATING)

    def select(self, now_ns: int) -> None:
        """CS falls: what is ready will be shifted out."""
        self._is_awake = now_ns >= self._awake_ns
        if not self._is_awake:
            self.line.lay_out(FLOATING)
            return
        if now_ns >= self._ready_ns:
            self._latest = self._pending
        register, self._asked = self._asked, None
        if register is None:
            self.line.lay_out(0, *self._output())
        else:
            self.line.lay_out(0, register, 16)

    def clock_edge(self, bit_in: int, now_ns: int) -> int:
        """One clock: ``bit_in`` is read, the result is what SDO-0 carries."""
        del now_ns
        return self.line.clock(bit_in)

    def deselect(self, now_ns: int) -> None:
        """CS rises: a whole command is obeyed, the next conversion begins."""
        if not self._is_awake:
            return
        if self.line.is_whole:
            self._obey(self.line.command >> 25, self.line.command >> 16 & 0x1FF, self.line.command & 0xFFFF)
        if now_ns >= self._ready_ns:
            self._ready_ns = now_ns + self._conversion_ns
            self._pending = self._convert(now_ns)

    def frame(self, sent: bytes, selected_ns: int, deselected_ns: int) -> bytes:
        """A whole frame at once; the same as its edges one by one."""
        self.select(selected_ns)
        received = self.line.shift(sent)
        self.deselect(deselected_ns)
        return received

    def _obey(self, opcode: int, address: int, data: int) -> None:
        half, shift = address & ~1, 8 * (address & 1)
        if half not in self._registers:
            return
        kept = self._registers[half]
        written = {
            _CLEAR: kept & ~data,
            _SET: kept | data,
            _WRITE: data,
            _WRITE_HIGH: kept & 0x00FF | data & 0xFF00,
            _WRITE_LOW: kept & 0xFF00 | data & 0x00FF,
        }
        if opcode in written:
            self._registers[half] = written[opcode]
        elif opcode == _READ:
            self._asked = kept
        elif opcode == _READ_BYTE:
            self._asked = (kept >> shift & 0xFF) << 8

    def _output(self) -> tuple[int, int]:
        """The result and what DATAOUT_CTL adds, as (word, bits)."""
        control = self._registers[_DATAOUT_CTL]
        result = _TEST_PATTERNS.get(control & 0b111, self._latest)
        fields = (
            (4 * (control >> 14 & 1), self._registers[_DEVICE_ID_HIGH] & 0xF),
            ((control >> 12 & 0b11).bit_count(), 0),
            ((control >> 10 & 0b11).bit_count(), 0),
            (4 * (control >> 8 & 1), self._registers[_RANGE_SEL] & 0xF),
        )
        word, bits = result, 16
        for width, value in fields:
            word, bits = (word << width | value, bits + width) if width else (word, bits)
        if control & _PARITY:
            word, bits = word << 2 | result.bit_count() % 2 << 1 | word.bit_count() % 2, bits + 2
        return word, bits

    def _convert(self, now_ns: int) -> int:
        low_vrefs, span_vrefs = _RANGES.get(self._registers[_RANGE_SEL] & 0xF, _RANGES[0])
        step_v = span_vrefs * self._vref_v / _CODES
        counts = math.floor((self._filter.volts(now_ns) - low_vrefs * self._vref_v) / step_v)
        return min(max(counts, 0), _CODES - 1)
