"""Enough of MicroPython's ``rp2`` to assemble the co-processor's programs in CPython.

Encoding: RP2040 data sheet, 3.4 "Instruction Set".
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Self

_REGISTERS = {"pins": 0, "x": 1, "y": 2, "null": 3, "isr": 6, "osr": 7}
_CONDITIONS = {"not_x": 1, "x_dec": 2, "not_y": 3, "y_dec": 4, "x_not_y": 5, "not_osre": 7}
_PIN = 0b01
"""Source of WAIT: a pin counted from the first input pin."""
_BLOCK = 1 << 5


class PIO:
    OUT_HIGH = 3
    SHIFT_LEFT = 0
    SHIFT_RIGHT = 1


@dataclass
class Program:
    """One assembled program with what the emulator has to know about it."""

    words: list[int] = field(default_factory=list)
    wrap_target: int = 0
    wrap_top: int = 0
    side_pins: int = 0
    out_right: bool = False


class Assembler:
    """Two passes over a program's function: labels, then words."""

    def __init__(self, side_pins: int) -> None:
        self.program = Program(side_pins=side_pins)
        self.labels: dict[str, int] = {}
        self.final = False
        self._wrapped = False

    def begin(self, *, final: bool) -> None:
        self.final = final
        self.program.words = []

    def end(self) -> None:
        if not self._wrapped:
            self.program.wrap_top = len(self.program.words) - 1

    def _word(self, word: int) -> Self:
        self.program.words.append(word)
        return self

    def side(self, value: int) -> Self:
        assert value < 1 << self.program.side_pins
        self.program.words[-1] |= value << (13 - self.program.side_pins)
        return self

    def __getitem__(self, delay: int) -> Self:
        assert delay < 1 << (5 - self.program.side_pins)
        self.program.words[-1] |= delay << 8
        return self

    def wrap_target(self) -> None:
        self.program.wrap_target = len(self.program.words)

    def wrap(self) -> None:
        self.program.wrap_top = len(self.program.words) - 1
        self._wrapped = True

    def label(self, name: str) -> None:
        assert self.final or name not in self.labels
        self.labels[name] = len(self.program.words)

    def jmp(self, *condition_and_target: int | str) -> Self:
        *condition, target = condition_and_target
        bits = int(condition[0]) if condition else 0
        return self._word(bits << 5 | (self.labels[str(target)] if self.final else 0))

    def nop(self) -> Self:
        return self.mov(_REGISTERS["y"], _REGISTERS["y"])

    def wait(self, polarity: int, source: int, index: int) -> Self:
        return self._word(0x2000 | polarity << 7 | source << 5 | index)

    def in_(self, source: int, bits: int) -> Self:
        return self._word(0x4000 | source << 5 | bits & 0x1F)

    def out(self, destination: int, bits: int) -> Self:
        return self._word(0x6000 | destination << 5 | bits & 0x1F)

    def push(self, block: int) -> Self:
        return self._word(0x8000 | block)

    def pull(self, block: int) -> Self:
        return self._word(0x8080 | block)

    def mov(self, destination: int, source: int) -> Self:
        return self._word(0xA000 | destination << 5 | source)


def asm_pio(
    *, sideset_init: Sequence[int] = (), in_shiftdir: int = PIO.SHIFT_LEFT, out_shiftdir: int = PIO.SHIFT_LEFT
) -> Callable[[Callable[[], None]], Program]:
    assert in_shiftdir == PIO.SHIFT_LEFT
    assembler = Assembler(len(sideset_init))

    def assemble(function: Callable[[], None]) -> Program:
        assembler.program.out_right = out_shiftdir == PIO.SHIFT_RIGHT
        space: dict[str, Any] = function.__globals__
        kept = dict(space)
        names = ("wrap_target", "wrap", "label", "jmp", "nop", "wait", "in_", "out", "push", "pull", "mov")
        space.update(_REGISTERS | _CONDITIONS | {"pin": _PIN, "block": _BLOCK, "noblock": 0})
        space.update({name: getattr(assembler, name) for name in names})
        for final in (False, True):
            assembler.begin(final=final)
            function()
        assembler.end()
        space.clear()
        space.update(kept)
        return assembler.program

    return assemble


def load_programs(path: Path) -> ModuleType:
    """The module at ``path``, its programs assembled."""
    rp2: Any = ModuleType("rp2")
    rp2.PIO, rp2.asm_pio = PIO, asm_pio
    spec = importlib.util.spec_from_file_location("pio_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get("rp2")
    sys.modules["rp2"] = rp2
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["rp2"]
        if before is not None:
            sys.modules["rp2"] = before
    return module
