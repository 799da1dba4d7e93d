"""The AD7380 family's side of the wire, bit by bit.

Ref: Linux drivers/iio/adc/ad7380.c: all channels are sampled when CS falls, the result
leaves in the next frame; registers, resets, averaging, times. Unverified and chosen here:
zeros after the last bit, zeros before the first conversion and while powered down, which
channels SDOA carries while there are several lines, a fall of CS that comes before the
last conversion is done (it is ignored). Not modelled: CRC, alert, rolling average, SDOB to
SDOD.
"""

from typing import Final

from firmware.sim.shift_register import ShiftRegister
from firmware.sim.spi import FLOATING, VoltsAt
from lsi.units import NS_PER_MS, NS_PER_S

COMMAND_CLOCKS: Final = 16
LONG_AGO_NS: Final = -NS_PER_S
_POWER_UP_NS: Final = 5 * NS_PER_MS
_PARTS: Final = {"ad7380": (2, True), "ad7383": (2, False), "ad7383-4": (4, False)}
"""Channels, and whether they are driven differentially, by the name that board files use."""
_CODES: Final = 65_536
_LOWEST: Final = -32_768

_CONFIG1, _CONFIG2, _ALERT, _ALERT_LOW, _ALERT_HIGH = range(1, 6)
_DEFAULTS: Final = {_CONFIG1: 0, _CONFIG2: 0, _ALERT: 0, _ALERT_LOW: 0x800, _ALERT_HIGH: 0x7FF}
"""Values of the alert registers are unverified."""
_RESET_BITS: Final = 0xFF
_SOFT_RESET: Final = 0x3C
_HARD_RESET: Final = 0xFF
_POWER_DOWN: Final = 1 << 0
_TWO_MORE_BITS: Final = 1 << 2
_OSR_SHIFT: Final = 6
_SINGLE_NS: Final = 190
_FIRST_NS: Final = 10
_NEXT_NS: Final = 500


class Ad738xChip:
    """``SpiChip``: registers, converters and the shift machine.

    Args:
        volts_at: What is on the inputs: on a differential part the difference of the two
            pins of a channel, otherwise AIN+.
        name: Which member of the family.
        vref_v: Reference.
        common_v: AIN- of a part that is not differential; half of ``vref_v`` by default.
        powered_at_ns: When the supply came up.
    """

    def __init__(
        self,
        volts_at: VoltsAt,
        name: str,
        vref_v: float,
        common_v: float | None = None,
        powered_at_ns: int = LONG_AGO_NS,
    ) -> None:
        self.line = ShiftRegister(COMMAND_CLOCKS)
        self._volts_at = volts_at
        channels, is_differential = _PARTS[name]
        self._channels = range(channels)
        span_v = 2 * vref_v if is_differential else vref_v
        middle_v = 0.0 if is_differential else vref_v / 2 if common_v is None else common_v
        self._lowest_v, self._step_v = middle_v - span_v / 2, span_v / _CODES
        self._asked: int | None = None
        self._ready_ns = 0
        self.reset(powered_at_ns)

    def reset(self, now_ns: int) -> None:
        """The supply fails and comes back: everything is as at the beginning."""
        self._is_awake = False
        self._awake_ns = now_ns + _POWER_UP_NS
        self._clear_registers()
        self.line.lay_out(FLOATING)

    def select(self, now_ns: int) -> None:
        """CS falls: what is ready will be shifted out, a new conversion begins."""
        self._is_awake = now_ns >= self._awake_ns
        if not self._is_awake:
            self.line.lay_out(FLOATING)
            return
        register, self._asked = self._asked, None
        if now_ns >= self._ready_ns:
            self._latest = self._pending
            self._convert(now_ns)
        if register is None:
            self.line.lay_out(0, *self._on_first_line())
        else:
            self.line.lay_out(0, register, COMMAND_CLOCKS)

    def clock_edge(self, bit_in: int, now_ns: int) -> int:
        """One clock: ``bit_in`` is read, the result is what SDOA carries."""
        del now_ns
        return self.line.clock(bit_in)

    def deselect(self, now_ns: int) -> None:
        """CS rises: a whole command is obeyed."""
        del now_ns
        if not self.line.is_whole or not self._is_awake:
            return
        address = self.line.command >> 12 & 0b111
        if address not in self._registers:
            return
        if self.line.command >> 15:
            self._write(address, self.line.command & 0xFFF)
        else:
            self._asked = self._registers[address]

    def frame(self, sent: bytes, selected_ns: int, deselected_ns: int) -> bytes:
        """A whole frame at once; the same as its edges one by one."""
        self.select(selected_ns)
        received = self.line.shift(sent)
        self.deselect(deselected_ns)
        return received

    def _clear_registers(self) -> None:
        self._registers = dict(_DEFAULTS)
        self._asked = None
        self._forget_conversions()

    def _forget_conversions(self) -> None:
        self._latest = self._pending = [0] * len(self._channels)
        self._ready_ns = 0

    def _write(self, address: int, data: int) -> None:
        if address != _CONFIG2:
            self._registers[address] = data
        elif data & _RESET_BITS == _HARD_RESET:
            self._clear_registers()
        else:
            self._registers[_CONFIG2] = data & ~_RESET_BITS
            if data & _RESET_BITS == _SOFT_RESET:
                self._forget_conversions()

    def _on_first_line(self) -> tuple[int, int]:
        """What SDOA carries: the channels one after another, as (word, bits)."""
        sharing = {0: len(self._channels) // 2, 1: len(self._channels)}
        carried = sharing.get(self._registers[_CONFIG2] >> 8 & 0b11, 1)
        width = 16 + 2 * self._is_set(_TWO_MORE_BITS)
        word = 0
        for code in self._latest[:carried]:
            word = word << width | code & ((1 << width) - 1)
        return word, width * carried

    def _is_set(self, bit: int) -> bool:
        return bool(self._registers[_CONFIG1] & bit)

    def _convert(self, now_ns: int) -> None:
        if self._is_set(_POWER_DOWN):
            self._forget_conversions()
            return
        # 6 and 7 are reserved.
        many = 1 << min(self._registers[_CONFIG1] >> _OSR_SHIFT & 0b111, 5)
        self._ready_ns = now_ns + (_SINGLE_NS if many == 1 else _FIRST_NS + _NEXT_NS * (many - 1))
        instants = [self._codes(now_ns + _NEXT_NS * k) for k in range(many)]
        wider = 4 if self._is_set(_TWO_MORE_BITS) else 1
        self._pending = [sum(codes) * wider // many for codes in zip(*instants, strict=True)]

    def _codes(self, now_ns: int) -> list[int]:
        """Signed codes of all channels at one instant."""
        steps = [
            int((self._volts_at(channel, now_ns) - self._lowest_v) / self._step_v)
            for channel in self._channels
        ]
        return [min(max(one, 0), _CODES - 1) + _LOWEST for one in steps]
