"""What the sampling program does in time, counted in cycles of its state machine.

The figures belong to ``pio.py`` and change with it; an emulator holds them to it.
"""

BIT_CYCLES = 4
"""SCLK low for two, high for two."""
WORD_BITS = 32
"""Both results of one conversion on one line, channel A first."""
FRAME_CYCLES = 133
"""From one falling edge of CS to the next: 1 + 32 bits of 4 + 4 with CS high."""
CLOSING_CYCLES = 2
"""So long before the last frame the level of the trigger is read."""
EDGE_CYCLES = 5
"""From the trigger's edge to the first falling edge of CS when the guard has no loops.

The input synchroniser adds two cycles of the system clock (RP2040 data sheet, 3.5.6.3).
"""
MAX_GUARD_LOOPS = 0xFFFF
MAX_SAMPLES = 255
MAX_DIVIDER = 0xFFFF
_NS_PER_S = 1_000_000_000


def divider_for(clock_hz: int, spi_hz: int) -> int:
    """The smallest whole divider whose SCLK is not faster than ``spi_hz``; whole, so that nothing jitters."""
    return max(1, -(-clock_hz // (BIT_CYCLES * spi_hz)))


def guard_loops_for(clock_hz: int, divider: int, guard_ns: int) -> int:
    """Loops after which the first conversion is not earlier than ``guard_ns`` after the edge."""
    cycles = -(-guard_ns * clock_hz // (divider * _NS_PER_S))
    return max(0, cycles - EDGE_CYCLES)


def state_word(guard_loops: int, samples: int) -> int:
    """What the sampling program is given at its start.

    ``samples`` conversions are ``samples + 1`` frames: a result comes out one frame after
    its conversion. The first and the last one stand outside the loop.
    """
    return (samples - 1) << 16 | guard_loops
