"""A state machine in the emulator with a converter on its pins; DMA is the caller who drains."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pioemu

from tests.hardware.asm_pio import Program

SDO, TRIGGER, SCLK, CS = 0, 1, 2, 3
OUTPUTS = 1 << SCLK | 1 << CS
Level = Callable[[int], int]
"""The trigger's level at a cycle."""


@dataclass
class FakeSdo:
    """An AD7380: a falling CS converts and brings the first bit of the result before.

    ``shifts_on`` is the edge of SCLK that brings the next bit. Where it is the falling one, the
    first does nothing: its bit is already there.
    """

    results: Sequence[int]
    shifts_on: int
    conversions: int = 0
    _word: int = 0
    _bit: int = 0
    _cs: int = 1
    _sclk: int = 1

    def level(self, pins: int) -> int:
        cs, sclk = pins >> CS & 1, pins >> SCLK & 1
        if self._cs and not cs:
            self._word = self.results[self.conversions - 1] if self.conversions else 0xDEADBEEF
            self.conversions += 1
            self._bit = 31 if self.shifts_on else 32
        elif not cs and sclk != self._sclk and sclk == self.shifts_on:
            self._bit -= 1
        self._cs, self._sclk = cs, sclk
        return self._word >> max(min(self._bit, 31), 0) & 1


@dataclass
class Trace:
    """What happened on the pins, in cycles, and what was pushed."""

    cs_falls: list[int] = field(default_factory=list)
    cs_rises: list[int] = field(default_factory=list)
    sclk_falls: list[int] = field(default_factory=list)
    sclk_rises: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    x_register: int = 0

    def note(self, cycle: int, before: int, after: int) -> None:
        lists = {CS: (self.cs_falls, self.cs_rises), SCLK: (self.sclk_falls, self.sclk_rises)}
        for pin, (falls, rises) in lists.items():
            was, now = before >> pin & 1, after >> pin & 1
            if was != now:
                (rises if now else falls).append(cycle)


def run(  # noqa: PLR0913 - keyword-only, each a different wire or count
    program: Program,
    *,
    cycles: int,
    trigger: Level,
    given: Sequence[int] = (),
    sdo: FakeSdo | None = None,
    drained: bool = True,
) -> Trace:
    """Run from reset for ``cycles``; ``given`` lies in the TX FIFO."""

    def pins(state: pioemu.State) -> int:
        level = sdo.level(state.pin_values) if sdo is not None else 0
        return level << SDO | trigger(state.clock) << TRIGGER

    start = pioemu.State(pin_directions=OUTPUTS, pin_values=OUTPUTS, transmit_fifo=deque(given))
    trace = Trace()
    for before, after in _steps(program, start, cycles, pins):
        trace.note(before.clock, before.pin_values, after.pin_values)
        trace.x_register = after.x_register
        while drained and after.receive_fifo:
            trace.words.append(after.receive_fifo.popleft())
        if not drained:
            trace.words = list(after.receive_fifo)
    return trace


def _steps(
    program: Program, start: pioemu.State, cycles: int, pins: Callable[[pioemu.State], int]
) -> Iterator[tuple[pioemu.State, pioemu.State]]:
    steps: Iterator[tuple[pioemu.State, pioemu.State]] = pioemu.emulate(
        program.words,
        stop_when=lambda _, state: state.clock >= cycles,
        initial_state=dataclasses.replace(start),
        input_source=pins,
        shift_isr_right=False,
        shift_osr_right=program.out_right,
        side_set_base=SCLK,
        side_set_count=program.side_pins,
        wrap_target=program.wrap_target,
        wrap_top=program.wrap_top,
    )
    return steps
